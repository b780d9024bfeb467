"""Which texts may be near duplicates: MinHash in bands (Broder, 1997; Indyk and Motwani, 1998).

The least hash of a set under one of many hash functions is the same for two sets with the probability of their Jaccard
similarity J. `rows` of them in a band agree with J^rows, and at least one of `BANDS` bands with 1 - (1 - J^rows)^BANDS.
Only a hash of each band is kept.
"""

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
