"""What a step says of itself, from its docstring: one source for the terminal and for the pages."""

import inspect
import re
from dataclasses import MISSING, dataclass, fields
from typing import Any

from tunesmith.data.step import Step

OPTION = re.compile(r"^(?P<names>\w+(?:, \w+)*) {2,}(?P<text>\S.*)$")


@dataclass(frozen=True, slots=True)
class Told:
    """
    summary     what it does, in one sentence
    paragraphs  what else there is to know
    options     (names, what they mean, defaults as written in a recipe), in the order of the docstring
    """

    summary: str
    paragraphs: tuple[str, ...]
    options: tuple[tuple[str, str, str], ...]
    reasons: tuple[str, ...]
    example: str


def told(kind: type[Step]) -> Told:
    """Sentences without line breaks, in English."""
    summary, *blocks = re.split(r"\n\s*\n", inspect.cleandoc(kind.__doc__ or ""))
    head, *rest = summary.split("\n")
    paragraphs: list[str] = [" ".join(rest)] if rest else []
    options: list[tuple[str, str]] = []
    for block in blocks:
        if OPTION.match(block.split("\n")[0]):
            options += listed(block)
        else:
            paragraphs.append(" ".join(line.strip() for line in block.split("\n")))
    named = tuple((names, text, defaults(kind, names)) for names, text in options)
    return Told(head, tuple(paragraphs), named, kind.REASONS, kind.EXAMPLE)


def listed(block: str) -> list[tuple[str, str]]:
    """ "low, high   the window" and what goes on below it, each as (names, text)."""
    found: list[tuple[str, str]] = []
    for line in block.split("\n"):
        option = OPTION.match(line)
        if option:
            found.append((option["names"], option["text"]))
        else:
            names, text = found.pop()
            found.append((names, f"{text} {line.strip()}"))
    return found


def defaults(kind: Any, names: str) -> str:
    """ "0.9" for one name, "0.0, inf" for two; a name that must be given has "–"."""
    known = {field.name: field for field in fields(kind)}
    return ", ".join(default(known[name]) for name in names.split(", "))


def default(field: Any) -> str:
    if field.default_factory is not MISSING:
        return "{}"
    value = field.default
    if value is MISSING:
        return "–"
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'
