"""torch.compile, tried on the run's own batches: kept where it is exact and measured to be faster."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from transformers import PreTrainedModel

from tunesmith.batch import Batch, Example
from tunesmith.messages import tr
from tunesmith.models.compiled import compile_layers, plain_layers
from tunesmith.models.load import brief
from tunesmith.models.precision import Precision, arithmetic
from tunesmith.objectives.base import Objective
from tunesmith.proof import Proof
from tunesmith.recipe import Budget
from tunesmith.tune import feed
from tunesmith.tune.feed import Layout, collate
from tunesmith.tune.parallel import compute
from tunesmith.tune.shortcuts import LIMIT, Way, difference, measure

STEPS = 8  # of the plan, one batch of each: half of them to warm up on, half to be timed
Stopwatch = Callable[[Callable[[], None]], float]


def probe(examples: Sequence[Example], layout: Layout, budget: Budget) -> list[Batch]:
    """One batch of each of the first steps, not always the longest: new shapes are what makes compiling dear."""
    made = []
    for number, step in enumerate(feed.plan(len(examples), budget)[:STEPS]):
        batches = layout.batches([examples[index] for index in step])
        made.append(batches[number % len(batches)])
    return made


def seconds(work: Callable[[], None]) -> float:
    """How long the work takes, the device's part included."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def choose(
    model: PreTrainedModel,
    objective: Objective,
    rows: Sequence[Example],
    pad: int,
    way: Way,
    batches: Sequence[Batch],
    precision: Precision,
    stopwatch: Stopwatch = seconds,
) -> tuple[Way, Proof]:
    """The way with compiled layers, where loss and gradient stay and batches not seen before take less time.

    The random numbers that this draws are put back.
    """
    warm, fresh = batches[::2], batches[1::2] or batches
    fused = objective.with_fused(way.fused)

    def timed() -> float:
        passes(model, fused, warm, precision)
        return stopwatch(lambda: passes(model, fused, fresh, precision))

    alone = measure(model.eval(), objective.with_fused(False), [collate([row], pad) for row in rows])
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        plain = min(timed(), timed())  # of the compiled layers the first meeting counts, new shapes and all
        compile_layers(model)
        apart, why = difference(model.eval(), objective, rows, pad, way, alone)
        compiled = math.inf
        try:
            if apart <= LIMIT:
                compiled = timed()
        except torch.OutOfMemoryError:  # says nothing about compiling; tune tells what to lower
            raise
        except RuntimeError as error:
            why = brief(error)
    model.eval().zero_grad(set_to_none=True)
    detail, faster = verdict(plain, compiled, len(fresh), why), compiled < plain
    if not faster:
        plain_layers(model)
        apart = 0.0
    return replace(way, compiled=faster), Proof("compiling_changes_nothing", True, len(rows), detail, apart, LIMIT)


def verdict(plain: float, compiled: float, batches: int, why: str) -> str:
    if math.isinf(compiled):
        return tr("layers are not compiled: {why}", why=why)
    found = {"plain": f"{plain:.3f}", "compiled": f"{compiled:.3f}", "batches": batches, "apart": why}
    if compiled < plain:
        return tr(
            "layers are compiled: {batches} batches took {compiled} s, {plain} s without; the gradient is {apart} off",
            **found,
        )
    return tr("layers are not compiled: {batches} batches took {compiled} s, {plain} s without", **found)


def passes(model: PreTrainedModel, objective: Objective, batches: Sequence[Batch], precision: Precision) -> None:
    """Forward and backward, as in training; the gradients are thrown away."""
    model.train()
    for batch in batches:
        with arithmetic(precision, model.device):
            loss = compute(model, objective, batch.to(model.device)).loss
        model.zero_grad(set_to_none=True)
        loss.backward()
