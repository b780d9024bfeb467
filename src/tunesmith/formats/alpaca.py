"""Alpaca: {"instruction", "input", "output"}, with "system" and "history" where there are any.

The instruction and its input stay two parts, because templates place them differently.
"""

import re
from typing import Any

from tunesmith.formats import media
from tunesmith.formats.fields import first_key, has, listing, mapping, optional, provenance, tags, text
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Record

ANSWERS = ("output", "response")
DIALOGUE = re.compile(r"\s*Human:.*\nAssistant:\s*\Z", re.DOTALL)


def matches(row: Row) -> bool:
    return has(row, "instruction") and any(key in row.value for key in ANSWERS)


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    asked = prompt(value)
    key = first_key(value, ANSWERS)
    messages = (*asked, said("assistant", (key if key != "output" else "", text(value.get(key), key))))
    placed = media.place(messages, media.sources(value))
    return [Conversation(placed, row.origin, **provenance(value), tags=tags(value))]


def prompt(value: dict[str, Any]) -> tuple[Message, ...]:
    """System message, history and question, without the answer."""
    instruction = text(value.get("instruction"), "instruction")
    if DIALOGUE.match(instruction):
        reason = tr("holds a whole dialogue in one text (Human: … Assistant:)")
        raise Fault("instruction", reason, tr("read it with --format belle"))
    question = said("user", ("instruction", instruction), ("input", optional(value.get("input"), "input")))
    return (*system(value), *history(value), question)


def system(value: dict[str, Any]) -> tuple[Message, ...]:
    words = optional(value.get("system"), "system")
    return (said("system", ("", words)),) if words else ()


def history(value: dict[str, Any]) -> tuple[Message, ...]:
    """Earlier rounds: [[question, answer], …]."""
    if not value.get("history"):
        return ()
    made: list[Message] = []
    for i, pair in enumerate(listing(value["history"], "history")):
        field = f"history[{i}]"
        if len(listing(pair, field)) != 2:
            raise Fault(field, tr("is not a pair of question and answer"), tr("write it as [question, answer]"))
        made.append(said("user", ("", text(pair[0], f"{field}[0]"))))
        made.append(said("assistant", ("", text(pair[1], f"{field}[1]"))))
    return tuple(made)


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation):
        raise cannot_write("alpaca", record)
    *before, question, answer = record.messages
    system = before.pop(0) if before and before[0].role == "system" else None
    row: dict[str, Any] = split_question(question) | {answer.parts[0].name or "output": answer.text}
    if system:
        row["system"] = system.text
    if before:
        row["history"] = [[u.text, a.text] for u, a in zip(before[::2], before[1::2], strict=True)]
    return row | media.collect(record.messages) | dict(record.tags)


def split_question(question: Message) -> dict[str, str]:
    """The question as instruction and input."""
    given = [part for part in question.parts if part.name == "input"]
    asked = [part for part in question.parts if part.name != "input"]
    return {
        "instruction": media.flat(Message("user", tuple(asked)), ""),
        "input": media.flat(Message("user", tuple(given)), ""),
    }
