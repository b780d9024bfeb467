"""Plain text for continued pre-training: a .txt or .md file, or rows with their words under `text`."""

from typing import Any

from tunesmith.formats.fields import first_key, kind, provenance, tags, text
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write
from tunesmith.messages import tr
from tunesmith.records import Document, Record

KEYS = ("text", "content", "raw_content")
ELSE = ("role", "question_id", "answer_id", "prompt_template", "completions")  # fields of rows that are no documents


def matches(row: Row) -> bool:
    if isinstance(row.value, dict):
        named = any(isinstance(row.value.get(key), str) for key in KEYS)
        return named and not any(key in row.value for key in ELSE)
    return isinstance(row.value, str)


def read(row: Row) -> list[Record]:
    if isinstance(row.value, str):
        return [Document(text(row.value, "text"), row.origin)]
    if not isinstance(row.value, dict):
        raise Fault("record", tr("is {kind}, not text", kind=kind(row.value)), tr("write it as text in quotes"))
    key = first_key(row.value, KEYS)
    return [Document(text(row.value.get(key), key), row.origin, **provenance(row.value), tags=tags(row.value))]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Document):
        raise cannot_write("text", record)
    stated = (("license", record.licence), ("generator", record.generator))
    return dict(record.tags) | {"text": record.text} | {key: words for key, words in stated if words}
