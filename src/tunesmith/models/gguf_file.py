"""Reading a GGUF file with every length and offset checked before it is believed.

llama.cpp reads such a file in C; this looks first, so that a torn or foreign file ends in a sentence. The format is
described in ggml's docs/gguf.md.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
DIMENSIONS = 4  # at most, of a tensor


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor in the file: its shape as NumPy has it, ggml's type by name, offset from the start, and bytes."""

    name: str
    shape: tuple[int, ...]
    kind: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Gguf:
    """What the head of a file says."""

    path: Path
    fields: dict[str, Any]
    tensors: tuple[TensorPlace, ...]

    @property
    def shards(self) -> int:
        return int(self.fields.get("split.count", 1) or 1)


@dataclass(slots=True)
class Cursor:
    """A place in the bytes of a file that never moves past their end."""

    path: Path
    data: "mmap.mmap | bytes"
    at: int = 0

    def refuse(self, expected: str) -> UserError:
        return UserError(
            tr("{path}, byte {at}: expected {expected}", path=self.path, at=self.at, expected=expected),
            tr("the file is torn or no GGUF: fetch or export it again"),
        )

    def take(self, count: int, what: str) -> bytes:
        if count < 0 or count > len(self.data) - self.at:
            raise self.refuse(tr("{what}, {count} bytes, and the file ends", what=what, count=count))
        found = self.data[self.at : self.at + count]
        self.at += count
        return bytes(found)

    def number(self, form: str, what: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))[0]

    def text(self, what: str) -> str:
        length = self.number("Q", what)
        start = self.at
        try:
            return self.take(length, what).decode("utf-8")
        except UnicodeDecodeError as error:
            self.at = start
            raise self.refuse(tr("{what} in UTF-8", what=what)) from error

    def value(self, what: str) -> Any:
        return self.of_kind(self.number("I", what), what)

    def of_kind(self, kind: int, what: str) -> Any:
        if kind in NUMBERS:
            return self.number(NUMBERS[kind], what)
        if kind == STRING:
            return self.text(what)
        if kind == ARRAY:
            return self.array(what)
        raise self.refuse(tr("a type of value between 0 and 12 for {what}, found {kind}", what=what, kind=kind))

    def array(self, what: str) -> list[Any]:
        kind, count = self.number("I", what), self.number("Q", what)
        if kind in NUMBERS:
            form = NUMBERS[kind]
            data = self.take(count * struct.calcsize("<" + form), what)
            return list(struct.unpack(f"<{count}{form}", data))
        if kind != STRING:
            raise self.refuse(tr("an array of numbers or texts for {what}, found type {kind}", what=what, kind=kind))
        if count * 8 > len(self.data) - self.at:
            raise self.refuse(tr("{what}, {count} texts, and the file ends", what=what, count=count))
        return [self.text(what) for _ in range(count)]


def read_gguf(path: Path) -> Gguf:
    """The head of the GGUF at `path`. Raises UserError, with file, offset and what was expected there."""
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise Cursor(path, b"").refuse(tr("the letters GGUF, and the file is empty"))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return read_head(Cursor(path, data))
    except OSError as error:
        raise UserError(
            tr("{path} cannot be read: {reason}", path=path, reason=error.strerror or error), tr("check the path")
        ) from error


def read_head(cursor: Cursor) -> Gguf:
    if cursor.data[:4] != MAGIC:
        raise cursor.refuse(tr("the letters GGUF, found {found!r}", found=bytes(cursor.data[:4])))
    cursor.at = 4
    version = cursor.number("I", tr("the version"))
    if version not in VERSIONS:
        cursor.at = 4
        raise cursor.refuse(tr("version {versions}, found {version}", versions="2, 3", version=version))
    tensors, count = cursor.number("Q", tr("the number of tensors")), cursor.number("Q", tr("the number of fields"))
    fields: dict[str, Any] = {}
    for _ in range(count):
        name = cursor.text(tr("the name of a field"))
        fields[name] = cursor.value(name)
    return Gguf(cursor.path, fields, places(cursor, tensors, alignment(cursor, fields)))


def alignment(cursor: Cursor, fields: dict[str, Any]) -> int:
    found = fields.get("general.alignment", 32)
    if not isinstance(found, int) or found < 1 or found & (found - 1):
        raise cursor.refuse(tr("general.alignment as a power of two, found {found!r}", found=found))
    return found


def places(cursor: Cursor, count: int, align: int) -> tuple[TensorPlace, ...]:
    """The table of tensors, each of which must lie within the file."""
    table = [entry(cursor) for _ in range(count)]
    start = -(-cursor.at // align) * align
    found = []
    for name, shape, kind, offset, size in table:
        if offset % align:
            raise cursor.refuse(
                tr("tensor {name} at a multiple of {align}, found {offset}", name=name, align=align, offset=offset)
            )
        if start + offset + size > len(cursor.data):
            cursor.at = len(cursor.data)
            raise cursor.refuse(
                tr("tensor {name} up to byte {end}, and the file ends", name=name, end=start + offset + size)
            )
        found.append(TensorPlace(name, shape, kind, start + offset, size))
    return tuple(found)


def entry(cursor: Cursor) -> tuple[str, tuple[int, ...], str, int, int]:
    """One row of the table: name, shape, type, offset within the data, bytes."""
    name = cursor.text(tr("the name of a tensor"))
    dimensions = cursor.number("I", name)
    if not 0 < dimensions <= DIMENSIONS:
        raise cursor.refuse(tr("1 to 4 dimensions of tensor {name}, found {count}", name=name, count=dimensions))
    shape = tuple(cursor.number("Q", name) for _ in range(dimensions))[::-1]
    number = cursor.number("I", name)
    kind, block, size = storage(cursor, name, number)
    total = 1
    for length in shape:
        total *= length
    if shape[-1] % block:
        raise cursor.refuse(
            tr("rows of tensor {name} in whole blocks of {block}, found {shape}", name=name, block=block, shape=shape)
        )
    return name, shape, kind, cursor.number("Q", name), total // block * size


def storage(cursor: Cursor, name: str, number: int) -> tuple[str, int, int]:
    """Name, numbers in a block and bytes of a block of ggml's type `number`."""
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError as error:
        raise missing_extra("gguf", "gguf", tr("reading GGUF files")) from error
    try:
        kind = GGMLQuantizationType(number)
    except ValueError as error:
        raise cursor.refuse(tr("a known type of tensor {name}, found {kind}", name=name, kind=number)) from error
    return (kind.name, *GGML_QUANT_SIZES[kind])
