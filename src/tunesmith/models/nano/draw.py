"""Arguments drawn at random from one pool, remembered as they are drawn."""

import random
from collections.abc import Sequence
from typing import TypeVar

from tunesmith.models.nano.words import WORDS, Entry, Split, entries, in_split, known, members, pairs_in, partners

Item = TypeVar("Item")
CONSONANTS = "bcdfghklmnprstvwxyz"
ONSETS: tuple[str, ...] = (*CONSONANTS, *["ch", "sh", "th", "st", "tr", "br", "cl", "gr", "pl", "sp", "qu", "j"], "")
VOWELS: tuple[str, ...] = ("a", "e", "i", "o", "u", "ea", "oo", "ou", "y")


class Draw:
    """A source of arguments of one split; `about` lists the keys of all that was drawn since `fresh`."""

    def __init__(self, rng: random.Random, split: Split) -> None:
        self.rng = rng
        self.split: Split = split
        self.about: list[str] = []

    def fresh(self) -> "Draw":
        self.about = []
        return self

    def choice(self, items: Sequence[Item]) -> Item:
        """A choice that is no argument (a phrasing, a separator)."""
        return items[int(self.rng.random() * len(items))]

    def between(self, low: int, high: int) -> int:
        """A number that is no argument, both ends included."""
        return low + int(self.rng.random() * (high - low + 1))

    def entries(self, count: int, *categories: str) -> list[Entry]:
        """Different entries of the lexicon."""
        found = self.rng.sample(entries(self.split, *categories), count)
        self.about += [partners().get(entry.en, entry.en) for entry in found]
        return found

    def entry(self, *categories: str) -> Entry:
        return self.entries(1, *categories)[0]

    def words(self, count: int, zh: bool, *categories: str) -> list[str]:
        """Different words of one language; in training some are invented, so that copying does not need memory."""
        found = [entry.say(zh) for entry in self.entries(count, *(categories or WORDS))]
        if self.split == "train" and not categories and self.rng.random() < 0.4:
            found = [self.invented(zh) if self.rng.random() < 0.5 else word for word in found]
        return found if len(set(found)) == count else self.words(count, zh, *categories)

    def word(self, zh: bool) -> str:
        return self.words(1, zh)[0]

    def invented(self, zh: bool = False) -> str:
        """A word of the pool that does not exist, such as "torvi" or "云桌": its letters are all there is to it."""
        while True:
            if zh:
                made = "".join(self.choice(HANZI) for _ in range(self.between(2, 3)))
            else:
                made = "".join(self.syllable() for _ in range(self.between(1, 3)))
            if 1 < len(made) < 10 and made not in REAL and made.title() not in REAL and self.keyed(made):
                return made

    def syllable(self) -> str:
        return self.choice(ONSETS) + self.choice(VOWELS) + (self.choice(CONSONANTS) if self.rng.random() < 0.4 else "")

    def fact(self, name: str) -> str:
        """One item of a line of facts.txt."""
        return self.facts(1, name)[0]

    def facts(self, count: int, name: str) -> list[str]:
        found = self.rng.sample(members(name, self.split), count)
        self.about += found
        return found

    def fact_pair(self, name: str) -> tuple[str, str]:
        """One pair of a line of facts.txt; it goes by its first item."""
        pair = self.choice(pairs_in(name, self.split))
        self.about.append(pair[0])
        return pair

    def name(self, zh: bool) -> str:
        return self.proper("names_zh" if zh else "names_en", zh)

    def city(self, zh: bool) -> str:
        return self.proper("cities_zh" if zh else "cities_en", zh)

    def proper(self, name: str, zh: bool) -> str:
        """A name from a line of facts.txt; in training as often an invented one."""
        known = self.fact(name)
        return self.invented(zh).title() if self.split == "train" and self.rng.random() < 0.5 else known

    def numbers(self, count: int, low: int, high: int) -> list[int]:
        """Different numbers, each of which is in the pool by itself."""
        found: list[int] = []
        while len(found) < count:
            number = self.between(low, high)
            if number not in found and in_split(str(number), self.split):
                found.append(number)
        self.about += [str(number) for number in found]
        return found

    def number(self, low: int, high: int) -> int:
        return self.numbers(1, low, high)[0]

    def pair(self, sign: str, low: int, high: int) -> tuple[int, int]:
        """Two numbers of which the unordered pair is in the pool: 3+4 and 4+3 are one argument."""
        while True:
            left, right = self.between(low, high), self.between(low, high)
            key = f"{min(left, right)}{sign}{max(left, right)}"
            if in_split(key, self.split):
                self.about.append(key)
                return left, right

    def keyed(self, key: str) -> bool:
        """Whether a composed argument is in the pool; remembers it when it is."""
        if not in_split(key, self.split):
            return False
        self.about.append(key)
        return True


REAL = frozenset([*known(), *(entry.zh for entry in entries("all"))])
HANZI = sorted({character for entry in entries("all") for character in entry.zh})
