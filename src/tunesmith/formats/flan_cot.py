"""FLAN chain-of-thought TSV: question, answer, rationale in three columns without a header.

A line break is written as backslash and n. The rationale stands before the answer, as it is to be learned.
"""

from typing import Any

from tunesmith.formats.fields import has, kind, text
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Record

COLUMNS = ("question", "answer", "rationale")


def matches(row: Row) -> bool:
    return has(row, *COLUMNS) or (isinstance(row.value, list) and len(row.value) == len(COLUMNS))


def read(row: Row) -> list[Record]:
    question, answer, rationale = (text(value, name) for name, value in zip(COLUMNS, cells(row), strict=True))
    messages = (
        said("user", ("", unfolded(question))),
        said("assistant", ("rationale", unfolded(rationale)), ("answer", unfolded(answer))),
    )
    return [Conversation(messages, row.origin)]


def cells(row: Row) -> list[Any]:
    if isinstance(row.value, dict):
        return [row.value.get(name) for name in COLUMNS]
    if not isinstance(row.value, list):
        reason = tr("is {kind}, not a row of question, answer and rationale", kind=kind(row.value))
        raise Fault("record", reason, tr("name another format with --format"))
    if len(row.value) != len(COLUMNS):
        reason = tr("has {count} columns instead of question, answer and rationale", count=len(row.value))
        raise Fault("record", reason, tr("check for tabs inside a column"))
    return row.value


def unfolded(words: str) -> str:
    return words.replace("\\n", "\n")


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or len(record.messages) != 2:
        raise cannot_write("flan_cot", record)
    question, answer = record.messages
    parts = {part.name: part.text for part in answer.parts}
    found = (question.text, parts["answer"], parts["rationale"])
    return {name: words.replace("\n", "\\n") for name, words in zip(COLUMNS, found, strict=True)}
