"""Texts as sets of n-grams of words; a Chinese character or a kana counts as a word of its own."""

import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from tunesmith.data.wordhash import PLAIN, hash64, hashed, hashed_texts

if TYPE_CHECKING:
    from tunesmith.data.wordhash import Counts, Hashes

T = TypeVar("T")

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u309f\u30a1-\u30ff"
LETTER = rf"[^\W_{HAN}{KANA}]"
WORD = re.compile(rf"[a-z0-9]+{LETTER}*|[{HAN}{KANA}]|{LETTER}+")
MIX = 0x9E3779B97F4A7C15  # odd, their bits in no order
SPREAD = 0xBF58476D1CE4E5B9


def words(text: str) -> list[str]:
    """ "Don't say 你好" -> [don, t, say, 你, 好]."""
    if text.isascii():  # several times as fast
        return text.encode().translate(PLAIN).decode().split()
    return WORD.findall(text.lower())


def shingles(texts: Sequence[str], n: int, salts: Sequence[str] = ()) -> "tuple[Hashes, Counts]":
    """Hashes of all n-grams (repeated ones repeat), text after text, and how many each text has.

    A text of fewer than n words has one: all of its words; a text without words is a word itself, so there is always
    one. Texts with different salts share nothing. Two n-grams that differ have the same hash once in 2^64 times.
    """
    import numpy

    flat, counts = word_hashes(texts, n)
    if any(salts):
        flat ^= numpy.repeat(numpy.array([hash64(salt) if salt else 0 for salt in salts], numpy.uint64), counts)
    return within(rolling(flat, n), counts, n), counts - (n - 1)


def word_hashes(texts: Sequence[str], n: int) -> "tuple[Hashes, Counts]":
    """The hashes of all words, and how many each text has: at least n, filled up with empty words."""
    import numpy

    places = numpy.array([place for place, text in enumerate(texts) if text.isascii()], numpy.int64)
    quick, sizes = hashed_texts([texts[place] for place in places.tolist()])
    counts = numpy.zeros(len(texts), numpy.int64)
    counts[places] = sizes
    alone = counts < n  # too short to be taken as they are, or not ASCII
    slow = [padded(words(texts[place]) or [texts[place]], n) for place in numpy.flatnonzero(alone).tolist()]
    counts[alone] = list(map(len, slow))
    slowly = numpy.repeat(alone, counts)
    made = numpy.empty(len(slowly), numpy.uint64)
    made[~slowly] = quick[numpy.repeat(sizes >= n, sizes)]
    made[slowly] = hashed(chain.from_iterable(slow))
    return made, counts


def padded(found: list[str], n: int) -> list[str]:
    return found if len(found) >= n else found + [""] * (n - len(found))


def rolling(hashes: "Hashes", n: int) -> "Hashes":
    """One hash for each n in a row, in order: made of hashes of 1, 2, 4 … in a row, which double."""
    made, length, block, width = hashes[:0], 0, hashes, 1
    while True:
        if n & width:
            made = joined(made, block[length:]) if length else block
            length += width
        if 2 * width > n:
            return made
        block, width = joined(block, block[width:]), 2 * width


def joined(left: "Hashes", right: "Hashes") -> "Hashes":
    """One hash of each two, as far as there are two; their order counts."""
    size = min(len(left), len(right))
    made = left[:size] * MIX
    made += right[:size]
    made ^= made >> 32
    made *= SPREAD
    return made


def within(windows: "Hashes", counts: "Counts", n: int) -> "Hashes":
    """The windows that do not reach from one text into the next; `counts` are words a text, each at least n."""
    import numpy

    keep = numpy.ones(len(windows), bool)
    borders = numpy.cumsum(counts)[:-1]
    for i in range(1, n):
        keep[borders - i] = False
    return windows[keep]


def sets(texts: Sequence[str], n: int, salts: Sequence[str] = ()) -> list[frozenset[int]]:
    """The set of n-grams of each text, as hashes."""
    hashes, counts = shingles(texts, n, salts)
    flat, found, end = hashes.tolist(), [], 0
    for count in counts.tolist():
        found.append(frozenset(flat[end : end + count]))
        end += count
    return found


def jaccard(one: frozenset[T], other: frozenset[T]) -> float:
    """What two sets share, as a part of what they hold together."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)
