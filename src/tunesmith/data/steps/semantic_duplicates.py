"""The same meaning again, as an encoder sees it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.compared import Of, check, compared, media
from tunesmith.data.encoder import HASHED, encoder
from tunesmith.data.nearest import Lists, vectors
from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.wordhash import hash64
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import ChunkedArray, RecordBatch, Table

    Numbers = NDArray[numpy.int64]

BLOCK = 2048  # rows compared with as many at a time: 16 MiB of cosines
RUN = 8 * BLOCK  # rows compared with all earlier ones among them; those before are found through lists


@dataclass(frozen=True, slots=True)
class SemanticDuplicates(SetStep):
    """Let go of conversations whose vector is close to that of an earlier one that is kept.

    threshold     the least cosine that makes a duplicate
    encoder       a folder or hub id of a sentence encoder; "hashed" needs none and knows spelling, not meaning
    of            what is compared: whole (all turns), question (the first) or answer (all of the assistant's)

    Up to 16,384 rows are compared with all that are kept. Where there are more, each is compared with all of its
    own run of so many, and before it with those in the 16 clusters that are nearest to it (k-means; SemDeDup, Abbas
    et al., 2023, looks in one): time grows with the power 1.5 of the rows. Of edited copies of Alpaca's rows fewer
    than one in a hundred is missed so at 0.9, a few more at lower thresholds (bench.semantic).
    """

    threshold: float = 0.9
    encoder: str = HASHED
    of: Of = "question"

    REASONS: ClassVar = ("close in meaning to an earlier row",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
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

        column, media = sketches["vector"], sketches["media"].to_numpy()

        def allowed(rows: "Numbers", others: "Numbers") -> "NDArray[numpy.bool_]":
            return numpy.asarray((media[rows, None] == media[None, others]) & (copies[others] > 0), bool)

        for start, best, at in self.before(column, allowed):
            own = vectors(column, start, BLOCK)
            rows = numpy.arange(start, start + len(own))
            for earlier in range(start // RUN * RUN, start, BLOCK):
                others = numpy.arange(earlier, earlier + BLOCK)
                cosines = own @ vectors(column, earlier, BLOCK).T
                cosines[~allowed(rows, others)] = -1
                closest = cosines.argmax(1)
                found = cosines[numpy.arange(len(own)), closest]
                at, best = numpy.where(found > best, closest + earlier, at), numpy.maximum(best, found)
            cosines = numpy.tril(own @ own.T, -1)
            cosines[~allowed(rows, rows)] = -1
            near = (best >= self.threshold) | (cosines.max(1) >= self.threshold)
            for row in numpy.flatnonzero(near).tolist():
                inside = numpy.where(copies[start : start + row] > 0, cosines[row, :row], -1)
                if best[row] >= self.threshold:
                    yield start + row, int(at[row]), float(best[row])
                elif len(inside) and inside.max() >= self.threshold:
                    yield start + row, start + int(inside.argmax()), float(inside.max())

    def before(
        self, column: "ChunkedArray", allowed: "Callable[[Numbers, Numbers], NDArray[numpy.bool_]]"
    ) -> "Iterator[tuple[int, NDArray[numpy.float32], Numbers]]":
        """(start of a block, what its rows have closest before their run, and where), asked for run by run."""
        import numpy

        lists = Lists(column) if len(column) > RUN else None
        for run in range(0, len(column), RUN):
            size = min(RUN, len(column) - run)
            best, at = numpy.full(size, -1, numpy.float32), numpy.zeros(size, numpy.int64)
            if lists and run:
                best, at = lists.closest(run, size, allowed)
            for block in range(0, size, BLOCK):
                yield run + block, best[block : block + BLOCK], at[block : block + BLOCK]
