"""How many rows each part of a mixture gives: arithmetic on sizes, without rows.

    rate    what a part weighs before anything is normalised: its size, capped, bent by the rule, times its weight
    share   what a group of parts gets of the whole, whatever its parts weigh
    count   whole rows; counts add up to the total, to the row

Weights are summed as fractions, so that no count depends on the order of the parts.
"""

import math
from collections.abc import Callable, Hashable, Mapping
from fractions import Fraction
from typing import Literal, TypeVar

Rule = Literal["proportional", "sqrt", "equal"]
Part = TypeVar("Part", bound=Hashable)
RULES: dict[Rule, Callable[[int], float]] = {
    "proportional": float,  # examples-proportional, with its cap (T5; FLAN: 3,000; OPT-IML: 4,096)
    "sqrt": math.sqrt,  # InstructBLIP (Dai et al., 2023)
    "equal": lambda size: 1.0,
}


def capped(size: int, cap: int) -> int:
    """The size that a part counts with: no more than `cap`, where there is one (0: none)."""
    return min(size, cap) if cap else size


def rate(size: int, rule: Rule = "proportional", temperature: float = 1.0, weight: float = 1.0) -> float:
    """What a part that counts with `size` rows weighs. Temperature 2 is the square root, infinity makes all equal."""
    return float(weight * RULES[rule](size) ** (1 / temperature)) if size else 0.0


def whole(weights: Mapping[Part, float], total: int, most: Mapping[Part, int] | None = None) -> dict[Part, int]:
    """`total` in whole numbers in proportion to the weights, by largest remainder; equal remainders in order of name.

    A part that has its `most` gives its remainder up.
    """
    exact = {part: Fraction(weight) for part, weight in weights.items()}
    weighs = sum(exact.values())
    if not weighs:
        return dict.fromkeys(exact, 0)
    quotas = {part: total * weight / weighs for part, weight in exact.items()}
    counts = {part: math.floor(quota) for part, quota in quotas.items()}
    room = [part for part, count in counts.items() if quotas[part] > count and (most is None or count < most[part])]
    room.sort(key=lambda part: (counts[part] - quotas[part], str(part)))
    for part in room[: total - sum(counts.values())]:
        counts[part] += 1
    return counts


def allot(
    rates: Mapping[Part, float],
    total: int,
    groups: Mapping[Part, str] | None = None,
    shares: Mapping[str, float] | None = None,
    most: Mapping[Part, int] | None = None,
) -> dict[Part, int]:
    """Rows of every part: by rate alone, or each group its share of the total and its parts by rate within it."""
    if not shares or groups is None:
        return whole(rates, total, most)
    members: dict[str, dict[Part, float]] = {group: {} for group in shares}
    for part, weight in rates.items():
        members[groups[part]][part] = weight
    granted = whole(shares, total)
    return {part: rows for group in shares for part, rows in whole(members[group], granted[group], most).items()}


def portions(
    rates: Mapping[Part, float], groups: Mapping[Part, str] | None = None, shares: Mapping[str, float] | None = None
) -> dict[Part, Fraction]:
    """The exact part of the whole that each part gets, before it is rounded to rows."""
    exact = {part: Fraction(rate) for part, rate in rates.items()}
    if not shares or groups is None:
        return scaled(exact)
    granted = scaled({group: Fraction(share) for group, share in shares.items()})
    sums = dict.fromkeys(granted, Fraction(0))
    for part, rate in exact.items():
        sums[groups[part]] += rate
    return {
        part: granted[groups[part]] * rate / sums[groups[part]] if rate else Fraction(0) for part, rate in exact.items()
    }


def scaled(weights: Mapping[Part, Fraction]) -> dict[Part, Fraction]:
    """The weights, made to add up to 1."""
    weighs = sum(weights.values()) or Fraction(1)
    return {part: weight / weighs for part, weight in weights.items()}


def largest(portions: Mapping[Part, Fraction], most: Mapping[Part, int]) -> int:
    """The greatest total of which no part has to give more than its `most`."""
    return min((math.floor(most[part] / portion) for part, portion in portions.items() if portion), default=0)


def level(sizes: Mapping[Part, int], total: int) -> dict[Part, int]:
    """`total` spread as evenly as the sizes allow: what a small part lacks, the others give."""
    left, found = min(total, sum(sizes.values())), {}
    ordered = sorted(sizes, key=lambda part: (sizes[part], str(part)))
    for index, part in enumerate(ordered):
        found[part] = min(sizes[part], left // (len(ordered) - index))
        left -= found[part]
    return found
