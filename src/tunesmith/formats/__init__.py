"""Reading data: any supported file, folder or hub id, as a stream of records and refusals."""

from collections.abc import Iterator, Sequence

from tunesmith.formats.detect import FORMATS as FORMATS
from tunesmith.formats.detect import Format as Format
from tunesmith.formats.detect import named as named
from tunesmith.formats.detect import names as names
from tunesmith.formats.source import Source as Source
from tunesmith.formats.source import files as files
from tunesmith.formats.source import sources as sources
from tunesmith.records import Record, Refusal


def read(paths: Sequence[str], format: str = "auto") -> Iterator[Record | Refusal]:
    """The records of all paths in order, and a refusal for each that is not kept; streamed."""
    for source in sources(paths, format):
        yield from source.records


def detect(path: str) -> str:
    """The name of the format of a path's first file ("unknown" where none fits)."""
    return next(source.format for source in sources([path]))
