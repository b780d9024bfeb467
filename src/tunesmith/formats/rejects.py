"""The file of refused records: one JSON object a line, written whole or not at all."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Refusal


@contextmanager
def rejects_file(path: Path | None, inputs: Sequence[str]) -> Iterator[Callable[[Refusal], None]]:
    """Yield a function that adds a refusal; the file appears when the block ends well. Without a path, nothing does."""
    if path is None:
        yield lambda refusal: None
        return
    refuse_inputs(path, inputs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as handle:
            yield lambda refusal: print(line(refusal), file=handle)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def refuse_inputs(path: Path, inputs: Sequence[str]) -> None:
    """Raise UserError where the rejects would overwrite a file that is being read, or a folder."""
    if path.is_dir():
        raise UserError(tr("{path} is a folder", path=path), tr("name a file for --rejects"))
    if path.exists() and any(Path(given).exists() and path.samefile(given) for given in inputs):
        raise UserError(tr("--rejects would overwrite the data in {path}", path=path), tr("name another file"))


def line(refusal: Refusal) -> str:
    """One refusal as a line of JSON."""
    return json.dumps(
        {
            "file": refusal.origin.file,
            "line": refusal.origin.line,
            "field": refusal.field,
            "reason": refusal.reason,
            "cure": refusal.cure,
            "raw": refusal.raw,
        },
        ensure_ascii=False,
    )
