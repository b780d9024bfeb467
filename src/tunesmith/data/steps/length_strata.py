"""Short and long alike: the same number from each part of the range of lengths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import answers, asked, said
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch

Of = Literal["answer", "question", "whole"]
TEXTS: dict[Of, Callable[[Conversation], str]] = {
    "answer": lambda conversation: "".join(answers(conversation)),
    "question": asked,
    "whole": said,
}


@dataclass(frozen=True, slots=True)
class LengthStrata(SetStep):
    """Draw as many conversations from each stratum of length; strata divide the conversations at quantiles.

    rows          how many are kept in all; what a small stratum lacks, the others give
    strata        how many; at lengths that many share fewer come of it
    of            what is measured, in characters: answer (all answers), question (the first) or whole
    seed          another seed, another draw
    """

    rows: int
    strata: int = 10
    of: Of = "answer"
    seed: int = 0

    REASONS: ClassVar = ("stratum is full",)
    EXAMPLE: ClassVar = "length_strata: {rows: 10000, strata: 5}"

    def __post_init__(self) -> None:
        if self.strata < 1:
            raise UserError(tr("length_strata: strata={strata}", strata=self.strata), tr("give 1 or more"))

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        from tunesmith.data.chance import key_column

        lengths = [len(TEXTS[self.of](conversation)) for conversation in conversations]
        return RecordBatch.from_pydict({"length": lengths, "key": key_column(conversations)})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column, draws, places
        from tunesmith.data.mix import level
        from tunesmith.data.verdict import keep

        lengths = column(rows.sketches["length"])
        edges = np.quantile(lengths, np.arange(1, self.strata) / self.strata) if len(lengths) else np.empty(0)
        strata = np.searchsorted(edges, lengths, side="left")
        found = level(dict(enumerate(np.bincount(strata, minlength=self.strata).tolist())), self.rows)
        shares = np.array([found[stratum] for stratum in range(self.strata)])
        kept = places(strata, draws(column(rows.sketches["key"]), self.seed)) < shares[strata]
        return keep(
            kept, lambda row: Reject("stratum is full", f"{lengths[row]} characters, {shares[strata[row]]} kept")
        )
