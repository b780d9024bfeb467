"""Opening data files: raw rows and refusals, streamed, whatever the file is packed in."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.formats.open import faults, stream
from tunesmith.formats.open.json_lines import is_lines, read_lines
from tunesmith.formats.open.parquet import read_parquet
from tunesmith.formats.open.prose import read_prose
from tunesmith.formats.open.table import read_table
from tunesmith.formats.open.values import read_document
from tunesmith.formats.row import Row
from tunesmith.messages import tr
from tunesmith.records import Origin, Refusal

DELIMITERS = {".csv": ",", ".tsv": "\t"}
PROSE = (".txt", ".md")
JSON = (".json", ".jsonl", ".ndjson")
STRUCTURED = (*JSON, *DELIMITERS, ".parquet")
SUFFIXES = (*STRUCTURED, *PROSE)


def suffix(path: Path) -> str:
    """The ending that tells the layout: data.jsonl.gz -> .jsonl."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def open_rows(path: Path, file: str) -> Iterator[Row | Refusal]:
    """Every record of a file, or why it cannot be had; `file` is its name in origins."""
    seen = False
    try:
        for row in contents(path, file):
            seen = True
            yield row
    except stream.BROKEN as error:
        seen = True
        yield faults.broken(file, error)
    if not seen:
        yield Refusal(Origin(file), "file", tr("holds no records"), tr("check how it was made"))


def contents(path: Path, file: str) -> Iterator[Row | Refusal]:
    with stream.open_bytes(path) as handle:
        head = stream.read(handle, stream.HEAD)
    kind = stream.sniff(head)
    if kind == "parquet":
        yield from read_parquet(path, file)
    elif kind != "text":
        yield faults.whole_file(file, kind)
    else:
        yield from text_rows(path, file, head)


def text_rows(path: Path, file: str, head: bytes) -> Iterator[Row | Refusal]:
    """Rows of a text file: .txt, .md, .csv and .tsv by name, JSON and JSON lines by content."""
    ending = suffix(path)
    first = head.removeprefix(stream.BOM).lstrip()[:1]
    one_value = first == b"[" or (first == b"{" and not is_lines(path))
    with stream.open_bytes(path) as handle:
        if ending in DELIMITERS:
            yield from read_table(handle, file, DELIMITERS[ending])
        elif ending in PROSE or (ending not in JSON and first not in (b"{", b"[")):
            yield from read_prose(handle, file)
        elif one_value:
            yield from read_document(handle, file)
        else:
            yield from read_lines(handle, file)
