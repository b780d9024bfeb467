"""Runs with the techniques of training: what is measured is what is kept, and a killed run goes on to the bit."""

import json
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.toys import save_base
from tests.tune.test_resume import KillAt, in_child, same
from tests.tune.test_run import job, proofs_loss, refused
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.objectives.neftune import Neftune
from tunesmith.tune import compiling, run
from tunesmith.tune.course import Course
from tunesmith.tune.run import tune

NOISE = {"neftune_alpha": 5.0, "residual_dropout": 0.3}
SMALL = {"optimizer": "adamw8bit", "precision": "bf16_sr"}
EVERY = [
    ("full", {"ema": 0.9, **NOISE}),
    ("full", {**SMALL, "ema": 0.9, **NOISE}),
    ("full", {"precision": "bf16_sr"}),
    ("lora", {"optimizer": "adamw8bit", "ema": 0.9, **NOISE}),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough for 8-bit blocks."""
    return save_base(tmp_path_factory.mktemp("base"), hidden_size=64, eos_token_id=2)


def lines(out: Path, name: str = "log.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / name).read_text().splitlines()]


@pytest.mark.parametrize(("adapter", "budget"), EVERY)
def test_a_killed_run_goes_on_bit_for_bit(base: Path, tmp_path: Path, adapter: str, budget: Mapping[str, Any]) -> None:
    budget = {**budget, "eval_share": 0.1, "checkpoint_every": 2}
    result = tune(job(base, adapter, budget), tmp_path / "straight")
    assert all(proof.passed for proof in result.proofs)
    assert lines(result.path)[-1]["loss"] < lines(result.path)[0]["loss"]
    killed = in_child(lambda: tune(job(base, adapter, budget), tmp_path / "out", watch=KillAt(4)))
    assert killed == signal.SIGKILL
    tune(job(base, adapter, budget), tmp_path / "out", resume=True)
    same(tmp_path / "straight", tmp_path / "out")


@pytest.mark.parametrize("keep", ["last", "best"])
def test_what_is_kept_is_the_average_that_was_measured(base: Path, tmp_path: Path, keep: str) -> None:
    budget = {"epochs": 4, "eval_share": 0.2, "lr": 5e-2, "schedule": "constant", "keep": keep, "ema": 0.5}
    done = job(base, "full", budget)
    result = tune(done, tmp_path / "out")
    assert result.metrics["best_step"] < result.metrics["steps"]
    best = tmp_path / "out" / "checkpoints" / "best"
    folders = {"eval_loss": tmp_path / "out", "best_eval_loss": best}
    for name, folder in folders.items() if keep == "last" else [("best_eval_loss", tmp_path / "out")]:
        assert proofs_loss(load_model(str(folder)), done) == pytest.approx(result.metrics[name], rel=1e-5)


def test_weights_in_bf16_are_saved_in_bf16(base: Path, tmp_path: Path) -> None:
    tune(job(base, "full", SMALL), tmp_path / "out")
    saved = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["metrics"]["precision"] == "bf16_sr"


def test_an_adapter_is_not_trained_over_a_rounded_base(base: Path, tmp_path: Path) -> None:
    refused(job(base, "lora", {"precision": "bf16_sr"}), tmp_path / "out", UserError, "bf16_sr would round the base")


def test_noise_is_for_training_alone_and_leaves_no_head_shared(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The held-out loss before the first step is that of the run without noise."""
    seen: list[Course] = []
    announce = run.announce
    monkeypatch.setattr(run, "announce", lambda course: (seen.append(course), announce(course)))
    for name, budget in (("plain", {}), ("noisy", {"neftune_alpha": 50.0})):
        tune(job(base, "full", {**budget, "eval_share": 0.2}), tmp_path / name)
    assert isinstance(seen[1].objective, Neftune)
    assert [course.layout.shared for course in seen] == [True, False]
    plain, noisy = (lines(tmp_path / name, "eval.jsonl")[0]["loss"] for name in ("plain", "noisy"))
    assert noisy == pytest.approx(plain, rel=1e-5)
    assert abs(lines(tmp_path / "plain")[0]["loss"] - lines(tmp_path / "noisy")[0]["loss"]) > 1e-2


def test_compiling_is_measured_once_and_a_resumed_run_keeps_to_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda forward: forward)
    budget = {"compile": True, "checkpoint_every": 1}
    in_child(lambda: tune(job(base, "full", budget), tmp_path / "out", watch=KillAt(4)))
    monkeypatch.setattr(compiling, "choose", None)
    result = tune(job(base, "full", budget), tmp_path / "out", resume=True)
    (proof,) = (proof for proof in result.proofs if proof.name == "compiling_changes_nothing")
    assert "batches took" in proof.detail
    assert proof.measured == pytest.approx(0, abs=1e-5)
