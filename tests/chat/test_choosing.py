"""How a token is drawn: as a full sort would have it, without one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tunesmith.chat import Sampling, choose, nucleus


def sorted_nucleus(chances: Tensor, top_p: float) -> list[int]:
    """By sorting all of them."""
    best, order = chances.sort(descending=True, stable=True)
    return [token for place, token in enumerate(order.tolist()) if not place or best.cumsum(-1)[place - 1] < top_p]


@given(
    st.lists(st.integers(-12, 12), min_size=1, max_size=60),
    st.sampled_from([0.5, 1.0, 3.0]),
    st.floats(0.01, 0.999),
    st.sets(st.integers(0, 58)),
)
def test_the_nucleus_is_that_of_a_full_sort_with_equals_in_the_order_of_their_ids(
    values: list[int], scale: float, top_p: float, ruled_out: set[int]
) -> None:
    logits = torch.tensor(values) * scale
    logits[[token for token in ruled_out if token + 1 < len(values)]] = -torch.inf
    chances = torch.softmax(logits, -1)
    assert nucleus(chances, top_p).tolist() == sorted_nucleus(chances, top_p)
    assert nucleus(chances, 1.0).tolist() == list(range(len(values)))


@pytest.mark.parametrize("top_p", [1.0, 0.7])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(top_p: float, temperature: float) -> None:
    logits = torch.tensor([1.0, 3.0, -torch.inf, 3.0, 0.0, 2.5])
    chances = torch.softmax(logits / temperature, -1)
    kept = sorted_nucleus(chances, top_p) if top_p < 1 else [0, 1, 3, 4, 5]
    wanted = torch.zeros(6)
    wanted[kept] = chances[kept] / chances[kept].sum()
    generator, draws = torch.Generator().manual_seed(0), 4000
    sampling = Sampling(temperature, top_p)
    said = torch.bincount(torch.tensor([choose(logits, sampling, generator) for _ in range(draws)]), minlength=6)
    assert ((said / draws - wanted).abs() <= 4 * (wanted * (1 - wanted) / draws).sqrt()).all()


def test_a_seed_draws_the_same_again_and_each_seed_otherwise() -> None:
    logits = torch.randn(1000, generator=torch.Generator().manual_seed(0))

    def drawn(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [choose(logits, Sampling(1.0, 0.9), generator) for _ in range(20)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_logits_that_are_no_numbers_draw_nothing() -> None:
    for top_p in (0.9, 1.0):
        with pytest.raises(IndexError):
            choose(torch.full((5,), torch.nan), Sampling(1.0, top_p), torch.Generator())
