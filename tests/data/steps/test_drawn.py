"""Steps that draw: shuffle, quota, length_strata, verb_noun. What they keep hangs on words and seed alone."""

from collections import Counter

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.length_strata import LengthStrata
from tunesmith.data.steps.quota import Quota
from tunesmith.data.steps.shuffle import Shuffle
from tunesmith.data.steps.verb_noun import VerbNoun
from tunesmith.errors import UserError

ROWS = [talk(f"Write poem {n}", "x" * (n + 1), source="ab"[n % 3 == 0]) for n in range(90)]


def words(kept):
    return [conversation.messages[0].text for conversation in kept]


@pytest.mark.parametrize("kind", [Shuffle, lambda seed: Quota(20, seed=seed), lambda seed: LengthStrata(30, seed=seed),
                                  lambda seed: VerbNoun(9, seed=seed)])  # fmt: skip
def test_the_order_of_the_rows_changes_nothing_and_the_seed_much(kind):
    kept, turned, other = run(kind(seed=0), ROWS)[0], run(kind(seed=0), ROWS[::-1])[0], run(kind(seed=1), ROWS)[0]
    assert set(words(kept)) == set(words(turned))
    assert words(kept) != words(other)


def test_a_shuffle_keeps_all_in_an_order_of_its_own():
    kept, rejects = run(Shuffle(), ROWS)
    assert not rejects
    assert sorted(words(kept)) == sorted(words(ROWS))
    assert words(kept) == words(run(Shuffle(), ROWS[::-1])[0])
    moved = [abs(words(ROWS).index(word) - place) for place, word in enumerate(words(kept))]
    assert sum(moved) / len(moved) > 20  # a third of 90 when nothing is left of the old order


def test_a_quota_holds_for_every_source():
    kept, rejects = run(Quota(20, named={"b": 25}), ROWS)
    assert Counter(dict(row.tags)["source"] for row in kept) == {"a": 20, "b": 25}
    assert Counter(reject.detail for _, reject in rejects) == {"a: 20": 40, "b: 25": 5}


def test_rows_without_the_tag_count_as_one():
    assert len(run(Quota(7, by="task"), ROWS)[0]) == 7


def test_every_stratum_of_length_gives_as_many():
    kept, _ = run(LengthStrata(30, strata=3), ROWS)
    assert Counter((len(row.messages[1].text) - 1) // 30 for row in kept) == {0: 10, 1: 10, 2: 10}


def test_a_length_at_the_border_belongs_to_the_lower_stratum():
    rows = [talk(f"q{n}", "x" * (1 + (n >= 30))) for n in range(40)]
    kept, _ = run(LengthStrata(20, strata=2), rows)
    assert Counter(len(row.messages[1].text) for row in kept) == {1: 10, 2: 10}


def test_what_a_small_stratum_lacks_the_others_give():
    rows = [talk(f"q{n}", "x" * (1 if n < 80 else n)) for n in range(100)]  # 80 of one length are one stratum
    kept, _ = run(LengthStrata(40, strata=10), rows)
    assert Counter(len(row.messages[1].text) > 1 for row in kept) == {True: 20, False: 20}
    assert len(run(LengthStrata(500), rows)[0]) == 100
    with pytest.raises(UserError, match="strata=0"):
        LengthStrata(10, strata=0)


def test_a_pair_of_verb_and_noun_is_kept_so_often():
    rows = [talk(f"Write a poem about {n}.", "x") for n in range(9)]
    rows += [talk(f"Name {n} rivers.", "x") for n in range(4)] + [talk(f"What is {n}?", "x") for n in range(6)]
    kept, rejects = run(VerbNoun(3), rows)
    assert Counter(word.split()[0] for word in words(kept)) == {"Write": 3, "Name": 3, "What": 6}
    assert Counter(reject.detail for _, reject in rejects) == {"write poem": 6, "name river": 1}
