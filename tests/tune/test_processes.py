"""Several processes do what one does: same losses, same weights, and each may go on where others stopped."""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_resume import KillAt, lines, same
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.models.skeleton import skeleton
from tunesmith.models.surgery.adapter import token_rows
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune import checkpoint, prepare, proofs, spread
from tunesmith.tune.job import Job
from tunesmith.tune.prepare import load_base
from tunesmith.tune.run import tune
from tunesmith.tune.watch import Silent

CASES = [("full", True, "none"), ("full", True, "full"), ("full", False, "full"), ("lora", True, "full")]
CASES += [("lora", False, "none")]


@pytest.fixture(autouse=True)
def several_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints here are small; they shall be of many files all the same."""
    monkeypatch.setattr(checkpoint, "FILE", 20_000)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), attention_dropout=0.2)


def job(base: Path, adapter: str, packing: bool, sharding: str, dropout: float = 0.0) -> Job:
    budget = Budget(
        epochs=2,
        lr=1e-2,
        batch_size=4,
        micro_tokens=80,
        precision="fp32",
        checkpoint_every=3,
        eval_share=0.1,
        samples=1,
        seed=5,
        packing=packing,
        sharding=sharding,
    )
    stage = Tune(base=str(base), adapter=adapter, lora=Lora(dropout=dropout), tune=budget)
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    rows = random_examples(40, words=258)
    return Job(model=load_base(stage), tokenizer=tokenizer, examples=rows, stage=stage, inputs={"rows": "1"})


def together(work: Callable[[], object], count: int, meet: Path) -> list[int]:
    """Run in forked processes that know of each other; their exit codes, negative for a signal."""
    children = []
    meet.unlink(missing_ok=True)
    for rank in range(count):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                dist.init_process_group("gloo", f"file://{meet}", rank=rank, world_size=count)
                work()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def losses(out: Path) -> list[float]:
    return [line["loss"] for line in lines(out / "log.jsonl")] + [line["loss"] for line in lines(out / "eval.jsonl")]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / ("adapter_model.safetensors" if (out / "base.json").exists() else "model.safetensors"))


@pytest.mark.parametrize(("adapter", "packing", "sharding"), CASES)
def test_two_processes_reach_what_one_reaches(
    adapter: str, packing: bool, sharding: str, base: Path, tmp_path: Path
) -> None:
    def work() -> None:
        tune(job(base, adapter, packing, sharding), tmp_path / "two")

    tune(job(base, adapter, packing, "none"), tmp_path / "one")
    assert together(work, 2, tmp_path / "meet") == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-2, atol=1e-4)
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "meet"}


def test_each_process_reads_its_part_and_what_cannot_be_parted_is_read_whole(base: Path, tmp_path: Path) -> None:
    stage = Tune(base=str(base), tune=Budget(sharding="full"))
    old = save_base(tmp_path / "old", "gpt_neox")  # its output layer has another name in its file
    whole = {
        "DoRA": replace(stage, adapter="lora", lora=Lora(variant="dora")),
        "lacks lm_head": replace(stage, base=str(old)),
    }

    def work() -> None:
        assert spread.weightless(load_base(stage))
        for reason, other in whole.items():
            said: list[str] = []
            assert not spread.weightless(load_base(other, said.append))
            assert len(said) == 1
            assert reason in said[0]
        model = spread.shard_unread(*skeleton(str(base)))
        expected = load_model(str(base)).state_dict()
        for name, value in model.state_dict().items():
            assert len(value.to_local()) == len(value) // 2
            assert torch.equal(value.full_tensor(), expected[name])

    assert together(work, 2, tmp_path / "meet") == [0, 0]
    assert not spread.weightless(load_base(stage))  # one process is refused later, with the reason


def test_tokens_that_the_base_never_met_train_beside_an_adapter_of_parts(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "unlearnt", lambda *_: {7})
    sample, cpu = random_examples(3), torch.device("cpu")
    single = job(base, "lora", True, "none")
    torch.manual_seed(single.stage.tune.seed)  # as a run does first
    expected, _ = prepare.prepare(single, cpu, sample)
    before = [proofs.logits(expected, row) for row in sample]

    def work() -> None:
        model, (proof,) = prepare.prepare(job(base, "lora", True, "full"), cpu, sample)
        assert token_rows(model) == token_rows(expected)
        assert 7 in next(iter(token_rows(model).values()))
        assert proof.name == "adapter_identity"
        assert proof.passed
        for row, old in zip(sample, before, strict=True):
            torch.testing.assert_close(proofs.logits(model, row), old)
        found = {name: value.full_tensor() for name, value in model.state_dict().items()}
        for name, value in expected.state_dict().items():  # adapters begin with the same random numbers
            torch.testing.assert_close(found[name], value)
        assert all(
            value.requires_grad == ("lora_" in name or "delta" in name) for name, value in model.named_parameters()
        )

    assert together(work, 2, tmp_path / "meet") == [0, 0]


@pytest.mark.parametrize(("adapter", "packing", "sharding"), CASES)
def test_two_processes_killed_at_a_step_go_on_bit_for_bit(
    adapter: str, packing: bool, sharding: str, dropping: Path, tmp_path: Path
) -> None:
    def work(name: str, watch: Silent, resume: bool = False) -> Callable[[], object]:
        return lambda: tune(job(dropping, adapter, packing, sharding, 0.2), tmp_path / name, resume, watch)

    assert together(work("straight", Silent()), 2, tmp_path / "meet") == [0, 0]
    assert together(work("killed", KillAt(11)), 2, tmp_path / "meet") == [-signal.SIGKILL] * 2
    assert together(work("killed", Silent(), resume=True), 2, tmp_path / "meet") == [0, 0]
    same(tmp_path / "straight", tmp_path / "killed")


@pytest.mark.parametrize(("before", "after"), [(("full", 2), ("none", 1)), (("none", 1), ("full", 3))])
def test_a_run_goes_on_with_another_number_of_processes(
    before: tuple[str, int], after: tuple[str, int], base: Path, tmp_path: Path
) -> None:
    def part(way: tuple[str, int], watch: Silent) -> list[int]:
        sharding, count = way
        return together(
            lambda: tune(job(base, "full", True, sharding), tmp_path / "out", True, watch), count, tmp_path / "meet"
        )

    tune(job(base, "full", True, "none"), tmp_path / "straight")
    assert set(part(before, KillAt(11))) == {-signal.SIGKILL}
    assert len([*(tmp_path / "out/checkpoints/last").glob("*.safetensors")]) > 2 * before[1]
    assert set(part(after, Silent())) == {0}
    assert losses(tmp_path / "out") == pytest.approx(losses(tmp_path / "straight"), rel=1e-4)


def test_the_command_shares_its_work_and_speaks_once(tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {word}.", "input": "", "output": word} for word in ("ab", "cd", "ef", "gh", "ij")]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    command = [sys.executable, "-m", "tunesmith", "tune", "--base", "nano", "--data", str(tmp_path / "rows.json")]
    command += ["--processes", "2", "--json", "template=chatml", "tune.sharding=full", "tune.epochs=2"]
    ran = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=True)
    told = json.loads(ran.stdout)
    assert told["metrics"]["steps"] == len(lines(tmp_path / "out" / "log.jsonl"))
    assert ran.stderr.count("R1") == 1
    ran = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.count("already exists") == 1
    assert "Traceback" not in ran.stderr


def test_an_optimizer_that_needs_whole_matrices_is_refused(base: Path, tmp_path: Path) -> None:
    made = job(base, "full", True, "full")
    budget = replace(made.stage.tune, optimizer="adafactor")
    with pytest.raises(UserError, match="adafactor"):
        tune(replace(made, stage=replace(made.stage, tune=budget)), tmp_path / "out")
