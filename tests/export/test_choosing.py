"""A form is found by its file, and every wrong word is told with the nearest right one."""

import pytest

from tunesmith.config import from_words
from tunesmith.errors import UserError
from tunesmith.export.choosing import choose, names, summaries
from tunesmith.export.settings import EXACT, HALF


def test_a_form_is_a_file() -> None:
    assert "merged" in names()
    assert "dtype=auto" in summaries()["merged"]
    for name in names():
        target, settings = choose(name)
        assert callable(target.write)
        assert callable(target.open)
        assert settings.limits.mean_kl is not None


def test_limits_follow_the_options_and_can_be_moved() -> None:
    assert choose("merged")[1].limits == HALF
    target, settings = choose("merged", from_words(["limits.mean_kl=0.5", "dtype=fp32", "limits.logit_gap=null"]))
    assert (target.dtype, settings.limits.mean_kl, settings.limits.logit_gap) == ("fp32", 0.5, None)
    assert settings.limits.loss == EXACT.loss


@pytest.mark.parametrize(
    ("word", "needle"),
    [
        ("dtyp=bf16", "did you mean 'dtype'"),
        ("dtype=int8", "'bf16'"),
        ("limits.mean_k=1", "limits.mean_kl"),
        ("limits.mean_kl=-1", "greater than or equal to 0"),
        ("bass=full", "did you mean 'base'"),
        ("base=other", "'full'"),
        ("limits=1", "limits.loss"),
    ],
)
def test_a_wrong_word_is_refused(word: str, needle: str) -> None:
    with pytest.raises(UserError) as refusal:
        choose("merged", from_words([word, "held_out=0"]))
    assert needle in str(refusal.value)
    assert "held_out=0" in str(refusal.value)


@pytest.mark.parametrize(("name", "cure"), [("mergd", "did you mean 'merged'"), ("zzz", "use one of"), ("../x", "use")])
def test_an_unknown_form_is_refused(name: str, cure: str) -> None:
    with pytest.raises(UserError) as refusal:
        choose(name)
    assert cure in refusal.value.cure
