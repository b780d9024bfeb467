"""Any order but the one that the files had."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Rows, SetStep
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class Shuffle(SetStep):
    """Put the conversations into an order that hangs on their words alone, not on how the files had them.

    seed          another seed, another order
    """

    seed: int = 0

    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "shuffle: {seed: 1}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        from tunesmith.data.chance import key_column

        return RecordBatch.from_pydict({"key": key_column(conversations)})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column, draws

        drawn = draws(column(rows.sketches["key"]), self.seed)
        return Decision(np.ones(len(drawn), np.uint32), order=np.argsort(drawn, kind="stable"))
