"""The answers that a question offers to choose from: found in its words, and set out anew."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

HEAD = re.compile(
    r"^[^\n]{0,60}\b(?:options?|choices|answers|choose|pick|select)\b[^\n]{0,40}: *$"
    r"|^.{0,20}(?:选项|选择|选出|答案).{0,10}[：:] *$",
    re.IGNORECASE | re.MULTILINE,
)
ITEM = re.compile(
    r"^\s*(?P<mark>[-*•]|[(\[]?(?P<label>[A-Za-z]|\d{1,2}|[ivxIVX]{1,4})[).\]、．:：])\s*(?P<text>\S.*?)\s*$"
)
LINKED = re.compile(
    r"\b(?:above|below|both|all of|none of|neither|[A-E] (?:and|or) [A-E])\b|以上|上述|都对|都不|均", re.IGNORECASE
)
ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")


class Marks(NamedTuple):
    """What stands before an item: `before`, its letter or number of the kind that `first` begins, `after`."""

    before: str
    first: str
    after: str

    def label(self, place: int) -> str:
        """ "(B)" for place 1; without letters or numbers nothing."""
        if not self.first:
            return ""
        known = ROMAN[place] if self.first in "iI" else str(place + 1) if self.first == "1" else chr(97 + place)
        return self.before + (known.upper() if self.first.isupper() else known) + self.after

    def item(self, place: int, text: str) -> str:
        return f"{self.label(place) or self.before + self.after} {text}"


MARKS = (
    *(Marks(mark, "", "") for mark in ("-", "*", "•")),
    *(Marks("(", first, ")") for first in "Aa1i"),
    *(Marks("[", first, "]") for first in "Aa1"),
    *(Marks("", first, ")") for first in "Aa1i"),
    *(Marks("", first, ".") for first in "A1I"),
)


@dataclass(frozen=True, slots=True)
class Offered:
    """
    before  the question up to the line that announces the options; after: what follows them
    texts   the options without their marks
    labels  their marks' letters or numbers as written, "C"; empty for bullets
    """

    before: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    after: str

    @property
    def linked(self) -> bool:
        """Whether an option speaks of the others, so that their order matters: "all of the above"."""
        return any(LINKED.search(text) for text in self.texts)

    def place(self, answer: str) -> int | None:
        """Which option an answer names, by its words or by its label."""
        said = folded(answer)
        texts, labels = [folded(text) for text in self.texts], [folded(label) for label in self.labels if label]
        if texts.count(said) == 1:
            return texts.index(said)
        named = folded(said.strip("()[]. "))
        return labels.index(named) if labels.count(named) == 1 else None


def offered(question: str) -> Offered | None:
    """The options of a question: a line such as "Options:", and below it at least two marked lines, all different."""
    for head in HEAD.finditer(question):
        lines = question[head.end() :].removeprefix("\n").split("\n")
        items = []
        for line in lines:
            found = ITEM.match(line)
            if not found:
                break
            items.append(found)
        texts = tuple(found["text"] for found in items)
        if 2 <= len(texts) <= len(ROMAN) and len({folded(text) for text in texts}) == len(texts):
            labels = tuple(found["label"] or "" for found in items)
            after = "\n".join(lines[len(items) :])
            return Offered(question[: head.start()].rstrip(), texts, labels if all(labels) else (), after)
    return None


def folded(text: str) -> str:
    return text.strip().rstrip(".。").casefold()


def set_out(start: str, marks: Marks, texts: Sequence[str]) -> str:
    """ "Choices:", then an option a line."""
    return "\n".join([start, *(marks.item(place, text) for place, text in enumerate(texts))])
