"""The same words again."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.compared import Of, chosen, content, media
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class ExactDuplicates(SetStep):
    """Let go of conversations that repeat an earlier one word for word, but for case, width and white space.

    of            what is compared: whole (all turns), question (the first) or answer (all of the assistant's)
    """

    of: Of = "whole"

    REASONS: ClassVar = ("same words as an earlier row",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "exact_duplicates: {of: question}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        """128 bits of each; two texts that differ look the same once in 2^128 times."""
        import numpy
        from pyarrow import lib as pyarrow

        digests = b"".join(digest(conversation, self.of) for conversation in conversations)
        halves = numpy.frombuffer(digests, numpy.uint64).reshape(-1, 2)
        return pyarrow.record_batch({"high": halves[:, 0].copy(), "low": halves[:, 1].copy()})

    def decide(self, rows: Rows) -> Decision:
        import numpy

        high, low = (rows.sketches[name].to_numpy() for name in ("high", "low"))
        order = numpy.lexsort((low, high))  # stable: the earliest of equals comes first
        same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        starts = numpy.flatnonzero(numpy.concatenate(([True], ~same))[: len(order)])
        first = numpy.repeat(order[starts], numpy.diff(starts, append=len(order)))
        repeats = order != first
        copies = numpy.ones(len(order), numpy.uint32)
        copies[order[repeats]] = 0
        pairs = zip(order[repeats].tolist(), first[repeats].tolist(), strict=True)
        rejects = {row: Reject(self.REASONS[0], rows.id(earlier)) for row, earlier in pairs}
        return Decision(copies, rejects)


def digest(conversation: Conversation, of: Of) -> bytes:
    turns = (normalized(content(message)) for message in chosen(conversation, of))
    text = "\0".join((*turns, media(conversation, of)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def normalized(text: str) -> str:
    """Compatible forms, case and white space made one: "Ａ\\n b" -> "a b"."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
