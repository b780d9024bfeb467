"""Trackers are told what OUT's log holds, each step once; without them a run is the same."""

import importlib
import json
import os
import signal
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_processes import together
from tunesmith.config import apply, from_words
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Recipe, Tune
from tunesmith.tune import tracking
from tunesmith.tune.job import Job
from tunesmith.tune.loop import Report
from tunesmith.tune.run import tune
from tunesmith.tune.samples import Sample
from tunesmith.tune.watch import Silent

BUDGET = Budget(
    epochs=2, lr=1e-2, batch_size=4, micro_tokens=80, precision="fp32", checkpoint_every=3, eval_share=0.1, samples=1
)
CURVES = ("loss", "lr", "grad_norm", "tokens_per_second", "supervised_tokens_per_second", "mfu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


def job(base: Path, *track: Any, **budget: Any) -> Job:
    stage = Tune(base=str(base), tune=replace(BUDGET, track=track, **budget))
    examples = random_examples(30)
    return Job(model=load_model(str(base)), tokenizer=byte_tokenizer(), examples=examples, stage=stage, inputs={})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


@dataclass(frozen=True, slots=True)
class KillAt(Silent):
    at: int

    def evaluation(self, step: int, loss: float) -> None: ...

    def step(self, report: Report) -> None:
        if report.step == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object]) -> None:
    """Run in a forked process, which must not live to its end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def curve(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    """Sorted: files that were begun within one second are read in any order."""
    return sorted((event.step, event.value) for event in found.Scalars(tag))


@pytest.mark.parametrize("at", [2, 8, 11])
def test_tensorboard_holds_every_step_once_also_after_a_kill(base: Path, tmp_path: Path, at: int) -> None:
    """At most the step in which it was killed is lost. What comes before the first checkpoint, at step 3, is anew."""
    out = tmp_path / "out"
    killed(lambda: tune(job(base, "tensorboard"), out, watch=KillAt(at)))
    tune(job(base, "tensorboard"), out, resume=True)
    found, measured = events(out / "tensorboard"), lines(out / "eval.jsonl")
    log = [line for line in lines(out / "log.jsonl") if line["step"] != at or at < 3]
    for name in CURVES:
        assert [step for step, _ in curve(found, f"train/{name}")] == [line["step"] for line in log]
    assert [value for _, value in curve(found, "train/loss")] == pytest.approx([line["loss"] for line in log])
    assert curve(found, "eval/loss") == [(line["step"], pytest.approx(line["loss"])) for line in measured]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_tensorboard_holds_the_settings_and_the_answers(base: Path, tmp_path: Path) -> None:
    tune(job(base, "tensorboard", lr=3e-3), tmp_path / "out")
    found = events(tmp_path / "out" / "tensorboard")
    (settings,) = found.Tensors("settings/text_summary")
    assert "tune.lr: 0.003" in settings.tensor_proto.string_val[0].decode()
    told = found.Tensors("samples/text_summary")
    kept = lines(tmp_path / "out" / "samples.jsonl")
    assert [event.step for event in told] == [line["step"] for line in kept]
    for event, line in zip(told, kept, strict=True):
        text = event.tensor_proto.string_val[0].decode()
        assert all(part in text for part in line["reference"].split("\n"))


def test_a_resumed_run_may_be_watched_otherwise(base: Path, tmp_path: Path) -> None:
    killed(lambda: tune(job(base), tmp_path / "out", watch=KillAt(8)))
    last = int((tmp_path / "out" / "checkpoints" / "last").resolve().name.removeprefix("step-"))
    tune(job(base, "tensorboard", samples=2), tmp_path / "out", resume=True)
    found = curve(events(tmp_path / "out" / "tensorboard"), "train/loss")
    assert [step for step, _ in found] == list(range(last + 1, len(lines(tmp_path / "out" / "log.jsonl")) + 1))


def test_of_several_processes_one_tells(base: Path, tmp_path: Path) -> None:
    def work() -> None:
        tune(job(base, "tensorboard", sharding="full"), tmp_path / "out")

    assert together(work, 2, tmp_path / "meet") == [0, 0]
    found = curve(events(tmp_path / "out" / "tensorboard"), "train/mfu")
    assert [step for step, _ in found] == list(range(1, len(lines(tmp_path / "out" / "log.jsonl")) + 1))
    assert all(value > 0 for _, value in found)


class Spy:
    """A tracker that remembers what it is told, and fails when told of a certain step."""

    known = where = "spy"

    def __init__(self, fails_at: int = -1) -> None:
        self.fails_at = fails_at
        self.steps: list[int] = []
        self.closed: list[bool] = []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        print("noise")
        if step == self.fails_at:
            raise ConnectionError("the line is dead")
        self.steps += [step] if "train/loss" in values else []

    def samples(self, step: int, samples: Sequence[Sample]) -> None: ...

    def close(self, done: bool) -> None:
        self.closed.append(done)


@dataclass(frozen=True, slots=True)
class Heard(Silent):
    said: list[str]

    def say(self, text: str) -> None:
        self.said.append(text)


def spying(monkeypatch: pytest.MonkeyPatch, **spies: Spy) -> None:
    monkeypatch.setattr(tracking, "library", lambda name: SimpleNamespace(start=lambda about: spies[name]))


def test_a_tracker_that_fails_is_said_once_and_ends_no_run(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad, heard = Spy(), Spy(fails_at=4), Heard([])
    spying(monkeypatch, wandb=bad, mlflow=good)
    result = tune(job(base, "wandb", "mlflow"), tmp_path / "out", watch=heard)
    assert bad.steps == [1, 2, 3]
    assert good.steps == list(range(1, result.metrics["steps"] + 1))
    assert [text for text in heard.said if "failed" in text] == [
        "wandb failed, and is told nothing more: the line is dead"
    ]
    assert (bad.closed, good.closed) == ([], [True])


def test_an_interrupted_run_is_closed_as_not_done(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupt(Silent):
        def step(self, report: Report) -> None:
            if report.step == 5:
                raise KeyboardInterrupt

    spy = Spy()
    spying(monkeypatch, wandb=spy)
    with pytest.raises(KeyboardInterrupt):
        tune(job(base, "wandb"), tmp_path / "out", watch=Interrupt())
    assert spy.closed == [False]


def test_what_a_tracker_prints_does_not_reach_stdout(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spying(monkeypatch, wandb=Spy())
    tune(job(base, "wandb"), tmp_path / "out")
    told = capsys.readouterr()
    assert "noise" in told.err
    assert told.out == ""


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb", "mlflow"])
def test_a_missing_library_is_told_with_the_extra_to_install(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delitem(sys.modules, f"tunesmith.tune.trackers.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard" if name == "tensorboard" else name, None)
    with pytest.raises(UserError, match=f"tune.track={name}: its library is not installed") as refusal:
        tune(job(base, name), tmp_path / "out")
    assert refusal.value.cure == f"pip install 'tunesmith[{name}]'"
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_that_cannot_start_is_refused_before_training(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spying(monkeypatch)
    with pytest.raises(UserError, match="wandb could not be started"):
        tune(job(base, "wandb"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_option_names_one_tracker_or_several() -> None:
    recipe = Recipe("sft", "", (("sft", Tune()),))
    for word, expected in (("wandb", ("wandb",)), ("[tensorboard, mlflow]", ("tensorboard", "mlflow")), ("[]", ())):
        ((_, stage),) = apply(recipe, from_words([f"tune.track={word}"])).stages
        assert stage.tune.track == expected
    with pytest.raises(UserError, match="'tensorboard'"):
        apply(recipe, from_words(["tune.track=tensorbord"]))


def mlflow_steps(folder: Path) -> list[int]:
    mlflow = importlib.import_module("mlflow")
    run = json.loads((folder / "out" / "tracking.json").read_text())["mlflow"]
    return [metric.step for metric in mlflow.MlflowClient().get_metric_history(run, "train/loss")]


def trackio_steps(folder: Path) -> list[int]:
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    run = json.loads((folder / "out" / "tracking.json").read_text())["trackio"]
    return [line["step"] for line in storage.get_logs("tunesmith", run) if "train/loss" in line]


def wandb_steps(folder: Path) -> list[int]:
    """Offline each start has a file of its own, of one run."""
    proto = importlib.import_module("wandb.proto.wandb_internal_pb2")
    run = json.loads((folder / "out" / "tracking.json").read_text())["wandb"]
    files = sorted(folder.glob(f"wandb/offline-run-*-{run}/run-{run}.wandb"))
    assert len(files) == 2
    rows = [proto.Record.FromString(record).history for file in files for record in leveldb(file.read_bytes())]
    return [row.step.num for row in rows if any("train/loss" in (*item.nested_key, item.key) for item in row.item)]


def leveldb(data: bytes, block: int = 1 << 15) -> list[bytes]:
    """The records of a log in LevelDB's format, behind a file header of seven bytes."""
    place, parts, found = 7, b"", []
    while place < len(data):
        if block - place % block < 7:
            place += block - place % block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found, parts = [*found, parts], b""
    return found


@pytest.mark.parametrize(
    ("name", "steps"), [("wandb", wandb_steps), ("mlflow", mlflow_steps), ("trackio", trackio_steps)]
)
def test_each_tracker_goes_on_with_the_same_run_offline(
    base: Path, tmp_path: Path, name: str, steps: Callable[[Path], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at step 5 and resumed from step 3: no step is told twice."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)

    class Interrupt(Silent):
        def evaluation(self, step: int, loss: float) -> None:
            if step == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(job(base, name, eval_every=5), tmp_path / "out", watch=Interrupt())
    known = (tmp_path / "out" / "tracking.json").read_text()
    result = tune(job(base, name, eval_every=5), tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "tracking.json").read_text() == known
    assert steps(tmp_path) == list(range(1, result.metrics["steps"] + 1))
