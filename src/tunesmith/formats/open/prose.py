"""Plain text files: one document a file, cut at blank lines where it would grow too long."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from tunesmith.formats.open import faults, stream
from tunesmith.formats.row import Row
from tunesmith.records import Origin, Refusal

DOCUMENT = 1 << 20  # bytes after which a document ends at the next blank line; at twice that, at any line


@dataclass(slots=True)
class Piece:
    """Lines of one document so far."""

    line: int
    data: list[bytes] = field(default_factory=list)
    size: int = 0
    offset: int = 0

    def add(self, line: stream.Line) -> None:
        self.offset = self.offset if self.data else line.offset
        self.data.append(line.data)
        self.size += len(line.data)

    def full(self, line: stream.Line) -> bool:
        """Whether the document ends before this line."""
        return self.size > 2 * DOCUMENT or (self.size > DOCUMENT and not line.data.strip())

    def row(self, file: str) -> Iterator[Row | Refusal]:
        data = b"".join(self.data)
        if not data.strip():
            return
        words = data.lstrip(b"\r\n")
        origin = Origin(file, self.line + data.count(b"\n", 0, len(data) - len(words)))
        try:
            yield Row(origin, data.decode().strip("\r\n"))
        except UnicodeDecodeError as error:
            place = Origin(file, self.line + data.count(b"\n", 0, error.start))
            raw = data.decode("utf-8", "replace")
            yield faults.not_utf8(place, self.offset + error.start, data[error.start], raw)


def read_prose(handle: BinaryIO, file: str) -> Iterator[Row | Refusal]:
    """The documents of a text file; a line over the limit for records is refused, the rest is kept."""
    piece = Piece(1)
    for line in stream.lines(handle):
        if not line.whole or piece.full(line):
            yield from piece.row(file)
            piece = Piece(line.number)
        if line.whole:
            piece.add(line)
        else:
            yield faults.too_long(Origin(file, line.number), line.data[: faults.SHOWN].decode("utf-8", "replace"))
            piece = Piece(line.number + 1)
    yield from piece.row(file)
