"""Self-Instruct seeds: {"instruction", "instances": [{"input", "output"}]}; every instance is a record."""

from typing import Any

from tunesmith.formats.alpaca import split_question
from tunesmith.formats.fields import has, listing, mapping, optional, provenance, tags, text
from tunesmith.formats.row import Fault, Row, refuse
from tunesmith.formats.turns import cannot_write, said
from tunesmith.records import Conversation, Record, Refusal


def matches(row: Row) -> bool:
    return has(row, "instruction", "instances")


def read(row: Row) -> list[Record | Refusal]:
    value = mapping(row.value)
    instruction = text(value.get("instruction"), "instruction")
    made: list[Record | Refusal] = []
    for i, instance in enumerate(listing(value.get("instances"), "instances")):
        try:
            made.append(one(row, instruction, instance, f"instances[{i}]"))
        except Fault as fault:
            made.append(refuse(row, fault))
    return made


def one(row: Row, instruction: str, instance: Any, field: str) -> Conversation:
    instance = mapping(instance, field)
    given = optional(instance.get("input"), f"{field}.input")
    question = said("user", ("instruction", instruction), ("input", given))
    answer = said("assistant", ("", text(instance.get("output"), f"{field}.output")))
    return Conversation((question, answer), row.origin, **provenance(row.value), tags=tags(row.value))


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or len(record.messages) != 2:
        raise cannot_write("self_instruct", record)
    question = split_question(record.messages[0])
    instance = {"input": question["input"], "output": record.messages[1].text}
    return dict(record.tags) | {"instruction": question["instruction"], "instances": [instance]}
