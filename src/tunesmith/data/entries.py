"""Rows on disk between two passes: a conversation as JSON, the name by which it is found, and where it was read.

A file is written whole or not at all, in Arrow's own layout, so that any row of it can be had without reading the rest.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.artifact import whole_file
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import Array, RecordBatch, Schema, Table

ROWS = 8192  # in a file of a pass: what a killed run does again at most, and what a worker holds


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
class Entries:
    """All rows of several files, numbered through from 0."""

    starts: tuple[int, ...]  # number of the first row of each file, and of the row after the last
    columns: tuple[tuple["Array", "Array"], ...]  # ids and records of each file

    @property
    def count(self) -> int:
        return self.starts[-1]

    def id(self, row: int) -> str:
        return str(self._cell(row, 0))

    def record(self, row: int) -> bytes:
        """The row as it is stored: JSON."""
        return bytes(self._cell(row, 1))

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        return [decoder().decode(self._cell(row, 1)) for row in rows]

    def take(self, rows: Iterable[int]) -> Iterator[Entry]:
        """Those rows, in the order given; a row that follows itself is a copy."""
        before, copy = -1, 1
        for row in rows:
            copy = copy + 1 if row == before else 1
            before = row
            name = self.id(row) if copy == 1 else f"{self.id(row)}~{copy}"
            yield Entry(name, decoder().decode(self._cell(row, 1)))

    def _cell(self, row: int, column: int) -> Any:
        file = bisect_right(self.starts, row) - 1
        return self.columns[file][column][row - self.starts[file]].as_py()


@cache
def decoder() -> "msgspec.json.Decoder[Conversation]":
    return msgspec.json.Decoder(Conversation)


def open_entries(paths: Sequence[Path]) -> Entries:
    files = tuple(read_table(path) for path in paths)
    columns = tuple((table.column("id").chunk(0), table.column("record").chunk(0)) for table in files)
    return Entries((0, *accumulate(table.num_rows for table in files)), columns)
