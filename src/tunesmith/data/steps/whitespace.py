"""White space that carries no meaning, taken out."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.code import outside_code
from tunesmith.data.step import Outcome, RowStep
from tunesmith.data.words import edited
from tunesmith.records import Conversation

BREAK = re.compile("\r\n?|[\u0085\u2028\u2029]")
BLANK = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")  # not the ideographic space, which indents Chinese paragraphs
SPACES = " \t\f\v"
EMPTY_LINES = re.compile(r"\n{3,}")
BEGINNING = re.compile(r"\A(?:[ \t]*\n)+")
INDENTED = re.compile(r"\n[ \t]")


@dataclass(frozen=True, slots=True)
class Whitespace(RowStep):
    """Write line breaks and spaces in one way; no white space at the ends of lines and texts, one empty line at most.

    Indents, tabs and spaces between words stay, and so does code.
    """

    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "whitespace"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        yield edited(conversation, tidy)


def tidy(text: str) -> str:
    if "\r" in text or not text.isascii():
        text = BREAK.sub("\n", text)
    return ends(outside_code(text, lines))


def lines(text: str) -> str:
    if not text.isascii():
        text = BLANK.sub(" ", text)
    if "\n" not in text:
        return text
    *ended, last = text.split("\n")
    return EMPTY_LINES.sub("\n\n", "\n".join([*(line.rstrip(SPACES) for line in ended), last]))


def ends(text: str) -> str:
    """Without white space at either end, save the indent of a text whose other lines are indented too."""
    text = BEGINNING.sub("", text.rstrip())
    return text if INDENTED.search(text) else text.strip()
