"""The user asks, the assistant answers, in turn; how it is brought about has a name."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.steps.running import run
from tunesmith.data.steps.role_order import RoleOrder
from tunesmith.records import Conversation, text_message

ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def turns(letters: str) -> Conversation:
    return Conversation(tuple(text_message(ROLES[letter], str(place)) for place, letter in enumerate(letters)))


def written(conversation: Conversation) -> str:
    return " ".join(message.role[0] + "".join(part.text for part in message.parts) for message in conversation)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ua", "u0 a1"),
        ("sua", "s0 u1 a2"),
        ("aua", "u1 a2"),
        ("saua", "s0 u2 a3"),
        ("uuaa", "u01 a23"),
        ("uau", "u0 a1"),
        ("uatta", "u0 a1 t2 t3 a4"),
    ],
)
def test_by_default_turns_are_dropped_at_the_ends_and_merged_within(given, expected):
    assert [written(row) for row in run(RoleOrder(), [turns(given)])[0]] == [expected]


@pytest.mark.parametrize(
    ("policy", "given", "reason"),
    [
        ({"opening": "reject"}, "aua", "the assistant speaks first"),
        ({"repeated": "reject"}, "uua", "one speaker twice on end"),
        ({"ending": "reject"}, "uau", "last question unanswered"),
        ({}, "u", "no answer"),
        ({}, "a", "no answer"),
    ],
)
def test_rejects(policy, given, reason):
    assert [reject.reason for _, reject in run(RoleOrder(**policy), [turns(given)])[1]] == [reason]


def test_a_prompt_may_stay():
    assert len(run(RoleOrder(ending="keep"), [turns("u")])[0]) == 1


@given(st.text("suat", max_size=8))
def test_what_is_kept_takes_turns(letters):
    for conversation in run(RoleOrder(), [turns(letters)])[0]:
        spoken = [message.role for message in conversation if message.role in ("user", "assistant")]
        assert spoken[0] == "user"
        assert conversation.messages[-1].role == "assistant"
        assert all(
            before.role != after.role or after.role in ("system", "tool") for before, after in pairwise(conversation)
        )
