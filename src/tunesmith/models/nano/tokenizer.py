"""A bilingual tokenizer: known English words whole, every other word by the letter, Chinese by the character.

A known word is the same token wherever it stands, at the start of a line, after a space or between brackets,
so a small base can copy it from one place to another; the space is a token of its own, or one with a joining
word (" of ") or a mark (", "). An unknown word can still be copied, reversed or written in capitals, by its
letters. Bytes are the base of all, so any text comes back unchanged.
"""

import json
import re
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from tunesmith.models.nano.words import facts, known, lexicon

END, PAD, TURN_START, TURN_END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END, PAD, TURN_START, TURN_END)
PUNCTUATION = "，。！？：；、“”‘’（）《》【】…—·「」％～｜→×÷"
JOINTS = (
    *("a", "an", "and", "are", "as", "at", "but", "by", "came", "does", "for", "from", "had", "has", "have", "he", "I"),
    *("if", "in", "is", "it", "like", "near", "not", "of", "on", "one", "or", "out", "she", "so", "that", "the"),
    *("their", "them", "then", "there", "these", "they", "this", "to", "was", "were", "what", "which", "who", "with"),
    *("in the", "is in the", "is the", "of the", "on the", "that the", "to the", "was in", "with the"),
    *("=", "-", "|", "+", "×", "->", "→"),
)
MARKS = (", ", ". ", ": ", "; ", "? ", "! ", '" ')


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


def joints() -> list[str]:
    """Pieces that hold a space: a joining word between two spaces, or a mark before one."""
    return [*(f" {joint} " for joint in JOINTS), *MARKS, "  "]


def pattern() -> str:
    """A regular expression for the pieces: the longest joint that fits, else letters, a digit, or one character."""
    whole = "|".join(re.escape(joint) for joint in sorted(joints(), key=len, reverse=True))
    return rf"{whole}|[A-Za-z]+|[\s\S]"


def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Pieces with their ids, and the merges that put bytes together into characters."""
    letters = byte_letters()
    pieces = [*SPECIAL, *letters.values()]
    spelled = ["".join(letters[byte] for byte in character.encode()) for character in characters()]
    spelled = [piece for piece in spelled if len(piece) == 3]
    leads = list(dict.fromkeys(piece[:2] for piece in spelled))
    pieces += leads + spelled + ["".join(letters[byte] for byte in piece.encode()) for piece in (*known(), *joints())]
    merges = [(lead[0], lead[1]) for lead in leads] + [(piece[:2], piece[2]) for piece in spelled]
    return {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}, merges


def build() -> Tokenizer:
    """The tokenizer, made from word lists: nothing is fitted, so nothing can drift."""
    ids, merges = vocabulary()
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern()), behavior="isolated"),
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
