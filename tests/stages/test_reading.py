"""Records in portions."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.records import Document, Origin
from tunesmith.stages import reading
from tunesmith.stages.reading import cut


@given(st.lists(st.integers(1, 5), max_size=9), st.integers(1, 6))
def test_records_of_one_row_are_never_cut_apart(rows, limit):
    """One row of a file may hold several records; equal places in two rows do not make them one."""
    origins = [Origin("a.json", 1) for _ in rows]
    records = [
        Document(f"{i} {n}", origin) for i, (n, origin) in enumerate(zip(rows, origins, strict=True)) for _ in range(n)
    ]
    known, reading.ROWS = reading.ROWS, limit
    try:
        portions = list(cut(records))
    finally:
        reading.ROWS = known
    assert [record for portion in portions for record in portion] == records
    for portion, following in pairwise(portions):
        assert len(portion) >= limit
        assert portion[-1].origin is not following[0].origin
        assert sum(record.origin is not portion[-1].origin for record in portion) < limit


def test_long_records_fill_a_portion_sooner():
    records = [Document("x" * 1_500_000, Origin("a.txt", line)) for line in range(1, 8)]
    assert [len(portion) for portion in cut(records)] == [3, 3, 1]


def test_nothing_is_one_empty_portion():
    assert list(cut([])) == [[]]
