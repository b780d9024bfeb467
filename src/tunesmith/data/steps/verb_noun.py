"""No kind of task may drown the others: a kind is a verb and its noun, as "write poem"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import asked
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class VerbNoun(SetStep):
    """Keep no more than so many conversations whose first question has the same verb and noun; English and Chinese.

    A question in which no such pair is found is kept.

    most          how many of each pair, drawn at random
    seed          another seed, another draw
    """

    most: int
    seed: int = 0

    REASONS: ClassVar = ("verb and noun too common",)
    EXAMPLE: ClassVar = "verb_noun: {most: 100}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import RecordBatch

        from tunesmith.data.chance import key_column
        from tunesmith.data.verbs import verb_noun

        pairs = [" ".join(verb_noun(asked(conversation)) or ()) for conversation in conversations]
        return RecordBatch.from_pydict({"pair": pairs, "key": key_column(conversations)})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.chance import column, draws, numbered, places
        from tunesmith.data.verdict import keep

        names, pairs = numbered(rows.sketches["pair"])
        unknown = np.array([not name for name in names], bool)
        kept = places(pairs, draws(column(rows.sketches["key"]), self.seed)) < self.most
        return keep(kept | unknown[pairs], lambda row: Reject("verb and noun too common", names[pairs[row]]))
