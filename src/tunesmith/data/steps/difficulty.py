"""Answers that a model cannot give yet, though the question helps it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.surprise import Reader
from tunesmith.data.window import Unit, check, edges
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch

Ratio = Literal["perplexity", "loss"]


@dataclass(frozen=True, slots=True)
class Difficulty(SetStep):
    """Keep the conversations in a window of instruction-following difficulty (IFD) under a language model.

    IFD is how hard the first answer is given its question, over how hard it is alone: near 1 the question hardly
    helps, and the model has most to learn; above 1 it harms, and answer and question hardly belong together. Li et
    al. (2023, From Quantity to Quality) drop the latter and keep the highest 5 or 10 % of the others.

    model         the language model: a folder, a hub id, or nano
    low, high     the window; both ends belong to it
    unit          of the window: quantile (0.9: nine tenths of the conversations below 1 lie below) or value
    ratio         loss: of the mean −ln p of the answer's tokens (Li et al., 2023; so in their data_by_IFD.py);
                  perplexity: of e to the power of these (Li et al., 2024, Superfiltering; put_analysis_to_data.py)
    harmed        drop the conversations at 1 and above, or keep them
    length        tokens that are read of question and answer
    """

    model: str
    low: float = 0.9
    high: float = math.inf
    unit: Unit = "quantile"
    ratio: Ratio = "loss"
    harmed: Literal["drop", "keep"] = "drop"
    length: int = 1024

    REASONS: ClassVar = ("difficulty too low", "difficulty too high", "question does not help", "no answer to read")
    EXAMPLE: ClassVar = "difficulty: {model: nano, low: 0.95}"

    def __post_init__(self) -> None:
        check(self.low, self.high, self.unit)

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        read = Reader(self.model, self.length).answer
        pairs = [read(conversation) for conversation in conversations]
        return RecordBatch.from_pydict({"given": [pair[0] for pair in pairs], "alone": [pair[1] for pair in pairs]})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column
        from tunesmith.data.verdict import keep

        found = difficulties(column(rows.sketches["given"]), column(rows.sketches["alone"]), self.ratio)
        harmed = (found >= 1) & (self.harmed == "drop")
        low, high = edges(np.where(harmed, np.nan, found), self.low, self.high, self.unit)

        def why(row: int) -> Reject:
            if math.isnan(found[row]):
                return Reject("no answer to read")
            if harmed[row]:
                return Reject("question does not help", f"{found[row]:.4g} ≥ 1")
            if found[row] < low:
                return Reject("difficulty too low", f"{found[row]:.4g} < {low:.4g}")
            return Reject("difficulty too high", f"{found[row]:.4g} > {high:.4g}")

        return keep((found >= low) & (found <= high) & ~harmed, why)


def difficulties(
    given: "NDArray[numpy.float64]", alone: "NDArray[numpy.float64]", ratio: Ratio
) -> "NDArray[numpy.float64]":
    """IFD from the mean −ln p of an answer given its question, and alone. Both ratios are 1 at the same place."""
    import numpy as np

    if ratio == "perplexity":
        return np.exp(given - alone)
    return given / np.where(alone > 0, alone, np.nan)
