"""ShareGPT: {"conversations": [{"from", "value"}], "system", "tools"}, with any spelling of the roles."""

import json
from typing import Any

from tunesmith.formats import media
from tunesmith.formats.alpaca import system
from tunesmith.formats.fields import decoded, listing, mapping, provenance, tags, text
from tunesmith.formats.openai import LISTS, learned
from tunesmith.formats.row import Row
from tunesmith.formats.tools import call, described
from tunesmith.formats.turns import cannot_write, ordered, role
from tunesmith.records import Conversation, Message, Part, Record, ToolCall

CALLS = ("function_call", "function-call", "tool_call")
SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
KEYS = ("conversations", "conversation", *LISTS, "items", "turns")


def matches(row: Row) -> bool:
    if not isinstance(row.value, dict):
        return False
    turns = row.value.get(list_key(row.value))
    return isinstance(turns, list) and any(isinstance(turn, dict) and "from" in turn for turn in turns)


def list_key(value: dict[str, Any]) -> str:
    return next((key for key in KEYS if key in value), KEYS[0])


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    key = list_key(value)
    above = [("system", message) for message in system(value)]
    messages = media.place(ordered(above + taken(value.get(key), key)), media.sources(value))
    tools = described(value.get("tools"))
    return [Conversation(messages, row.origin, **provenance(value), tools=tools, tags=tags(value))]


def taken(turns: Any, field: str) -> list[tuple[str, Message]]:
    """(field of the words, message) for every turn of a list."""
    turns = listing(turns, field)
    return [(f"{field}[{i}].value", message(turn, f"{field}[{i}]")) for i, turn in enumerate(turns)]


def message(turn: Any, field: str) -> Message:
    turn = mapping(turn, field)
    speaker = role(turn.get("from"), f"{field}.from")
    words = text(turn.get("value"), f"{field}.value")
    if isinstance(turn["from"], str) and turn["from"].strip().lower() in CALLS:
        return Message(speaker, (), tool_calls=called(words, f"{field}.value"))
    return Message(speaker, (Part(text=words),), learn=learned(turn, speaker, field))


def called(words: str, field: str) -> tuple[ToolCall, ...]:
    """A function call written as JSON inside the turn: one object, or a list of them."""
    value = decoded(words, field)
    if isinstance(value, list):
        return tuple(call(item, f"{field}[{i}]") for i, item in enumerate(value))
    return (call(value, field),)


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation):
        raise cannot_write("sharegpt", record)
    row: dict[str, Any] = {"conversations": [written(message) for message in record.messages]}
    if record.tools:
        row["tools"] = json.dumps(list(record.tools), ensure_ascii=False)
    return row | media.collect(record.messages) | dict(record.tags)


def written(message: Message) -> dict[str, Any]:
    if message.tool_calls:
        calls = [{"name": one.name, "arguments": one.arguments} for one in message.tool_calls]
        words = json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)
        return {"from": "function_call", "value": words}
    turn: dict[str, Any] = said_as(message)
    return turn if message.learn else turn | {"weight": 0}


def said_as(message: Message) -> dict[str, str]:
    return {"from": SPEAKERS[message.role], "value": media.flat(message, "")}
