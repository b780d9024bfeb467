"""Chance comes from words and seed alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.data.steps.running import talk
from tunesmith.data.chance import draws, key, key_column, places


def test_what_is_drawn_stays_the_same_for_ever():
    """Frozen: another number here makes another selection of every recipe that was ever run."""
    assert key(talk("a", "b")) == 13207088623320926258
    assert draws(np.array([1, 2], np.uint64), 0).tolist() == [7168443406642447191, 16375425782988525817]


def test_a_key_is_made_of_who_says_what():
    keys = [key(talk(*turns)) for turns in (("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a", "b"))]
    assert len(set(keys)) == 4
    assert keys[0] == keys[4]
    assert key(talk("a", "b", source="x", line=3)) == keys[0]


def test_draws_are_even_and_seeds_know_nothing_of_each_other():
    keys = key_column(talk(f"question {n}", "answer") for n in range(20_000))
    one, other = (draws(keys, seed) / 2**64 for seed in (1, 2))
    assert np.abs(np.histogram(one, 10, (0, 1))[0] - 2000).max() < 200
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1))
def test_a_place_counts_the_rows_of_the_group_that_come_before(rows):
    groups, drawn = np.array(rows).T
    found = places(groups, drawn.astype(np.uint64))
    for row, (group, number) in enumerate(rows):
        before = [(n, r) for r, (g, n) in enumerate(rows) if g == group and (n, r) < (number, row)]
        assert found[row] == len(before)
