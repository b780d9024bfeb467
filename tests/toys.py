"""Tiny models, tokenizers and rows, made on the spot."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MT5Config,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    T5Config,
)

from tunesmith.batch import Example
from tunesmith.models.load import say_what_is_tied
from tunesmith.records import Origin

BYTES = 256
TEXTS = (
    "the cat sat on the mat",
    "多语言模型可以回答问题",
    "emoji 👩‍👩‍👧 and flags 🇨🇳",
    "def add(a, b): return a + b",
) * 3
SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
CONFIGS = {
    "llama": lambda: LlamaConfig(vocab_size=BYTES, num_key_value_heads=1, **SHAPE),
    "qwen2": lambda: Qwen2Config(vocab_size=BYTES, num_key_value_heads=2, tie_word_embeddings=True, **SHAPE),
    "gpt2": lambda: GPT2Config(vocab_size=BYTES, n_embd=32, n_layer=2, n_head=2, n_positions=256),
    "gpt_neox": lambda: GPTNeoXConfig(vocab_size=BYTES, **SHAPE),
}
T5 = {"vocab_size": BYTES, "d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "dropout_rate": 0.0}
ENCODER_DECODERS = {
    "t5": lambda: T5Config(**T5),  # output layer tied to the embedding, states scaled before it
    "mt5": lambda: MT5Config(**T5),  # gated, output layer of its own
    "bart": lambda: BartConfig(
        vocab_size=BYTES, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=128, dropout=0.0,
    ),
}  # fmt: skip


def tiny_model(kind: str = "llama", seed: int = 0, **changes: object) -> PreTrainedModel:
    """A random model with 256 words; larger weights than usual, so that faults show in its logits."""
    torch.manual_seed(seed)
    config = (CONFIGS | ENCODER_DECODERS)[kind]()
    config.initializer_range = 0.2
    for name, value in changes.items():
        setattr(config, name, value)
    if not config.is_encoder_decoder:
        return AutoModelForCausalLM.from_config(config).eval()
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    if kind == "mt5":
        model.lm_head.weight = nn.Parameter(torch.randn(config.vocab_size, config.d_model) / 5)
        say_what_is_tied(model)
    return model


def byte_tokenizer(*control: str, merges: int = 0) -> PreTrainedTokenizerFast:
    """256 byte tokens, `merges` longer ones, then the control tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=BYTES + merges, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False)
    tokenizer.add_tokens([AddedToken(token, normalized=False, special=True) for token in control], special_tokens=True)
    return tokenizer


def piece_tokenizer() -> PreTrainedTokenizerFast:
    """As SentencePiece makes them: ▁ for blanks, words where it has them, else bytes <0x..>."""
    words = ["▁", "▁the", "the", "▁cat", "你", "好", "▁你", "a", "▁a", "!"]
    vocabulary = {
        word: index for index, word in enumerate(["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *words])
    }
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    made.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=made, clean_up_tokenization_spaces=False, unk_token="<unk>")


def unigram_tokenizer(texts: Sequence[str] = TEXTS) -> PreTrainedTokenizerFast:
    """As T5's: any run of blanks is one ▁, unknown characters have no token, <pad>, </s> and <unk> come first."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    made.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=BYTES, special_tokens=special, unk_token="<unk>", show_progress=False, n_sub_iterations=1
    )
    made.train_from_iterator(texts, trainer)
    learnt = json.loads(made.to_str())["model"]["vocab"]  # those about as likely as each other come in any order
    ordered = sorted((piece, round(score, 3)) for piece, score in learnt[len(special) :])
    made.model = models.Unigram([(name, 0.0) for name in special] + ordered, unk_id=2)
    pad, end, unknown = special
    return PreTrainedTokenizerFast(
        tokenizer_object=made, clean_up_tokenization_spaces=False, pad_token=pad, eos_token=end, unk_token=unknown
    )


def answer_examples(count: int, seed: int = 0, longest: int = 30, words: int = BYTES) -> list[Example]:
    """Prompts for an encoder and answers for a decoder that starts with 0, of unequal length, unequal words learnt."""
    chance = random.Random(seed)
    found = []
    for line in range(1, count + 1):
        prompt, answer = (tuple(chance.randrange(words) for _ in range(chance.randint(1, longest))) for _ in "ab")
        weights = tuple(float(chance.random() < 0.8) for _ in answer[1:])
        found.append(Example((0, *answer), (0.0, *weights, 1.0), Origin("rows.jsonl", line), prompt))
    return found


def random_examples(count: int, seed: int = 0, longest: int = 40, words: int = BYTES) -> list[Example]:
    """Rows of unequal length, of which an unequal part is supervised."""
    chance = random.Random(seed)
    found = []
    for line in range(1, count + 1):
        length = chance.randint(3, longest)
        read = chance.randint(1, length - 1)
        ids = tuple(chance.randrange(words) for _ in range(length))
        found.append(Example(ids, (0.0,) * read + (1.0,) * (length - read), Origin("rows.jsonl", line)))
    return found


def save_base(folder: Path, kind: str = "llama", **changes: object) -> Path:
    """A base model on disk, without a tokenizer."""
    tiny_model(kind, **changes).save_pretrained(folder)
    return folder
