"""Tool descriptions and tool calls, as the OpenAI and ShareGPT layouts write them."""

import json
from typing import Any

from tunesmith.formats.fields import decoded, kind, mapping, optional, sound, text
from tunesmith.formats.row import Fault
from tunesmith.messages import tr
from tunesmith.records import ToolCall


def described(value: Any) -> tuple[dict[str, Any], ...]:
    """Tool descriptions: a list, or JSON of one inside a string."""
    if value is None or value == "":
        return ()
    value = decoded(value, "tools")
    if not isinstance(value, list):
        raise Fault("tools", tr("is {kind}, not a list", kind=kind(value)), tr("write it as [ … ]"))
    made = tuple(mapping(tool, f"tools[{i}]") for i, tool in enumerate(value))
    sound(json.dumps(made, ensure_ascii=False), "tools")
    return made


def calls(turn: dict[str, Any], field: str) -> tuple[ToolCall, ...]:
    """The calls of an assistant's turn: `tool_calls`, or the older single `function_call`."""
    if turn.get("function_call"):
        return (call(turn["function_call"], f"{field}.function_call"),)
    given = turn.get("tool_calls") or []
    given = decoded(given, f"{field}.tool_calls")
    if not isinstance(given, list):
        raise Fault(f"{field}.tool_calls", tr("is {kind}, not a list", kind=kind(given)), tr("write it as [ … ]"))
    return tuple(call(item, f"{field}.tool_calls[{i}]") for i, item in enumerate(given))


def call(item: Any, field: str) -> ToolCall:
    """One call: {"id", "function": {"name", "arguments"}} or {"name", "arguments"}."""
    item = mapping(item, field)
    inner = mapping(item.get("function", item), f"{field}.function")
    arguments = inner.get("arguments")
    arguments = {} if arguments in (None, "") else decoded(arguments, f"{field}.arguments")
    mapping(arguments, f"{field}.arguments")
    sound(json.dumps(arguments, ensure_ascii=False), f"{field}.arguments")
    return ToolCall(text(inner.get("name"), f"{field}.name"), arguments, optional(item.get("id"), f"{field}.id"))


def written_calls(made: tuple[ToolCall, ...]) -> list[dict[str, Any]]:
    return [
        ({"id": one.id} if one.id else {})
        | {
            "type": "function",
            "function": {"name": one.name, "arguments": json.dumps(one.arguments, ensure_ascii=False)},
        }
        for one in made
    ]
