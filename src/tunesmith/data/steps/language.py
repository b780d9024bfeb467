"""The language of a conversation, by which it may be kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from tunesmith.data.step import Outcome, Reject, RowStep
from tunesmith.data.tongue import tongue
from tunesmith.data.words import said
from tunesmith.formats.inspect import Language as Name
from tunesmith.records import Conversation

TAG = "language"


@dataclass(frozen=True, slots=True)
class Language(RowStep):
    """Keep conversations in these languages, judged by most of their words outside code.

    keep    en, zh, other (any other language), none (no words at all, as in sums)
    tag     note the language found as the tag "language"
    """

    keep: tuple[Name, ...] = ("en", "zh", "none")
    tag: bool = False

    REASONS: ClassVar = ("another language",)
    KINDS: ClassVar = ("conversation", "comparison", "text")
    EXAMPLE: ClassVar = "language: {keep: [zh]}"

    def __call__(self, conversation: Conversation) -> Iterator[Outcome]:
        found = tongue(said(conversation))
        if found not in self.keep:
            yield Reject("another language", found)
        else:
            yield tagged(conversation, found) if self.tag else conversation


def tagged(conversation: Conversation, value: str) -> Conversation:
    others = tuple((name, old) for name, old in conversation.tags if name != TAG)
    return replace(conversation, tags=(*others, (TAG, value)))
