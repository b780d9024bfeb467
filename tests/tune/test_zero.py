"""DeepSpeed divides the state of a run over two processes, and what comes out stays the same."""

import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_processes import together, weights
from tests.tune.test_resume import KillAt, lines, same
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.models.surgery.base import sizes
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune import zero
from tunesmith.tune.checkpoint import begin_state, state_size
from tunesmith.tune.job import Job
from tunesmith.tune.run import begin, tune
from tunesmith.tune.watch import Silent
from tunesmith.tune.workspace import Workspace

STEPS = 6
BUDGET = Budget(
    epochs=2,
    lr=1e-2,
    weight_decay=0.1,
    max_grad_norm=0.5,  # every step is clipped
    batch_size=12,
    micro_tokens=80,
    precision="fp32",
    checkpoint_every=2,
    samples=0,
    seed=5,
)
CASES = [("full", "zero2"), ("full", "zero3"), ("lora", "zero2")]


@pytest.fixture(autouse=True)
def keep_little_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that ZeRO-3 splits the matrices of a tiny model, as it does those of a large one."""
    monkeypatch.setattr(zero, "KEPT", 64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("deepspeed", reason="the extra tunesmith[deepspeed] is not installed")
    return tmp_path_factory.mktemp("bases")


@pytest.fixture(scope="module")
def base(folder: Path) -> Path:
    return save_base(folder / "base", "qwen2")  # its output layer is tied to the embedding


@pytest.fixture(scope="module")
def dropping(folder: Path) -> Path:
    return save_base(folder / "dropping", attention_dropout=0.2)


def job(base: Path, adapter: str, sharding: str, **changes: Any) -> Job:
    stage = Tune(base=str(base), adapter=adapter, tune=replace(BUDGET, sharding=sharding, **changes))
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    rows = random_examples(36, words=258)
    return Job(model=load_model(str(base)), tokenizer=tokenizer, examples=rows, stage=stage, inputs={"rows": "1"})


def by_torchrun(work: Callable[[], object], meet: Path, count: int = 2) -> list[int]:
    """In processes that know what torchrun tells them."""

    def told() -> None:
        os.environ["LOCAL_RANK"] = str(dist.get_rank())
        work()

    return together(told, count, meet)


def measured(out: Path) -> list[float]:
    """Loss and gradient norm of every step."""
    return [line[name] for line in lines(out / "log.jsonl") for name in ("loss", "grad_norm")]


@pytest.mark.parametrize(("adapter", "sharding"), CASES)
def test_two_processes_reach_what_one_reaches(adapter: str, sharding: str, base: Path, tmp_path: Path) -> None:
    tune(job(base, adapter, "none"), tmp_path / "one")
    assert by_torchrun(lambda: tune(job(base, adapter, sharding), tmp_path / "two"), tmp_path / "meet") == [0, 0]
    assert len(measured(tmp_path / "two")) == 2 * STEPS
    assert measured(tmp_path / "two") == pytest.approx(measured(tmp_path / "one"), rel=1e-5)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(("adapter", "sharding"), CASES)
def test_a_killed_run_goes_on_bit_for_bit(adapter: str, sharding: str, dropping: Path, tmp_path: Path) -> None:
    changes = {"eval_share": 0.1, "eval_every": 5, "samples": 1, "keep": "best"}

    def work(name: str, watch: Silent, resume: bool = False) -> Callable[[], object]:
        return lambda: tune(job(dropping, adapter, sharding, **changes), tmp_path / name, resume, watch)

    assert by_torchrun(work("straight", Silent()), tmp_path / "meet") == [0, 0]
    assert by_torchrun(work("killed", KillAt(4)), tmp_path / "meet") == [-signal.SIGKILL] * 2
    assert by_torchrun(work("killed", Silent(), resume=True), tmp_path / "meet") == [0, 0]
    same(tmp_path / "straight", tmp_path / "killed")


def test_bf16_and_recomputed_activations_go_along(base: Path, tmp_path: Path) -> None:
    changes = {"precision": "bf16", "gradient_checkpointing": True, "epochs": 1}
    for way in ("none", "zero3"):
        work = partial(tune, job(base, "full", way, **changes), tmp_path / way)
        assert by_torchrun(work, tmp_path / "meet") == [0, 0]
    found, expected = measured(tmp_path / "zero3"), measured(tmp_path / "none")
    assert found[:2] == pytest.approx(expected[:2], rel=1e-4)  # fp32 would differ by more
    assert found == pytest.approx(expected, rel=1e-2)


def test_each_process_holds_its_part(base: Path, tmp_path: Path) -> None:
    """The optimizer's state is halved by both, the weights by ZeRO-3 alone."""

    def look(sharding: str) -> None:
        course = begin(job(base, "full", sharding), Workspace(tmp_path / sharding), None, Silent())
        whole = sizes(course.model)[0]
        with zero.stepping(course.model, course.optimizer):
            begin_state(course.optimizer)
        assert state_size(course.optimizer) < 1.1 * 8 * whole / 2
        held = sum(parameter.numel() for parameter in course.model.parameters())
        assert (held == whole) if sharding == "zero2" else (held < whole / 2)

    for sharding in zero.STAGES:
        assert by_torchrun(partial(look, sharding), tmp_path / "meet") == [0, 0]


@pytest.mark.parametrize(("sharding", "count"), [("zero2", 1), ("zero3", 2), ("none", 2)])
def test_a_checkpoint_is_refused_that_others_wrote(sharding: str, count: int, base: Path, tmp_path: Path) -> None:
    def another() -> None:
        with pytest.raises(UserError, match=r"another tune\.sharding, or by another number of processes"):
            tune(job(base, "full", sharding), tmp_path / "out", resume=True)

    work = partial(tune, job(base, "full", "zero2"), tmp_path / "out", watch=KillAt(4))
    assert by_torchrun(work, tmp_path / "meet") == [-signal.SIGKILL] * 2
    assert by_torchrun(another, tmp_path / "meet", count) == [0] * count


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"adapter": "qlora"}, "adapter=qlora"),
        ({"adapter": "prompt"}, "adapter=prompt"),
        ({"adapter": "lora", "lora": Lora(variant="dora")}, "lora.variant=dora"),
        ({"tune": Budget(sharding="zero2", optimizer="adafactor")}, "tune.optimizer=adafactor"),
        ({"tune": Budget(sharding="zero2", precision="bf16_sr")}, "tune.precision=bf16_sr"),
        ({"tune": Budget(sharding="zero2", ema=0.9)}, "tune.ema=0.9"),
        ({"tune": Budget(sharding="zero2", compile=True)}, "tune.compile=true"),
    ],
)
def test_what_does_not_go_together_is_refused(change: dict[str, Any], name: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{name} does not go with tune.sharding=zero2")):
        zero.refuse(replace(Tune(tune=Budget(sharding="zero2")), **change))


def test_zero3_refuses_adapters() -> None:
    with pytest.raises(UserError, match=r"adapter=lora does not go with tune\.sharding=zero3"):
        zero.refuse(Tune(adapter="lora", tune=Budget(sharding="zero3")))


def test_one_process_or_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Tune(tune=Budget(sharding="zero3"))
    monkeypatch.setattr(zero, "find_spec", lambda name: name)
    with pytest.raises(UserError, match="and there is one"):
        zero.refuse(stage)
    monkeypatch.setattr(zero, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tunesmith\[deepspeed\]"):
        zero.refuse(stage)
