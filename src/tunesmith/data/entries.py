"""Rows on disk between two passes: a conversation as JSON, the name by which it is found, and where it was read.

A file is written whole or not at all, in Arrow's own layout, so that any row of it can be had without reading the rest.
"""

import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunesmith.artifact import whole_file
from tunesmith.data.step import Decision, SetStep
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import Array, RecordBatch, Schema, Table

ROWS = 8192  # in a file of a pass: what a killed run does again at most, and what a worker holds
LOOKED = 4096  # rows after which the memory that files were mapped to is given back: a look at one may map 64 KiB


CHOICE = ("row", "copy", "company")  # of each row that goes on: its number, which copy it is, rows that complete it


@dataclass(frozen=True, slots=True)
class Entry:
    """`id` is "source/record", with ".2" for the second piece of what was split and "~2" for a second copy."""

    id: str
    conversation: Conversation


@cache
def schema() -> "Schema":
    import pyarrow

    return pyarrow.schema([("id", pyarrow.large_string()), ("record", pyarrow.large_binary())])


def batch(entries: Sequence[Entry]) -> "RecordBatch":
    import pyarrow

    encoder = msgspec.json.Encoder()
    columns = [[entry.id for entry in entries], [encoder.encode(entry.conversation) for entry in entries]]
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema(), strict=True)]
    return pyarrow.record_batch(arrays, schema=schema())


def write_table(path: Path, table: "Table | RecordBatch") -> None:
    """One Arrow file, whole or not at all."""
    import pyarrow

    with whole_file(path) as handle, pyarrow.ipc.new_file(handle, table.schema) as writer:
        writer.write(table)


def read_table(path: Path) -> "Table":
    """The file, mapped: only what is looked at comes into memory."""
    import pyarrow

    return pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()


@dataclass(frozen=True, slots=True)
class Column:
    """The cells of a column: each a piece of `data`, from one of `starts` to the next."""

    starts: memoryview  # of 64-bit numbers
    data: memoryview

    def __getitem__(self, row: int) -> memoryview:
        return self.data[self.starts[row] : self.starts[row + 1]]


@dataclass(frozen=True, slots=True)
class Mapped:
    """A file of rows; only what is looked at comes into memory, and goes from it again."""

    map: mmap.mmap
    count: int
    ids: Column
    records: Column

    def forget(self) -> None:
        if hasattr(self.map, "madvise"):  # not on Windows
            self.map.madvise(mmap.MADV_DONTNEED)


@dataclass(slots=True)
class Entries:
    """All rows of several files, numbered through from 0."""

    files: tuple[Mapped, ...]
    starts: tuple[int, ...]  # number of the first row of each file, and of the row after the last
    looked: int = 0  # rows, since the memory of the files was given back

    @property
    def count(self) -> int:
        return self.starts[-1]

    def id(self, row: int) -> str:
        file, place = self._place(row)
        return str(file.ids[place], "utf-8")

    def record(self, row: int) -> bytes:
        """The row as it is stored: JSON."""
        file, place = self._place(row)
        return bytes(file.records[place])

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        decode = decoder().decode
        found = [decode(file.records[place]) for file, place in map(self._place, rows)]
        self.looked += len(rows)
        if self.looked >= LOOKED:
            self.looked = 0
            for file in self.files:
                file.forget()
        return found

    def _place(self, row: int) -> tuple[Mapped, int]:
        file = bisect_right(self.starts, row) - 1
        return self.files[file], row - self.starts[file]


@cache
def decoder() -> "msgspec.json.Decoder[Conversation]":
    return msgspec.json.Decoder(Conversation)


def open_entries(paths: Sequence[Path]) -> Entries:
    files = tuple(map(mapped, paths))
    return Entries(files, (0, *accumulate(file.count for file in files)))


def mapped(path: Path) -> Mapped:
    """Mapped by ourselves: Arrow's own map cannot give memory back before it is closed."""
    import pyarrow

    with path.open("rb") as handle:
        found = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    rows = pyarrow.ipc.open_file(pyarrow.py_buffer(found)).get_batch(0)
    return Mapped(found, rows.num_rows, column(rows.column("id")), column(rows.column("record")))


def column(cells: "Array") -> Column:
    _, starts, data = cells.buffers()
    return Column(memoryview(starts).cast("q"), memoryview(data or b""))


@dataclass(frozen=True, slots=True)
class Chosen:
    """
    before   files of the pass before
    table    which of their rows go on, in order: `row`, `copy` (from 1) and `company`, the rows that complete it
    step     the step that completes them, where there is company
    """

    before: tuple[Path, ...]
    table: Path
    step: SetStep | None = None

    @property
    def count(self) -> int:
        return int(read_table(self.table).num_rows)

    def opened(self) -> "Reader":
        return Reader(open_entries(self.before), read_table(self.table), self.step)


@dataclass(frozen=True, slots=True)
class Reader:
    """The rows that go on, any run of them at a time."""

    entries: Entries
    table: "Table"
    step: SetStep | None

    def rows(self, start: int, count: int) -> Iterator[Entry]:
        chosen = self.table.slice(start, count)
        for row, copy, company in zip(*(chosen[name].to_pylist() for name in CHOICE), strict=True):
            name = self.entries.id(row)
            (conversation,) = self.entries.fetch([row])
            if self.step and company:
                conversation = self.step.complete(conversation, self.entries.fetch(company))
            yield Entry(name if copy == 1 else f"{name}~{copy}", conversation)


def write_chosen(path: Path, decision: Decision) -> "NDArray[numpy.int64]":
    """Keep which rows go on; gives them in order, each as often as it has copies."""
    import numpy
    import pyarrow

    rows = numpy.repeat(numpy.arange(len(decision.copies)), decision.copies)
    if decision.order is not None:
        rows = decision.order
    company = pyarrow.nulls(len(rows), pyarrow.list_(pyarrow.int64()))
    if decision.company is not None:
        company = pyarrow.array([[int(one) for one in some if one >= 0] for some in decision.company[rows]])
    write_table(path, pyarrow.record_batch(dict(zip(CHOICE, (rows, copies(rows), company), strict=True))))
    return rows


def copies(rows: "NDArray[numpy.int64]") -> "NDArray[numpy.int64]":
    """[3, 1, 3] -> [1, 1, 2]: the how-manieth of its row each one is."""
    import numpy

    order = numpy.argsort(rows, kind="stable")
    ranked = rows[order]
    starts = numpy.flatnonzero(numpy.r_[True, ranked[1:] != ranked[:-1]])
    sizes = numpy.diff(numpy.r_[starts, len(rows)])
    found = numpy.empty(len(rows), numpy.int64)
    found[order] = numpy.arange(len(rows)) - numpy.repeat(starts, sizes) + 1
    return found
