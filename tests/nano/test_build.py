"""Making the embedded base, in miniature."""

import json
import math
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tunesmith.errors import UserError
from tunesmith.models.nano.build import Course, Shape, fresh, pack, pretrain
from tunesmith.models.nano.muon import Muon, orthogonal
from tunesmith.models.nano.text import documents
from tunesmith.models.nano.tokenizer import build

TINY = Shape(hidden=16, layers=1, heads=2, inner=32)


@dataclass
class Seen:
    steps: int = 0
    losses: list[float] = field(default_factory=list)

    def begin(self, steps: int, done: int) -> None:
        self.steps = steps

    def step(self, report: Any) -> None:
        self.losses.append(report.loss)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    out, seen = tmp_path_factory.mktemp("nano") / "base", Seen()
    pretrain(out, 6, 0, seen, TINY, batch=256)
    return out, seen


def test_it_writes_a_model_that_transformers_loads_and_whose_card_tells_how_it_was_made(made: tuple[Path, Seen]):
    out, _ = made
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.bfloat16
    assert model.config.vocab_size >= len(tokenizer)
    assert "tunesmith run nano_base" in (out / "README.md").read_text(encoding="utf-8")
    assert json.loads((out / "training.json").read_text(encoding="utf-8"))["course"]["steps"] == 6


def test_it_reports_every_step_and_the_loss_starts_near_that_of_guessing(made: tuple[Path, Seen]):
    _, seen = made
    assert seen.steps == len(seen.losses) == 6
    assert abs(seen.losses[0] - math.log(build().get_vocab_size())) < 0.3


def test_the_same_seed_makes_the_same_model(made: tuple[Path, Seen], tmp_path: Path):
    pretrain(tmp_path / "again", 6, 0, Seen(), TINY, batch=256)
    mine, again = (AutoModelForCausalLM.from_pretrained(path).state_dict() for path in (made[0], tmp_path / "again"))
    assert all(torch.equal(mine[name], again[name]) for name in mine)


def test_a_folder_in_use_is_refused_before_any_work(made: tuple[Path, Seen]):
    seen = Seen()
    with pytest.raises(UserError, match="already exists"):
        pretrain(made[0], 6, 0, seen, TINY, batch=256)
    assert not seen.losses


def test_packed_pieces_hold_whole_documents_end_to_end_with_an_end_token_after_each():
    tokenizer = build()
    pieces = pack(tokenizer, 300, 0)
    read = torch.cat([next(pieces) for _ in range(3)]).tolist()
    written = [id for document in islice(documents(0), 20) for id in [*tokenizer.encode(document).ids, 0]]
    assert len(read) == 900
    assert read == written[:900]


def test_the_rate_rises_stays_and_falls_to_nothing():
    course = Course(steps=100, warmup=10, cooldown=0.4, lr=1.0)
    rates = [course.lr_at(done) for done in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:60] == [1.0] * 51
    assert rates[99] == pytest.approx(1 / 40)
    assert {course.width_at(done) for done in range(60)} == {128}
    assert {course.width_at(done) for done in range(60, 100)} == {256}
    assert rates == sorted(rates[:10]) + rates[10:60] + sorted(rates[60:], reverse=True)


@pytest.mark.parametrize("shape", [(8, 8), (8, 24), (24, 8)])
def test_an_orthogonal_update_keeps_the_directions_and_evens_the_sizes(shape: tuple[int, int]):
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = left @ torch.diag(torch.linspace(1.0, 3.0, 8)) @ right
    found = orthogonal(matrix)
    assert found.shape == matrix.shape
    values = torch.linalg.svdvals(found.float())
    assert values.min() > 0.5
    assert values.max() < 1.4
    assert torch.trace(left.T @ found @ right.T) > 5


def test_muon_goes_downhill():
    torch.manual_seed(0)
    weight, goal = torch.nn.Parameter(torch.randn(8, 8)), torch.randn(8, 8)
    optimizer = Muon([weight], lr=0.15, decay=0.0)
    before = (weight - goal).norm().item()
    for _ in range(100):
        optimizer.zero_grad()
        (weight - goal).pow(2).sum().backward()
        optimizer.step()
    assert (weight - goal).norm().item() < 0.3 * before


def test_a_fresh_model_of_the_shipped_shape_is_small_enough():
    model = fresh(Shape(), build().get_vocab_size(), 0)
    assert model.num_parameters() <= 10_000_000
    assert 2 * model.num_parameters() < 16_000_000
