"""Examples end to end in one row, none seeing another, without padding."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import torch

from tunesmith.batch import Batch, Example
from tunesmith.models.attention import Span, gathering

SHORTEST_HEAD = 16  # tokens; sharing fewer saves less than it costs


def bins(examples: Sequence[Example], limit: int) -> list[list[Example]]:
    """Whole examples in bins of at most `limit` tokens (or of one longer example), by best-fit decreasing."""
    found: list[list[Example]] = []
    room: list[tuple[int, int]] = []  # (free tokens, bin), sorted
    for example in sorted(examples, key=len, reverse=True):
        place = bisect_left(room, (len(example), 0))
        if place == len(room):
            found.append([])
            room.append((max(limit, len(example)), len(found) - 1))
        free, index = room.pop(place)
        found[index].append(example)
        insort(room, (free - len(example), index))
    return found


def stream(examples: Sequence[Example], share: bool) -> Batch:
    """One row of all examples. With `share`, a head that several begin with and none is to learn comes once."""
    ids: list[int] = []
    weights: list[float] = []
    positions: list[int] = []
    sources: list[int] = []
    spans: list[Span] = []
    for length, group in heads(examples) if share else ((0, examples),):
        head = len(ids)
        if length:
            spans.append(Span(head, head + length))
            ids += group[0].ids[:length]
            weights += [0.0] * length
            positions += range(length)
            sources += [max(head, place - 1) for place in range(head, head + length)]
        for example in group:
            start = len(ids)
            spans.append(Span(start, start + len(example) - length, head, head + length))
            ids += example.ids[length:]
            weights += example.weights[length:] if length else (0.0, *example.weights[1:])
            positions += range(length, len(example))
            sources += [head + length - 1 if length else start, *range(start, len(ids) - 1)]
    row = [torch.tensor([part]) for part in (ids, positions, sources)]
    learnt = torch.tensor([weights], dtype=torch.float32)
    return Batch(row[0], learnt, torch.ones_like(row[0]), row[1], row[2], gathering(spans))


def heads(examples: Sequence[Example]) -> Iterator[tuple[int, list[Example]]]:
    """Groups of examples with the length of the head that they share; 0 for those that share none."""
    groups: dict[tuple[int, ...], list[Example]] = {}
    for example in examples:
        groups.setdefault(example.ids[:SHORTEST_HEAD] if read(example) >= SHORTEST_HEAD else (), []).append(example)
    for beginning, group in groups.items():
        yield (min(common(group), *map(read, group)) if beginning and len(group) > 1 else 0), group


def common(group: Sequence[Example]) -> int:
    """How many tokens all begin with: those that the first and the last in order have in common."""
    first, last = (choose(example.ids for example in group) for choose in (min, max))
    return next((place for place, (one, two) in enumerate(zip(first, last, strict=False)) if one != two), len(first))


def read(example: Example) -> int:
    """How many tokens come before the first that is learnt."""
    return next((place for place, weight in enumerate(example.weights) if place and weight), len(example) - 1)
