"""The file's tokenizer, run by llama.cpp, splits text as the model's own."""

import json
import random
from pathlib import Path

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tests.toys import TEXTS, byte_tokenizer, unigram_tokenizer
from tunesmith.errors import UserError
from tunesmith.export.gguf.pretokenizers import KNOWN, suiting
from tunesmith.export.gguf.probes import SCRAPS, probes
from tunesmith.export.gguf.vocabulary import choose
from tunesmith.export.gguf.write import write_words
from tunesmith.models.llamacpp import EXACT, installed, open_gguf
from tunesmith.models.load import load_tokenizer

needs_llamacpp = pytest.mark.skipif(not installed(), reason="llama-cpp-python is not installed")


def byte_level(name: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE that cuts text as llama.cpp does under `name`, with control tokens and one of the user's."""
    patterns, whole = KNOWN[name]
    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    made = Tokenizer(models.BPE(ignore_merges=whole))
    made.pre_tokenizer = pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([*TEXTS, *SCRAPS] * 3, trainer)
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made.add_tokens(["<tag>"])
    return PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False)


def piece_level() -> PreTrainedTokenizerFast:
    """As Llama 2: pieces with ▁ and bytes."""
    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    byte_names = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<unk>", "<s>", "</s>", *byte_names], show_progress=False, max_token_length=12
    )
    made.train_from_iterator([text.replace(" ", "▁") for text in (*TEXTS, *SCRAPS[:12])] * 3, trainer)
    described = json.loads(made.to_str())
    described["added_tokens"] = [one for one in described["added_tokens"] if not one["content"].startswith("<0x")]
    made = Tokenizer.from_str(json.dumps(described))
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, clean_up_tokenization_spaces=False, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def nasty(tokenizer: PreTrainedTokenizerFast, count: int = 1200) -> list[str]:
    """Texts unlike the probes: characters drawn one by one from all over Unicode, between the scraps."""
    chance = random.Random(7)
    blocks = [(0x20, 0x7E), (0xA0, 0x24F), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF01, 0xFF5E), (0x1F300, 0x1F6FF)]
    texts = []
    for _ in range(count):
        letters = [chr(chance.randint(*chance.choice(blocks))) for _ in range(chance.randint(0, 12))]
        mixed = [*letters, *chance.sample(SCRAPS, 3), *chance.sample(tokenizer.all_special_tokens or ["x"], 1)]
        chance.shuffle(mixed)
        texts.append("".join(mixed))
    return texts


def differing(tokenizer: PreTrainedTokenizerFast, path: Path, texts: list[str], exact: bool = False) -> list[str]:
    words = choose(tokenizer, len(tokenizer) + 3)
    write_words(path, words.written())
    opened = open_gguf(path, words_only=True)
    split = opened.tokenize if exact else opened.tokenize_natively
    wanted = [tokenizer(text, add_special_tokens=False).input_ids for text in texts]
    found = [text for text, ids in zip(texts, wanted, strict=True) if split(text) != ids]
    opened.close()
    return found


@needs_llamacpp
@pytest.mark.parametrize("name", ["gpt-2", "qwen2", "llama-bpe", "starcoder"])
def test_byte_level_tokenizers_are_told_by_their_patterns(name: str, tmp_path: Path) -> None:
    tokenizer = byte_level(name)
    words = choose(tokenizer, len(tokenizer))
    assert words.fields["tokenizer.ggml.pre"] == name
    assert words.texts > 400
    assert (words.wrong, words.own) == (0, "")
    assert differing(tokenizer, tmp_path / "words.gguf", nasty(tokenizer)) == []


@needs_llamacpp
def test_sentencepiece_keeps_its_ids(tmp_path: Path) -> None:
    tokenizer = piece_level()
    assert choose(tokenizer, len(tokenizer)).fields["tokenizer.ggml.model"] == "llama"
    assert differing(tokenizer, tmp_path / "words.gguf", nasty(tokenizer)) == []


@needs_llamacpp
def test_a_pattern_that_llamacpp_lacks_travels_whole(tmp_path: Path) -> None:
    """nano cuts joining words with their spaces; llama.cpp cannot, so its file carries the exact tokenizer too."""
    tokenizer = load_tokenizer("nano")
    words = choose(tokenizer, 6184)
    assert words.wrong > 0
    assert EXACT in words.written()
    assert differing(tokenizer, tmp_path / "words.gguf", nasty(tokenizer), exact=True) == []
    plain = ["the cat is in the house.", "Translate: 猫\n", "3 + 4 = 7, and 5 - 2 = 3."]
    assert differing(tokenizer, tmp_path / "words.gguf", plain) == []


@needs_llamacpp
def test_tokens_turn_into_the_words_they_stand_for(tmp_path: Path) -> None:
    for tokenizer in (byte_level("qwen2"), piece_level(), load_tokenizer("nano")):
        write_words(tmp_path / "words.gguf", choose(tokenizer, len(tokenizer)).written())
        opened = open_gguf(tmp_path / "words.gguf", words_only=True)
        for text in ("Hello world", "你好\n", "a 👩‍👩‍👧 \\n \\x41 b\t"):
            ids = tokenizer(text, add_special_tokens=False).input_ids
            assert opened.text(ids).removeprefix(" ") == text.removeprefix(" ")
        opened.close()


def test_added_tokens_have_their_types() -> None:
    tokenizer = byte_level("gpt-2")
    words = choose(tokenizer, len(tokenizer) + 2)
    types, tokens = words.fields["tokenizer.ggml.token_type"], words.fields["tokenizer.ggml.tokens"]
    by_name = dict(zip(tokens, types, strict=True))
    assert (by_name["<|im_end|>"], by_name["<tag>"], by_name["a"]) == (3, 4, 1)
    assert types[-2:] == [5, 5]
    assert len(set(tokens)) == len(tokens)


def test_what_gguf_cannot_hold_is_refused() -> None:
    with pytest.raises(UserError, match="Unigram"):
        choose(unigram_tokenizer(), 300)
    with pytest.raises(UserError, match="256 rows"):
        choose(byte_tokenizer("<|im_end|>"), 256)


def test_the_pattern_is_found_in_every_form_of_description() -> None:
    texts = probes(byte_tokenizer("<|im_end|>"))
    assert len(texts) > 400
    assert suiting(byte_tokenizer(), False, texts) == ["gpt-2"]
    assert suiting(load_tokenizer("nano"), True, texts) == []
    assert suiting(byte_level("llama-bpe"), True, texts) == ["llama-bpe", "dbrx"]
