"""A bilingual tokenizer: common English words whole, every other word by the letter, Chinese by the character.

Bytes are the base of it, so any text comes back unchanged. Letters stay apart because the small base is
to work on them: a word that was never seen can still be copied, reversed or written in capitals.
"""

import json
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from tunesmith.models.nano.words import FOLDER, facts, lexicon

END, PAD, TURN_START, TURN_END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, PAD, TURN_START, TURN_END)
PUNCTUATION = "，。！？：；、“”‘’（）《》【】…—·「」％～｜→×÷"
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_letters() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level vocabularies (as in GPT-2)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    odd = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + place) for place, byte in enumerate(odd)}


def hanzi() -> list[str]:
    """The 3,755 characters of GB 2312, level 1."""
    cells = [(row, cell) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)]
    return [bytes(place).decode("gb2312") for place in cells if place[0] < 0xD7 or place[1] < 0xFA]


def characters() -> list[str]:
    """What is one token though it is three bytes: hanzi, Chinese punctuation, and all that our own words use."""
    names = "".join("".join(facts(name)) for name in ("names_zh", "cities_zh", "good_zh", "bad_zh"))
    own = {letter for letter in "".join(entry.zh for entry in lexicon()) + names if ord(letter) > 0x2000}
    return list(dict.fromkeys([*hanzi(), *(letter for letter in PUNCTUATION if ord(letter) > 0x7FF), *sorted(own)]))


def words() -> list[str]:
    """The words that are one token: after a space, and at the start of a line where they have a capital."""
    common = dict.fromkeys((FOLDER / "common.txt").read_text(encoding="utf-8").split())
    spelled_out = {entry.en for entry in lexicon()}
    kept = [word for word in common if word not in spelled_out]
    return [" " + word for word in kept] + [word for word in kept if word[0].isupper()]


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces with their ids, and the merges that put bytes together into characters."""
    letters = byte_letters()
    pieces = [*SPECIAL, *letters.values()]
    spelled = ["".join(letters[byte] for byte in character.encode()) for character in characters()]
    spelled = [piece for piece in spelled if len(piece) == 3]
    leads = list(dict.fromkeys(piece[:2] for piece in spelled))
    pieces += leads + spelled + ["".join(letters[byte] for byte in word.encode()) for word in words()]
    merges = [(lead[0], lead[1]) for lead in leads] + [(piece[:2], piece[2]) for piece in spelled]
    return {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}, merges


def build() -> Tokenizer:
    """The tokenizer, made from word lists: nothing is fitted, so nothing can drift."""
    ids, merges = vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def save(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, without a chat template: a base has none."""
    build().save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "extra_special_tokens": [TURN_START, TURN_END],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
