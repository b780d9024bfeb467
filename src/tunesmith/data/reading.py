"""The first pass: from the sources, as people store them, to rows of one kind."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tunesmith.data.entries import ROWS, Entry
from tunesmith.data.kinds import flat
from tunesmith.data.plan import Source
from tunesmith.data.prompted import rendered
from tunesmith.data.promptsource import read_templates
from tunesmith.data.words import SOURCE
from tunesmith.formats.open import open_rows
from tunesmith.formats.open.hub import read_hub
from tunesmith.formats.row import Row
from tunesmith.formats.source import files, printable, sources
from tunesmith.messages import tr
from tunesmith.records import Conversation, Origin, Record, Refusal

CHARACTERS = 64_000_000  # that the rows of one file may have together; whichever comes first ends it
UNREADABLE = "cannot be read"


@dataclass(frozen=True, slots=True)
class Let:
    """A row that was let go: by which step, why, and its content as JSON or as it was found."""

    step: str
    reason: str
    detail: str
    id: str
    origin: Origin
    raw: bytes


@dataclass(slots=True)
class Shard:
    """Rows that go to disk together."""

    entries: list[Entry]
    rejects: list[Let]
    characters: int = 0

    @property
    def full(self) -> bool:
        return len(self.entries) + len(self.rejects) >= ROWS or self.characters >= CHARACTERS


def shards(given: Sequence[Source]) -> Iterator[Shard]:
    """All rows of all sources in order."""
    shard = Shard([], [])
    for one in given:
        for number, record in enumerate(records(one), start=1):
            add(shard, f"{one.name}/{number}", one, record)
            if shard.full:
                yield shard
                shard = Shard([], [])
    if shard.entries or shard.rejects:
        yield shard


def records(given: Source) -> Iterator[Record | Refusal]:
    """As a format reads them, or as prompt templates put them into words."""
    if given.templates:
        templates = list(read_templates(Path(given.templates)))
        yield from rendered(raw_rows(given.path), templates, given.per_row)
        return
    for file in sources([given.path], given.format):
        yield from file.records


def raw_rows(path: str) -> Iterator[Row | Refusal]:
    """Rows before a format gives them a meaning."""
    found = files(path)
    if found is None:
        yield from read_hub(path)
    for file in found or ():
        yield from open_rows(file, printable(file))


def add(shard: Shard, name: str, given: Source, record: Record | Refusal) -> None:
    if not isinstance(record, Refusal):
        entry = Entry(name, labelled(flat(record), given))
        fault = half_characters(entry.conversation)
        if not fault:
            shard.entries.append(entry)
            shard.characters += sum(len(part.text) for message in entry.conversation for part in message.parts)
            return
        record = Refusal(record.origin, "messages", fault, tr("leave this row out"))
    detail = f"{record.field}: {record.reason} → {record.cure}"
    raw = record.raw.encode("utf-8", "backslashreplace")
    shard.rejects.append(Let("read", UNREADABLE, detail, name, record.origin, raw))
    shard.characters += len(raw)


def labelled(conversation: Conversation, given: Source) -> Conversation:
    """The row with the name of its source, and with licence and generator where it does not say them itself."""
    kept = tuple((key, value) for key, value in conversation.tags if key != SOURCE)
    return replace(
        conversation,
        tags=((SOURCE, given.name), *kept),
        licence=conversation.licence or given.licence,
        generator=conversation.generator or given.generator,
    )


def half_characters(conversation: Conversation) -> str:
    """What is wrong with a text that cannot be written as UTF-8; empty if nothing is."""
    try:
        for message in conversation:
            for part in message.parts:
                part.text.encode()
            message.thinking.encode()
    except UnicodeEncodeError as error:
        return tr("holds half of a surrogate pair, at character {place}", place=error.start)
    return ""
