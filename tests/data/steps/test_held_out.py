"""What is held out is whole: no name is on both sides."""

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.steps.running import run, talk
from tunesmith.data.steps.held_out import HeldOut
from tunesmith.data.steps.invert import Invert
from tunesmith.data.tasks import instance, task
from tunesmith.data.words import tag
from tunesmith.errors import UserError

NAMES = st.integers(0, 30)


def row(n: int, name: int, category: int):
    return replace(talk(f"question {n}", "a"), tags=(("task", f"task{name}"), ("category", f"kind{category}")))


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), NAMES, NAMES), min_size=1, max_size=60),
    by=st.sampled_from(["task", "category", "instance"]),
    share=st.floats(0, 1),
    seed=st.integers(0, 3),
)
def test_no_name_is_on_both_sides_and_no_row_is_lost(rows, by, share, seed):
    conversations = [row(*each) for each in rows]
    train, test = (run(HeldOut(by, share, (), side, seed), conversations)[0] for side in ("train", "test"))
    name = {"task": task, "category": lambda one: tag(one, "category"), "instance": instance}[by]
    assert not {name(one) for one in train} & {name(one) for one in test}
    assert sorted(map(str, train + test)) == sorted(map(str, conversations))
    both, rejects = run(HeldOut(by, share, (), "both", seed), conversations)
    assert rejects == []
    sides = defaultdict(set)
    for one in both:
        sides[name(one)].add(tag(one, "split"))
    assert all(len(found) == 1 for found in sides.values())
    assert {name(one) for one in test} == {name(one) for one in both if tag(one, "split") == "test"}


def test_the_share_is_that_of_the_names_and_each_seed_draws_others():
    conversations = [row(0, name, 0) for name in range(1000)]
    first, second = (
        {task(one) for one in run(HeldOut(share=0.2, keep="test", seed=n), conversations)[0]} for n in (0, 1)
    )
    assert 150 < len(first) < 250
    assert 20 < len(first & second) < 65


def test_named_ones_are_held_out_besides_the_share_and_the_reject_names_them():
    kept, rejects = run(HeldOut("category", 0, ("kind1",)), [row(0, 0, 0), row(1, 1, 1)])
    assert [tag(one, "category") for one in kept] == ["kind0"]
    assert [(at, reject.reason, reject.detail) for at, reject in rejects] == [(1, "held out", "kind1")]


def test_a_row_without_a_category_goes_to_neither_side():
    for side in ("train", "test", "both"):
        kept, rejects = run(HeldOut("category", keep=side), [talk("a", "b")])
        assert kept == []
        assert [reject.reason for _, reject in rejects] == ["of no known category"]


def test_an_inverted_row_stays_on_the_side_of_its_instance():
    conversations = [talk(f"question {n}", f"a long enough answer {n}") for n in range(300)]
    turned, _ = run(Invert(share=1), conversations)
    train, test = (run(HeldOut("instance", 0.3, keep=side), turned)[0] for side in ("train", "test"))
    assert len(train) + len(test) == 600
    assert not {instance(one) for one in train} & {instance(one) for one in test}
    assert {instance(one) for one in turned} == {instance(one) for one in conversations}


@pytest.mark.parametrize("wrong", [{"by": "file"}, {"keep": "all"}, {"share": 1.5}])
def test_an_option_that_means_nothing_is_refused(wrong):
    with pytest.raises(UserError, match=f"held_out: {next(iter(wrong))} is "):
        HeldOut(**wrong)
