"""Answers that decline, or that speak of themselves as a model."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from tunesmith.data.phrases import phrases
from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.words import answers, edited
from tunesmith.records import Conversation


@dataclass(frozen=True, slots=True)
class Refusals(RowStep):
    """Let go of conversations in which the assistant declines the task or speaks of itself as a model.

    self_reference    let go of "As an AI language model, I …", unless a question speaks of such models
    refusal           let go of answers that begin with "I'm sorry, but I cannot …"; switch off to train safety
    address           delete from questions words that address the model ("要求GPT模型…"), as BELLE does
    """

    self_reference: bool = True
    refusal: bool = True
    address: bool = True

    REASONS: ClassVar = ("speaks of itself as a model", "declines the task")
    EXAMPLE: ClassVar = "refusals"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        if self.self_reference and (seen := spoken_of_itself(conversation)):
            yield Reject("speaks of itself as a model", seen)
        elif self.refusal and (seen := declined(conversation)):
            yield Reject("declines the task", seen)
        else:
            yield edited(conversation, unaddressed, ("user",)) if self.address else conversation


def spoken_of_itself(conversation: Conversation) -> str:
    """The words, or nothing. A question about AI, or one that asks for the very words, allows them."""
    lists = phrases("self_reference.en", "self_reference.zh")
    found = next((seen for answer in answers(conversation) if (seen := lists.search(answer))), "")
    return "" if found and phrases("about_models").search(questions(conversation)) else found


def declined(conversation: Conversation) -> str:
    lists = phrases("refusals.en", "refusals.zh")
    return next((seen for answer in answers(conversation) if (seen := lists.at_start(answer.lstrip()))), "")


def questions(conversation: Conversation) -> str:
    return "\n".join(message.text for message in conversation if message.role != "assistant")


def unaddressed(text: str) -> str:
    """The question without the words that address a GPT model; itself where nothing else would be left."""
    return phrases("addressed.zh").without(text) or text
