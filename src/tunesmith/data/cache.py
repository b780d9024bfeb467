"""Prepared data on disk: a folder for each key, with portions that are written as they are made.

An entry without `complete` belongs to a run that goes on or was killed; the portions in it count all the same.
Nothing read here is trusted: a file that is not as it was written is made again. Runs may share an entry: what
they write is the same, and every file appears whole.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.artifact import write_bytes
from tunesmith.data.key import key
from tunesmith.data.portion import Portion, from_bytes, to_bytes
from tunesmith.messages import tr

COMPLETE = "complete"
AGE = 30 * 24 * 3600  # seconds; an entry that nobody used for so long is removed
ROOM = 20 * 10**9  # bytes of all entries; beyond it those go that nobody used for longest


@dataclass(slots=True)
class Cache:
    """One entry, as far as it is there.

    parts    what the key was made from; kept for who wants to know
    writing  false once the disk has refused, or what is made no longer fits the key
    """

    folder: Path
    parts: dict[str, Any]
    say: Callable[[str], None]
    writing: bool = True

    def begin(self) -> None:
        """Note that the entry is in use."""
        with suppress(OSError):
            self.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds what the data says
            os.utime(self.folder)

    def whole(self) -> list[Portion] | None:
        """All portions; None where one of them is missing."""
        content = self._read(COMPLETE)
        if content is None:
            return None
        portions: list[Portion] = []
        for number in range(json.loads(content)["portions"]):
            portion = self.load(number)
            if portion is None:
                return None
            portions.append(portion)
        self.say(tr("examples reused from the token cache ({path})", path=self.folder))
        return portions

    def kept(self) -> int:
        """How many portions are there."""
        return sum(1 for _ in self.folder.glob("[0-9]*"))

    def load(self, number: int) -> Portion | None:
        """A portion, where it is there."""
        content = self._read(name_of(number))
        return None if content is None else from_bytes(content)

    def store(self, number: int, portion: Portion) -> None:
        self._write(name_of(number), to_bytes(portion))

    def complete(self, portions: int) -> None:
        """Note that there are no more portions, and make room."""
        self._write(COMPLETE, json.dumps({"portions": portions, "made from": self.parts}).encode())
        if self.writing:
            prune(self.folder)

    def _read(self, name: str) -> bytes | None:
        """What was written under a name; None where nothing is there, or something else."""
        try:
            digest, _, content = (self.folder / name).read_bytes().partition(b"\n")
        except OSError:
            return None
        if digest == seal(content):
            return content
        self.say(tr("{path} is damaged and is made again", path=self.folder / name))
        with suppress(OSError):
            (self.folder / name).unlink()
        return None

    def _write(self, name: str, content: bytes) -> None:
        if not self.writing:
            return
        try:
            write_bytes(self.folder / name, seal(content) + b"\n" + content)
        except OSError as error:
            self.writing = False
            self.say(tr("the token cache cannot be written; going on without it ({reason})", reason=error))


def entry(parts: dict[str, Any], say: Callable[[str], None]) -> Cache | None:
    """The entry of what has these ingredients; None for a user without a home."""
    folder = root()
    return Cache(folder / key(parts), parts, say) if folder else None


def root() -> Path | None:
    """tunesmith/tokens in the user's folder for caches."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        own = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        return None
    return own / "tunesmith" / "tokens"


def name_of(number: int) -> str:
    return f"{number:06}"


def seal(content: bytes) -> bytes:
    """sha256 in hexadecimal, the first line of every file."""
    return hashlib.sha256(content).hexdigest().encode()


def prune(newest: Path) -> None:
    """Remove the entries beside `newest` that are too old, or for which there is no more room."""
    others = [folder for folder in newest.parent.iterdir() if is_entry(folder) and folder != newest]
    taken = size(newest)
    for folder in sorted(others, key=last_used, reverse=True):
        taken += size(folder)
        if taken > ROOM or time.time() - last_used(folder) > AGE:
            shutil.rmtree(folder, ignore_errors=True)


def is_entry(folder: Path) -> bool:
    return len(folder.name) == 64 and folder.is_dir() and not folder.is_symlink()


def last_used(folder: Path) -> float:
    """Seconds since the epoch; 0 where another run has just removed it."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def size(folder: Path) -> int:
    """Bytes of the files in it."""
    total = 0
    with suppress(OSError):
        for file in folder.iterdir():
            total += file.stat().st_size
    return total
