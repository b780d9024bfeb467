"""Hashes of words, 64 bits, the same in every process: of a few words by memory, of many plain texts all at once."""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Hashes = NDArray[numpy.uint64]
    Counts = NDArray[numpy.int64]

REMEMBERED = 1 << 18  # words
PLAIN = bytes(ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(128)) + b" " * 128
BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
MODULUS = 1 << 64


def hash64(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


VALUES = [0 if chr(code) == " " else hash64(chr(code)) for code in range(256)]


class Known(dict[str, bytes]):
    """The hash of a word as 8 bytes. That of a plain one is the sum of value(letter i) · BASE^i modulo 2^64."""

    def __missing__(self, word: str) -> bytes:
        if len(self) >= REMEMBERED:
            self.clear()
        value = plain(word) if word.isascii() else hash64(word)
        self[word] = found = value.to_bytes(8, "little")
        return found


known = Known()


def plain(word: str) -> int:
    return sum(VALUES[code] * pow(BASE, place, MODULUS) for place, code in enumerate(word.encode())) % MODULUS


def hashed(words: Iterable[str]) -> "Hashes":
    """A hash of each word."""
    import numpy

    return numpy.frombuffer(b"".join(map(known.__getitem__, words)), numpy.uint64)


def hashed_texts(texts: Sequence[str]) -> "tuple[Hashes, Counts]":
    """The hashes of the words of ASCII texts, one after the other, and how many each has; no word is ever made.

    Sums over all letters so far, in powers of BASE, differ by a word's own sum, shifted by where it starts.
    """
    import numpy

    raw = b" ".join([b"", *(text.encode().translate(PLAIN) for text in texts), b""])
    codes = numpy.frombuffer(raw, numpy.uint8)
    letters = codes != ord(" ")
    edges = numpy.flatnonzero(letters[1:] != letters[:-1])  # before a word, and at its end
    before, last = edges[::2], edges[1::2]
    up, down = powers(1 << len(raw).bit_length())
    sums = numpy.cumsum(numpy.array(VALUES, numpy.uint64)[codes] * up[: len(raw)])
    borders = numpy.cumsum(numpy.fromiter(map(len, texts), numpy.int64, len(texts)) + 1)
    return (sums[last] - sums[before]) * down[before + 1], numpy.diff(numpy.searchsorted(before, borders), prepend=0)


@cache
def powers(count: int) -> "tuple[Hashes, Hashes]":
    """BASE^i and BASE^-i modulo 2^64."""
    import numpy

    made = numpy.full((2, count), ((BASE,), (pow(BASE, -1, MODULUS),)), numpy.uint64)
    made[:, 0] = 1
    up, down = numpy.cumprod(made, axis=1, dtype=numpy.uint64)
    return up, down
