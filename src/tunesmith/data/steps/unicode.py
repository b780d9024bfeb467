"""Characters that were broken on the way, mended."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from tunesmith.data.code import outside_code
from tunesmith.data.extra import extra
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import edited, said
from tunesmith.messages import tr
from tunesmith.records import Conversation

CONTROLS = re.compile(r"\x1b\[[\d;]*[A-Za-z]|[\x00-\x08\x0b\x0e-\x1f\x7f]")
INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad]")  # not the joiners, which emoji, Persian and Hindi need
SUSPECT = re.compile("[\u0080-\u04ff\u2500-\u257f]")  # letters that mistaken bytes turn into; no Chinese, no dashes
SURROGATE = re.compile("[\ud800-\udfff]")
LOST = "\ufffd"


@dataclass(frozen=True, slots=True)
class Unicode(RowStep):
    """Mend text that was decoded wrongly; compose letters; take out control and zero-width characters.

    lost    the most characters that a conversation may have lost for good (U+FFFD)

    Full-width Chinese punctuation, curly quotes, ligatures, entities such as &amp; and code stay as they are.
    """

    lost: int = 0

    REASONS: ClassVar = ("characters lost",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "unicode"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        mended = edited(conversation, lambda text: outside_code(text, mend))
        lost = said(mended).count(LOST)
        yield Reject("characters lost", f"{lost} > {self.lost}") if lost > self.lost else mended


def mend(text: str) -> str:
    """Text without the damage; the common case, printable ASCII, is found so without a search."""
    plain = text.isascii()
    if plain and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    text = CONTROLS.sub("", text)
    return text if plain else compose(text)


def compose(text: str) -> str:
    if SURROGATE.search(text):  # halves of one character, or a half alone, which no encoding can write
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if SUSPECT.search(text):
        text = decoder().fix_encoding(text)  # before a soft hyphen, which may be half of a broken letter, goes
    return unicodedata.normalize("NFC", INVISIBLE.sub("", text))


def decoder() -> Any:
    """ftfy (Speer, 2019), which knows the ways in which bytes are mistaken for letters."""
    return extra("ftfy", "ftfy", tr("Mending broken characters"))
