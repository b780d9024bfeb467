"""A killed run goes on as if nothing had happened."""

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_adapters import WAYS
from tunesmith.errors import UserError
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune import checkpoint
from tunesmith.tune.job import Job
from tunesmith.tune.leaving import Left
from tunesmith.tune.loop import Report
from tunesmith.tune.prepare import load_base
from tunesmith.tune.run import tune
from tunesmith.tune.watch import Silent

BUDGET = Budget(
    epochs=2,
    lr=1e-2,
    batch_size=4,
    micro_tokens=80,
    precision="fp32",
    checkpoint_every=3,
    eval_share=0.1,
    samples=1,
    seed=5,
)
ADAPTERS = ["full", "lora"]


@pytest.fixture(autouse=True)
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints here are small; they shall be of many files all the same."""
    monkeypatch.setattr(checkpoint, "FILE", 20_000)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), attention_dropout=0.2)


def job(base: Path, adapter: str, **changes: Any) -> Job:
    """Dropout is on, and two control tokens are new to the model: all that a resume could get wrong."""
    stage = replace(Tune(base=str(base), adapter=adapter, lora=Lora(dropout=0.2), tune=BUDGET), **changes)
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    examples = random_examples(40, words=258)
    return Job(model=load_base(stage), tokenizer=tokenizer, examples=examples, stage=stage, inputs={"rows": "1"})


@pytest.fixture(scope="module", params=ADAPTERS)
def straight(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp(request.param) / "out"
    tune(job(base, request.param), out)
    return request.param, out


def in_child(work: Callable[[], object]) -> int:
    """Run in a forked process; returns the signal that ended it, 0 if none did."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class KillAt(Silent):
    at: int

    def step(self, report: Report) -> None:
        if report.step == self.at:
            kill()


@dataclass(frozen=True, slots=True)
class TermAt(Silent):
    at: int

    def step(self, report: Report) -> None:
        if report.step == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


def lines(path: Path) -> list[dict[str, float]]:
    return [untimed(json.loads(line)) for line in path.read_text("utf-8").split("\n")[:-1]]


def untimed(line: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in line.items() if "second" not in name and name != "mfu"}


def same(one: Path, other: Path) -> None:
    """Same log, same evaluations, same answers, same weights: to the last bit."""
    for name in ("log.jsonl", "eval.jsonl", "samples.jsonl"):
        assert lines(one / name) == lines(other / name)
    name = "adapter_model.safetensors" if (one / "base.json").exists() else "model.safetensors"
    left, right = load_file(one / name), load_file(other / name)
    assert left.keys() == right.keys()
    assert all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("at", [2, 3])
def test_a_run_that_is_asked_to_leave_keeps_the_step_it_is_in(
    straight: tuple[str, Path], base: Path, tmp_path: Path, at: int
) -> None:
    """Between checkpoints (2), and where one is due (3); outside of training SIGTERM ends a process as ever."""
    adapter, whole = straight
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Left, match=f"step {at}"):
        tune(job(base, adapter), tmp_path / "out", watch=TermAt(at))
    assert (tmp_path / "out" / "checkpoints" / "last").resolve().name == f"step-{at:06d}"
    assert len(lines(tmp_path / "out" / "log.jsonl")) == at
    assert signal.getsignal(signal.SIGTERM) is before
    tune(job(base, adapter), tmp_path / "out", resume=True)
    same(whole, tmp_path / "out")


@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_at_any_step_goes_on_bit_for_bit(
    straight: tuple[str, Path], base: Path, tmp_path: Path, seed: int
) -> None:
    adapter, expected = straight
    steps = len(lines(expected / "log.jsonl"))
    at = random.Random(f"{adapter}{seed}").randint(1, steps)
    assert in_child(lambda: tune(job(base, adapter), tmp_path / "out", watch=KillAt(at))) == signal.SIGKILL
    assert at > 3 or not (tmp_path / "out").exists()
    tune(job(base, adapter), tmp_path / "out", resume=True)
    same(expected, tmp_path / "out")
    assert [line["step"] for line in lines(tmp_path / "out" / "log.jsonl")] == list(range(1, steps + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("moment", ["async_save", "write_json", "sync_tree", "point", "prune"])
def test_a_run_killed_while_it_writes_its_second_checkpoint_goes_on_bit_for_bit(
    straight: tuple[str, Path], base: Path, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, expected = straight
    calls: list[int] = []
    real = getattr(checkpoint, moment)

    def deadly(*arguments: object, **more: object) -> object:
        calls.append(1)
        begun = real(*arguments, **more)
        if len(calls) == (3 if moment == "point" else 2):
            kill()
        return begun

    def work() -> None:
        monkeypatch.setattr(checkpoint, moment, deadly)
        tune(job(base, adapter), tmp_path / "out")

    assert in_child(work) == signal.SIGKILL
    tune(job(base, adapter), tmp_path / "out", resume=True)
    same(expected, tmp_path / "out")


def test_a_run_killed_at_any_moment_goes_on_bit_for_bit(straight: tuple[str, Path], base: Path, tmp_path: Path) -> None:
    """An alarm ends the process wherever it is, again and again, until a run lives to its end."""
    adapter, expected = straight
    chance, ended = random.Random(adapter), list[int]()

    def work() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.05, 0.3) * 1.2 ** len(ended))
        tune(job(base, adapter), tmp_path / "out", resume=True)

    while not ended or ended[-1]:
        ended.append(in_child(work))
        assert len(ended) < 30
    assert len(ended) > 1
    same(expected, tmp_path / "out")


@pytest.mark.parametrize("way", [way for way in WAYS if way not in ADAPTERS])
def test_a_killed_run_of_any_other_adapter_goes_on_bit_for_bit(tmp_path: Path, way: str) -> None:
    """What made a prompt, and where PiSSA began, come back too."""
    base = save_base(tmp_path / "base", hidden_size=64, head_dim=32, attention_dropout=0.2)
    tune(job(base, **WAYS[way]), tmp_path / "straight")
    assert in_child(lambda: tune(job(base, **WAYS[way]), tmp_path / "out", watch=KillAt(8))) == signal.SIGKILL
    tune(job(base, **WAYS[way]), tmp_path / "out", resume=True)
    same(tmp_path / "straight", tmp_path / "out")


def test_a_torn_last_line_of_the_log_is_written_again(straight: tuple[str, Path], base: Path, tmp_path: Path) -> None:
    adapter, expected = straight
    in_child(lambda: tune(job(base, adapter), tmp_path / "out", watch=KillAt(8)))
    with (tmp_path / "out" / "log.jsonl").open("a") as log:
        log.write('{"step": 9, "los')
    with (tmp_path / "out" / "samples.jsonl").open("ab") as samples:
        samples.write(b'{"step": 9, "prompt": "' + "猫".encode()[:2])
    tune(job(base, adapter), tmp_path / "out", resume=True)
    same(expected, tmp_path / "out")


def test_other_settings_or_data_than_those_of_the_killed_run_are_refused(base: Path, tmp_path: Path) -> None:
    in_child(lambda: tune(job(base, "full"), tmp_path / "out", watch=KillAt(8)))
    before = sorted((tmp_path / "out").rglob("*"))
    begun = job(base, "full")
    hotter = replace(begun, stage=replace(begun.stage, tune=replace(BUDGET, lr=1e-3)))
    with pytest.raises(UserError, match=r"config\.tune\.lr was 0\.01 and is now 0\.001"):
        tune(hotter, tmp_path / "out", resume=True)
    with pytest.raises(UserError, match="examples was"):
        tune(replace(begun, examples=begun.examples[1:]), tmp_path / "out", resume=True)
    assert sorted((tmp_path / "out").rglob("*")) == before


def test_resuming_a_finished_run_reports_it_again(straight: tuple[str, Path], base: Path) -> None:
    adapter, out = straight
    result = tune(job(base, adapter), out, resume=True)
    assert result.metrics["steps"] == len(lines(out / "log.jsonl"))
    assert result.proofs
    assert all(proof.passed for proof in result.proofs)
