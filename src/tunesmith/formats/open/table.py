"""Records of CSV and TSV files; cells may hold line breaks."""

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, BinaryIO

from tunesmith.formats.open import faults, stream
from tunesmith.formats.row import Row
from tunesmith.messages import tr
from tunesmith.records import Origin, Refusal

NAME = re.compile(r"[^\\?!\n]{0,64}")  # what a column may be called


class Damage:
    """The first line since the last record that could not be taken as it is."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: Refusal | None = None

    def lines(self, handle: BinaryIO) -> Iterator[str]:
        """The lines as text, noting those that are not UTF-8 or too long."""
        for line in stream.lines(handle):
            origin = Origin(self.file, line.number)
            if not line.whole:
                start = line.data[: faults.SHOWN].decode("utf-8", "replace")
                self.found = self.found or faults.too_long(origin, start)
                yield "\n"
                continue
            try:
                yield line.data.decode()
            except UnicodeDecodeError as error:
                words = line.data.decode("utf-8", "replace")
                code = line.data[error.start]
                self.found = self.found or faults.not_utf8(origin, line.offset + error.start, code, words.strip())
                yield words

    def taken(self) -> Refusal | None:
        found, self.found = self.found, None
        return found


def read_table(handle: BinaryIO, file: str, delimiter: str) -> Iterator[Row | Refusal]:
    """Rows as objects where the first row names the columns, else as lists of cells."""
    csv.field_size_limit(stream.LONGEST)
    damage = Damage(file)
    names: list[str] | None = None
    for line, cells in records(damage, handle, delimiter):
        origin = Origin(file, line)
        fault = damage.taken()
        if fault or isinstance(cells, Refusal):
            yield fault or cells  # type: ignore[misc]
        elif names is None and is_header(cells):
            names = cells
        elif cells:
            names = names or []
            yield named(names, cells, origin) if names else Row(origin, cells)


def records(damage: Damage, handle: BinaryIO, delimiter: str) -> Iterator[tuple[int, list[str] | Refusal]]:
    """(line, cells) of each record. Without a header, quotes are part of the text, as in FLAN's TSV files."""
    lines = damage.lines(handle)
    first = list(islice(lines, 1))
    quoted = delimiter == "," or has_header(first, delimiter)
    given = chain(first, lines)
    reader = csv.reader(given, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            reason = tr("is not a valid table row ({error})", error=error)
            yield line, Refusal(Origin(damage.file, line), "record", reason, tr("check the quotes"))
        else:
            yield line, cells


def has_header(first: list[str], delimiter: str) -> bool:
    try:
        return is_header(next(csv.reader(first, delimiter=delimiter), []))
    except csv.Error:
        return False


def is_header(cells: list[str]) -> bool:
    """Whether a row names columns: two or more short, different names without the marks of a sentence."""
    short = all(NAME.fullmatch(cell) and not cell.rstrip().endswith(".") for cell in cells)
    return len(cells) > 1 and short and len(set(cells)) == len(cells) and not all(map(is_number, cells))


def is_number(cell: str) -> bool:
    return cell.strip().replace(".", "", 1).lstrip("-").isdigit()


def named(names: list[str], cells: list[str], origin: Origin) -> Row | Refusal:
    """The cells under their column names; empty cells are left out."""
    if len(cells) > len(names):
        reason = tr("has {count} cells for {columns} columns", count=len(cells), columns=len(names))
        return Refusal(origin, "record", reason, tr("quote cells that hold the separator"), ", ".join(cells))
    row: dict[str, Any] = {name: cell for name, cell in zip(names, cells, strict=False) if name}
    return Row(origin, row)
