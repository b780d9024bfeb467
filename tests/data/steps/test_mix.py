"""A mixture is exact, repeats nothing unasked, and hangs on words and seed, not on the order of the rows."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.steps.running import run, talk
from tunesmith.data.steps.mix import Mix
from tunesmith.errors import UserError


def rows(**sizes):
    return [talk(f"{source} {n}", "answer", source=source) for source, size in sizes.items() for n in range(size)]


def count(kept):
    return Counter(dict(conversation.tags)["source"] for conversation in kept)


def words(kept):
    return [conversation.messages[0].text for conversation in kept]


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1),
    st.sampled_from(["proportional", "sqrt", "equal"]),
    st.integers(1, 60),
    st.integers(1, 3),
)
def test_every_epoch_has_the_total_and_no_row_more_often_than_needed(sizes, rule, total, epochs):
    kept, _ = run(Mix(rule=rule, total=total, repeat=True, epochs=epochs), rows(**sizes))
    assert len(kept) == total * epochs
    for epoch in range(epochs):
        part = kept[epoch * total : (epoch + 1) * total]
        for source, given_rows in count(part).items():
            often = Counter(word for word in words(part) if word.startswith(source))
            assert max(often.values()) == -(-given_rows // sizes[source])


def test_without_a_total_no_row_comes_twice_and_one_source_is_used_up():
    assert count(run(Mix(rule="equal"), rows(a=30, b=7))[0]) == {"a": 7, "b": 7}
    assert count(run(Mix(cap=10), rows(a=30, b=7))[0]) == {"a": 10, "b": 7}
    assert count(run(Mix(temperature=2), rows(a=36, b=4))[0]) == {"a": 12, "b": 4}
    assert count(run(Mix(rule="sqrt"), rows(a=36, b=4))[0]) == {"a": 12, "b": 4}
    assert count(run(Mix(rule="equal", weights={"a": 3}), rows(a=36, b=4))[0]) == {"a": 12, "b": 4}
    assert count(run(Mix(shares={"a": 75, "b": 25}), rows(a=36, b=4))[0]) == {"a": 12, "b": 4}


def test_counts_are_exact_and_the_others_stay_whole():
    kept, rejects = run(Mix(counts={"a": 5, "b": 0}), rows(a=30, b=7, c=3))
    assert count(kept) == {"a": 5, "c": 3}
    assert Counter(reject.detail for _, reject in rejects) == {"a": 25, "b": 7}


def test_identity_ten_times_as_in_tulu_2():
    kept, _ = run(Mix(counts={"identity": 30}, repeat=True), rows(a=5, identity=3))
    assert set(Counter(words(kept)).values()) == {1, 10}


def test_epochs_draw_anew():
    kept, _ = run(Mix(total=20, epochs=2), rows(a=400))
    first, second = words(kept[:20]), words(kept[20:])
    assert len(set(first)) == len(set(second)) == 20
    assert len(set(first) & set(second)) < 10


def test_the_mixture_does_not_hang_on_the_order_of_the_rows():
    step, given_rows = Mix(rule="sqrt", total=30, epochs=2), rows(a=50, b=20, c=10)
    assert words(run(step, given_rows)[0]) == words(run(step, given_rows[::-1])[0])
    assert words(run(step, given_rows)[0]) != words(run(Mix(rule="sqrt", total=30, epochs=2, seed=1), given_rows)[0])


def test_sources_come_mixed():
    kept, _ = run(Mix(), rows(a=100, b=100))
    assert 30 < count(kept[:100])["a"] < 70
    assert sorted(words(kept)) == sorted(words(rows(a=100, b=100)))


def test_tasks_are_capped_within_collections_that_have_shares():
    tasks = {("flan", "nli"): 50, ("flan", "qa"): 10, ("cot", "qa"): 30}
    given_rows = [
        talk(f"{file} {task} {n}", "x", source=file) for (file, task), size in tasks.items() for n in range(size)
    ]
    tagged = [
        type(row)(row.messages, row.origin, tags=(*row.tags, ("task", row.messages[0].text.split()[1])))
        for row in given_rows
    ]
    kept, _ = run(Mix(by="task", cap=20, shares={"flan": 60, "cot": 40}, total=50), tagged)
    assert Counter(tuple(word.split()[:2]) for word in words(kept)) == {
        ("flan", "nli"): 20,
        ("flan", "qa"): 10,
        ("cot", "qa"): 20,
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"total": 38}, "asks for 31 rows of a, which has 30"),
        ({"weights": {"A": 2}}, "names A, of which there are no rows"),
        ({"shares": {"a": 1}}, "leave out b"),
        ({"weights": {"a": 0, "b": 0}, "total": 3}, "weights are 0"),
        ({"counts": {"a": 1}, "total": 3}, "by counts"),
        ({"temperature": 0}, "above 0"),
        ({"weights": {"a": -1}}, "negative"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(options, says):
    with pytest.raises(UserError, match=says):
        run(Mix(**options), rows(a=30, b=7))
