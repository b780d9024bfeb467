"""The same meaning again, as an encoder sees it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.compared import Of, check, compared, media
from tunesmith.data.encoder import HASHED, encoder
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.wordhash import hash64
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch, Table

BLOCK = 2048  # rows compared with as many at a time: 16 MiB of cosines


@dataclass(frozen=True, slots=True)
class SemanticDuplicates(SetStep):
    """Let go of conversations whose vector is close to that of an earlier one that is kept.

    threshold     the least cosine that makes a duplicate
    encoder       a folder or hub id of a sentence encoder; "hashed" needs none and knows spelling, not meaning
    of            what is compared: whole (all turns), question (the first) or answer (all of the assistant's)

    All rows are compared with all that are kept: the time grows with the square of the rows, the memory does not.
    """

    threshold: float = 0.9
    encoder: str = HASHED
    of: Of = "question"

    REASONS: ClassVar = ("close in meaning to an earlier row",)
    EXAMPLE: ClassVar = "semantic_duplicates: {threshold: 0.95, encoder: BAAI/bge-small-en-v1.5}"

    def __post_init__(self) -> None:
        check("semantic_duplicates.threshold", self.threshold)

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        """A vector of half precision each, and what pictures and sounds belong to it (0: none)."""
        import numpy
        from pyarrow import lib as pyarrow

        vectors = encoder(self.encoder)([compared(conversation, self.of) for conversation in conversations])
        values = pyarrow.array(vectors.astype(numpy.float16).ravel())
        shown = [media(conversation, self.of) for conversation in conversations]
        salts = numpy.array([hash64(names) if names else 0 for names in shown], numpy.uint64)
        column = pyarrow.FixedSizeListArray.from_arrays(values, vectors.shape[1])
        return pyarrow.record_batch({"vector": column, "media": salts})

    def decide(self, rows: Rows) -> Decision:
        import numpy

        copies = numpy.ones(len(rows.sketches), numpy.uint32)
        rejects = {}
        for row, earlier, cosine in self.matches(rows.sketches, copies):
            copies[row] = 0
            rejects[row] = Reject(self.REASONS[0], f"{rows.id(earlier)}, cosine {cosine:.3f}")
        return Decision(copies, rejects)

    def matches(self, sketches: "Table", copies: "NDArray[numpy.uint32]") -> Iterator[tuple[int, int, float]]:
        """(row, the closest earlier kept row before its block or a kept one in it, cosine) for each row to let go."""
        import numpy

        media = sketches["media"].to_numpy()
        for start in range(0, len(sketches), BLOCK):
            own = vectors(sketches, start)
            best, at = numpy.full(len(own), -1.0, numpy.float32), numpy.zeros(len(own), numpy.int64)
            for before in range(0, start, BLOCK):
                cosines = own @ vectors(sketches, before).T
                usable = media[start : start + BLOCK, None] == media[None, before : before + BLOCK]
                cosines[~(usable & (copies[before : before + BLOCK] > 0))] = -1
                closest = cosines.argmax(1)
                found = cosines[numpy.arange(len(own)), closest]
                at, best = numpy.where(found > best, closest + before, at), numpy.maximum(best, found)
            cosines = numpy.tril(own @ own.T, -1)
            cosines[media[start : start + BLOCK, None] != media[None, start : start + BLOCK]] = -1
            near = (best >= self.threshold) | (cosines.max(1) >= self.threshold)
            for row in numpy.flatnonzero(near).tolist():
                inside = numpy.where(copies[start : start + row] > 0, cosines[row, :row], -1)
                if best[row] >= self.threshold:
                    yield start + row, int(at[row]), float(best[row])
                elif inside.max() >= self.threshold:
                    yield start + row, start + int(inside.argmax()), float(inside.max())


def vectors(sketches: "Table", start: int) -> "NDArray[numpy.float32]":
    """[BLOCK, width] of the rows from `start` on."""
    import numpy

    column = sketches["vector"].slice(start, BLOCK).combine_chunks()
    return numpy.asarray(column.flatten().to_numpy().astype(numpy.float32).reshape(len(column), -1))
