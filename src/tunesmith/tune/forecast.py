"""What a run will take, from a few of its own steps; nothing of it is kept."""

import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunesmith.models.surgery.base import count, sizes
from tunesmith.tune import feed, zero
from tunesmith.tune.checkpoint import FILE, copied, size_of, state_size
from tunesmith.tune.course import Course
from tunesmith.tune.evaluate import held_out_loss
from tunesmith.tune.job import Job, refuse_contradictions, refuse_unusable
from tunesmith.tune.loop import fit
from tunesmith.tune.parallel import agreed, world_size
from tunesmith.tune.run import SILENT, begin
from tunesmith.tune.samples import ask, most
from tunesmith.tune.shortcuts import Way
from tunesmith.tune.watch import Watcher, peak_memory
from tunesmith.tune.workspace import Workspace

LONG = 10.0  # seconds of steps that are timed, after the largest one
MANY = 24  # steps that are timed at most


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    tokens             read over the whole run
    seconds            of training, as the run will report them: steps, evaluations, and what checkpoints hold it up
    setup_seconds      that loading and the proofs took here, before the first step
    peak_memory_bytes  so far, the largest step and the optimizer's state included; on a CPU also the copy that a
                       checkpoint is written from
    checkpoint_bytes   on disk, each; two are there while one is written
    """

    steps: int
    examples: int
    tokens: int
    tokens_per_second: float
    seconds: float
    step_seconds: float
    evaluation_seconds: float
    checkpoint_seconds: float
    setup_seconds: float
    peak_memory_bytes: int
    checkpoint_bytes: int
    trainable_parameters: int
    way: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def forecast(job: Job, watch: Watcher) -> Forecast:
    """Load, prove, and do for the clock what the run will do again and again. Refuses what `tune` refuses."""
    refuse_contradictions(job)
    refuse_unusable(job)
    with tempfile.TemporaryDirectory() as name:
        space = Workspace(Path(name) / "plan")
        space.begin(False)
        start = time.perf_counter()
        course = begin(job, space, None, watch)
        setup = time.perf_counter() - start
        course.watch = SILENT
        return measured(course, setup)


def measured(course: Course, setup: float) -> Forecast:
    plan = feed.plan(len(course.train), course.budget)
    counts = [sum(len(course.train[index]) for index in step) for step in plan]
    places = chosen(counts)
    seconds = time_steps(course, [plan[place] for place in places])
    rate = sum(counts[place] for place in places[1 : len(seconds)]) / sum(seconds[1:])
    whole = weights_size(course) + optimizer_size(course) + average_size(course)
    step_memory, due = peak_memory(), course.due
    parts = {
        "step_seconds": sum(counts) / rate,
        "evaluation_seconds": time_evaluations(course, due.evaluations) if due.evaluations else 0.0,
        "checkpoint_seconds": due.checkpoints * time_checkpoint(course, whole, plan[places[1]], seconds[1])
        if due.checkpoints
        else 0.0,
    }
    if due.checkpoints and course.model.device.type == "cpu":
        step_memory += copied(whole // world_size())
    trainable, _ = sizes(course.model)
    return Forecast(
        steps=len(plan),
        examples=len(course.train),
        tokens=sum(counts),
        tokens_per_second=rate,
        seconds=sum(parts.values()),
        **parts,
        setup_seconds=setup,
        peak_memory_bytes=max(peak_memory(), step_memory),
        checkpoint_bytes=whole,
        trainable_parameters=trainable,
        way=str(Way(**course.state.way)),
    )


def chosen(counts: Sequence[int]) -> list[int]:
    """Places of the largest step and then of MANY others; any beginning of these is spread evenly over the sizes."""
    order = sorted(range(len(counts)), key=counts.__getitem__)
    return [order[-1], *(order[int(halved(number) * len(order))] for number in range(1, MANY + 1))]


def halved(number: int) -> float:
    """1/2, 1/4, 3/4, 1/8, 5/8, 3/8, 7/8 ... for 1, 2, 3 ...: the binary digits mirrored behind the point."""
    return float(int(f"{number:b}"[::-1], 2) / 2 ** number.bit_length())


def time_steps(course: Course, steps: Sequence[Sequence[int]]) -> list[float]:
    """Seconds of each of the steps, really taken: of two at least, and of more until LONG have gone by."""
    work = (course.work(step) for step in steps)
    budget, found = course.budget, list[float]()
    mark = time.perf_counter()
    for report in fit(course.model, work, course.optimizer, lambda _: 0.0, budget.max_grad_norm, course.precision):
        course.note(report)
        found.append(time.perf_counter() - mark)
        if len(found) > 1 and agreed(sum(found[1:])) > LONG:
            break
        mark = time.perf_counter()
    return found


def time_evaluations(course: Course, count: int) -> float:
    """Seconds of so many looks at the held-out examples and answers to some, of which the first is taken.

    A model that learns ends its answers where the references end; before, it may go on until it is cut off.
    """
    start = time.perf_counter()
    held_out_loss(course.model, course.objective, course.held, course.layout, course.precision)
    measured = time.perf_counter()
    samples = ask(course.model, course.held[: course.budget.samples], course.save, course.precision)
    look, answers = measured - start, time.perf_counter() - measured
    said = wanted = 0
    for sample in samples:
        answer, learnt = (len(course.save.tokenizer(text)["input_ids"]) for text in (sample.answer, sample.reference))
        said += min(most(learnt), 1 + answer)
        wanted += min(most(learnt), 1 + learnt)
    return count * look + answers * (1 + (count - 1) * (wanted / said if said else 0.0))


def time_checkpoint(course: Course, whole: int, step: Sequence[int], seconds: float) -> float:
    """Seconds that a checkpoint of `whole` bytes costs the training, whose step alone takes `seconds`: its copy, what
    the steps lose while it is written, and putting it in place; a piece of it is written for this."""
    piece, held = {}, 0
    for name, tensor in course.moving().items():
        if held < FILE:
            piece[name], held = tensor, held + size_of(tensor)
    start = time.perf_counter()
    course.writer.write(course.space.checkpoints, piece, course.state)
    begun = time.perf_counter()
    beside = steps_until_written(course, step)
    written = time.perf_counter()
    course.writer.finish()
    lost = max(0.0, written - begun - beside * seconds)
    return (begun - start + lost + time.perf_counter() - written) * whole / held


def steps_until_written(course: Course, step: Sequence[int]) -> int:
    """How many times the step was taken, once at least, before the checkpoint was written."""
    work, norm, taken = itertools.repeat(course.work(step)), course.budget.max_grad_norm, 0
    for _ in fit(course.model, work, course.optimizer, lambda _: 0.0, norm, course.precision):
        taken += 1
        if not agreed(not course.writer.written):
            break
    return taken


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
