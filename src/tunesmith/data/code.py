"""Code within prose: steps that change or judge prose leave it alone."""

import re
from collections.abc import Callable

FENCE = re.compile(r"(?m)^ {0,3}(?:```|~~~)")
CODE = re.compile(r"(```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`)", re.DOTALL)  # fenced, or between backticks
BARE = re.compile(  # lines that only a program has, where nobody fenced it
    r"(?m)^\s*(?:def \w+\(|class \w+[(:{]|import \w|from \w+ import |#include\b|public (?:static|class) |function \w*\("
    r"|(?:var|let|const) \w+ ?=|SELECT\b.+\bFROM\b|<\?php|<!DOCTYPE|<html|<div|</?\w+>$|\$ \w|return\b.*;$|[{}];?$)"
)


def outside_code(text: str, edit: Callable[[str], str]) -> str:
    """The text with everything that is not marked as code passed through `edit`."""
    if "`" not in text and "~~~" not in text:
        return edit(text)
    return "".join(piece if odd % 2 else edit(piece) for odd, piece in enumerate(CODE.split(text)))


def prose(text: str) -> str:
    """The text without what is marked as code."""
    return CODE.sub(" ", text) if "`" in text or "~~~" in text else text


def is_code(text: str) -> bool:
    """Whether the text holds code, marked as such or not."""
    return FENCE.search(text) is not None or BARE.search(text) is not None


def open_fence(text: str) -> bool:
    """Whether a block of code is begun and never closed."""
    return len(FENCE.findall(text)) % 2 == 1
