"""One pass over one file of rows: through the row steps, and to the sketch of the step that wants to see all.

What a pass makes of a file depends on that file and the settings alone, so files are done in any order, by any number
of processes, and again after a kill, with the same bytes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunesmith.artifact import write_json
from tunesmith.data import step as steps
from tunesmith.data.entries import Chosen, Entry, batch, write_table
from tunesmith.data.kinds import Kind, kind
from tunesmith.data.plan import name_of
from tunesmith.data.reading import Let
from tunesmith.data.step import Reject, RowStep, SetStep
from tunesmith.errors import UserError
from tunesmith.messages import tr

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch, Schema


@dataclass(slots=True)
class Tally:
    """What one step did to the rows of one file; `place` tells the step from another of the same name."""

    step: str
    place: str
    given: int = 0
    kept: int = 0  # rows that came out; more than went in where rows are split
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    apart: int = 0  # rows of a kind that the step cannot judge, which went on as they were

    def to_json(self) -> dict[str, Any]:
        reasons = dict(sorted(self.reasons.items()))
        return {
            "step": self.step,
            "place": self.place,
            "in": self.given,
            "out": self.kept,
            "changed": self.changed,
            "apart": self.apart,
            "reasons": reasons,
        }


@dataclass(frozen=True, slots=True)
class Places:
    """Where a pass keeps what it makes of each file."""

    folder: Path

    def rows(self, number: int) -> Path:
        return self.folder / f"{number:05d}.arrow"

    def rejects(self, number: int) -> Path:
        return self.folder / f"{number:05d}.rejects.arrow"

    def sketch(self, number: int) -> Path:
        return self.folder / f"{number:05d}.sketch.arrow"

    def done(self, number: int) -> Path:
        """Written last: where it is, the others are whole."""
        return self.folder / f"{number:05d}.json"


@dataclass(frozen=True, slots=True)
class Job:
    """
    number   of the pass, from 1
    chosen   the rows that go on from the pass before
    size     how many of them make one file of this pass
    steps    what each row goes through
    closing  the step that decides after this pass, if any
    """

    number: int
    chosen: Chosen
    size: int
    places: Places
    steps: tuple[RowStep, ...]
    closing: SetStep | None


class Worker:
    """Does files of one job, in one process."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.given = job.chosen.opened()
        self.judges = [(step.ready(), step.KINDS) for step in job.steps]

    def __call__(self, number: int) -> int:
        """The rows that came out of file `number`."""
        job = self.job
        rejects: list[Let] = []
        tallies = [Tally(name_of(step), f"{job.number:03}.{place:03}") for place, step in enumerate(job.steps)]
        given = self.given.rows(number * job.size, job.size)
        kept = [entry for one in given for entry in self.through(one, tallies, rejects)]
        if job.closing is not None and kept:
            refuse_others(job.closing, kept)
            sketches = job.closing.sketch([entry.conversation for entry in kept])
            write_table(job.places.sketch(number), sketches)
        write_table(job.places.rows(number), batch(kept))
        write_table(job.places.rejects(number), rejects_batch(rejects))
        write_json(job.places.done(number), {"rows": len(kept), "steps": [tally.to_json() for tally in tallies]})
        return len(kept)

    def through(self, entry: Entry, tallies: Sequence[Tally], rejects: list[Let]) -> Iterable[Entry]:
        """What becomes of one row."""
        alive, own = [entry], kind(entry.conversation)  # which no step changes
        for (judge, kinds), tally in zip(self.judges, tallies, strict=True):
            if own not in kinds:
                tally.given, tally.kept, tally.apart = tally.given + 1, tally.kept + 1, tally.apart + 1
                continue
            alive = [new for old in alive for new in judged(judge, old, tally, rejects)]
        return alive


def refuse_others(step: SetStep, entries: Sequence[Entry]) -> None:
    """Raise UserError for a row of a kind that the step cannot judge beside others."""
    for entry in entries:
        if kind(entry.conversation) not in step.KINDS:
            raise UserError(
                tr(
                    "{step} cannot judge {id}, a {kind}", step=name_of(step), id=entry.id, kind=kind(entry.conversation)
                ),
                tr(
                    "prepare such rows apart, with steps for them: {steps}",
                    steps=", ".join(for_kind(kind(entry.conversation))),
                ),
            )


def for_kind(wanted: Kind) -> list[str]:
    """The steps that come with Tunesmith and can judge such rows."""
    return [name for name in steps.names() if wanted in steps.kind(name).KINDS]


def judged(judge: Any, entry: Entry, tally: Tally, rejects: list[Let]) -> list[Entry]:
    """The rows that a step makes of one."""
    tally.given += 1
    try:
        outcomes = list(judge(entry.conversation))
    except Exception as error:
        error.add_note(f"{tally.step}: {entry.id} ({entry.conversation.origin})")
        raise
    if len(outcomes) == 1 and outcomes[0] is entry.conversation:  # as nearly always
        tally.kept += 1
        return [entry]
    kept: list[Entry] = []
    for outcome in outcomes:
        if isinstance(outcome, Reject):
            tally.reasons[outcome.reason] += 1
            rejects.append(let(tally.step, outcome, entry))
            continue
        tally.changed += not kept and outcome is not entry.conversation and outcome != entry.conversation
        kept.append(Entry(f"{entry.id}.{len(kept) + 1}" if kept else entry.id, outcome))
    tally.kept += len(kept)
    return kept


def let(step: str, reject: Reject, entry: Entry) -> Let:
    raw = msgspec.json.encode(entry.conversation)
    return Let(step, reject.reason, reject.detail, entry.id, entry.conversation.origin, raw)


@cache
def rejects_schema() -> "Schema":
    import pyarrow

    text = ("step", "reason", "detail", "id", "file")
    numbers = [("line", pyarrow.int64()), ("record", pyarrow.int64())]
    return pyarrow.schema([*((name, pyarrow.string()) for name in text), *numbers, ("raw", pyarrow.large_string())])


def rejects_batch(rejects: Sequence[Let]) -> "RecordBatch":
    import pyarrow

    rows = [
        (one.step, one.reason, one.detail, one.id, one.origin.file, one.origin.line, one.origin.record, one.raw)
        for one in rejects
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(rejects_schema())
    arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, rejects_schema(), strict=True)]
    return pyarrow.record_batch(arrays, schema=rejects_schema())
