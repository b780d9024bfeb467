"""From where to where a score may lie, given as values or as shares of the rows."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunesmith.errors import UserError
from tunesmith.messages import tr

Unit = Literal["value", "quantile"]


def check(low: float, high: float, unit: Unit) -> None:
    """Raise UserError for a window into which nothing can fall."""
    if low > high or (unit == "quantile" and not 0 <= low <= 1):
        raise UserError(
            tr("no score lies between low={low} and high={high} ({unit})", low=low, high=high, unit=unit),
            tr("low is at most high; a quantile lies from 0 to 1"),
        )


def edges(scores: NDArray[np.float64], low: float, high: float, unit: Unit) -> tuple[float, float]:
    """The window in the units of the scores; NaN, where there is no score, does not count among the rows."""
    known = scores[~np.isnan(scores)]
    if unit == "value" or not len(known):
        return low, high
    found = np.quantile(known, (low, min(high, 1.0)))
    return float(found[0]), float(found[1])
