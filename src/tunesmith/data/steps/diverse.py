"""As few conversations as needed to be near to all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tunesmith.data.step import Decision, Reject, Rows, SetStep
from tunesmith.data.words import asked
from tunesmith.records import Conversation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from pyarrow.lib import RecordBatch


@dataclass(frozen=True, slots=True)
class Diverse(SetStep):
    """Keep conversations whose questions cover all others: k-centre greedy over embeddings (Sener and Savarese, 2018).

    The first centre is the question nearest to the mean of all; each next is the one farthest from all centres. No
    question is then farther from its centre than twice what the best choice of as many could reach (Gonzalez, 1985).
    Time grows with conversations times centres.

    rows          how many are kept
    encoder       folder or hub id of a model that embeds; hashed: by character n-grams, without a model
    """

    rows: int
    encoder: str = "hashed"

    REASONS: ClassVar = ("near to one that is kept",)
    EXAMPLE: ClassVar = "diverse: {rows: 1000}"

    def sketch(self, conversations: Sequence[Conversation]) -> "RecordBatch":
        from pyarrow.lib import FixedSizeListArray, RecordBatch

        from tunesmith.data.encoder import encoder

        points = encoder(self.encoder)([asked(conversation) for conversation in conversations])
        return RecordBatch.from_pydict({"point": FixedSizeListArray.from_arrays(points.ravel(), points.shape[1])})

    def decide(self, rows: Rows) -> Decision:
        import numpy as np

        from tunesmith.data.verdict import keep

        chunks = rows.sketches["point"].chunks
        points = np.concatenate([chunk.flatten().to_numpy().reshape(len(chunk), -1) for chunk in chunks])
        chosen, nearest, distance = centres(points, self.rows)
        kept = np.zeros(len(points), bool)
        kept[chosen] = True

        def why(row: int) -> Reject:
            return Reject("near to one that is kept", f"{rows.id(chosen[nearest[row]])}, {distance[row]:.3f} away")

        return keep(kept, why)


def centres(
    points: "NDArray[numpy.float32]", most: int
) -> "tuple[list[int], NDArray[numpy.int64], NDArray[numpy.float32]]":
    """The rows chosen, and for every row the nearest of them (its place in the list) and how far it is.

    Among rows that are equally far the first is chosen. Stops early when all rows lie on a centre.
    """
    import numpy as np

    squares = np.einsum("nd,nd->n", points, points)
    distance = np.full(len(points), np.inf, np.float32)
    nearest = np.zeros(len(points), np.int64)
    chosen: list[int] = []
    mean = points.mean(0) if len(points) else points
    farthest = int(np.argmin(squares - 2 * (points @ mean))) if len(points) else 0
    while len(chosen) < min(most, len(points)) and distance[farthest] > 0:
        away = np.maximum(squares + squares[farthest] - 2 * (points @ points[farthest]), 0)
        away[farthest] = 0  # rounding aside
        closer = away < distance
        distance[closer], nearest[closer] = away[closer], len(chosen)
        chosen.append(farthest)
        farthest = int(np.argmax(distance))
    return chosen, nearest, np.sqrt(distance)
