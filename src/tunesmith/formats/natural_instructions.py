"""Natural Instructions, v1 and v2: a task definition and its `Instances`, or rows that repeat the definition.

The definition, v1's prompt, things to avoid and cautions, and the input are parts of the question. The first
listed output is the answer; the others are kept as tags named "reference".
"""

from collections.abc import Mapping
from typing import Any

from tunesmith.formats.fields import Provenance, kind, listing, mapping, provenance, tags, text
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Record

SECTIONS = (
    ("definition", "Definition"),
    ("avoid", "Things to Avoid"),
    ("caution", "Emphasis & Caution"),
    ("prompt", "Prompt"),
)
INPUTS = ("input", "inputs")
OUTPUTS = ("output", "outputs", "targets")


def matches(row: Row) -> bool:
    if not isinstance(row.value, dict):
        return False
    defined = any(isinstance(find(part, "Definition"), str | list) for part in (row.header, row.value))
    return defined and any(key in row.value for key in INPUTS)


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    sections = [(name, section(row, key)) for name, key in SECTIONS]
    if not sections[0][1]:
        raise Fault("Definition", tr("is missing"), tr("add it, or name another format with --format"))
    given = next((key for key in INPUTS if key in value), INPUTS[0])
    question = said("user", *sections, ("input", text(value.get(given), given)))
    first, *others = outputs(value)
    references = tuple(("reference", other) for other in others)
    messages = (question, said("assistant", ("", first)))
    return [Conversation(messages, row.origin, **stated(row), tags=tags(value) + references)]


def stated(row: Row) -> Provenance:
    """Licence and generator; v2 states one licence for all instances."""
    licence = row.header.get("Instance License")
    first = licence[0] if isinstance(licence, list) and licence else licence
    found = provenance(row.value)
    if isinstance(first, str) and not found["licence"]:
        found["licence"] = first
    return found


def section(row: Row, key: str) -> str:
    """One part of the task's description; v1 writes "-" where there is nothing to say."""
    found = find(row.value, key) or find(row.header, key)
    lines = [text(line, key) for line in found] if isinstance(found, list) else [found]
    if not all(isinstance(line, str | None) for line in lines):
        raise Fault(key, tr("is {kind}, not text", kind=kind(found)), tr("write it as text in quotes"))
    words = "\n".join(line for line in lines if line)
    return "" if words.strip(" -.\n") == "" else words


def find(part: Mapping[str, Any], key: str) -> Any:
    return part.get(key) or part.get(key.lower())


def outputs(value: dict[str, Any]) -> list[str]:
    key = next((key for key in OUTPUTS if key in value), OUTPUTS[0])
    found = value.get(key)
    if isinstance(found, list):
        return [text(item, f"{key}[{i}]") for i, item in enumerate(listing(found, key))]
    return [text(found, key)]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation) or len(record.messages) != 2:
        raise cannot_write("natural_instructions", record)
    question, answer = record.messages
    parts = {part.name: part.text for part in question.parts}
    others = [words for name, words in record.tags if name == "reference"]
    row: dict[str, Any] = {key: parts[name] for name, key in SECTIONS if name in parts}
    row |= {"input": parts["input"], "output": [answer.text, *others]}
    return row | {name: words for name, words in record.tags if name != "reference"}
