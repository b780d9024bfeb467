"""Cross-entropy counts and sums; it agrees with transformers and asks for no logit in vain."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toys import CONFIGS, random_examples, tiny_model
from tunesmith.batch import Example
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.tune.feed import collate

MODEL = tiny_model()


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_sum_over_the_terms_is_the_loss_that_transformers_computes(kind: str) -> None:
    model = tiny_model(kind)
    batch = collate(random_examples(5), pad=0)
    labels = batch.tokens.masked_fill(batch.weights == 0, -100)
    theirs = model(input_ids=batch.tokens, attention_mask=batch.attention, labels=labels).loss
    ours = CrossEntropy()(model, batch).loss / CrossEntropy().terms(batch)
    torch.testing.assert_close(ours.float(), theirs, rtol=1e-5, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(2, 6))
def test_the_loss_of_a_batch_is_the_sum_of_the_losses_of_its_rows(seed: int, count: int) -> None:
    rows = random_examples(count, seed)
    together = CrossEntropy()(MODEL, collate(rows, pad=7))
    alone = [CrossEntropy()(MODEL, collate([row], pad=0)) for row in rows]
    torch.testing.assert_close(together.loss, torch.stack([sums.loss for sums in alone]).sum(), rtol=1e-5, atol=1e-4)


def test_a_token_counts_by_its_weight() -> None:
    ids = tuple(range(10, 18))
    losses = {}
    for weights in [(0,) * 4 + (1, 1, 0, 0), (0,) * 4 + (0, 0, 1, 1), (0,) * 4 + (0.5, 0.5, 3, 3)]:
        batch = collate([Example(ids, tuple(map(float, weights)))], pad=0)
        losses[weights] = CrossEntropy()(MODEL, batch).loss
        assert CrossEntropy().terms(batch) == sum(weights)
    early, late, mixed = losses.values()
    torch.testing.assert_close(mixed, 0.5 * early + 3 * late)


def test_the_first_token_of_a_row_is_no_target() -> None:
    batch = collate([Example((1, 2, 3), (1.0, 1.0, 1.0))], pad=0)
    assert batch.weights.tolist() == [[0.0, 1.0, 1.0]]


def test_logits_are_computed_only_where_some_row_is_supervised() -> None:
    model, seen = tiny_model(), []
    model.get_output_embeddings().register_forward_hook(lambda _, given, __: seen.append(given[0].shape[1]))
    rows = [Example(tuple(range(20)), (0.0,) * 17 + (1.0,) * 3), Example(tuple(range(18)), (0.0,) * 16 + (1.0,) * 2)]
    CrossEntropy()(model, collate(rows, pad=0))
    assert seen == [4]  # columns 15 to 18 of 20
