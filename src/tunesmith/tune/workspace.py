"""OUT while a run goes on. It appears with its first checkpoint, or with the finished model.

Until the first checkpoint everything lives in a hidden folder beside OUT. A finished OUT has a manifest; an
unfinished one has checkpoints.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tunesmith.artifact import MANIFEST, sync_tree, write_json, write_text
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.tune.locking import locked, refuse_locked
from tunesmith.tune.parallel import leads

CHECKPOINTS = "checkpoints"
LOG = "log.jsonl"
EVALUATIONS = "eval.jsonl"
SAMPLES = "samples.jsonl"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of a run that will be, or already is, `out`."""

    out: Path

    @property
    def hidden(self) -> Path:
        return self.out.with_name(f".{self.out.name}.partial")

    @property
    def folder(self) -> Path:
        return self.out if self.out.exists() else self.hidden

    @property
    def checkpoints(self) -> Path:
        return self.folder / CHECKPOINTS

    @property
    def finished(self) -> bool:
        return (self.out / MANIFEST).is_file()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within, no other run writes OUT; the leading process asks for all."""
        with ExitStack() as held:
            if leads():
                with writing(self.out):
                    held.enter_context(locked(self.out))
            yield

    def begin(self, resume: bool) -> None:
        """Refuse an OUT that is occupied; clear away what a killed run left that had no checkpoint yet.

        To be called while nobody else writes OUT: what is cleared away could be theirs.
        """
        refuse_filled(self.out, resume)
        with writing(self.out):
            shutil.rmtree(self.hidden, ignore_errors=True)
            if self.out.is_dir() and not any(self.out.iterdir()):
                self.out.rmdir()
            if not self.out.exists():
                self.hidden.mkdir(parents=True)

    def show(self) -> None:
        """Let OUT appear, whole."""
        if not self.out.exists():
            sync_tree(self.hidden)
            self.hidden.rename(self.out)

    def forget(self) -> None:
        """Remove what is not worth keeping."""
        shutil.rmtree(self.hidden, ignore_errors=True)

    def append(self, name: str, record: dict[str, Any]) -> None:
        if not leads():
            return
        with (self.folder / name).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(record, ensure_ascii=False) + "\n")

    def cut(self, name: str, step: int) -> None:
        """Forget the lines after `step`: the resumed run writes them again."""
        if (self.folder / name).is_file():
            kept = [
                json.dumps(record, ensure_ascii=False) + "\n" for record in self.records(name) if record["step"] <= step
            ]
            write_text(self.folder / name, "".join(kept))

    def records(self, name: str) -> list[dict[str, Any]]:
        """All whole lines; a kill may have torn the last one, within a letter even."""
        path = self.folder / name
        found: list[dict[str, Any]] = []
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n") if path.is_file() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                break
        return found

    def finish(self, model: Path, manifest: dict[str, Any]) -> None:
        """Move the finished model's files into place, the manifest last: it is what makes OUT complete."""
        sync_tree(model)
        for file in sorted(model.iterdir()):
            file.replace(self.folder / file.name)
        model.rmdir()
        write_json(self.folder / MANIFEST, manifest)
        self.show()


def refuse_occupied(out: Path, resume: bool) -> None:
    """A result is never overwritten, nor one that is being made; call this before any long work."""
    if leads():  # the others of a run may come here when their own leader has locked it already
        refuse_locked(out)
    refuse_filled(out, resume)


def refuse_filled(out: Path, resume: bool) -> None:
    """Refuse an OUT that holds anything, or with `resume` one that holds nothing to go on with."""
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise UserError(tr("{path} is a file, and a run needs a folder", path=out), tr("choose another --out"))
    if any(out.iterdir()) and not resume:
        raise UserError(
            tr("{path} already exists", path=out),
            tr("choose another --out, or go on with an interrupted run by --resume"),
        )
    if any(out.iterdir()) and not (out / MANIFEST).is_file() and not (out / CHECKPOINTS / "last").is_dir():
        raise UserError(tr("{path} holds no checkpoint to resume from", path=out), tr("choose another --out"))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell the user of a disk that is full or closed to us."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise UserError(
            tr("{path} cannot be written: {reason}", path=path, reason=error),
            tr("choose another --out, or free some disk space"),
        ) from error
