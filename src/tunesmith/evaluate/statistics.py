"""Numbers that do not stand alone: shares with their interval, differences with their chance."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any


@dataclass(frozen=True, slots=True)
class Share:
    """`correct` of `total`, with the interval in which the true share lies at the given confidence."""

    correct: int
    total: int
    share: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"interval": list(self.interval)}


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a share (Wilson, 1927); sound also near 0 and 1, and for few trials. (0, 1) for no trial."""
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share, weight = correct / total, 1 + z * z / total
    middle = (share + z * z / (2 * total)) / weight
    half = z / weight * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    low = 0.0 if correct == 0 else middle - half
    return low, 1.0 if correct == total else middle + half


def share(verdicts: Sequence[bool]) -> Share:
    """The share of true verdicts, with its 95 % interval."""
    correct, total = sum(verdicts), len(verdicts)
    return Share(correct, total, correct / total if total else 0.0, wilson(correct, total))


@dataclass(frozen=True, slots=True)
class Change:
    """Paired verdicts before and after on the same tasks. `p` is the chance of so uneven a split by luck alone."""

    gained: int
    lost: int
    difference: float
    p: float


def mcnemar(before: Sequence[bool], after: Sequence[bool]) -> Change:
    """Exact McNemar test (1947), two-sided: of the tasks that changed, how many changed for the better."""
    if len(before) != len(after):
        raise ValueError(f"{len(before)} verdicts before, {len(after)} after: they are not paired")
    gained = sum(new and not old for old, new in zip(before, after, strict=True))
    lost = sum(old and not new for old, new in zip(before, after, strict=True))
    return Change(gained, lost, (gained - lost) / len(before) if before else 0.0, binomial(gained, lost))


def binomial(left: int, right: int) -> float:
    """Two-sided chance that a fair coin falls at least as unevenly as `left` to `right`."""
    total = left + right
    tail = sum(math.comb(total, fewer) for fewer in range(min(left, right) + 1))
    return min(1.0, 2 * tail / (1 << total))


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, tuple[float, float]]:
    """The mean of independent values, and the interval in which the true mean lies (Student, 1908).

    Without end for a single value, which says nothing of how far others may lie from it.
    """
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return mean, (-math.inf, math.inf)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = student(count - 1, confidence) * spread
    return mean, (mean - half, mean + half)


def student(freedom: int, confidence: float) -> float:
    """How many standard errors an interval of a mean reaches to each side; within 1 % from 3 degrees of freedom on.

    Abramowitz and Stegun, 26.7.5.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    terms: tuple[float, ...] = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))
