"""Natural Instructions, v1 and v2: a task definition and its `Instances`, or rows that repeat the definition.

The definition, v1's prompt, things to avoid and cautions, and the input are parts of the question. The first
listed output is the answer; the others are kept as tags named "reference". Further tags name the task and its first
category, as v2 tells them, and hold the task's positive examples, each as JSON under "example".
"""

import json
import re
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
EXAMPLES = "Positive Examples"
NUMBERED = re.compile(r"(task\d+)-")  # v2's ids: the task, then a hash


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
    known = tags(value)
    own = tuple((name, words) for name, words in told(row) if words and name not in dict(known))
    return [Conversation(messages, row.origin, **stated(row), tags=known + own + examples(row) + references)]


def told(row: Row) -> tuple[tuple[str, str], ...]:
    """Task and category, as far as the file tells them."""
    categories = row.header.get("Categories")
    category = categories[0] if isinstance(categories, list) and categories else categories
    numbered = NUMBERED.match(str(row.value.get("id") or ""))
    return (
        ("task", numbered[1] if numbered else ""),
        ("category", category if isinstance(category, str) and category.isprintable() else ""),
    )


def examples(row: Row) -> tuple[tuple[str, str], ...]:
    """The task's positive examples; v1 keeps them one level down, and writes "-" where it has none."""
    nested = row.header.get("Examples")
    found = (
        row.header.get(EXAMPLES)
        or row.value.get(EXAMPLES)
        or (nested.get(EXAMPLES) if isinstance(nested, dict) else None)
    )
    kept = [example for example in found if is_example(example)] if isinstance(found, list) else []
    return tuple(("example", json.dumps({key: example[key] for key in ("input", "output")})) for example in kept)


def is_example(example: Any) -> bool:
    return isinstance(example, dict) and all(isinstance(example.get(key), str) for key in ("input", "output"))


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
    shown = [json.loads(words) for name, words in record.tags if name == "example"]
    row |= {EXAMPLES: shown} if shown else {}
    return row | {name: words for name, words in record.tags if name not in ("reference", "example")}
