"""Records of a file with one JSON value a line, whatever its name."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from tunesmith.formats.open import faults, stream
from tunesmith.formats.row import Row
from tunesmith.records import Origin, Refusal

TRIED = 5  # lines looked at to tell one value a line from one value over many lines


def read_lines(handle: BinaryIO, file: str) -> Iterator[Row | Refusal]:
    for line in stream.lines(handle):
        origin = Origin(file, line.number)
        if not line.whole:
            yield faults.too_long(origin, line.data[: faults.SHOWN].decode("utf-8", "replace"))
        elif line.data.strip():
            yield parsed(line, origin)


def parsed(line: stream.Line, origin: Origin) -> Row | Refusal:
    """The value in a line."""
    try:
        text = line.data.decode()
        return Row(origin, json.loads(text))
    except UnicodeDecodeError as error:
        raw = line.data.decode("utf-8", "replace").rstrip("\r\n")
        return faults.not_utf8(origin, line.offset + error.start, line.data[error.start], raw)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated string") or error.pos >= len(text)
        if cut and not line.data.endswith(b"\n"):
            return faults.cut_off(origin, text)
        return faults.not_json(origin, f"{error.msg}, column {error.colno}", text.rstrip("\r\n"))
    except (ValueError, RecursionError) as error:
        return faults.not_json(origin, str(error)[:80], text.rstrip("\r\n"))


def is_lines(path: Path) -> bool:
    """Whether a file that begins with { holds one value a line, rather than values over several lines.

    A first line that is too long to decide does not count: the reader of documents gets past it, too.
    """
    with stream.open_bytes(path) as handle:
        given = islice(filled(handle), TRIED)
        first = next(given, None)
        if first is None or not first.whole or first.data.rstrip().endswith((b"{", b"[", b",", b":")):
            return False
        if is_object(first.data):
            return next(given, None) is not None
        return any(is_object(line.data) for line in given)


def filled(handle: BinaryIO) -> Iterator[stream.Line]:
    return (line for line in stream.lines(handle) if line.data.strip())


def is_object(data: bytes) -> bool:
    value: Any = None
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict)
