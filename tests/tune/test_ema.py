"""The running average of the weights."""

import torch
from torch import Tensor, nn

from tunesmith.tune.ema import Average


def model_at(value: float) -> nn.Module:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    nn.init.constant_(model.weight, value)
    return model


def test_it_is_the_exponential_average_of_the_weights_after_each_step() -> None:
    model = model_at(5.0)
    average, expected = Average(model, 0.5), 5.0
    for step in range(30):
        nn.init.constant_(model.weight, float(step % 7))
        average.update(model)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * (step % 7)
    assert average.weights.keys() == {"weight"}  # what is frozen needs none
    torch.testing.assert_close(average.weights["weight"], torch.full((1, 2), expected))


def test_in_the_beginning_the_base_is_soon_forgotten() -> None:
    model = model_at(1.0)
    average = Average(model, 0.999)
    nn.init.constant_(model.weight, 0.0)
    for _ in range(50):
        average.update(model)
    assert float(average.weights["weight"].max()) < 1e-3  # 0.95 if all steps counted alike


def test_the_model_has_the_average_for_a_while_and_then_its_own_weights_again() -> None:
    model = model_at(0.0)
    average = Average(model, 0.9)
    nn.init.constant_(model.weight, 1.1)
    average.update(model)
    own: Tensor = model.weight.detach().clone()
    with average.applied(model):
        assert torch.equal(model.weight, average.weights["weight"])
        assert not torch.equal(model.weight, own)
    assert torch.equal(model.weight, own)


def test_of_weights_in_bf16_it_keeps_what_they_cannot() -> None:
    model = model_at(1.0).bfloat16()
    average = Average(model, 0.999)
    average.updates = 10**6
    nn.init.constant_(model.weight, 0.5)
    average.update(model)
    torch.testing.assert_close(average.weights["weight"], torch.full((1, 2), 0.9995))
    with average.applied(model):
        assert model.weight.dtype == torch.bfloat16
    assert model.weight.tolist() == [[0.5, 0.5]]


def test_its_state_brings_it_back() -> None:
    model = model_at(0.0)
    one, other = Average(model, 0.9), Average(model, 0.9)
    nn.init.constant_(model.weight, 1.0)
    one.update(model)
    other.load_state_dict(one.state_dict())
    for average in (one, other):
        average.update(model)
    assert torch.equal(one.weights["weight"], other.weights["weight"])
    assert one.updates == other.updates == 2
