"""Rows of a folder that tunesmith data prepare made: messages with their parts, and where each row was read first."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.formats.fields import has, mapping
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Origin, Part, Record, ToolCall

SOURCE = "source"  # the tag that names the source of a row, and its column


def matches(row: Row) -> bool:
    """The columns that no other format has together."""
    return has(row, "messages", SOURCE, "file", "line", "record", "tags")


def read(row: Row) -> list[Record]:
    """The conversation as it was written, with its first origin."""
    value = mapping(row.value)
    try:
        tags = ((SOURCE, value[SOURCE]), *decoded(value["tags"], tuple[tuple[str, str], ...]))
        found = {
            "messages": tuple(message(turn) for turn in value["messages"]),
            "origin": Origin(value["file"], value["line"], value["record"]),
            "licence": value["licence"],
            "generator": value["generator"],
            "tools": decoded(value["tools"], tuple[dict[str, Any], ...]),
            "tags": tags if value[SOURCE] else tags[1:],
        }
        return [msgspec.convert(found, Conversation)]
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        reason = tr("is not as tunesmith data prepare writes it: {error}", error=error)
        raise Fault("record", reason, tr("prepare the data again")) from None


def message(turn: dict[str, Any]) -> dict[str, Any]:
    plain = turn["parts"] is None
    return {
        "role": turn["role"],
        "parts": (Part(text=turn["content"]),) if plain else decoded(turn["parts"], tuple[Part, ...]),
        "tool_calls": decoded(turn["tool_calls"], tuple[ToolCall, ...]),
        "learn": turn["learn"],
        **{key: turn[key] or "" for key in ("thinking", "name", "call_id")},
    }


def decoded(value: str | None, kind: Any) -> Any:
    return msgspec.json.decode(value, type=kind) if value else ()


def write(record: Record) -> dict[str, Any]:
    """Enough to have the conversation back, in plain columns where other programs look."""
    if not isinstance(record, Conversation):
        raise cannot_write("prepared", record)
    return {
        "messages": [written(message) for message in record],
        SOURCE: dict(record.tags).get(SOURCE, ""),
        "licence": record.licence,
        "generator": record.generator,
        "tools": as_json(record.tools),
        "tags": as_json([pair for pair in record.tags if pair[0] != SOURCE]),
        "file": record.origin.file,
        "line": record.origin.line,
        "record": record.origin.record,
    }


def written(message: Message) -> dict[str, Any]:
    plain = len(message.parts) == 1 and message.parts[0] == Part(text=message.parts[0].text)
    return {
        "role": message.role,
        "content": message.text,
        "thinking": message.thinking or None,
        "parts": None if plain else msgspec.json.encode(message.parts).decode(),
        "tool_calls": as_json(message.tool_calls),
        "name": message.name or None,
        "call_id": message.call_id or None,
        "learn": message.learn,
    }


def as_json(values: Sequence[Any]) -> str | None:
    return msgspec.json.encode(values).decode() if values else None
