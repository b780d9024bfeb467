"""From a model to a verified folder in another form: make it whole, write, open, compare, and only then publish."""

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tunesmith.artifact import MANIFEST, versions, whole_folder, write_json, write_text
from tunesmith.config import Assignment
from tunesmith.errors import UserError
from tunesmith.export import conversations, golden
from tunesmith.export.card import Card
from tunesmith.export.cases import Case, from_data, from_prompts
from tunesmith.export.choosing import choose
from tunesmith.export.conversations import FEWEST, Data
from tunesmith.export.lineage import called, manifest_of, scores, trace
from tunesmith.export.order import Order
from tunesmith.export.settings import Settings
from tunesmith.export.sources import sources
from tunesmith.export.target import Target, Work
from tunesmith.export.torch_subject import TorchSubject, open_torch
from tunesmith.export.verify import compare
from tunesmith.export.watch import Watch
from tunesmith.export.whole import Whole, make_whole, refuse_other_shapes
from tunesmith.messages import tr
from tunesmith.models.load import locate
from tunesmith.proof import Proof

GOLDEN_PROMPTS = 8
REFUSED = ".refused"  # added to the name of a folder whose model failed its verification


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of an export; `out` is where it lies, the folder set aside if it was refused."""

    out: Path
    to: str
    proofs: tuple[Proof, ...]
    files: tuple[dict[str, Any], ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return all(proof.passed for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        return {
            "out": str(self.out),
            "to": self.to,
            "verdict": verdict(self.proofs),
            "proofs": [proof.to_json() for proof in self.proofs],
            "files": list(self.files),
            "seconds": self.seconds,
        }


def export(model: str, to: str, out: Path, data: Sequence[str], words: Sequence[Assignment], watch: Watch) -> Exported:
    """The model in the form `to`, in the folder `out`, or in OUT.refused where a proof failed.

    Raises UserError for what the user can mend; nothing is left behind then.
    """
    start = time.perf_counter()
    target, settings = choose(to, words)
    aside = out.with_name(out.name + REFUSED)
    for folder in (out, aside):
        refuse_occupied(folder)
    order = place(model, to, target, settings, data, watch)
    out.parent.mkdir(parents=True, exist_ok=True)
    with full_disk_told(out), TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        whole = make_whole(order, Path(name))
        proofs = [*whole.proofs, *write_and_verify(order, whole, made)]
        document(order, whole, proofs, made)
        where = out if all(proof.passed for proof in proofs) else aside
        with whole_folder(where) as folder:
            for entry in made.iterdir():
                entry.rename(folder / entry.name)
    files = tuple({"name": file, **known} for file, known in golden.contents(where).items())
    return Exported(where, to, tuple(proofs), files, round(time.perf_counter() - start, 1))


def place(model: str, to: str, target: Target, settings: Settings, data: Sequence[str], watch: Watch) -> Order:
    """All that can be refused without writing anything is refused here."""
    reference = open_torch(model)
    refuse_other_shapes(reference, model)
    given = gather(model, data, settings, watch)
    cases = make_cases(reference, given, settings, watch)
    return Order(model, to, target, settings, reference, given, cases, watch)


def refuse_occupied(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(tr("{path} already exists", path=folder), tr("choose another --out, or remove it first"))


@contextmanager
def full_disk_told(out: Path) -> Iterator[None]:
    """The libraries that write weights wrap the system's error, or only quote it."""
    try:
        yield
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if not full and "No space left on device" not in str(error):
            raise
        raise UserError(
            tr("no space is left on the disk of {path}", path=out),
            tr("make room, or choose an --out on another disk; nothing was left behind"),
        ) from error


def gather(model: str, data: Sequence[str], settings: Settings, watch: Watch) -> Data:
    """The user's data; else that which the model was tuned on; else none.

    Raises UserError where the user's own is too little to tell anything.
    """
    if data:
        found = conversations.read(data, "auto", settings.held_out, settings.calibration)
        if not found.enough:
            raise UserError(
                tr(
                    "{path} holds fewer than {fewest} conversations to verify with", path=", ".join(data), fewest=FEWEST
                ),
                tr("give more data, or leave --data out"),
            )
        return found
    manifest = manifest_of(locate(model))
    known, found = conversations.recorded(manifest), Data()
    if known:
        format = str(manifest["config"].get("format", "auto"))
        found = conversations.read(known, format, settings.held_out, settings.calibration)
    if found.enough:
        watch.say(tr("verifying with the data that it was tuned on: {paths}", paths=", ".join(known)))
        return found
    watch.say(tr("no data to verify with: asking {count} prompts of our own", count=len(conversations.own_prompts())))
    return Data(inputs=found.inputs)


def make_cases(reference: TorchSubject, data: Data, settings: Settings, watch: Watch) -> list[Case]:
    if data.held_out:
        found = from_data(reference.renderer, data.held_out, settings.longest)
        if len(found) < min(FEWEST // 2, settings.held_out):
            raise UserError(
                tr(
                    "only {count} of {total} conversations can be verified with",
                    count=len(found),
                    total=len(data.held_out),
                ),
                tr("raise longest={limit}, or give other data", limit=settings.longest),
            )
        return found
    with watch.counting(tr("answering")) as count:
        return list(from_prompts(reference, conversations.own_prompts(), settings.answer_tokens, count))


def write_and_verify(order: Order, whole: Whole, folder: Path) -> list[Proof]:
    """Write the form into `folder` and compare it with its model; if it passes, its golden answers are beside it."""
    order.watch.say(tr("writing {form}", form=order.to))
    work = Work(order.model, whole.folder, order.reference.renderer, order.data.calibration)
    order.target.write(work, folder)
    reference = open_torch(whole.folder) if whole.other else order.reference
    subject, most = order.target.open(folder), order.settings.answer_tokens
    with order.watch.counting(tr("verifying")) as count:
        proofs = compare(reference, subject, order.cases, order.settings.limits, most, count)
    if all(proof.passed for proof in proofs):
        write_json(folder / golden.GOLDEN, golden.record(subject, conversations.own_prompts()[:GOLDEN_PROMPTS], most))
    return proofs


def document(order: Order, whole: Whole, proofs: Sequence[Proof], folder: Path) -> None:
    """The model card, and the manifest with the hash of every file."""
    lineage, model = trace(order.model), order.model
    data = [one for ancestor in lineage for one in sources(ancestor.manifest)]
    card = Card(called(model), order.to, lineage, data, scores(model), proofs, whole.report)
    write_text(folder / "README.md", card.write())
    manifest = {
        "kind": "export",
        "to": order.to,
        "options": asdict(order.target),  # type: ignore[call-overload]  # every Target is a dataclass
        "settings": asdict(order.settings),
        "parents": [one.to_json() for one in lineage],
        "inputs": order.data.inputs,
        "merge": whole.report,
        "versions": versions(),
        "verdict": verdict(proofs),
        "proofs": [proof.to_json() for proof in proofs],
        "content": golden.contents(folder),
    }
    write_json(folder / MANIFEST, manifest)


def verdict(proofs: Sequence[Proof]) -> str:
    return "passed" if all(proof.passed for proof in proofs) else "refused"
