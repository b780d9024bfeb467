"""Run one step on conversations in memory, as the pipeline does on shards."""

from collections.abc import Sequence

import numpy
import pyarrow

from tunesmith.data.step import Reject, RowStep, SetStep, Step
from tunesmith.records import Conversation, Origin, text_message


def talk(*turns: str, source: str = "test", line: int = 0) -> Conversation:
    """User and assistant in turn."""
    roles = ("user", "assistant")
    messages = tuple(text_message(roles[i % 2], text) for i, text in enumerate(turns))
    return Conversation(messages, Origin("test.json", line), tags=(("source", source),))


class Memory:
    """Rows that lie in memory."""

    def __init__(self, step: SetStep, conversations: Sequence[Conversation]) -> None:
        self.conversations = conversations
        half = len(conversations) // 2  # two shards
        parts = [part for part in (conversations[:half], conversations[half:]) if part]
        self.sketches = pyarrow.Table.from_batches([step.sketch(part) for part in parts])

    def id(self, row: int) -> str:
        return f"test/{row}"

    def fetch(self, rows: Sequence[int]) -> list[Conversation]:
        return [self.conversations[row] for row in rows]


def run(step: Step, conversations: Sequence[Conversation]) -> tuple[list[Conversation], list[tuple[int, Reject]]]:
    """What is kept, in order, and (row, why) for what is let go; every reason must be one that the step declares."""
    kept: list[Conversation] = []
    rejects: list[tuple[int, Reject]] = []
    if isinstance(step, RowStep):
        judge = step.ready()
        for row, conversation in enumerate(conversations):
            for outcome in judge(conversation):
                if isinstance(outcome, Reject):
                    rejects.append((row, outcome))
                else:
                    kept.append(outcome)
    else:
        assert isinstance(step, SetStep)
        rows = Memory(step, conversations)
        decision = step.decide(rows)
        assert len(decision.copies) == len(conversations)
        order = numpy.repeat(numpy.arange(len(conversations)), decision.copies)
        if decision.order is not None:
            assert sorted(decision.order) == order.tolist(), "each row as often as it has copies"
            order = decision.order
        for row in order:
            company = [] if decision.company is None else [int(one) for one in decision.company[row] if one >= 0]
            kept.append(step.complete(conversations[row], rows.fetch(company)))
        rejects = [(row, decision.rejects[row]) for row, copies in enumerate(decision.copies) if not copies]
    assert {reject.reason for _, reject in rejects} <= set(step.REASONS)
    return kept, rejects
