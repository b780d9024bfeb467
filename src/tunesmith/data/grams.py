"""How much texts share of their n-grams: Jaccard similarity of many pairs at once, on sorted numbers, not on sets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from tunesmith.data.buckets import Pairs
    from tunesmith.data.wordhash import Counts, Hashes

BITS = 48  # of a hash; the others number the texts or pairs that are sorted together
TOGETHER = 256  # texts or pairs: more would not fit a processor's cache
MOST = 1 << 23  # hashes remembered, 64 MB


@dataclass(slots=True)
class Grams:
    """The n-grams of texts by their number, read again when they were forgotten.

    read  hashes of the n-grams of some texts, one text after the other, and how many each has
    """

    read: "Callable[[Sequence[int]], tuple[Hashes, Counts]]"
    known: "dict[int, Hashes]" = field(default_factory=dict)
    held: int = 0

    def learn(self, texts: Iterable[int]) -> None:
        """Know these; forget all others where there are too many."""
        if self.held > MOST:
            self.known.clear()
            self.held = 0
        new = sorted(set(texts).difference(self.known))
        for start in range(0, len(new), TOGETHER):
            some = new[start : start + TOGETHER]
            found = distinct(*self.read(some))
            self.known.update(zip(some, found, strict=True))
            self.held += sum(map(len, found))

    def similarities(self, pairs: "Pairs") -> "NDArray[numpy.float64]":
        """The Jaccard similarity of each pair of known texts."""
        import numpy

        parts = (pairs[:, start : start + TOGETHER].tolist() for start in range(0, pairs.shape[1], TOGETHER))
        return numpy.concatenate([numpy.zeros(0), *(jaccards(*map(self._of, part)) for part in parts)])

    def _of(self, texts: Iterable[int]) -> "list[Hashes]":
        return [self.known[text] for text in texts]


def distinct(hashes: "Hashes", counts: "Counts") -> "list[Hashes]":
    """Of each text, the first BITS of its hashes, each once. Two n-grams that differ agree once in 2^48 times."""
    import numpy

    flat = numbered(hashes >> numpy.uint64(64 - BITS), counts)
    flat.sort()
    flat = flat[numpy.flatnonzero(numpy.diff(flat, prepend=~flat[:1]))]
    ends = numpy.cumsum(numpy.bincount((flat >> BITS).astype(numpy.int64), minlength=len(counts)))
    return numpy.split(flat & ((1 << BITS) - 1), ends[:-1])


def jaccards(left: "Sequence[Hashes]", right: "Sequence[Hashes]") -> "NDArray[numpy.float64]":
    """The similarity of each left set with the right one at its place: what both have stands twice when sorted."""
    import numpy

    sizes = numpy.array([list(map(len, left)), list(map(len, right))])
    sides = (numbered(numpy.concatenate(left), sizes[0]), numbered(numpy.concatenate(right), sizes[1]))
    flat = numpy.concatenate(sides)
    flat.sort()
    twice = flat[1:][flat[1:] == flat[:-1]] >> BITS
    both = numpy.bincount(twice.astype(numpy.int64), minlength=len(left))
    similarity: NDArray[numpy.float64] = both / (sizes.sum(axis=0) - both)
    return similarity


def numbered(flat: "Hashes", counts: "Counts") -> "Hashes":
    """The hashes with the number of their run before them."""
    import numpy

    return flat | numpy.repeat(numpy.arange(len(counts), dtype=numpy.uint64) << BITS, counts)
