"""Too short to teach anything, or too long to be sound."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers, asked, said
from tunesmith.records import Conversation


@dataclass(frozen=True, slots=True)
class Lengths(RowStep):
    """Let go of conversations that are too short or too long, counted in characters.

    question      the least that the first question may have
    answer        the least that each answer may have
    whole         the most that all turns together may have
    """

    question: int = 1
    answer: int = 1
    whole: int = 1_000_000

    REASONS: ClassVar = ("question too short", "answer too short", "conversation too long")
    EXAMPLE: ClassVar = "lengths: {question: 3, answer: 2, whole: 20000}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        question, whole = len(asked(conversation).strip()), len(said(conversation))
        shortest = min((len(answer.strip()) for answer in answers(conversation)), default=self.answer)
        if question < self.question:
            yield Reject("question too short", f"{question} < {self.question}")
        elif shortest < self.answer:
            yield Reject("answer too short", f"{shortest} < {self.answer}")
        elif whole > self.whole:
            yield Reject("conversation too long", f"{whole} > {self.whole}")
        else:
            yield conversation
