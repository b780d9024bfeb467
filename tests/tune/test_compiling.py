"""Compiled layers are kept only where they are exact and were measured to be faster."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from tests.toys import random_examples, tiny_model
from tunesmith.batch import Batch
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.proof import Proof
from tunesmith.recipe import Budget
from tunesmith.tune import compiling
from tunesmith.tune.compiling import choose, probe
from tunesmith.tune.feed import Layout
from tunesmith.tune.shortcuts import Way, again

BUDGET = Budget(batch_size=4)
ROWS = random_examples(16)
WAY = Way(fused=True)
Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
traced = partial(torch.compile, backend="eager")  # the real front, without the minute of a real back end


def wrapped(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **more: forward(*args, **more)


def bent(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **more: 1.01 * forward(*args, **more)


def broken_in_training(forward: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*args: Any, **more: Any) -> Any:
        if forward.__self__.training:
            raise RuntimeError("no C compiler")
        return forward(*args, **more)

    return refuse


def broken(forward: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no C compiler")

    return refuse


def choice(model: PreTrainedModel, *times: float) -> tuple[Way, Proof]:
    """With a stopwatch that says these times."""
    said = iter(times)

    def stopwatch(work: Callable[[], None]) -> float:
        work()
        return next(said)

    batches = probe(ROWS, Layout(80, 0), BUDGET)
    return choose(model, CrossEntropy(), ROWS[:3], 0, WAY, batches, "fp32", stopwatch)


def compiled(model: PreTrainedModel) -> bool:
    return any("forward" in vars(module) for module in model.modules())


@pytest.mark.parametrize(("plain", "faster"), [(2.0, True), (1.0, False), (0.5, False)])
def test_what_is_measured_decides_and_is_told(plain: float, faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", wrapped)
    model = tiny_model()
    way, proof = choice(model, 9.0, plain, 1.0)
    assert way == Way(fused=True, compiled=faster)
    assert compiled(model) == faster
    assert f"{plain:.3f} s" in proof.detail
    assert "1.000 s" in proof.detail


@pytest.mark.parametrize(
    ("compiler", "why"), [(bent, "e-"), (broken, "no C compiler"), (broken_in_training, "no C compiler")]
)
def test_what_is_not_exact_or_does_not_run_is_not_kept(
    compiler: Compiler, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", compiler)
    model = tiny_model()
    way, proof = choice(model, 1.0, 1.0, 0.0)
    assert (way, compiled(model)) == (WAY, False)
    assert why in proof.detail


def test_layers_traced_by_torch_keep_names_gradients_and_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", traced)
    model = tiny_model()
    names = list(model.state_dict())
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    way, proof = choice(model, 2.0, 2.0, 1.0)
    assert torch.equal(torch.rand(3), expected)
    assert way.compiled
    assert proof.measured < proof.limit
    assert list(model.state_dict()) == names
    assert all(parameter.grad is None for parameter in model.parameters())


def test_each_step_gives_one_batch_and_not_always_its_longest() -> None:
    layout = Layout(80, 0)
    widths = [batch.tokens.shape[1] for batch in probe(ROWS, layout, BUDGET)]
    assert len(widths) == min(compiling.STEPS, 3 * 4)
    assert len(set(widths)) > 2


def test_a_plan_of_one_step_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", wrapped)
    batches: list[Batch] = probe(ROWS[:2], Layout(80, 0), Budget(epochs=1))
    assert len(batches) == 1
    way, _ = choose(tiny_model(), CrossEntropy(), ROWS[:2], 0, WAY, batches, "bf16")
    assert way.fused


def test_an_interrupted_run_compiles_again() -> None:
    model = tiny_model()
    assert again(model, {"fused": True, "compiled": True}).compiled
    assert compiled(model)
