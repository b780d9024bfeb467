"""Bytes of a data file: unpacked, sniffed, and cut into lines, in memory that does not grow with the file."""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Literal, cast

CHUNK = 1 << 20  # bytes read at once
LONGEST = 64 << 20  # bytes (of a line) or characters (of a JSON value) that one record may have
HEAD = 1 << 16  # bytes looked at to tell what a file is

BROKEN = (EOFError, OSError, zlib.error)  # what a packed or vanished file raises while it is read
BOM = b"\xef\xbb\xbf"
LFS = b"version https://git-lfs.github.com/spec/"
Kind = Literal["empty", "lfs", "utf16", "parquet", "binary", "text"]


@dataclass(frozen=True, slots=True)
class Line:
    """`number` from 1; `offset` of its first byte in the (unpacked) file; `whole` is False where it was cut short."""

    number: int
    offset: int
    data: bytes
    whole: bool


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where its content (not its name) is gzip."""
    with path.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if packed else path.open("rb")


def sniff(head: bytes) -> Kind:
    """What the first bytes of a file tell about all of it."""
    if not head.strip(b" \t\r\n\xef\xbb\xbf"):
        return "empty"
    if head.startswith(LFS):
        return "lfs"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or wide(head):
        return "utf16"
    if head.startswith(b"PAR1"):
        return "parquet"
    return "binary" if noisy(head) else "text"


def wide(head: bytes) -> bool:
    """Whether every other byte is NUL, as in Latin text in UTF-16."""
    even, odd = head[0:512:2], head[1:512:2]
    return len(head) >= 8 and (even.count(0) > 0.6 * len(even)) != (odd.count(0) > 0.6 * len(odd))


def noisy(head: bytes) -> bool:
    """Whether more than 5 % of the first bytes are control characters, which no text has."""
    head = head[:8192]
    controls = sum(head.count(code) for code in range(32) if code not in b"\t\n\r\f\x1b")
    return controls > 0.05 * len(head)


def read(handle: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes. A broken file gives what it still holds before it raises one of BROKEN."""
    parts: list[bytes] = []
    reader = cast(BufferedIOBase, handle)
    try:
        while size > 0 and (part := reader.read1(size)):
            parts.append(part)
            size -= len(part)
    except BROKEN:
        if not parts:
            raise
    return b"".join(parts)


def lines(handle: BinaryIO) -> Iterator[Line]:
    """Lines that end at b"\\n" alone (U+2028 is text); of a line over LONGEST only the start is kept."""
    number, offset = 0, 0
    while data := handle.readline(LONGEST):
        number += 1
        whole = data.endswith(b"\n") or len(data) < LONGEST
        size = len(data) + (0 if whole else skip_line(handle))
        start = len(BOM) if offset == 0 and data.startswith(BOM) else 0
        yield Line(number, offset + start, data[start:], whole)
        offset += size


def skip_line(handle: BinaryIO) -> int:
    """Pass over the rest of a line; the number of bytes passed."""
    passed = 0
    while data := handle.readline(CHUNK):
        passed += len(data)
        if data.endswith(b"\n"):
            break
    return passed
