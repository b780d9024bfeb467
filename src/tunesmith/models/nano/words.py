"""The words that nano's world is made of, and which of them are held out.

Every argument of an instruction (a word, a name, a pair of numbers) belongs to one of two pools by a
stable hash, so train and held-out instructions share no argument, whoever draws them and in which order.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Split = Literal["train", "heldout", "all"]
FOLDER = Path(__file__).parent
HELD_OUT_SHARE = 5  # one argument in so many is held out
NOUNS = [
    "animal",
    "food",
    "drink",
    "fruit",
    "vegetable",
    "colour",
    "tool",
    "furniture",
    "clothing",
    "vehicle",
    "body",
    "nature",
    "plant",
    "job",
    "place",
    "music",
    "sport",
]
CATEGORIES = (*NOUNS, *["object", "family", "people", "abstract", "material", "verb", "adjective", "country"])
WORDS = CATEGORIES[:-1]  # a country has a capital letter, which families of letters do not expect
NAMED = [
    "names_en",
    "names_zh",
    "cities_en",
    "cities_zh",
    "days_en",
    "days_zh",
    "months_en",
    "months_zh",
    "good",
    "bad",
    "good_zh",
    "bad_zh",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the lexicon: a concept, its word in both languages, and its kind."""

    en: str
    zh: str
    category: str

    def say(self, zh: bool) -> str:
        return self.zh if zh else self.en


def rank(argument: str) -> int:
    """A number that is the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2s(argument.encode()).digest()[:4], "big")


def kept(items: Iterable[str]) -> frozenset[str]:
    """The fifth of a closed list (at least one item) whose instructions are kept for measuring."""
    ranked = sorted(items, key=rank)
    return frozenset(ranked[: max(1, len(ranked) // HELD_OUT_SHARE)])


@cache
def closed() -> dict[str, frozenset[str]]:
    """List name -> its held-out items: categories of the lexicon, pairs by their first word, lines of facts."""
    paired = partners()
    lists: dict[str, list[str]] = {f"lexicon {kind}": [] for kind in CATEGORIES}
    lists["opposites"] = [left for left, _ in pairs("opposites")]
    for entry in lexicon():
        if entry.en not in paired:
            lists[f"lexicon {entry.category}"].append(entry.en)
    lists |= {name: list(facts(name)) for name in NAMED} | {"capitals": [left for left, _ in pairs("capitals")]}
    return {name: kept(items) for name, items in lists.items() if items}


def in_split(argument: str, split: Split, closed_list: str = "") -> bool:
    """Whether an argument is in a pool: by its rank in a closed list, else by its own hash."""
    if split == "all":
        return True
    out = argument in closed()[closed_list] if closed_list else rank(argument) % HELD_OUT_SHARE == 0
    return out == (split == "heldout")


@cache
def lexicon() -> tuple[Entry, ...]:
    found: list[Entry] = []
    for category, words in sections("lexicon.txt"):
        for english, _, chinese in (pair.partition("=") for pair in words.split()):
            found.append(Entry(english, chinese, category))
    return tuple(found)


def sections(file: str) -> Iterator[tuple[str, str]]:
    """The lines "name: words" of a file beside this one."""
    for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
        name, colon, words = line.partition(": ")
        if colon and not line.startswith("#"):
            yield name, words


@cache
def facts(name: str) -> tuple[str, ...]:
    """The items of one line of facts.txt: facts("days_en") -> ("Monday", ...)."""
    return tuple(dict(sections("facts.txt"))[name].split())


@cache
def known() -> tuple[str, ...]:
    """The English words that are one token: common ones, the lexicon, and the names that facts are about."""
    common = (FOLDER / "common.txt").read_text(encoding="utf-8").split()
    named = (word for name in ("numbers_en", "tens_en", *NAMED) for word in facts(name) if word.isascii())
    return tuple(dict.fromkeys([*common, *CATEGORIES, *(entry.en for entry in lexicon()), *named]))


@cache
def pairs(name: str) -> tuple[tuple[str, str], ...]:
    """Like facts, for items written a/b."""
    return tuple((left, right) for left, _, right in (item.partition("/") for item in facts(name)))


@cache
def partners() -> dict[str, str]:
    """Each English word of a pair of opposites -> the first of the pair, which decides the pool of both."""
    return {word: pair[0] for pair in pairs("opposites") for word in pair}


def in_pool(entry: Entry, split: Split) -> bool:
    """Opposites stay together; any other entry goes by its own word."""
    first = partners().get(entry.en)
    return in_split(first, split, "opposites") if first else in_split(entry.en, split, f"lexicon {entry.category}")


@cache
def entries(split: Split, *categories: str) -> tuple[Entry, ...]:
    """The lexicon's entries of one pool, of some categories or of all."""
    return tuple(
        entry for entry in lexicon() if in_pool(entry, split) and (not categories or entry.category in categories)
    )


@cache
def members(name: str, split: Split) -> tuple[str, ...]:
    """The items of a line of facts.txt that are in one pool."""
    return tuple(item for item in facts(name) if in_split(item, split, name))


@cache
def pairs_in(name: str, split: Split) -> tuple[tuple[str, str], ...]:
    """The pairs of a line of facts.txt that are in one pool, by their first item."""
    return tuple(pair for pair in pairs(name) if in_split(pair[0], split, name))
