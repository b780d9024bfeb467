"""Prompt lists: questions without answers, such as MT-bench turns. The only format that ends with the user.

Several turns become several user messages in a row: whoever asks puts the answers between them. All other
plain fields of a row are kept as tags.
"""

from typing import Any

from tunesmith.formats import media, openai
from tunesmith.formats.alpaca import split_question
from tunesmith.formats.fields import listing, mapping, optional, provenance, tags, text
from tunesmith.formats.input_target import partial
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Record

KEYS = ("turns", "prompt", "question", "Question", "instruction", "Instruction", "query", "problem", "inputs", "input")
ANSWERED = ("answer_id", "output", "response", "target", "answer", "chosen", "model_id", "choices", "review_id")


def matches(row: Row) -> bool:
    if not isinstance(row.value, dict) or any(row.value.get(key) is not None for key in ANSWERED):
        return False
    asked = any(isinstance(row.value.get(key), str | list) and row.value[key] for key in KEYS)
    if partial(row.value) and not row.value.get("turns"):
        return False
    return asked or numbered(row.value) or bool(openai.turns_of(row.value))


def numbered(value: dict[str, Any]) -> bool:
    """Questions under `text` or `data`, told from documents by their number or class."""
    return ("text" in value and "question_id" in value) or (isinstance(value.get("data"), str) and "class" in value)


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    turns, used = asked(value)
    messages = media.place(turns, media.sources(value))
    others = tuple(key for key in value if key not in used)
    return [Conversation(messages, row.origin, **provenance(value), tags=tags(value, others))]


def asked(value: dict[str, Any]) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The messages of a row, and the fields that they came from."""
    if openai.turns_of(value):
        key = openai.list_key(value)
        return ordered(openai.taken(value[key], key), prompt=True), (key,)
    key = next((key for key in (*KEYS, "text", "data") if value.get(key)), "")
    if not key:
        reason = tr("has no question (its fields are {fields})", fields=", ".join(list(value)[:8])[:200])
        raise Fault("record", reason, tr("put it under {key}", key="prompt"))
    if key in ("instruction", "Instruction"):
        words = said("user", ("instruction", text(value[key], key)), ("input", optional(value.get("input"), "input")))
        return (words,), (key, "input")
    given = listing(value[key], key) if isinstance(value[key], list) else [value[key]]
    if isinstance(given[0], dict):
        return ordered(openai.taken(given, key), prompt=True), (key,)
    single = len(given) == 1 and not isinstance(value[key], list)
    names = [key if single else f"{key}[{i}]" for i in range(len(given))]
    return tuple(said("user", ("", text(item, name))) for item, name in zip(given, names, strict=True)), (key,)


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or not record.messages or record.messages[-1].role != "user":
        raise cannot_write("prompts", record)
    roles = {message.role for message in record}
    row: dict[str, Any]
    if any(part.name for message in record for part in message.parts):
        row = split_question(record.messages[0])
    elif roles == {"user"}:
        row = {"turns": [media.flat(message) for message in record]}
    else:
        row = {"messages": [openai.written(message) for message in record]}
    return dict(record.tags) | row
