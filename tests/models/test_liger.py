"""Liger's kernels: asked for without its losses, and refused where they cannot run."""

import sys
from types import ModuleType

import pytest
import torch
from transformers import PreTrainedModel

from tests.toys import tiny_model
from tunesmith.errors import UserError
from tunesmith.models.surgery.liger import Liger
from tunesmith.recipe import Budget
from tunesmith.tune import job
from tunesmith.tune.job import refuse_unavailable

BUDGET = Budget(liger=True)


def test_without_a_gpu_or_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="CUDA") as refusal:
        refuse_unavailable(BUDGET)
    assert refusal.value.cure == "set tune.liger=false"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(job, "find_spec", lambda _: None)
    with pytest.raises(UserError, match="liger-kernel") as refusal:
        refuse_unavailable(BUDGET)
    assert "tunesmith[liger]" in refusal.value.cure
    monkeypatch.setattr(job, "find_spec", lambda _: object())
    refuse_unavailable(BUDGET)


def with_package(monkeypatch: pytest.MonkeyPatch, known: bool) -> dict[str, bool]:
    """A stand-in that replaces one forward, if it knows the model; returns what it was asked for."""
    asked: dict[str, bool] = {}

    def apply(model: PreTrainedModel, **wanted: bool) -> None:
        asked.update(wanted)
        if known:
            model.model.norm.forward = model.model.norm.forward

    package = ModuleType("liger_kernel.transformers")
    package._apply_liger_kernel_to_instance = apply
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", package)
    return asked


def test_its_losses_stay_off(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, model = with_package(monkeypatch, known=True), tiny_model()
    assert Liger()(model) is model
    assert asked == {"cross_entropy": False, "fused_linear_cross_entropy": False}


def test_a_model_that_it_passes_over_in_silence_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_package(monkeypatch, known=False)
    with pytest.raises(UserError, match="nothing for this kind of model"):
        Liger()(tiny_model())
