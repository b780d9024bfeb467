"""The order and the portions of a run: complete, repeatable, and within memory."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.toys import answer_examples, random_examples
from tunesmith.batch import Example
from tunesmith.errors import UserError
from tunesmith.recipe import Budget
from tunesmith.records import Origin
from tunesmith.tune import feed

counts = st.integers(1, 60)


@given(counts, st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
def test_every_epoch_reads_every_example_once(count: int, size: int, epochs: int, seed: int) -> None:
    steps = feed.plan(count, Budget(batch_size=size, epochs=epochs, seed=seed))
    per_epoch = -(-count // size)
    assert len(steps) == epochs * per_epoch
    for epoch in range(epochs):
        read = [index for step in steps[epoch * per_epoch : (epoch + 1) * per_epoch] for index in step]
        assert sorted(read) == list(range(count))
    assert max(map(len, steps)) <= size


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    first = feed.plan(50, Budget(batch_size=50, epochs=2, seed=1))
    assert first == feed.plan(50, Budget(batch_size=50, epochs=2, seed=1, lr=1.0))
    assert first[0] != first[1]
    assert first != feed.plan(50, Budget(batch_size=50, epochs=2, seed=2))


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 5), (1.0, 10), (1.25, 12), (0.01, 1)])
def test_a_part_of_an_epoch_is_a_part_of_its_steps(epochs: float, steps: int) -> None:
    assert len(feed.plan(40, Budget(batch_size=4, epochs=epochs))) == steps


@given(counts, st.integers(10, 200), st.integers(0, 99))
def test_micro_batches_hold_every_example_once_and_no_more_tokens_than_allowed(
    count: int, limit: int, seed: int
) -> None:
    examples = random_examples(count, seed)
    groups = feed.micro_batches(examples, limit)
    assert Counter(example for group in groups for example in group) == Counter(examples)
    assert all(len(group) == 1 or len(group) * max(map(len, group)) <= limit for group in groups)


def test_collating_pads_on_the_right_with_nothing_to_learn() -> None:
    rows = random_examples(3, seed=4)
    batch = feed.collate(rows, pad=9)
    for row, tokens, weights, attention in zip(rows, batch.tokens, batch.weights, batch.attention, strict=True):
        rest = batch.tokens.shape[1] - len(row)
        assert tokens.tolist() == [*row.ids, *[9] * rest]
        assert weights.tolist() == [*row.weights, *[0.0] * rest]
        assert attention.tolist() == [1] * len(row) + [0] * rest


@settings(deadline=None)
@given(counts, st.integers(10, 200), st.integers(0, 99))
def test_both_sides_of_an_encoder_decoder_count_towards_a_micro_batch(count: int, limit: int, seed: int) -> None:
    examples = answer_examples(count, seed)
    groups = feed.micro_batches(examples, limit)
    assert Counter(example for group in groups for example in group) == Counter(examples)
    for group in groups:
        batch = feed.collate(group, pad=0)
        assert len(group) == 1 or batch.tokens.numel() + batch.encoder_tokens.numel() <= limit


def test_a_micro_batch_ends_before_it_is_mostly_padding() -> None:
    """4 rows of 500 tokens and 30 of 20 would be 17,000 padded tokens for 2,600."""
    rows = [Example((1,) * length, (1.0,) * length) for length in (*[500] * 4, *[20] * 30)]
    groups = feed.micro_batches(rows, 10**6)
    assert len(groups) == 2
    assert sum(feed.collate(group, pad=0).tokens.numel() for group in groups) <= feed.WASTE * 2600
    small = [Example((1,) * length, (1.0,) * length) for length in (30, *[2] * 30)]
    assert len(feed.micro_batches(small, 10**6)) == 1


def test_collating_pads_what_the_encoder_reads_and_masks_it() -> None:
    rows = answer_examples(3, seed=4)
    batch = feed.collate(rows, pad=9)
    for row, tokens, attention in zip(rows, batch.encoder_tokens, batch.encoder_attention, strict=True):
        rest = batch.encoder_tokens.shape[1] - len(row.encoder_ids)
        assert tokens.tolist() == [*row.encoder_ids, *[9] * rest]
        assert attention.tolist() == [1] * len(row.encoder_ids) + [0] * rest
    assert batch.read() == sum(map(len, rows))
    assert feed.collate(random_examples(2), pad=0).encoder_tokens is None


def test_prompts_tell_examples_of_one_answer_apart() -> None:
    same = [replace(example, ids=(0, 1), weights=(0.0, 1.0)) for example in answer_examples(200)]
    assert 20 <= len(feed.split(same, 0.3)[1]) <= 100
    assert feed.fingerprint(same) != feed.fingerprint([replace(same[0], encoder_ids=(5,)), *same[1:]])


@given(st.integers(0, 99), st.floats(0.05, 0.6))
def test_an_example_keeps_its_side_of_the_split_when_others_come_and_go(seed: int, share: float) -> None:
    examples = random_examples(60, seed)
    train, held = feed.split(examples, share)
    assert Counter(train + held) == Counter(examples)
    fewer, still = feed.split(examples[:40], share)
    assert not set(fewer) & set(held)
    assert len(still) == 1 or not set(still) & set(train)


def test_the_held_out_share_is_about_what_was_asked_for() -> None:
    assert 70 <= len(feed.split(random_examples(1000), 0.1)[1]) <= 130


def test_the_turns_of_one_conversation_stay_on_one_side() -> None:
    origins = [Origin("a.json", line) for line in range(1, 31)]
    one = [replace(example, origin=origins[index // 3]) for index, example in enumerate(random_examples(90))]
    train, held = feed.split(one, 0.3)
    assert held
    assert not {example.origin for example in train} & {example.origin for example in held}


def test_conversations_on_one_line_of_a_file_are_split_like_others() -> None:
    examples = [replace(example, origin=Origin("a.json", 1)) for example in random_examples(90)]
    assert 10 <= len(feed.split(examples, 0.3)[1]) <= 45


def test_a_share_that_leaves_nothing_is_refused_and_a_tiny_one_holds_out_one() -> None:
    assert len(feed.split(random_examples(5), 1e-9)[1]) == 1
    assert feed.split(random_examples(5), 0.0)[1] == []
    with pytest.raises(UserError, match="leaves nothing to train on"):
        feed.split(random_examples(5), 0.999999)


@pytest.mark.parametrize("packed", [False, True])
def test_the_cost_of_a_part_is_what_its_batch_holds(packed: bool) -> None:
    """A prompt beside a long answer is padded to the longest prompt, and an answer to the longest answer."""
    for rows in (random_examples(5), [] if packed else answer_examples(5)):
        if rows:
            layout = feed.Layout(1 << 20, 0, packed)
            batch = layout.batch(rows)
            encoded = 0 if batch.encoder_tokens is None else batch.encoder_tokens.numel()
            assert layout.cost(rows) == batch.tokens.numel() + encoded
