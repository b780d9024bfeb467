"""Answers that a model finds neither trivial nor absurd."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.surprise import Reader
from tunesmith.data.window import Unit, check, edges
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class Perplexity(SetStep):
    """Keep the conversations whose answers lie in a window of perplexity under a language model.

    Perplexity is e to the mean of −ln p over the tokens of all answers, each given what was said before it. It says
    how usual an answer is, not how good: LIMA (Zhou et al., 2023) warns against choosing by it.

    model         the language model: a folder, a hub id, or nano
    low, high     the window; both ends belong to it
    unit          of the window: value, or quantile (0.1: a tenth of all conversations lies below)
    length        tokens that are read of a conversation
    """

    model: str
    low: float = 0.0
    high: float = math.inf
    unit: Unit = "value"
    length: int = 1024

    REASONS: ClassVar = ("perplexity too low", "perplexity too high", "no answer to read")
    EXAMPLE: ClassVar = "perplexity: {model: nano, low: 0.05, high: 0.95, unit: quantile}"

    def __post_init__(self) -> None:
        check(self.low, self.high, self.unit)

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        read = Reader(self.model, self.length).conversation
        return RecordBatch.from_pydict({"nll": [read(conversation) for conversation in conversations]})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column
        from tunesmith.data.verdict import keep

        found = np.exp(column(rows.sketches["nll"]))
        low, high = edges(found, self.low, self.high, self.unit)

        def why(row: int) -> Reject:
            if math.isnan(found[row]):
                return Reject("no answer to read")
            if found[row] < low:
                return Reject("perplexity too low", f"{found[row]:.4g} < {low:.4g}")
            return Reject("perplexity too high", f"{found[row]:.4g} > {high:.4g}")

        return keep((found >= low) & (found <= high), why)
