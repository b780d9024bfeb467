"""No source, or task, or language, may drown the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import SOURCE, tag
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class Quota(SetStep):
    """Keep no more than so many conversations of each source, or of each value of another tag, drawn at random.

    most          how many of each
    by            the tag whose values are counted; conversations without it count as one
    named         other numbers for some values, as {flan: 30000}
    seed          another seed, another draw
    """

    most: int
    by: str = SOURCE
    named: dict[str, int] = field(default_factory=dict)
    seed: int = 0

    REASONS: ClassVar = ("over the quota",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "quota: {most: 30000, by: task}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        from tunesmith.data.chance import key_column

        values = [tag(conversation, self.by) for conversation in conversations]
        return RecordBatch.from_pydict({"value": values, "key": key_column(conversations)})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column, draws, numbered, places
        from tunesmith.data.verdict import keep

        names, values = numbered(rows.sketches["value"])
        quotas = np.array([self.named.get(name, self.most) for name in names], np.int64)
        kept = places(values, draws(column(rows.sketches["key"]), self.seed)) < quotas[values]
        rejects = [Reject("over the quota", f"{name}: {quota}") for name, quota in zip(names, quotas, strict=True)]
        return keep(kept, lambda row: rejects[values[row]])
