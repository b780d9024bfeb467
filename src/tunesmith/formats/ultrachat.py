"""UltraChat: {"id", "data": [question, answer, question, answer, …]}."""

from typing import Any

from tunesmith.formats.fields import listing, mapping, provenance, tags, text
from tunesmith.formats.row import Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.records import Conversation, Record, Role

SPEAKERS: tuple[Role, Role] = ("user", "assistant")


def matches(row: Row) -> bool:
    data = row.value.get("data") if isinstance(row.value, dict) else None
    return isinstance(data, list) and bool(data) and isinstance(data[0], str)


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    names = [f"data[{i}]" for i in range(len(listing(value.get("data"), "data")))]
    turns = [
        (name, said(SPEAKERS[i % 2], ("", text(words, name))))
        for i, (name, words) in enumerate(zip(names, value["data"], strict=True))
    ]
    return [Conversation(ordered(turns), row.origin, **provenance(value), tags=tags(value))]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or any(message.role not in SPEAKERS for message in record):
        raise cannot_write("ultrachat", record)
    return dict(record.tags) | {"data": [message.text for message in record]}
