"""Steps as a user writes them: named in a recipe as tests.data.own_steps:Class."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy
import pyarrow

from tunesmith.data.step import Decision, Outcome, Reject, Rows, RowStep, SetStep
from tunesmith.data.words import asked, edited
from tunesmith.records import Conversation


@dataclass(frozen=True, slots=True)
class Halve(RowStep):
    """Split every conversation of four turns in two."""

    EXAMPLE: ClassVar = "tests.data.own_steps:Halve"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        for start in range(0, len(conversation.messages), 2):
            yield replace(conversation, messages=conversation.messages[start : start + 2])


@dataclass(frozen=True, slots=True)
class Evenly(SetStep):
    """Keep questions of even length, twice; the others go."""

    REASONS: ClassVar = ("odd",)

    def sketch(self, conversations: Sequence[Conversation]) -> pyarrow.RecordBatch:
        return pyarrow.record_batch({"length": [len(asked(conversation)) for conversation in conversations]})

    def decide(self, rows: Rows) -> Decision:
        lengths = rows.sketches.column("length").to_pylist()
        assert [len(asked(one)) for one in rows.fetch([0, len(lengths) - 1])] == [lengths[0], lengths[-1]]
        copies = numpy.array([0 if length % 2 else 2 for length in lengths], numpy.uint32)
        return Decision(copies, {row: Reject("odd", rows.id(row)) for row, kept in enumerate(copies) if not kept})


@dataclass(frozen=True, slots=True)
class KillOnce(RowStep):
    """Kill its own process at a certain question, unless the file in KILLED says that this was done."""

    at: str

    EXAMPLE: ClassVar = "tests.data.own_steps:KillOnce: {at: Say 30.}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        mark = Path(os.environ["KILLED"])
        if self.at in asked(conversation) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield conversation


@dataclass(frozen=True, slots=True)
class Broken(RowStep):
    """Fails on one row."""

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        if "Say 5." in asked(conversation):
            raise ZeroDivisionError("five")
        yield conversation


@dataclass(frozen=True, slots=True)
class Backwards(SetStep):
    """The rows from last to first, each twice but not side by side, and begun with the question of the next."""

    def sketch(self, conversations: Sequence[Conversation]) -> pyarrow.RecordBatch:
        return pyarrow.record_batch({"nothing": [0] * len(conversations)})

    def decide(self, rows: Rows) -> Decision:
        count = rows.sketches.num_rows
        downwards = numpy.arange(count - 1, -1, -1)
        following = numpy.stack([numpy.arange(1, count + 1), numpy.full(count, -1)], axis=1)
        following[-1] = -1
        copies = numpy.full(count, 2, numpy.uint32)
        return Decision(copies, order=numpy.concatenate([downwards, downwards]), company=following)

    def complete(self, conversation: Conversation, company: Sequence[Conversation]) -> Conversation:
        before = "".join(asked(one) for one in company)
        return edited(conversation, lambda text: f"{before}|{text}", ("user",))
