"""Output layer and loss in one: the numbers of doing it in two."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.toys import random_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Batch
from tunesmith.models import fused
from tunesmith.models.adapted import bare
from tunesmith.models.fused import Head, head, weighted_nll
from tunesmith.models.rows import Learnt, unwrapped
from tunesmith.models.surgery.lora import Lora
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.tune.feed import collate


def parts(count: int, words: int, biased: bool, seed: int) -> tuple[Tensor, Head, Tensor, Tensor]:
    torch.manual_seed(seed)
    hidden = torch.randn(count, 8, requires_grad=True)
    layer = Head(torch.randn(words, 8, requires_grad=True), torch.randn(words, requires_grad=True) if biased else None)
    return hidden, layer, torch.randint(0, words, (count,)), torch.rand(count)


def plainly(hidden: Tensor, head: Head, targets: Tensor, weights: Tensor) -> Tensor:
    weight = head.weight
    if head.learnt is not None:
        weight = weight.index_copy(0, head.learnt.places, head.learnt.values)
    logits = torch.nn.functional.linear(hidden, weight, head.bias) * head.scale
    logits = logits if head.cap is None else head.cap * torch.tanh(logits / head.cap)
    return (torch.nn.functional.cross_entropy(logits, targets, reduction="none") * weights).sum()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 20), st.integers(2, 30), st.booleans(), st.sampled_from([1.0, 0.25]), st.sampled_from([None, 3.0]),
    st.integers(1, 200), st.integers(0, 2),
)  # fmt: skip
def test_loss_and_gradients_are_those_of_the_plain_way(
    count: int, words: int, biased: bool, scale: float, cap: float | None, held: int, own: int
) -> None:
    hidden, head, targets, weights = parts(count, words, biased, count)
    values = torch.randn(own, 8, requires_grad=True) if own else None
    learnt = None if values is None else Learnt(values, torch.randperm(words)[:own])
    head = replace(head, scale=scale, cap=cap, learnt=learnt)
    leaves = [leaf for leaf in (hidden, head.weight, head.bias, values) if leaf is not None]
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


WAYS = [(variant, tied) for variant in ("plain", "dora", "pissa") for tied in (False, True)]


def beside(variant: str, tied: bool, own: tuple[int, ...] = (7, 250)) -> tuple[torch.nn.Module, Batch]:
    """A model with a low-rank adapter whose learnt rows are no longer the base's, and rows with their tokens."""
    model = Lora(recipe.Lora(rank=2, variant=variant), own)(tiny_model(tie_word_embeddings=tied))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += torch.randn_like(parameter) / 10
    batch = collate(random_examples(6), 0)
    batch.tokens[:, 1:3] = torch.tensor(own)
    batch.weights[:, 1:3] = 1.0
    return model, batch


def step(model: torch.nn.Module, objective: CrossEntropy, batch: Batch) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad(set_to_none=True)
    loss = objective(model, batch).loss / objective.terms(batch)  # type: ignore[arg-type]
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("variant", "tied"), WAYS)
@pytest.mark.parametrize("low", [False, True])
def test_rows_that_are_learnt_beside_an_adapter_get_their_gradient_and_the_rest_none(
    variant: str, tied: bool, low: bool
) -> None:
    model, batch = beside(variant, tied)
    with torch.autocast("cpu", torch.bfloat16, enabled=low):
        (loss, found), (wanted_loss, wanted) = (step(model, CrossEntropy(way), batch) for way in (True, False))
    assert found.keys() == wanted.keys()
    assert sum("trainable_tokens_delta" in name for name in found) == (1 if tied else 2)
    assert all("base_layer" not in name for name in found)
    assert loss == pytest.approx(wanted_loss, rel=2e-2 if low else 1e-5)
    for name, gradient in found.items():
        apart = (gradient - wanted[name]).norm() / wanted[name].norm()
        assert apart < (5e-2 if low else 1e-5), name


def test_no_gradient_of_a_frozen_layer_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only of the rows: two of 256."""
    model, batch = beside("plain", False)
    made: list[torch.Size] = []
    zeros = torch.zeros_like

    def seen(like: Tensor, **kind: torch.dtype) -> Tensor:
        made.append(like.shape)
        return zeros(like, **kind)

    monkeypatch.setattr(fused.torch, "zeros_like", seen)
    CrossEntropy(True)(model, batch)  # type: ignore[arg-type]
    assert made == [(2, 32)]


def test_without_its_adapter_the_layer_is_the_bases() -> None:
    model, _ = beside("plain", True)
    with model.disable_adapter():  # type: ignore[operator]
        assert unwrapped(bare(model).get_output_embeddings())[1] is None  # type: ignore[arg-type]


def test_a_layer_that_an_adapter_changed_is_not_taken_for_a_plain_one() -> None:
    model = Lora(recipe.Lora(rank=2, targets="lm_head"))(tiny_model())
    assert head(bare(model)) is None
