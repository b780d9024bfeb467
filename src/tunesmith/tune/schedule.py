"""Learning rates: functions of the number of steps already done."""

import math
from collections.abc import Callable

from tunesmith.recipe import Budget

Schedule = Callable[[int], float]


def schedule(budget: Budget, steps: int) -> Schedule:
    """Linear to budget.lr over the warm-up, then the curve that the budget names, down to budget.lr_floor of it."""
    rise = min(steps, round(budget.warmup if budget.warmup >= 1 else steps * budget.warmup))
    curve = CURVES[budget.schedule]

    def lr_at(done: int) -> float:
        if done < rise:
            return budget.lr * (done + 1) / rise
        height = curve((done - rise) / max(1, steps - rise))
        return budget.lr * (budget.lr_floor + (1 - budget.lr_floor) * height)

    return lr_at


def constant(progress: float) -> float:
    return 1.0


def linear(progress: float) -> float:
    return 1.0 - progress


def cosine(progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def wsd(progress: float) -> float:
    """Warm-up, stable, decay (Hu et al., 2024): down in a straight line over the last fifth."""
    return min(1.0, (1.0 - progress) / 0.2)


CURVES: dict[str, Callable[[float], float]] = {"constant": constant, "linear": linear, "cosine": cosine, "wsd": wsd}
