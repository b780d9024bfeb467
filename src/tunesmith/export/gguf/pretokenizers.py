"""How byte-level tokenizers cut text before they merge, and the names that llama.cpp has for it (llama-vocab.cpp)."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

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


def suiting(tokenizer: "PreTrainedTokenizerFast", whole: bool, texts: Sequence[str]) -> list[str]:
    """llama.cpp's names for what cuts all `texts` as the tokenizer does; first those that also treat `whole` so."""
    own = tokenizer.backend_tokenizer.pre_tokenizer
    if own is None:
        return []
    wanted = [pieces(own, text) for text in texts]
    alike = [
        name
        for name in KNOWN
        if all(pieces(cutter(name), text) == cut for text, cut in zip(texts, wanted, strict=True))
    ]
    return sorted(alike, key=lambda name: KNOWN[name][1] != whole)


def pieces(cut: Any, text: str) -> list[str]:
    return [piece for piece, _ in cut.pre_tokenize_str(text)]


@cache
def cutter(name: str) -> Any:
    """llama.cpp's way to cut, in the tokenizers library."""
    from tokenizers import Regex, pre_tokenizers

    splits = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in KNOWN[name][0]]
    return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
