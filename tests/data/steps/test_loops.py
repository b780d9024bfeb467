"""Loops are told from lists, code, sums and songs."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.loops import Loops

SENTENCE = "I think that the answer is clear to all of us. "


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("q", "We begin. " + SENTENCE * 6, "ends in a loop"),
        ("q", "We begin. " + (SENTENCE * 6)[:-17], "ends in a loop"),
        ("q", "好的。" + "我们需要更多时间来完成。" * 6, "ends in a loop"),
        ("q", "the " * 40, "ends in a loop"),
        ("q", " ".join(f"{SENTENCE}{SENTENCE}Number {n}." for n in range(8)), "repeats itself"),
        (
            "q",
            "".join(f"我们需要更多的时间来完成这件非常重要的事情，所以请大家再等一等，第{n}。" for n in range(8)),
            "repeats itself",
        ),
        ("q", SENTENCE * 3, None),
        ("Repeat it", SENTENCE * 6, None),
        ("写一首歌", "我们需要更多时间来完成。" * 6, None),
        ("q", "0." + "3" * 200, None),
        ("q", "-" * 200, None),
        ("q", "| a | b |\n" + "| T | F |\n" * 40, None),
        ("q", "```\n" + "x = x + 1\n" * 40 + "```", None),
    ],
)
def test_why(question, answer, reason):
    _, rejects = run(Loops(), [talk(question, answer)])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])


def test_alpaca(alpaca):
    assert run(Loops(), alpaca)[1] == []
