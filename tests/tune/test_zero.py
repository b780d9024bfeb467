"""DeepSpeed divides the state of a run over two processes, and what comes out stays the same."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from tests.toys import byte_tokenizer, random_examples, save_base
from tests.tune.test_processes import losses, together, weights
from tests.tune.test_resume import KillAt, lines, same
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune.job import Job
from tunesmith.tune.run import tune
from tunesmith.tune.watch import Silent

pytest.importorskip("deepspeed", reason="the extra tunesmith[deepspeed] is not installed")

CASES = [("full", "zero2"), ("full", "zero3"), ("lora", "zero2"), ("lora", "zero3")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"))


def job(base: Path, adapter: str, sharding: str, **more: object) -> Job:
    settings = {"epochs": 2, "lr": 1e-2, "batch_size": 12, "micro_tokens": 80, "precision": "fp32", "seed": 5}
    settings |= {"weight_decay": 0.1, "checkpoint_every": 2, "eval_share": 0.1, "max_grad_norm": 0.5}
    stage = Tune(base=str(base), adapter=adapter, tune=Budget(**(settings | more), sharding=sharding))
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    rows = random_examples(40, words=258)
    return Job(model=load_model(str(base)), tokenizer=tokenizer, examples=rows, stage=stage, inputs={"rows": "1"})


def two(work: Callable[[], object], meet: Path) -> list[int]:
    """As torchrun would start them."""

    def told() -> None:
        os.environ["LOCAL_RANK"] = str(dist.get_rank())
        work()

    return together(told, 2, meet)


@pytest.mark.parametrize(("adapter", "sharding"), CASES)
def test_two_processes_reach_what_one_reaches(adapter: str, sharding: str, base: Path, tmp_path: Path) -> None:
    tune(job(base, adapter, "none"), tmp_path / "one")
    assert two(lambda: tune(job(base, adapter, sharding), tmp_path / "two"), tmp_path / "meet") == [0, 0]
    assert len(losses(tmp_path / "two")) > 6
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
