"""A forecast counts what the run will do, and leaves nothing behind."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.toys import save_base
from tests.tune.test_run import job
from tunesmith.artifact import MANIFEST
from tunesmith.recipe import Budget
from tunesmith.tune.checkpoint import Writer
from tunesmith.tune.due import Due
from tunesmith.tune.forecast import chosen, forecast, steps_until_written
from tunesmith.tune.loop import Report
from tunesmith.tune.run import SILENT, tune


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), eos_token_id=2)


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_it_counts_the_steps_tokens_and_parameters_of_the_run(adapter: str, base: Path, tmp_path: Path) -> None:
    found = forecast(job(base, adapter), SILENT)
    done = tune(job(base, adapter), tmp_path / "out")
    assert found.steps == done.metrics["steps"] == 6
    assert found.tokens == 2 * sum(map(len, job(base).examples))
    assert found.trainable_parameters == done.metrics["trainable_parameters"]
    assert found.step_seconds == pytest.approx(found.tokens / found.tokens_per_second)
    assert json.loads(json.dumps(found.to_json()))["way"] == found.way


def test_a_checkpoint_takes_the_space_that_was_foretold(base: Path, tmp_path: Path) -> None:
    found = forecast(job(base), SILENT)
    seen = []

    class Measuring(type(SILENT)):  # type: ignore[misc]
        def step(self, report: object) -> None:
            for link in tmp_path.glob("*/checkpoints/last"):
                seen.append(sum(file.stat().st_size for file in link.resolve().glob("*.safetensors")))

    tune(job(base, budget={"checkpoint_every": 1}), tmp_path / "out", watch=Measuring())
    assert max(seen) == pytest.approx(found.checkpoint_bytes, rel=0.2)


def test_nothing_is_kept_and_the_run_after_it_is_the_same(base: Path, tmp_path: Path) -> None:
    before = sorted(base.parent.rglob("*"))
    forecast(job(base), SILENT)
    assert sorted(base.parent.rglob("*")) == before
    torch.manual_seed(5)
    losses = [tune(job(base), tmp_path / name).metrics["last_loss"] for name in ("one", "two")]
    assert losses[0] == losses[1]
    assert (tmp_path / "one" / MANIFEST).is_file()


def test_the_largest_step_comes_first_and_then_some_of_every_size() -> None:
    counts = [5, 9, 1, 7, 3, 8, 2, 6]
    assert [counts[place] for place in chosen(counts)[:8]] == [9, 6, 3, 8, 2, 7, 5, 9]
    assert set(chosen([4])) == {0}


def test_evaluations_and_checkpoints_are_foretold_where_the_run_has_them(base: Path, tmp_path: Path) -> None:
    """Seconds of each part are those of one times how often it comes, and the parts are the whole."""
    plain = forecast(job(base, budget={"checkpoint_every": 100}), SILENT)
    assert plain.evaluation_seconds == plain.checkpoint_seconds == 0
    assert plain.seconds == plain.step_seconds
    busy = forecast(job(base, budget={"checkpoint_every": 2, "eval_share": 0.3, "eval_every": 1}), SILENT)
    assert busy.evaluation_seconds > 0 < busy.checkpoint_seconds
    assert busy.seconds == busy.step_seconds + busy.evaluation_seconds + busy.checkpoint_seconds


def test_steps_are_taken_as_long_as_a_checkpoint_is_written(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what they lose by it counts as often as a checkpoint comes: here each takes two seconds more."""
    written, taken = iter([False, False, True]), []

    clock = Late()

    def slowed(*given: Any) -> int:
        taken.append(steps_until_written(*given))
        clock.late += 2.0
        return taken[0]

    monkeypatch.setattr(Writer, "written", property(lambda _: next(written)))
    monkeypatch.setattr("tunesmith.tune.forecast.steps_until_written", slowed)
    monkeypatch.setattr("time.perf_counter", clock)
    found = forecast(job(base, budget={"checkpoint_every": 2}), SILENT)
    assert taken == [3]
    assert found.checkpoint_seconds > 3


class Late:
    """The clock, and by how much it is put forward."""

    def __init__(self) -> None:
        self.real, self.late = time.perf_counter, 0.0

    def __call__(self) -> float:
        return self.real() + self.late


def test_what_is_due_is_what_the_run_does(base: Path, tmp_path: Path) -> None:
    """Six steps, three an epoch; a better held-out loss brings a checkpoint of its own."""
    budget = {"eval_share": 0.3, "eval_every": 2, "checkpoint_every": 5, "batch_size": 2}
    out = tmp_path / "out"
    seen = []

    class Listing(type(SILENT)):  # type: ignore[misc]
        def step(self, report: Report) -> None:
            seen.append(report.step)

    done = tune(job(base, budget=budget), out, watch=Listing())
    due = Due.of(len(seen), done.metrics["examples"], True, Budget(epochs=2, **budget))  # type: ignore[arg-type]
    evaluated = [json.loads(line)["step"] for line in (out / "eval.jsonl").read_text().splitlines()]
    assert evaluated == [step for step in range(len(seen) + 1) if due.evaluation(step)]
    assert due.evaluations == len(evaluated)
    assert due.checkpoints == len({*evaluated[1:-1], *(step for step in seen[:-1] if step % 5 == 0)})
