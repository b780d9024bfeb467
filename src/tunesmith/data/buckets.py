"""Which texts agree in a band, and which of them are kept so far; for many texts at a time."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from tunesmith.data.minhash import Bands

    Texts = NDArray[numpy.int64]
    Pairs = NDArray[numpy.int64]  # [2, pairs]: a text, and an earlier one that shares a bucket with it

ALONE = 0  # stands for the bucket of a text that agrees with no other


class Buckets:
    """A bucket is a run of `slots`, as long as it has texts, filled with those kept; `texts` are those in any bucket
    of two or more, ascending. Memory: 4 bytes for each band of each text, and 4 for each text in each of its buckets.
    The bands are written over: of millions of texts there is room for one such table.
    """

    def __init__(self, bands: "Bands") -> None:
        import numpy

        self.bucket = bands  # [texts, bands]
        sizes = [numpy.zeros(1, numpy.int64)]
        begin = 1
        for band in range(self.bucket.shape[1]):
            self.bucket[:, band], found = shared(self.bucket[:, band], begin)
            sizes.append(found)
            begin += len(found)
        self.texts = numpy.flatnonzero((self.bucket != ALONE).any(axis=1))
        lengths = numpy.concatenate(sizes)
        self.start = numpy.cumsum(lengths) - lengths
        self.filled = numpy.zeros(len(lengths), numpy.int32)
        self.slots = numpy.zeros(lengths.sum(), numpy.int32)

    def members(self, texts: "Texts") -> "tuple[Texts, NDArray[numpy.uint32]]":
        """Each text as often as it has buckets, and those."""
        import numpy

        found = self.bucket[texts]
        inside = found != ALONE
        return numpy.repeat(texts, inside.sum(axis=1)), found[inside]

    def candidates(self, texts: "Texts") -> "Pairs":
        """Each text with all kept ones that share a bucket with it; those that share most before others."""
        import numpy

        owners, used = self.members(texts)
        counts = self.filled[used]
        ends = numpy.cumsum(counts)
        places = numpy.repeat(self.start[used] - ends + counts, counts) + numpy.arange(counts.sum())
        return ranked(numpy.repeat(owners, counts), self.slots[places])

    def among(self, texts: "Texts") -> "Pairs":
        """Each text with all earlier ones of `texts` that share a bucket with it, in the same order."""
        import numpy

        owners, used = self.members(texts)
        order = numpy.argsort(used, kind="stable")
        owners, used = owners[order], used[order]
        later, earlier, gap = [owners[:0]], [owners[:0]], 1
        while (same := used[gap:] == used[:-gap]).any():
            later.append(owners[gap:][same])
            earlier.append(owners[:-gap][same])
            gap += 1
        return ranked(numpy.concatenate(later), numpy.concatenate(earlier))

    def keep(self, texts: "Texts") -> None:
        """Let later texts find these."""
        import numpy

        owners, used = self.members(texts)
        order = numpy.argsort(used, kind="stable")
        distinct, first, counts = numpy.unique(used[order], return_index=True, return_counts=True)
        rank = numpy.arange(len(used)) - numpy.repeat(first, counts)
        self.slots[numpy.repeat(self.start[distinct] + self.filled[distinct], counts) + rank] = owners[order]
        self.filled[distinct] += counts.astype(numpy.int32)


def shared(keys: "NDArray[numpy.uint32]", begin: int) -> "tuple[NDArray[numpy.uint32], NDArray[numpy.int64]]":
    """For each key the number of its bucket, from `begin` on, ALONE where no other is the same; and their sizes."""
    import numpy

    order = numpy.argsort(keys)
    ranked = keys[order]
    changes = numpy.flatnonzero(ranked[1:] != ranked[:-1]) + 1
    sizes = numpy.diff(changes, prepend=0, append=len(keys))
    several = sizes > 1
    numbers = numpy.where(several, numpy.cumsum(several) + (begin - 1), ALONE).astype(numpy.uint32)
    made = numpy.empty(len(keys), numpy.uint32)
    made[order] = numpy.repeat(numbers, sizes)
    return made, sizes[several]


def ranked(later: "Texts", earlier: "Texts") -> "Pairs":
    """Distinct pairs by the later text; among its own, those that occur most come first, then by the earlier text."""
    import numpy

    keys, times = numpy.unique(later << 32 | earlier, return_counts=True)
    pairs = numpy.stack([keys >> 32, keys & 0xFFFFFFFF])
    return pairs[:, numpy.lexsort((pairs[1], -times, pairs[0]))]
