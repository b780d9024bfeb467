"""The flat example and Tunesmith compute the same."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.toys import byte_tokenizer, save_base
from tunesmith.chat import open_session
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Tune
from tunesmith.stages import sft
from tunesmith.tune.watch import Silent

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "one_file_sft.py"
ROWS = [
    {
        "instruction": f"Add {k} to {k + 1}.",
        "input": "" if k % 2 else f"第{k}题",
        "output": f"{2 * k + 1}。" * (k % 4 + 1),
    }
    for k in range(11)
]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("one_file_sft", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = save_base(tmp_path / "base")
    byte_tokenizer(merges=30).save_pretrained(folder)
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n")
    return folder


def test_both_take_the_same_steps(example: ModuleType, base: Path, tmp_path: Path) -> None:
    budget = Budget(epochs=3, lr=5e-3, batch_size=4, micro_tokens=200, precision="fp32", seed=7, eval_share=0.0)
    stage = Tune(base=str(base), data=(str(tmp_path / "rows.jsonl"),), template="chatml", tune=budget)
    sft.run(stage, tmp_path / "out", False, Silent())
    ours = [json.loads(line)["loss"] for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]

    model, tokenizer = example.prepare(str(base))
    rows = [example.render(row, tokenizer) for row in ROWS]
    theirs = list(example.train(model, rows, epochs=3, batch=4, lr=5e-3, seed=7))

    assert len(ours) == 9
    assert ours == pytest.approx(theirs, rel=1e-4)
    for name, weight in load_model(str(tmp_path / "out")).state_dict().items():
        torch.testing.assert_close(weight, model.state_dict()[name], rtol=1e-2, atol=1e-3)


def test_the_example_runs_from_its_command_line(
    example: ModuleType, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example.main(str(base), str(tmp_path / "rows.jsonl"), str(tmp_path / "flat"))
    assert capsys.readouterr().out.startswith("step 1: loss ")
    assert load_model(str(tmp_path / "flat")).config.vocab_size == 288
    assert open_session(str(tmp_path / "flat")).prompt("hi")
