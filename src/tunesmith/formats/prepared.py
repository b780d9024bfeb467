"""Rows of a folder that tunesmith data prepare made, and where each row was read first."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tunesmith.formats.fields import has, mapping
from tunesmith.formats.row import Fault, Row
from tunesmith.messages import tr
from tunesmith.records import Comparison, Conversation, Document, Message, Origin, Part, Rated, Record, ToolCall

SOURCE = "source"  # the tag that names the source of a row, and its column


def matches(row: Row) -> bool:
    """The columns that no other format has together."""
    return has(row, "messages", SOURCE, "file", "line", "record", "tags")


def read(row: Row) -> list[Record]:
    """The record as it was written, with its first origin."""
    value = mapping(row.value)
    try:
        tags = ((SOURCE, value[SOURCE]), *decoded(value["tags"], tuple[tuple[str, str], ...]))
        tags = tags if value[SOURCE] else tags[1:]
        about = (Origin(value["file"], value["line"], value["record"]), value["licence"], value["generator"], tags)
        if value.get("text") is not None:
            return [Document(value["text"], *about)]
        if value.get("chosen") is not None:
            prompt, better, worse = (tuple(map(turn, value[name])) for name in ("messages", "chosen", "rejected"))
            return [Comparison(prompt, better, worse, *about)]
        found = {
            "messages": tuple(map(message, value["messages"])),
            "origin": about[0],
            "licence": about[1],
            "generator": about[2],
            "tools": decoded(value["tools"], tuple[dict[str, Any], ...]),
            "tags": tags,
        }
        conversation = msgspec.convert(found, Conversation)
        return [conversation if value.get("label") is None else Rated(conversation, value["label"])]
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        reason = tr("is not as tunesmith data prepare writes it: {error}", error=error)
        raise Fault("record", reason, tr("prepare the data again")) from None


def turn(value: dict[str, Any]) -> Message:
    return msgspec.convert(message(value), Message)


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
    """Enough to have the record back, in plain columns where other programs look.

    messages  the conversation; of a comparison the prompt, which chosen and rejected go on; none where there is a text
    label     whether a conversation was found good, where it was rated
    """
    kinds: dict[str, Any] = {"messages": [], "chosen": None, "rejected": None, "label": None, "text": None}
    if isinstance(record, Rated):
        return write(record.conversation) | {"label": record.desirable}
    if isinstance(record, Document):
        kinds |= {"text": record.text}
    elif isinstance(record, Comparison):
        sides = {"messages": record.prompt, "chosen": record.chosen, "rejected": record.rejected}
        kinds |= {name: list(map(written, side)) for name, side in sides.items()}
    else:
        kinds |= {"messages": list(map(written, record))}
    tools = record.tools if isinstance(record, Conversation) else ()
    return kinds | {
        SOURCE: dict(record.tags).get(SOURCE, ""),
        "licence": record.licence,
        "generator": record.generator,
        "tools": as_json(tools),
        "tags": as_json([pair for pair in record.tags if pair[0] != SOURCE]),
        "file": record.origin.file,
        "line": record.origin.line,
        "record": record.origin.record,
    }


def turns(row: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Everything that a row says, as (who, message); a text as one message of nobody."""
    if row["text"] is not None:
        return [("text", {"role": "text", "content": row["text"], "thinking": None, "tool_calls": None})]
    answers = [(f"{name}: {one['role']}", one) for name in ("chosen", "rejected") for one in row[name] or ()]
    return [*((one["role"], one) for one in row["messages"]), *answers]


def written(message: Message) -> dict[str, Any]:
    plain = len(message.parts) == 1 and bare(message.parts[0])
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


def bare(part: Part) -> bool:
    """Nothing but a text."""
    return part.kind == "text" and not (part.source or part.name)


def as_json(values: Sequence[Any]) -> str | None:
    return msgspec.json.encode(values).decode() if values else None
