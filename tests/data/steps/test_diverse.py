"""k centres cover all rows, at most twice as far as the best k would."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.data.steps.running import run, talk
from tunesmith.data.steps.diverse import Diverse, centres

points = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=9)


@given(points, st.integers(1, 4))
def test_no_row_is_farther_than_twice_the_best(found, most):
    lie = np.array(found, np.float32)
    chosen, nearest, distance = centres(lie, most)
    apart = np.linalg.norm(lie[:, None] - lie[None], axis=-1)
    best = min(apart[:, list(some)].min(1).max() for some in combinations(range(len(lie)), min(most, len(lie))))
    assert np.allclose(distance, apart[:, chosen].min(1), atol=1e-3)
    assert np.allclose(distance, apart[np.arange(len(lie)), np.array(chosen)[nearest]], atol=1e-3)
    assert distance.max() <= 2 * best + 1e-3
    assert len(chosen) == min(most, len(set(found)))


def test_one_of_each_kind_is_kept():
    kinds = ["Write a poem about {}", "How much is {} plus 1?", "请翻译这个词：{}"]
    rows = [talk(kind.format(n), "x") for n in ("one", "two", "four", "five") for kind in kinds]
    kept, rejects = run(Diverse(3), rows)
    assert sorted(row.messages[0].text[:5] for row in kept) == ["How m", "Write", "请翻译这个"]
    assert len(rejects) == 9
    assert all(reject.detail.startswith("test/") for _, reject in rejects)


def test_what_is_the_same_is_kept_once():
    kept, _ = run(Diverse(5), [talk("the same", "x"), talk("the same", "y"), talk("another", "z")])
    assert [row.messages[1].text for row in kept] == ["x", "z"]
