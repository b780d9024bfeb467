"""What a run will take, from a few of its own steps; nothing of it is kept."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tunesmith.models.surgery.base import count, sizes
from tunesmith.tune import feed, zero
from tunesmith.tune.checkpoint import state_size
from tunesmith.tune.course import Course
from tunesmith.tune.job import Job, refuse_contradictions, refuse_unusable
from tunesmith.tune.loop import fit
from tunesmith.tune.parallel import world_size
from tunesmith.tune.run import begin
from tunesmith.tune.shortcuts import Way
from tunesmith.tune.watch import Watcher, peak_memory
from tunesmith.tune.workspace import Workspace

TYPICAL = 5  # steps of middling size that are timed, after the largest one


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    tokens             read over the whole run
    seconds            of the steps, without loading, evaluation and checkpoints
    peak_memory_bytes  so far, the largest step and the optimizer's state included
    checkpoint_bytes   on disk, each; two are there while one is written
    """

    steps: int
    examples: int
    tokens: int
    tokens_per_second: float
    seconds: float
    peak_memory_bytes: int
    checkpoint_bytes: int
    trainable_parameters: int
    way: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast(job: Job, watch: Watcher) -> Forecast:
    """Load, prove, and take the largest step and a few typical ones. Refuses what `tune` refuses."""
    refuse_contradictions(job)
    refuse_unusable(job)
    with tempfile.TemporaryDirectory() as name:
        space = Workspace(Path(name) / "plan")
        space.begin(False)
        course = begin(job, space, None, watch)
        return measured(course)


def measured(course: Course) -> Forecast:
    plan = feed.plan(len(course.train), course.budget)
    counts = [sum(len(course.train[index]) for index in step) for step in plan]
    seconds = time_steps(course, [plan[place] for place in chosen(counts)])
    rates = [counts[place] / took for place, took in zip(chosen(counts)[1:], seconds[1:], strict=True)]
    rate = statistics.median(rates)
    trainable, _ = sizes(course.model)
    return Forecast(
        steps=len(plan),
        examples=len(course.train),
        tokens=sum(counts),
        tokens_per_second=rate,
        seconds=sum(counts) / rate,
        peak_memory_bytes=peak_memory(),
        checkpoint_bytes=weights_size(course) + optimizer_size(course) + average_size(course),
        trainable_parameters=trainable,
        way=str(Way(**course.state.way)),
    )


def chosen(counts: Sequence[int]) -> list[int]:
    """Places of the largest step and of some of middling size."""
    order = sorted(range(len(counts)), key=counts.__getitem__)
    middle = len(order) // 2
    return [order[-1], *(order[min(len(order) - 1, middle + place)] for place in range(TYPICAL))]


def time_steps(course: Course, steps: Sequence[Sequence[int]]) -> list[float]:
    """Seconds of each of the steps, really taken."""
    work = (course.work(step) for step in steps)
    marks = [time.perf_counter()]
    for _ in fit(course.model, work, course.optimizer, lambda _: 0.0, course.budget.max_grad_norm, course.precision):
        marks.append(time.perf_counter())
    return [after - before for before, after in pairwise(marks)]


def optimizer_size(course: Course) -> int:
    """Bytes of the optimizer's state, over all processes where DeepSpeed divided it."""
    return state_size(course.optimizer) * (world_size() if zero.zero(course.model) else 1)


def average_size(course: Course) -> int:
    """Bytes of a running average of the weights."""
    return sum(part.numel() * part.element_size() for part in course.ema.weights.values()) if course.ema else 0


def weights_size(course: Course) -> int:
    """Bytes of what is saved of the model: all of it, or what an adapter adds."""
    adapted = hasattr(course.model, "peft_config")
    parts = [part for part in course.model.parameters() if part.requires_grad or not adapted]
    return sum(count(part) * part.element_size() for part in parts)
