"""Writing conversations of one shape (the same roles, the same fields) without running the template again for each.

The template runs once, on marks in place of the words. A mark keeps watch: it may be written out, joined to other
text, stripped at its ends and asked whether it is empty; whatever else the template does with it could make the text
depend on the words, and then every conversation is written by the template itself. So it is where a mark comes out
changed: it holds characters that upper case, escaping or JSON would touch.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NoReturn

from tunesmith.errors import UserError
from tunesmith.text.template import Template, clock, write

EDGE = "\x1f"  # white space that str.strip takes away and no template writes
MARK = EDGE + '\ue001{}aB"<&\ue001' + EDGE
FOUND = re.compile(f'({EDGE}?)\ue001([0-9]+)aB"<&\ue001({EDGE}?)')
SIGNS = (EDGE, "\ue001")
MOST = 4096  # shapes that are kept
STRIPS: dict[tuple[str, str], Callable[[str], str] | None] = {
    (EDGE, EDGE): None, ("", ""): str.strip, ("", EDGE): str.lstrip, (EDGE, ""): str.rstrip,
}  # fmt: skip


class WordsMatterError(Exception):
    """The template looked at the words."""


def look(*args: Any, **kwargs: Any) -> NoReturn:
    raise WordsMatterError


class Mark(str):
    """Stands for words that are neither empty nor blank, which is all that a template may know of it."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return self

    def __add__(self, other: str) -> "Mark":
        return Mark("".join((self, other)))

    def __radd__(self, other: str) -> "Mark":
        return Mark("".join((other, self)))

    def strip(self, chars: str | None = None) -> "Mark":
        return look() if chars is not None else Mark(str.strip(self))

    def lstrip(self, chars: str | None = None) -> "Mark":
        return look() if chars is not None else Mark(str.lstrip(self))

    def rstrip(self, chars: str | None = None) -> "Mark":
        return look() if chars is not None else Mark(str.rstrip(self))


HARMLESS = {"__new__", "__init__", "__class__", "__getattribute__", "__setattr__", "__doc__", "__init_subclass__"}
HARMLESS |= {"__subclasshook__", "__dir__", "__getnewargs__", "__reduce__", "__reduce_ex__", "__sizeof__"}
for _name in set(dir(str)) - set(vars(Mark)) - HARMLESS:
    setattr(Mark, _name, look)


@dataclass(frozen=True, slots=True)
class Shape:
    """literal[0] + word + literal[1] + …; each word by its number among the fields, and how its ends are stripped."""

    literals: tuple[str, ...]
    words: tuple[tuple[int, Callable[[str], str] | None], ...]

    def text(self, values: Sequence[str]) -> str:
        written = [self.literals[0]]
        for (number, strip), literal in zip(self.words, self.literals[1:], strict=True):
            written += (strip(values[number]) if strip else values[number], literal)
        return "".join(written)


@dataclass(slots=True)
class Shapes:
    """The shapes met so far of one template, spoken to in one way; None where the words matter."""

    known: dict[tuple[Any, ...], Shape | None] = field(default_factory=dict)

    def write(
        self, template: Template, messages: Sequence[dict[str, Any]], generate: bool, context: dict[str, Any]
    ) -> str:
        """What the template writes; `context` must be the same at each call."""
        key: list[Any] = [template, generate]
        values: list[str] = []
        for message in messages:
            for name, value in message.items():
                if name == "role":
                    key.append(value)
                elif type(value) is not str or value.isspace():
                    return write(template, messages, generate, **context)
                else:
                    key.append(name if value else (name,))
                    values += (value,)
        shape = self._shape(tuple(key), messages, context)
        return shape.text(values) if shape else write(template, messages, generate, **context)

    def _shape(self, key: tuple[Any, ...], messages: Sequence[dict[str, Any]], context: dict[str, Any]) -> Shape | None:
        if key not in self.known:
            if len(self.known) >= MOST:
                self.known.clear()
            self.known[key] = trace(key[0], messages, key[1], context)
        return self.known[key]


def trace(
    template: Template, messages: Sequence[dict[str, Any]], generate: bool, context: dict[str, Any]
) -> Shape | None:
    """The shape of these messages; None where the text may depend on the words, or on the time."""
    if clock(template) != ():
        return None
    number = count()
    marked = [
        {name: value if name == "role" else mark(next(number), value) for name, value in message.items()}
        for message in messages
    ]
    try:
        text = write(template, marked, generate, **context)
    except (WordsMatterError, UserError):
        return None
    *parts, end = FOUND.split(text)
    literals, edges = (*parts[::4], end), list(zip(parts[1::4], parts[3::4], strict=True))
    if any(sign in literal for literal in literals for sign in SIGNS) or not STRIPS.keys() >= set(edges):
        return None
    return Shape(literals, tuple(zip(map(int, parts[2::4]), map(STRIPS.get, edges), strict=True)))


def mark(number: int, value: str) -> str:
    return Mark(MARK.format(number)) if value else value
