"""From "these rows stay" to a decision."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tunesmith.data.step import Decision, Reject


def keep(kept: NDArray[np.bool_], why: Callable[[int], Reject]) -> Decision:
    """Every row that is `kept` once; for the others the reason that `why` gives for their number."""
    return Decision(kept.astype(np.uint32), {row: why(row) for row in np.flatnonzero(~kept).tolist()})
