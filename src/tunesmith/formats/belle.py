"""BELLE's layouts: a history written as Human: … Assistant: … inside `instruction`, {"input", "target"},
{"conversations": [{"from": "human" or "assistant"}]}, and {"instruction", "input", "output"}.
"""

import re
from typing import Any

from tunesmith.formats import alpaca, input_target, sharegpt
from tunesmith.formats.fields import first_key, mapping, provenance, tags, text
from tunesmith.formats.row import Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message, Record

SPEAKER = re.compile(r"(?:^|\n)(Human|Assistant):")


def matches(row: Row) -> bool:
    if not alpaca.matches(row) or not isinstance(row.value["instruction"], str):
        return False
    return alpaca.DIALOGUE.match(row.value["instruction"]) is not None


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    if sharegpt.list_key(value) in value:
        return sharegpt.read(row)
    if "instruction" not in value:
        return input_target.read(row)
    return [dialogue(row)] if matches(row) else alpaca.read(row)


def dialogue(row: Row) -> Conversation:
    """The conversation in `instruction`, answered by `output`.

    Only a marker at the start of a line opens a turn; a user who writes one there makes a wrong turn,
    which is refused where it breaks the order of speakers.
    """
    value = row.value
    key = first_key(value, alpaca.ANSWERS)
    turns = [("instruction", turn) for turn in turns_in(text(value["instruction"], "instruction"))]
    answer = said("assistant", ("", text(value.get(key), key)))
    messages = ordered([*turns, (key, answer)])
    return Conversation(messages, row.origin, **provenance(value), tags=tags(value))


def turns_in(words: str) -> list[Message]:
    """ "Human:a\\nAssistant:b\\nHuman:c\\nAssistant:" -> user a, assistant b, user c."""
    pieces = SPEAKER.split(words.strip())
    made = []
    for i, (speaker, said_words) in enumerate(zip(pieces[1::2], pieces[2::2], strict=True)):
        if i == len(pieces) // 2 - 1 and speaker == "Assistant":
            break
        kept = text(said_words, tr("instruction, turn {number}", number=i + 1))
        made.append(said("user" if speaker == "Human" else "assistant", ("", kept)))
    return made


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or any(message.role not in ("user", "assistant") for message in record):
        raise cannot_write("belle", record)
    names = {"user": "Human", "assistant": "Assistant"}
    before = "\n".join(f"{names[message.role]}:{message.text}" for message in record.messages[:-1])
    row = {"instruction": f"{before}\nAssistant:", "input": "", "output": record.messages[-1].text}
    return row | dict(record.tags)
