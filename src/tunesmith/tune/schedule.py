"""Learning rates: functions of the number of steps already done."""

import math
from collections.abc import Callable

from tunesmith.recipe import Budget

Schedule = Callable[[int], float]


def schedule(budget: Budget, steps: int) -> Schedule:
    """Linear to budget.lr over the warm-up share of the steps, then the curve that the budget names, down to 0."""
    rise = round(steps * budget.warmup)
    curve = CURVES[budget.schedule]

    def lr_at(done: int) -> float:
        if done < rise:
            return budget.lr * (done + 1) / rise
        return budget.lr * curve((done - rise) / max(1, steps - rise))

    return lr_at


def constant(progress: float) -> float:
    return 1.0


def linear(progress: float) -> float:
    return 1.0 - progress


def cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


CURVES: dict[str, Callable[[float], float]] = {"constant": constant, "linear": linear, "cosine": cosine}
