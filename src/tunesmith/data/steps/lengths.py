"""Too short to teach anything, or too long to be sound."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.kinds import kind
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers, asked, said
from tunesmith.records import Conversation

WORD = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
NO_BOUND = 1_000_000


@dataclass(frozen=True, slots=True)
class Lengths(RowStep):
    """Let go of conversations that are too short or too long, counted in characters, or in words where it says so.

    question      the least that the first question may have
    answer        the least that each answer may have
    whole         the most that all turns together may have
    least_words   the least that the instruction may have, its input aside (Self-Instruct 4)
    most_words    the most that the instruction may have, its input aside (Self-Instruct 150)
    turns         the most messages

    A Chinese character is a word. A plain text has the bounds of an answer and of the whole.
    """

    question: int = 1
    answer: int = 1
    whole: int = 1_000_000
    least_words: int = 0
    most_words: int = NO_BOUND
    turns: int = NO_BOUND

    REASONS: ClassVar = (
        "question too short",
        "answer too short",
        "conversation too long",
        "instruction too short",
        "instruction too long",
        "too many turns",
    )
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "lengths: {question: 3, answer: 2, whole: 20000}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        question, whole = len(asked(conversation).strip()), len(said(conversation))
        question = self.question if kind(conversation) == "text" else question
        shortest = min((len(answer.strip()) for answer in answers(conversation)), default=self.answer)
        if question < self.question:
            yield Reject("question too short", f"{question} < {self.question}")
        elif shortest < self.answer:
            yield Reject("answer too short", f"{shortest} < {self.answer}")
        elif whole > self.whole:
            yield Reject("conversation too long", f"{whole} > {self.whole}")
        elif len(conversation.messages) > self.turns:
            yield Reject("too many turns", f"{len(conversation.messages)} > {self.turns}")
        else:
            yield self.worded(conversation)

    def worded(self, conversation: Conversation) -> Outcome:
        if (self.least_words == 0 and self.most_words == NO_BOUND) or kind(conversation) == "text":
            return conversation
        words = len(WORD.findall(instruction(conversation)))
        if words < self.least_words:
            return Reject("instruction too short", f"{words} < {self.least_words}")
        return (
            Reject("instruction too long", f"{words} > {self.most_words}") if words > self.most_words else conversation
        )


def instruction(conversation: Conversation) -> str:
    """The first part of the first question, which in many formats is the instruction without its input."""
    parts = (part.text for message in conversation if message.role == "user" for part in message.parts)
    return next(parts, "")
