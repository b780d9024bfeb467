"""Texts as sets of n-grams of words; a Chinese character or a kana counts as a word of its own."""

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Hashes = NDArray[numpy.uint64]
    Counts = NDArray[numpy.int64]

T = TypeVar("T")

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u309f\u30a1-\u30ff"
LETTER = rf"[^\W_{HAN}{KANA}]"
WORD = re.compile(rf"[a-z0-9]+{LETTER}*|[{HAN}{KANA}]|{LETTER}+")
PLAIN = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)) + b" " * 128
KNOWN = 1 << 18  # words whose hashes are remembered
MIX = 0x9E3779B97F4A7C15  # odd, their bits in no order
SPREAD = 0xBF58476D1CE4E5B9


class Known(dict[str, bytes]):
    """A word's hash of 8 bytes, the same in every process."""

    def __missing__(self, word: str) -> bytes:
        if len(self) >= KNOWN:
            self.clear()
        self[word] = found = digest(word)
        return found


known = Known()


def digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def hash64(text: str) -> int:
    return int.from_bytes(digest(text), "little")


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

    found = [padded(words(text) or [text], n) for text in texts]
    counts = numpy.fromiter(map(len, found), numpy.int64, len(found))
    flat = hashed(chain.from_iterable(found))
    if any(salts):
        flat = flat ^ numpy.repeat(numpy.array([hash64(salt) if salt else 0 for salt in salts], numpy.uint64), counts)
    return within(rolling(flat, n), counts, n), counts - (n - 1)


def hashed(found: Iterable[str]) -> "Hashes":
    """A hash of each word."""
    import numpy

    return numpy.frombuffer(b"".join(map(known.__getitem__, found)), numpy.uint64)


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
