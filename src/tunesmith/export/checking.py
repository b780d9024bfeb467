"""An export looked at again: are the files those that were verified, and does the model still answer as it did?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunesmith.artifact import MANIFEST
from tunesmith.config import Assignment, assign
from tunesmith.errors import UserError
from tunesmith.export import golden
from tunesmith.export.choosing import plain
from tunesmith.export.target import Target
from tunesmith.export.watch import Watch
from tunesmith.messages import tr
from tunesmith.models.load import read_object
from tunesmith.proof import Proof


@dataclass(frozen=True, slots=True)
class Checked:
    folder: Path
    to: str
    proofs: tuple[Proof, ...]

    @property
    def passed(self) -> bool:
        return all(proof.passed for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        return {
            "path": str(self.folder),
            "to": self.to,
            "verdict": "passed" if self.passed else "refused",
            "proofs": [proof.to_json() for proof in self.proofs],
        }


def check(path: Path, watch: Watch) -> Checked:
    """Hashes first: where a file is another, none is opened. Raises UserError for what is no export."""
    folder = path.parent if path.is_file() else path
    manifest = manifest_of(folder)
    to = str(manifest["to"])
    watch.say(tr("comparing {count} files with the manifest", count=len(manifest["content"])))
    first = (golden.unchanged(folder, manifest["content"]), as_judged(manifest))
    if not all(proof.passed for proof in first):
        return Checked(folder, to, first)
    recorded, target = golden.read_golden(folder), as_written(to, manifest["options"])
    subject = target.open(folder)
    with watch.counting(tr("asking the golden prompts")) as count:
        return Checked(folder, to, (*first, *golden.replay(subject, recorded, count)))


def manifest_of(folder: Path) -> dict[str, Any]:
    found = read_object(folder / MANIFEST, tr("give a folder that tunesmith export made, or a file in it"))
    whole = {"to": str, "options": dict, "content": dict}
    if found.get("kind") != "export" or not all(isinstance(found.get(key), kind) for key, kind in whole.items()):
        raise UserError(
            tr("{path} is no export", path=folder), tr("give a folder that tunesmith export made, or a file in it")
        )
    return found


def as_judged(manifest: dict[str, Any]) -> Proof:
    """The verdict when it was made."""
    proofs = manifest.get("proofs") or []
    told = tr("{passed} of {total} proofs passed when it was made", passed=count_passed(proofs), total=len(proofs))
    return Proof("verdict", manifest.get("verdict") == "passed", len(proofs), told)


def count_passed(proofs: Sequence[dict[str, Any]]) -> int:
    return sum(bool(proof["passed"]) for proof in proofs)


def as_written(to: str, options: dict[str, Any]) -> Target:
    """The form with the options that it was written with."""
    target: Any = plain(to)
    for name, value in options.items():
        target = assign(target, [name], Assignment(name, value, MANIFEST))
    found: Target = target
    return found
