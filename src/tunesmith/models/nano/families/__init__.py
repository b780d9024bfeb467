"""Small instructions with one right answer, in English and Chinese, in families."""

import random
from collections.abc import Iterator
from typing import Literal

from tunesmith.models.nano.draw import Draw
from tunesmith.models.nano.families import formats, knowledge, letters, lists, numbers, sentences
from tunesmith.models.nano.families.family import Family, Task

FAMILIES: tuple[Family, ...] = (
    *letters.FAMILIES,
    *lists.FAMILIES,
    *numbers.FAMILIES,
    *sentences.FAMILIES,
    *knowledge.FAMILIES,
    *formats.FAMILIES,
)
NAMES: tuple[str, ...] = tuple(family.name for family in FAMILIES)


def generate(split: Literal["train", "heldout"], count: int, seed: int) -> Iterator[Task]:
    """`count` different tasks, family by family and language by language in turn, the same for the same seed."""
    draw = Draw(random.Random(f"{split}-{seed}"), split)
    seen: set[tuple[str, str]] = set()
    for place in range(count):
        family = FAMILIES[place % len(FAMILIES)]
        zh = place // len(FAMILIES) % 2 == 1
        yield unseen(family, draw, zh, seen)


def unseen(family: Family, draw: Draw, zh: bool, seen: set[tuple[str, str]]) -> Task:
    """A task that was not given yet; a family with few arguments repeats itself once they are used up."""
    for _ in range(20):
        task = family.task(draw, zh)
        if (task.instruction, task.input) not in seen:
            break
    seen.add((task.instruction, task.input))
    return task
