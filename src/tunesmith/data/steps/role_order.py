"""Turns in an order that a chat template can write."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.records import Conversation, Message

SPEAKERS = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class RoleOrder(RowStep):
    """Make user and assistant take turns, the user first and the assistant last.

    opening     what happens to turns of the assistant before the first question: drop, reject
    repeated    what happens to several turns of one speaker on end: merge, reject
    ending      what happens to a last question without an answer: drop (as Vicuna does), keep, reject

    System turns stay where they are. A tool's results belong to the assistant's turn around them.
    """

    opening: Literal["drop", "reject"] = "drop"
    repeated: Literal["merge", "reject"] = "merge"
    ending: Literal["drop", "keep", "reject"] = "drop"

    REASONS: ClassVar = (
        "the assistant speaks first",
        "one speaker twice on end",
        "last question unanswered",
        "no answer",
    )
    EXAMPLE: ClassVar = "role_order: {repeated: merge, ending: drop}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        messages = conversation.messages
        opened, merged = from_first_question(messages), taking_turns(messages)
        if self.opening == "reject" and len(opened) < len(messages):
            yield Reject("the assistant speaks first")
        elif self.repeated == "reject" and len(merged) < len(messages):
            yield Reject("one speaker twice on end")
        elif self.ending == "reject" and messages and messages[-1].role == "user":
            yield Reject("last question unanswered")
        else:
            yield self.ordered(conversation, taking_turns(opened))

    def ordered(self, conversation: Conversation, messages: tuple[Message, ...]) -> Outcome:
        if self.ending == "drop":
            messages = to_last_answer(messages)
        if not any(message.role == "user" for message in messages):
            return Reject("no answer")
        return conversation if messages == conversation.messages else replace(conversation, messages=messages)


def from_first_question(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Without what assistant or tools say before the first question; system turns stay."""
    start = next((place for place, message in enumerate(messages) if message.role == "user"), len(messages))
    return (*(message for message in messages[:start] if message.role == "system"), *messages[start:])


def to_last_answer(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Up to the last turn of the assistant; nothing where it never speaks."""
    answered = [place for place, message in enumerate(messages) if message.role == "assistant"]
    return messages[: answered[-1] + 1] if answered else ()


def taking_turns(messages: Sequence[Message]) -> tuple[Message, ...]:
    """With turns of one speaker that follow each other as one turn."""
    turns: list[Message] = []
    for message in messages:
        if turns and message.role == turns[-1].role and message.role in SPEAKERS:
            turns[-1] = merged(turns[-1], message)
        else:
            turns.append(message)
    return tuple(turns)


def merged(first: Message, second: Message) -> Message:
    """One turn that says both, learnt only if both were to be learnt."""
    return replace(
        first,
        parts=(*first.parts, *second.parts),
        thinking="\n\n".join(thought for thought in (first.thinking, second.thinking) if thought),
        tool_calls=(*first.tool_calls, *second.tool_calls),
        learn=first.learn and second.learn,
    )
