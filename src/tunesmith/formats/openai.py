"""Chat messages: {"messages": [{"role", "content"}], "tools"}, with tool calls, reasoning and content parts."""

from typing import Any

from tunesmith.formats import media
from tunesmith.formats.fields import decoded, listing, mapping, optional, provenance, sound, tags, text
from tunesmith.formats.fields import kind as kind_of
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.tools import calls, described, written_calls
from tunesmith.formats.turns import cannot_write, ordered, role
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Part, PartKind, Record, Role

LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
THINKING = ("reasoning_content", "reasoning", "thinking")
WEIGHTS = ("weight", "loss_weight", "train", "learn")
PART_KINDS: dict[str, PartKind] = {
    **{"text": "text", "input_text": "text", "output_text": "text"},
    **{"image": "image", "image_url": "image", "input_image": "image"},
    **{"video": "video", "video_url": "video"},
    **{"audio": "audio", "audio_url": "audio", "input_audio": "audio"},
}


def matches(row: Row) -> bool:
    """Messages with roles, among them an answer: a list of questions alone is a prompt."""
    return any(turn.get("role") not in ("user", "system", "developer") for turn in turns_of(row.value))


def turns_of(value: Any) -> list[dict[str, Any]]:
    """The list of {"role", "content"} objects in a row, or nothing."""
    found = value.get(list_key(value)) if isinstance(value, dict) else None
    if isinstance(found, list) and found and isinstance(found[0], dict) and "role" in found[0]:
        return [turn for turn in found if isinstance(turn, dict)]
    return []


def list_key(value: dict[str, Any]) -> str:
    return next((key for key in LISTS if key in value), LISTS[0])


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    key = list_key(value)
    messages = media.place(ordered(taken(value.get(key), key)), media.sources(value))
    tools = described(value.get("tools"))
    return [Conversation(messages, row.origin, **provenance(value), tools=tools, tags=tags(value))]


def taken(turns: Any, field: str) -> list[tuple[str, Message]]:
    """(field, message) for every turn of a list."""
    return [(f"{field}[{i}]", message(turn, f"{field}[{i}]")) for i, turn in enumerate(listing(turns, field))]


def message(turn: Any, field: str) -> Message:
    turn = mapping(turn, field)
    speaker = role(turn.get("role"), f"{field}.role")
    asked = calls(turn, field)
    thinking = next((optional(turn[key], f"{field}.{key}") for key in THINKING if turn.get(key)), "")
    parts = content(turn.get("content"), f"{field}.content", may_be_empty=bool(asked) or speaker == "tool")
    name = optional(turn.get("name"), f"{field}.name")
    call_id = optional(turn.get("tool_call_id"), f"{field}.tool_call_id")
    return Message(speaker, parts, thinking, asked, name, learned(turn, speaker, field), call_id)


def content(value: Any, field: str, may_be_empty: bool) -> tuple[Part, ...]:
    """Content as parts: a string is one text part."""
    if isinstance(value, list):
        parts = tuple(content_part(item, f"{field}[{i}]") for i, item in enumerate(value))
        if not may_be_empty and not any(part.source or part.text.strip() for part in parts):
            raise Fault(field, tr("is empty"), tr("fill it in, or remove the record"))
        return parts
    words = optional(value, field) if may_be_empty else text(value, field)
    return (Part(text=words),) if words else ()


def content_part(item: Any, field: str) -> Part:
    if isinstance(item, str):
        sound(item, field)
        return Part(text=item)
    item = mapping(item, field)
    kind = PART_KINDS.get(item["type"]) if isinstance(item.get("type"), str) else None
    if kind is None:
        reason = tr("unknown kind of content: {kind}", kind=ascii(item.get("type"))[:40])
        raise Fault(f"{field}.type", reason, tr("use text, image_url, video_url or audio_url"))
    if kind != "text":
        return Part(kind, source=media.source_of(item, kind, field))
    key = "text" if "text" in item else "value"
    return Part(text=optional(item.get(key), f"{field}.{key}"), name=optional(item.get("name"), f"{field}.name"))


def learned(turn: dict[str, Any], speaker: Role, field: str) -> bool:
    """Whether the turn counts in the loss, where it is an answer: its weight is 1, 0, true or false."""
    for key in WEIGHTS:
        weight = turn.get(key)
        if weight is None:
            continue
        if not isinstance(weight, int | float) or weight not in (0, 1):
            raise Fault(f"{field}.{key}", tr("is {kind}, not 0 or 1", kind=kind_of(weight)), tr("write 0 or 1"))
        return bool(weight) or speaker != "assistant"
    return True


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation):
        raise cannot_write("openai", record)
    row: dict[str, Any] = {"messages": [written(message) for message in record.messages]}
    if record.tools:
        row["tools"] = list(record.tools)
    return row | dict(record.tags)


def written(message: Message) -> dict[str, Any]:
    """One message as a JSON object; a single unnamed text part is a plain string."""
    turn: dict[str, Any] = {"role": message.role, "content": written_content(message.parts)}
    if message.thinking:
        turn["reasoning_content"] = message.thinking
    if message.tool_calls:
        turn["tool_calls"] = written_calls(message.tool_calls)
    if message.name:
        turn["name"] = message.name
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    if not message.learn:
        turn["weight"] = 0
    return turn


def written_content(parts: tuple[Part, ...]) -> Any:
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].kind == "text" and not parts[0].name:
        return parts[0].text
    return [written_part(part) for part in parts]


def written_part(part: Part) -> dict[str, Any]:
    if part.kind != "text":
        return {"type": f"{part.kind}_url", f"{part.kind}_url": {"url": part.source}}
    return {"type": "text", "text": part.text} | ({"name": part.name} if part.name else {})


def plain(value: Any, field: str) -> list[tuple[str, Message]]:
    """Turns given as a list of messages or as one string, which is then the user's (for prompts)."""
    value = decoded(value, field) if isinstance(value, str) and value.lstrip().startswith('[{"role"') else value
    if isinstance(value, list):
        return taken(value, field)
    return [(field, Message("user", (Part(text=text(value, field)),)))]
