"""The model as it trains."""

from pathlib import Path

import pytest
import torch

from tests.toys import save_base
from tests.tune.test_run import STOP, job
from tunesmith.batch import Example
from tunesmith.models.load import load_model
from tunesmith.tune.prepare import prepare, unlearnt

ROWS = [Example((5, 6, 7, STOP), (0.0, 1.0, 1.0, 1.0))]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), eos_token_id=2, vocab_size=260)


def with_stop(base: Path, weight: float):
    """The base, expecting the stop token the more the larger `weight` is."""
    model = load_model(str(base))
    with torch.no_grad():
        hidden = model.model(torch.tensor([ROWS[0].ids])).last_hidden_state[0, 2]
        model.lm_head.weight[STOP] = weight * hidden / hidden.norm()
    return model


@pytest.mark.parametrize(("weight", "expected"), [(-3.0, {STOP}), (3.0, set())])
def test_a_stop_token_that_the_base_never_met_is_found(base: Path, weight: float, expected: set[int]) -> None:
    assert unlearnt(job(base, "lora"), with_stop(base, weight), ROWS) == expected


def test_its_row_trains_beside_the_adapter(base: Path) -> None:
    names = {}
    for weight in (-3.0, 3.0):
        model, _ = prepare(job(base, "lora", model=with_stop(base, weight)), torch.device("cpu"), ROWS)
        names[weight] = [name for name, p in model.named_parameters() if p.requires_grad and "lora_" not in name]
    assert any("trainable_tokens" in name for name in names[-3.0])
    assert names[3.0] == []


def test_in_full_tuning_nothing_is_begun_anew(base: Path) -> None:
    assert unlearnt(job(base, "full"), with_stop(base, -3.0), ROWS) == set()
