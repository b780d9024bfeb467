"""Shares, intervals and differences against published or hand-computed values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.evaluate.statistics import binomial, mcnemar, mean_interval, share, student, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # Newcombe (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_the_interval_is_wilsons(correct: int, total: int, low: float, high: float):
    assert wilson(correct, total) == pytest.approx((low, high), abs=6e-5)


def test_nothing_tried_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)
    assert share([]).share == 0.0


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_share_and_mirrors(total: int, data: st.DataObject):
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total)
    assert 0 <= low <= correct / total <= high <= 1
    assert wilson(total - correct, total) == pytest.approx((1 - high, 1 - low))


def test_more_confidence_is_a_wider_interval():
    narrow, wide = wilson(30, 60, 0.9), wilson(30, 60, 0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_share_counts_its_verdicts():
    found = share([True, False, True, True])
    assert (found.correct, found.total, found.share) == (3, 4, 0.75)
    assert found.to_json()["interval"] == list(found.interval)


def test_only_changed_tasks_decide_whether_a_difference_is_luck():
    before, after = [False] * 10 + [True] * 90, [True] * 10 + [True] * 89 + [False]
    change = mcnemar(before, after)
    assert (change.gained, change.lost, change.difference) == (10, 1, 0.09)
    assert change.p == pytest.approx(24 / 2048)


def test_no_change_is_no_evidence():
    assert mcnemar([True, False], [True, False]).p == 1.0


def test_a_fair_coin_is_symmetric():
    assert binomial(2, 7) == binomial(7, 2)
    assert binomial(0, 5) == pytest.approx(2 / 32)
    assert math.isclose(binomial(3, 3), 1.0)


def test_verdicts_on_different_tasks_are_not_compared():
    with pytest.raises(ValueError, match="not paired"):
        mcnemar([True], [True, False])


@pytest.mark.parametrize(("freedom", "reach"), [(3, 3.182), (7, 2.365), (31, 2.040), (1000, 1.962)])
def test_the_interval_of_a_mean_reaches_as_far_as_in_the_tables_of_student(freedom: int, reach: float) -> None:
    assert student(freedom, 0.95) == pytest.approx(reach, rel=0.01)


def test_the_interval_of_a_mean() -> None:
    mean, (low, high) = mean_interval([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert (low, high) == pytest.approx((2.5 - 3.182 * 0.6455, 2.5 + 3.182 * 0.6455), rel=0.01)
    assert mean_interval([2.0, 2.0]) == (2.0, (2.0, 2.0))
    assert mean_interval([5.0]) == (5.0, (-math.inf, math.inf))
