"""Output layer and loss in one: the numbers of doing it in two."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tunesmith.models import fused
from tunesmith.models.fused import Head, weighted_nll


def parts(count: int, words: int, biased: bool, seed: int) -> tuple[Tensor, Head, Tensor, Tensor]:
    torch.manual_seed(seed)
    hidden = torch.randn(count, 8, requires_grad=True)
    layer = Head(torch.randn(words, 8, requires_grad=True), torch.randn(words, requires_grad=True) if biased else None)
    return hidden, layer, torch.randint(0, words, (count,)), torch.rand(count)


def plainly(hidden: Tensor, head: Head, targets: Tensor, weights: Tensor) -> Tensor:
    logits = torch.nn.functional.linear(hidden, head.weight, head.bias) * head.scale
    logits = logits if head.cap is None else head.cap * torch.tanh(logits / head.cap)
    return (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 20), st.integers(2, 30), st.booleans(), st.sampled_from([1.0, 0.25]), st.sampled_from([None, 3.0]),
    st.integers(1, 200),
)  # fmt: skip
def test_loss_and_gradients_are_those_of_the_plain_way(
    count: int, words: int, biased: bool, scale: float, cap: float | None, held: int
) -> None:
    hidden, head, targets, weights = parts(count, words, biased, count)
    head = replace(head, scale=scale, cap=cap)
    leaves = [leaf for leaf in (hidden, head.weight, head.bias) if leaf is not None]
    wanted = torch.autograd.grad(3 * plainly(hidden, head, targets, weights), leaves)
    before, fused.CHUNK = fused.CHUNK, held
    try:
        loss = weighted_nll(hidden, head, targets, weights)
    finally:
        fused.CHUNK = before
    torch.testing.assert_close(loss, plainly(hidden, head, targets, weights), rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(torch.autograd.grad(3 * loss, leaves), wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_a_frozen_layer_gets_no_gradient() -> None:
    hidden, head, targets, weights = parts(4, 6, True, 0)
    frozen = Head(head.weight.detach(), head.bias.detach() if head.bias is not None else None)
    weighted_nll(hidden, frozen, targets, weights).backward()
    assert hidden.grad is not None
    assert frozen.weight.grad is None


@pytest.mark.parametrize("words", [50, 500])
def test_under_autocast_it_is_as_near_as_bf16_allows(words: int) -> None:
    hidden, head, targets, weights = parts(16, words, False, 1)
    with torch.autocast("cpu", torch.bfloat16):
        loss = weighted_nll(hidden, head, targets, weights)
    torch.testing.assert_close(loss, plainly(hidden, head, targets, weights), rtol=3e-2, atol=1e-2)
    loss.backward()
    assert hidden.grad is not None
    assert hidden.grad.dtype == torch.float32
