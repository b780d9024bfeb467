"""Lists of phrases by which a step knows a text.

A line is a regular expression; `#` begins a remark, and `?` the words of which a text must hold one (in small letters)
for any phrase of that list to match: looking for them first is ten times as fast.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Phrases:
    """
    pattern  matches where any phrase does, capitals aside
    needed   a text without any of these words matches nothing; empty if that is not known
    """

    pattern: re.Pattern[str]
    needed: tuple[str, ...]

    def search(self, text: str) -> str:
        """The first phrase in a text, or nothing."""
        return self.found(self.pattern.search(text)) if self.possible(text) else ""

    def at_start(self, text: str) -> str:
        """The phrase with which a text begins, or nothing."""
        return self.found(self.pattern.match(text))

    def without(self, text: str) -> str:
        """The text with every phrase taken out."""
        return self.pattern.sub("", text) if self.possible(text) else text

    def possible(self, text: str) -> bool:
        lowered = text.lower()
        return not self.needed or any(word in lowered for word in self.needed)

    @staticmethod
    def found(match: re.Match[str] | None) -> str:
        return match.group().strip() if match else ""


@cache
def phrases(*names: str) -> Phrases:
    """Several lists as one: phrases("refusals.en", "refusals.zh")."""
    lines = [line for name in names for line in read(name)]
    pattern = "|".join(f"(?:{line})" for line in lines if not line.startswith("?"))
    needed = tuple(word.strip() for line in lines if line.startswith("?") for word in line[1:].split(","))
    return Phrases(re.compile(pattern, re.IGNORECASE), needed)


def read(name: str) -> list[str]:
    text = (resources.files(__name__) / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
