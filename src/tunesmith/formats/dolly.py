"""Databricks Dolly: {"instruction", "context", "response", "category"}."""

from typing import Any

from tunesmith.formats.fields import has, mapping, optional, provenance, tags, text
from tunesmith.formats.row import Row
from tunesmith.formats.turns import cannot_write, said
from tunesmith.records import Conversation, Record


def matches(row: Row) -> bool:
    return has(row, "instruction", "context", "response")


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    question = said(
        "user",
        ("instruction", text(value.get("instruction"), "instruction")),
        ("input", optional(value.get("context"), "context")),
    )
    answer = said("assistant", ("", text(value.get("response"), "response")))
    return [Conversation((question, answer), row.origin, **provenance(value), tags=tags(value))]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or len(record.messages) != 2:
        raise cannot_write("dolly", record)
    question, answer = record.messages
    parts = {part.name: part.text for part in question.parts}
    row = {"instruction": parts["instruction"], "context": parts.get("input", ""), "response": answer.text}
    return row | dict(record.tags)
