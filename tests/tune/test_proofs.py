"""Each proof holds on a sound model and fails on one with the fault that it is there to find."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from tests.toys import CONFIGS, random_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Batch, Example
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.train import Train
from tunesmith.objectives.base import Sums
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.proof import Proof
from tunesmith.tune import proofs

ROWS = random_examples(4, seed=3)


def verdicts(model: PreTrainedModel, objective: CrossEntropy | None = None) -> dict[str, Proof]:
    return {proof.name: proof for proof in proofs.before_training(model, objective or CrossEntropy(), ROWS, pad=0)}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_sound_model_passes_and_keeps_no_gradient(kind: str) -> None:
    model, proof = proofs.adapt(tiny_model(kind), Lora(recipe.Lora(rank=2)), ROWS)
    made = verdicts(model)
    assert set(made) == {"padding_changes_nothing", "first_loss_is_finite", "frozen_receive_no_gradient"}
    assert proof.passed
    assert all(found.passed for found in made.values())
    assert made["frozen_receive_no_gradient"].checked > 10
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_model_that_sees_what_comes_later_is_found_by_its_padding() -> None:
    model = tiny_model()

    def look_ahead(_: object, __: object, out: Tensor) -> Tensor:
        return out + out.mean(1, keepdim=True)

    model.model.layers[0].mlp.register_forward_hook(look_ahead)
    assert not verdicts(model)["padding_changes_nothing"].passed


def test_an_adapter_that_does_not_start_as_nothing_is_found() -> None:
    def crooked(model: PreTrainedModel) -> PreTrainedModel:
        adapted = Lora(recipe.Lora(rank=2))(model)
        with torch.no_grad():
            next(parameter for name, parameter in adapted.named_parameters() if "lora_B" in name).add_(0.1)
        return adapted

    assert not proofs.adapt(tiny_model(), crooked, ROWS)[1].passed


def test_a_loss_that_is_not_finite_is_found() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight[0] = float("inf")
    made = verdicts(model)
    assert not made["first_loss_is_finite"].passed
    assert not made["padding_changes_nothing"].passed


def test_a_frozen_parameter_that_is_reached_is_found() -> None:
    @dataclass(frozen=True, slots=True)
    class Leaky(CrossEntropy):
        def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
            weight = model.model.norm.weight
            weight.grad = torch.ones_like(weight)
            return CrossEntropy()(model, batch)

    model = Train("layers.0")(tiny_model())
    assert verdicts(model)["frozen_receive_no_gradient"].passed
    assert not verdicts(Train("layers.0")(tiny_model()), Leaky())["frozen_receive_no_gradient"].passed


def test_the_sample_has_rows_of_unlike_length_that_fit() -> None:
    examples = random_examples(100)
    rows = proofs.sample(examples, micro_tokens=120)
    assert len(rows) == proofs.ROWS
    assert max(map(len, rows)) <= 30
    assert max(map(len, rows)) > 20 > min(map(len, rows))
    assert proofs.sample(examples, micro_tokens=1) == [min(examples, key=len)]
    assert proofs.sample([Example((1, 2), (0.0, 1.0))], 100) == [Example((1, 2), (0.0, 1.0))]


def test_numbers_that_are_none_are_infinitely_far_apart() -> None:
    good, bad = torch.ones(3), torch.tensor([1.0, float("nan"), 1.0])
    assert proofs.distance(good, good) == 0
    assert proofs.distance(bad, good) == proofs.distance(good, bad) == float("inf")
