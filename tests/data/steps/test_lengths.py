"""Lengths are counted in characters, white space at the ends aside; the limits themselves pass."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.lengths import Lengths


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (("abc", "de"), None),
        ((" ab ", "de"), "question too short"),
        (("abc", "d "), "answer too short"),
        (("abc", "de", "f", "g"), "answer too short"),
        (("abc", "d" * 7), "conversation too long"),
    ],
)
def test_what_is_too_short_or_too_long_is_let_go(turns, reason):
    kept, rejects = run(Lengths(question=3, answer=2, whole=10), [talk(*turns)])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])
    assert len(kept) == (not reason)


@pytest.mark.parametrize(
    ("instruction", "turns", "reason"),
    [
        ("Name a fruit", 2, "instruction too short"),
        ("Name a sweet fruit", 2, None),
        ("说出一种", 2, None),
        ("one " * 7, 2, "instruction too long"),
        ("Name a sweet fruit", 4, "too many turns"),
    ],
)
def test_words_of_the_instruction_and_turns_have_bounds(instruction, turns, reason):
    row = talk(*[instruction, "Fig"] * (turns // 2))
    _, rejects = run(Lengths(least_words=4, most_words=6, turns=3), [row])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])
