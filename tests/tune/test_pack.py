"""Packing: every example whole, once, seeing nothing of the others."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toys import random_examples, tiny_model
from tunesmith.batch import Example
from tunesmith.models.attention import take_over
from tunesmith.objectives.causal import CrossEntropy, target_nll
from tunesmith.tune.feed import collate
from tunesmith.tune.pack import bins, heads, stream

MODEL, PACKED = tiny_model(), tiny_model()
assert take_over(PACKED)


def headed(count: int, head: int, seed: int) -> list[Example]:
    """Examples with a common head that is not learnt."""
    shared = tuple(range(100, 100 + head))
    rows = random_examples(count, seed)
    return [Example(shared + row.ids, (0.0,) * head + row.weights) for row in rows]


def spread(examples: list[Example]) -> list[tuple[int, ...]]:
    return sorted(example.ids for example in examples)


@given(seed=st.integers(0, 999), count=st.integers(1, 40), limit=st.integers(1, 200))
def test_bins_hold_every_example_once_and_no_more_than_the_limit(seed: int, count: int, limit: int) -> None:
    examples = random_examples(count, seed)
    found = bins(examples, limit)
    assert spread([example for part in found for example in part]) == spread(examples)
    assert all(sum(map(len, part)) <= limit or len(part) == 1 for part in found)


@given(seed=st.integers(0, 999), count=st.integers(2, 40))
def test_no_two_bins_would_fit_into_one(seed: int, count: int) -> None:
    sizes = sorted(sum(map(len, part)) for part in bins(random_examples(count, seed), 100))
    assert len(sizes) < 2 or sizes[0] + sizes[1] > 100


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(1, 8), head=st.sampled_from([0, 5, 16, 30]), share=st.booleans())
def test_each_token_costs_in_the_pack_what_it_costs_alone(seed: int, count: int, head: int, share: bool) -> None:
    examples = headed(count, head, seed)
    with torch.no_grad():
        together = target_nll(PACKED, stream(examples, share))
        alone = torch.cat([target_nll(MODEL, collate([example], 0)) for example in examples])
    torch.testing.assert_close(together.sort().values, alone.sort().values, rtol=1e-4, atol=1e-5)


def test_a_shared_head_is_in_the_row_once() -> None:
    examples = headed(5, 30, 0)
    assert stream(examples, True).tokens.numel() == 30 + sum(len(example) - 30 for example in examples)
    assert stream(examples, False).tokens.numel() == sum(map(len, examples))


def test_what_is_learnt_or_short_is_not_shared() -> None:
    learnt = [Example((7,) * 40, (0.0,) * 20 + (1.0,) * 20), Example((7,) * 40, (0.0,) * 18 + (1.0,) * 22)]
    assert [(length, len(group)) for length, group in heads(learnt)] == [(18, 2)]
    assert {length for length, _ in heads(headed(3, 10, 0))} == {0}
    assert [length for length, _ in heads(headed(1, 30, 0))] == [0]


def test_positions_begin_anew_and_sources_stand_before_their_tokens() -> None:
    batch = stream([Example((1, 2, 3), (0.0, 1.0, 1.0)), Example((4, 5), (0.0, 1.0))], False)
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 5]]
    assert batch.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert batch.sources.tolist() == [[0, 0, 1, 3, 3]]
    assert batch.weights.tolist() == [[0, 1, 1, 0, 1]]


def test_a_change_in_one_example_leaves_the_others_as_they_were() -> None:
    one, two = random_examples(2, seed=5)
    other = Example(tuple(token ^ 1 for token in one.ids), one.weights)
    count = sum(map(bool, two.weights))
    with torch.no_grad():
        before, after = (target_nll(PACKED, stream([first, two], False))[-count:] for first in (one, other))
    assert torch.equal(before, after)


def test_the_fused_loss_of_a_pack_is_the_plain_one() -> None:
    batch = stream(headed(4, 20, 1), True)
    plain, fused = CrossEntropy()(PACKED, batch).loss, CrossEntropy(fused=True)(PACKED, batch).loss
    torch.testing.assert_close(plain, fused, rtol=1e-5, atol=1e-5)
