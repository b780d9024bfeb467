"""HH-RLHF: two transcripts, `chosen` and `rejected`, with turns marked by blank line, Human: or Assistant:."""

import re
from typing import Any

from tunesmith.formats.fields import has, mapping, provenance, tags, text
from tunesmith.formats.pairs import compared
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.messages import tr
from tunesmith.records import Comparison, Message, Record

SPEAKER = re.compile(r"(?:\A|\n)\n(Human|Assistant):")
NAMES = {"user": "Human", "assistant": "Assistant"}


def matches(row: Row) -> bool:
    return has(row, "chosen", "rejected") and all(
        isinstance(row.value[key], str) and row.value[key].lstrip().startswith("Human:")
        for key in ("chosen", "rejected")
    )


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    chosen, rejected = (ordered(turns(value.get(key), key)) for key in ("chosen", "rejected"))
    prompt, better, worse = compared(chosen, rejected)
    return [Comparison(prompt, better, worse, row.origin, **provenance(value), tags=tags(value))]


def turns(value: Any, field: str) -> list[tuple[str, Message]]:
    """(field, message) for each turn of a transcript."""
    before, *pieces = SPEAKER.split("\n\n" + text(value, field).lstrip())
    if before.strip() or not pieces:
        raise Fault(field, tr("is not a transcript that begins with Human:"), tr("name another format with --format"))
    made = []
    for i, (speaker, words) in enumerate(zip(pieces[::2], pieces[1::2], strict=True)):
        where = f"{field}[{i}]"
        role = "user" if speaker == "Human" else "assistant"
        made.append((where, said(role, ("", text(words.removeprefix(" "), where)))))  # type: ignore[arg-type]
    return made


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Comparison):
        raise cannot_write("hh_rlhf", record)
    return dict(record.tags) | {
        "chosen": transcript(record.prompt + record.chosen),
        "rejected": transcript(record.prompt + record.rejected),
    }


def transcript(messages: tuple[Message, ...]) -> str:
    return "".join(f"\n\n{NAMES[message.role]}: {message.text}" for message in messages)
