"""Rounding by chance: unbiased, to a neighbour, and enough to move a weight that plain rounding would not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.optim import AdamW

from tests.toys import tiny_model
from tunesmith.models.precision import hold_in_bf16, in_fp32
from tunesmith.recipe import Budget
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.rounding import rounded


def often(value: float, times: int = 4096) -> Tensor:
    return rounded(torch.full((times,), value), torch.Generator().manual_seed(1)).double()


@settings(max_examples=50, deadline=None)
@given(st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False))
def test_a_number_goes_to_one_of_its_neighbours_and_keeps_its_mean(value: float) -> None:
    found = often(value)
    step = 2.0**-7 * abs(value) + 1e-38
    assert len(found.unique()) <= 2
    assert float((found - value).abs().max()) <= step
    assert abs(float(found.mean()) - value) <= 5 * step / 2 / 4096**0.5


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 3.140625])
def test_what_bf16_can_hold_stays(value: float) -> None:
    assert often(value).unique().tolist() == [value]


def test_steps_too_small_for_bf16_still_move_the_weights_in_expectation() -> None:
    """100 steps of 1e-5 down from 1, where the next bf16 is 0.0039 away."""

    def after(optimizer_of) -> Tensor:
        weight = nn.Parameter(torch.ones(64, 64, dtype=torch.bfloat16))
        optimizer = optimizer_of(weight)
        for _ in range(100):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        return weight.detach().double()

    def ours(weight: nn.Parameter):
        model = nn.Module()
        model.register_parameter("weight", weight)
        return make_optimizer(model, Budget(precision="bf16_sr", lr=1e-5))

    assert after(lambda weight: AdamW([weight], lr=1e-5, weight_decay=0.0)).unique().tolist() == [1.0]
    assert float(after(ours).mean()) == pytest.approx(1 - 1e-3, abs=1.5e-4)


def test_only_weights_are_rounded_and_for_a_proof_they_are_fp32() -> None:
    model = tiny_model("qwen2")
    hold_in_bf16(model)
    kept = {name: parameter.clone() for name, parameter in model.named_parameters()}
    assert {parameter.dtype for parameter in kept.values()} == {torch.bfloat16}
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    with in_fp32(model):
        assert all(torch.equal(p, kept[name].float()) for name, p in model.named_parameters())
    assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters())
