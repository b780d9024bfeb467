"""The files that some paths name, as they were when a run began."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith import formats
from tunesmith.artifact import hash_file
from tunesmith.errors import UserError
from tunesmith.messages import tr

Mark = tuple[str, int, int, int, int]


@dataclass(slots=True)
class Inputs:
    """
    contents  for each path its files and their sha256; None where a path is read from a hub
    marks     size, times and number of each file: what changes with any writing, and is quick to ask
    """

    contents: dict[str, tuple[tuple[str, str], ...] | None]
    marks: list[Mark]

    @property
    def local(self) -> bool:
        """Whether all content is known."""
        return None not in self.contents.values()

    @property
    def hashes(self) -> dict[str, str]:
        """For each path the sha256 of its file, or of the names and hashes of its files; a hub id stands for itself."""
        return {path: path_hash(path, files) for path, files in self.contents.items()}

    def refuse_touched(self) -> None:
        """Raise UserError where a file was written to and is no longer the same."""
        if marks([name for files in self.contents.values() for name, _ in files or ()]) != self.marks:
            self.refuse_changed()

    def refuse_changed(self) -> None:
        """Read everything again. Raises UserError where it is no longer the same."""
        now = take(tuple(self.contents))
        for path, files in self.contents.items():
            if now.contents[path] != files:
                raise UserError(
                    tr("{path} changed while it was read", path=path), tr("start again when nothing writes to it")
                )
        self.marks = now.marks


def take(paths: Sequence[str]) -> Inputs:
    """The paths as they are now. Raises UserError where one cannot be read."""
    found = {path: formats.files(path) for path in paths}
    names = [str(file) for files in found.values() for file in files or ()]
    before = marks(names)
    contents = {
        path: None if files is None else tuple((str(file), content_hash(file)) for file in files)
        for path, files in found.items()
    }
    return Inputs(contents, before)


def content_hash(file: Path) -> str:
    """sha256; of a file that cannot be read, which is then refused as a row is, nothing."""
    try:
        return hash_file(file)
    except OSError:
        return ""


def marks(names: Sequence[str]) -> list[Mark]:
    return [mark(name) for name in names]


def mark(name: str) -> Mark:
    """All zero where the file is gone."""
    try:
        found = os.stat(name)
    except OSError:
        return (name, 0, 0, 0, 0)
    return (name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def path_hash(path: str, files: tuple[tuple[str, str], ...] | None) -> str:
    if files is None:
        return f"hub:{path}"
    if [name for name, _ in files] == [str(Path(path))]:
        return files[0][1]
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    lines = [f"{os.path.relpath(name, folder or '.')}\0{digest}\n" for name, digest in files]
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()
