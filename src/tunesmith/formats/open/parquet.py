"""Records of a Parquet file, by number."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.formats.open import faults
from tunesmith.formats.row import Row
from tunesmith.records import Origin, Refusal

ROWS = 256  # rows decoded at once


def read_parquet(path: Path, file: str) -> Iterator[Row | Refusal]:
    from pyarrow.lib import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=ROWS):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(Origin(file, number), value)
    except (ArrowException, OSError, ValueError) as error:
        yield faults.broken(file, error)
