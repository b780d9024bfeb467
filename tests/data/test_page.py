"""Plots of the report: what is longer is drawn longer."""

import re

import pytest

from tunesmith.data.page import OUTER, WIDTH, bars, columns, rings


def test_the_longest_bar_fills_the_plot_and_others_are_in_proportion():
    whole, half = bars([("a", 40, 10), ("b", 20, 20)])
    assert (whole.wide, whole.dark, half.wide, half.dark) == (WIDTH, WIDTH / 4, WIDTH / 2, WIDTH / 2)
    assert bars([("nothing", 0, 0)])[0].wide == 0


def test_ten_times_as_many_tokens_are_as_far_wherever_they_begin():
    found = columns({"tokens": {"histogram": {"edges": [1, 10, 1000], "counts": [3, 6]}}})
    places, ticks = zip(*found["ticks"], strict=True)
    assert ticks == (1, 10, 100, 1000)
    assert places == pytest.approx([0, WIDTH / 3, 2 * WIDTH / 3, WIDTH])
    (_, first, low), (_, second, high) = found["bins"]
    assert (second, high) == pytest.approx((2 * first, 2 * low))


@pytest.mark.parametrize(("counts", "arcs"), [([4], [(0, -OUTER)]), ([3, 1], [(0, -OUTER), (-OUTER, 0)])])
def test_nouns_stand_outside_their_verb_from_the_top_on(counts, arcs):
    found = list(rings({"verbs": [{"verb": "write", "count": n, "nouns": {"poem": n}} for n in counts]}))
    assert [ring.word for ring in found] == ["write", "poem"] * len(counts)
    starts = [re.search(r"L(\S+) (\S+?)A", ring.path) for ring in found[1::2]]
    assert [tuple(map(float, start.groups())) for start in starts if start] == arcs
