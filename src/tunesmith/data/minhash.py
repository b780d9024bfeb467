"""Which texts may be near duplicates: MinHash in bands (Broder, 1997; Indyk and Motwani, 1998).

The least hash of a set under one of many hash functions is the same for two sets with the probability of their Jaccard
similarity J. `rows` of them in a band agree with J^rows, and at least one of `BANDS` bands with 1 - (1 - J^rows)^BANDS.
Only a hash of each band is kept.
"""

from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from tunesmith.data.wordhash import Counts, Hashes

    Bands = NDArray[numpy.uint32]

BANDS = 24  # of 4 bytes: 96 bytes a text
MISSED = 0.002  # of the pairs that are just as similar as the threshold asks
MOST_ROWS = 6  # of hash functions a band; more would be slow and save little


def rows(threshold: float) -> int:
    """The most functions a band with which a pair at the threshold is missed at most MISSED times."""
    enough = [rows for rows in range(1, MOST_ROWS + 1) if (1 - threshold**rows) ** BANDS <= MISSED]
    return max(enough, default=1)


def bands(hashes: "Hashes", counts: "Counts", threshold: float) -> "Bands":
    """[texts, BANDS] hashes of bands, of texts whose shingles stand one after the other; each has at least one."""
    import numpy

    starts = numpy.cumsum(counts) - counts
    small = (hashes >> numpy.uint64(32)).astype(numpy.uint32)
    factors, terms = functions(rows(threshold) * BANDS)
    made = numpy.zeros((BANDS, len(counts)), numpy.uint64)
    values = numpy.empty_like(small)
    for i, (factor, term) in enumerate(zip(factors, terms, strict=True)):
        numpy.multiply(small, factor, out=values)
        numpy.add(values, term, out=values)
        least = numpy.minimum.reduceat(values, starts)
        band = made[i % BANDS]
        band ^= least
        band *= numpy.uint64(0x9E3779B97F4A7C15)
        band ^= band >> numpy.uint64(29)
    return numpy.ascontiguousarray((made >> numpy.uint64(32)).astype(numpy.uint32).T)


@cache
def functions(count: int) -> "tuple[NDArray[numpy.uint32], NDArray[numpy.uint32]]":
    """Odd factors and terms of hash functions x -> factor·x + term modulo 2^32, always the same."""
    import numpy

    drawn = numpy.random.default_rng(1).integers(0, 1 << 32, (2, count), dtype=numpy.uint32)
    return drawn[0] | numpy.uint32(1), drawn[1]


class Buckets:
    """Texts that agree in a band, and which of them are kept so far.

    A bucket is a run of `slots`, as long as it has texts, filled with those kept; `texts` are those in any bucket of
    two or more, ascending. Memory: 16 bytes for each text in each of its buckets.
    """

    def __init__(self, bands: "Bands") -> None:
        import numpy

        found = [shared(bands[:, band]) for band in range(bands.shape[1])]
        members = numpy.concatenate([text for text, _ in found])
        sizes = numpy.concatenate([size for _, size in found])
        order = numpy.argsort(members, kind="stable")
        self.bucket = numpy.repeat(numpy.arange(len(sizes)), sizes)[order]
        self.texts, self.first = numpy.unique(members[order], return_index=True)
        self.first = numpy.append(self.first, len(members))
        self.start = numpy.cumsum(sizes) - sizes
        self.filled = numpy.zeros(len(sizes), numpy.int32)
        self.slots = numpy.zeros(len(members), numpy.int32)

    def of(self, place: int) -> "NDArray[numpy.int64]":
        """The buckets that texts[place] is in."""
        return self.bucket[self.first[place] : self.first[place + 1]]

    def kept(self, start: int, end: int) -> list[int]:
        """Kept texts that share a bucket with any of texts[start:end], in no order and repeated."""
        import numpy

        used = self.bucket[self.first[start] : self.first[end]]
        counts = self.filled[used]
        places = numpy.repeat(self.start[used] - numpy.cumsum(counts) + counts, counts) + numpy.arange(counts.sum())
        return list(map(int, self.slots[places]))

    def candidates(self, place: int) -> list[int]:
        """Kept texts that share a bucket with texts[place], those that share most before others."""
        used = self.of(place)
        filled = self.filled[used]
        found: list[int] = self.slots[self.start[used[filled == 1]]].tolist()
        for bucket in used[filled > 1].tolist():
            start = self.start[bucket]
            found += self.slots[start : start + self.filled[bucket]].tolist()
        shares = Counter(found)
        return sorted(shares, key=lambda text: (-shares[text], text))

    def keep(self, place: int) -> None:
        """Let later texts find texts[place]."""
        used = self.of(place)
        self.slots[self.start[used] + self.filled[used]] = self.texts[place]
        self.filled[used] += 1


def shared(keys: "NDArray[numpy.uint32]") -> "tuple[NDArray[numpy.int32], NDArray[numpy.int64]]":
    """The places of keys that occur more than once, key by key and ascending, and how often each key occurs."""
    import numpy

    order = numpy.argsort(keys, kind="stable").astype(numpy.int32)
    ranked = keys[order]
    changes = numpy.flatnonzero(ranked[1:] != ranked[:-1]) + 1
    sizes = numpy.diff(changes, prepend=0, append=len(keys))
    return order[numpy.repeat(sizes > 1, sizes)], sizes[sizes > 1]
