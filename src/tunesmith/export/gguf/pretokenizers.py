"""How byte-level tokenizers cut text before they merge, and the names that llama.cpp has for it (llama-vocab.cpp)."""

import re
from collections.abc import Iterator
from typing import Any

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SHORT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
DIGIT = r"\p{N}"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
O200K_END = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
BEFORE = r"[^\r\n\p{L}\p{N}]?"
DEEPSEEK = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"""
    r"""|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

# llama.cpp's name → the steps, and whether a part that is a token is taken whole, without merging.
KNOWN: dict[str, tuple[tuple[str, ...], bool]] = {
    "gpt-2": ((GPT2,), False),
    "starcoder": ((DIGIT, GPT2), False),
    "llama-bpe": ((rf"{SHORT}{BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{REST}",), True),
    "dbrx": ((rf"{SHORT}{BEFORE}\p{{L}}+|\p{{N}}{{1,3}}|{REST}",), False),
    "qwen2": ((rf"{SHORT}{BEFORE}\p{{L}}+|\p{{N}}|{REST}",), False),
    "qwen35": (
        (rf"{SHORT}{BEFORE}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",),
        False,
    ),
    "bloom": ((r" ?[^(\s|[.,!?…。，、।۔،])]+",), False),
    "deepseek-v3": ((r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK), False),
    "gpt-4o": (
        (rf"{BEFORE}{UPPER}*{LOWER}+{O200K_END}|{BEFORE}{UPPER}+{LOWER}*{O200K_END}|\p{{N}}{{1,3}}|{O200K_REST}",),
        False,
    ),
    "tekken": ((rf"{BEFORE}{UPPER}*{LOWER}+|{BEFORE}{UPPER}+{LOWER}*|\p{{N}}|{O200K_REST}",), True),
}


def signature(described: dict[str, Any]) -> tuple[str, ...]:
    """The patterns by which a tokenizer.json cuts text, in order."""
    return tuple(steps(described.get("pre_tokenizer") or {}))


def steps(part: dict[str, Any]) -> Iterator[str]:
    kind = part.get("type")
    if kind == "Sequence":
        for inner in part["pretokenizers"]:
            yield from steps(inner)
    elif kind == "Split":
        pattern = part["pattern"]
        yield pattern["Regex"] if "Regex" in pattern else re.escape(pattern["String"])
    elif kind == "Digits":
        yield DIGIT if part.get("individual_digits") else r"\p{N}+"
    elif kind == "ByteLevel":
        yield from (["before every text a blank"] if part.get("add_prefix_space") else [])
        yield from ([GPT2] if part.get("use_regex", True) else [])
    elif kind is not None:
        yield str(kind)


def suiting(found: tuple[str, ...], whole: bool) -> list[tuple[str, bool]]:
    """llama.cpp's names and whether each is known to be right; these come first."""
    rated = [(name, patterns == found and takes_whole == whole) for name, (patterns, takes_whole) in KNOWN.items()]
    return sorted(rated, key=lambda item: not item[1])
