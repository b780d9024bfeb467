"""The records that supervised tuning learns from, as they are read, and in portions."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from tunesmith import formats
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation, Document, Record, Refusal

ROWS = 2048  # records in a portion, and
CHARACTERS = 4_000_000  # characters in it; whichever is reached first ends it


Kept = TypeVar("Kept", Conversation, Document)


@dataclass(slots=True)
class Reading:
    """The records of some paths, sorted: conversations pass, documents are set aside, refusals remembered."""

    paths: tuple[str, ...]
    format: str
    read: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)

    def conversations(self) -> Iterator[Conversation]:
        for record in formats.read(self.paths, self.format):
            self.read += 1
            if isinstance(record, Refusal):
                self.refusals.append(record)
            elif isinstance(record, Document):
                self.documents.append(record)
            elif media := media_of(record):
                reason = tr("the row has {kind}; this recipe reads text", kind=media)
                self.refusals.append(Refusal(record.origin, "messages", reason, tr("leave this row out")))
            else:
                yield teachable(record)

    def portions(self) -> Iterator[list[Conversation] | list[Document]]:
        """All conversations, then all documents. The same paths with the same content are cut in the same places."""
        yield from cut(self.conversations())
        if self.documents:
            yield from cut(self.documents)

    def take(self) -> tuple[int, list[Refusal]]:
        """How many records were read since the last call, and which of them were refused."""
        taken = self.read, self.refusals
        self.read, self.refusals = 0, []
        return taken


def cut(records: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Lists of records; the last may be empty. Records of one row stay together: a split tells them by their Origin."""
    portion: list[Kept] = []
    characters = 0
    for record in records:
        full = len(portion) >= ROWS or characters >= CHARACTERS
        if full and record.origin is not portion[-1].origin:
            yield portion
            portion, characters = [], 0
        portion.append(record)
        characters += length(record)
    yield portion


def length(record: Conversation | Document) -> int:
    """Characters of all words."""
    if isinstance(record, Document):
        return len(record.text)
    return sum(len(part.text) for message in record.messages for part in message.parts)


def media_of(record: Record) -> str:
    """The kind of the first part that is no text, if there is one."""
    messages = record.messages if isinstance(record, Conversation) else ()
    return next((part.kind for message in messages for part in message.parts if part.kind != "text"), "")


def teachable(record: Record) -> Conversation:
    """The record, if supervised tuning can learn from it. Raises UserError otherwise."""
    if isinstance(record, Conversation) and record.messages[-1].role == "assistant":
        return record
    if isinstance(record, Conversation):
        raise UserError(
            tr("{origin}: a prompt without an answer teaches nothing", origin=record.origin),
            tr("give conversations that end with the assistant"),
        )
    kind = type(record).__name__
    raise UserError(
        tr("{origin}: this is a {kind}; supervised tuning learns from conversations", origin=record.origin, kind=kind),
        tr("give conversations, or keep the better answers only"),
    )
