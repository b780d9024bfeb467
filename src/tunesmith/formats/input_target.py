"""One question, one answer under two keys, as promptsource, T0, P3 and question-answer sets write them."""

from typing import Any

from tunesmith.formats import media, openai
from tunesmith.formats.fields import has, mapping, provenance, tags, text
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write, ordered, said
from tunesmith.messages import tr
from tunesmith.records import Conversation, Record

PAIRS = (
    ("inputs_pretokenized", "targets_pretokenized"),
    ("inputs", "targets"),
    ("input", "target"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("source", "target"),
    ("input", "output"),
    ("query", "answer"),
)


# Fields without which a question of the row cannot be answered: such rows are left to be mapped by hand.
ASIDE = ("choices", "options", "choice0", "A", "context", "passage")


def matches(row: Row) -> bool:
    found = pair(row) if isinstance(row.value, dict) else None
    return found is not None and not (found[0] in ("question", "query") and partial(row.value))


def partial(value: dict[str, Any]) -> bool:
    """Whether a question stands apart from the choices or the text that it is about."""
    return any(key in value for key in ASIDE)


def pair(row: Row) -> tuple[str, str] | None:
    """The two keys of a row, where the answer is not a list or an object."""
    found = next((keys for keys in PAIRS if has(row, *keys)), None)
    return found if found and not isinstance(row.value[found[0]], dict | bool | int | float) else None


def read(row: Row) -> list[Record]:
    value = mapping(row.value)
    found = pair(row) or next(((a, b) for a, b in PAIRS if a in value or b in value), None)
    if found is None:
        reason = tr("has no question and answer (its fields are {fields})", fields=", ".join(list(value)[:8])[:200])
        raise Fault("record", reason, tr("name another format with --format"))
    asked, answered = found
    turns = openai.plain(value.get(asked), asked)
    if isinstance(value.get(answered), list):
        turns += openai.taken(value[answered], answered)
    else:
        turns.append((answered, said("assistant", ("", text(value.get(answered), answered)))))
    messages = media.place(ordered(turns), media.sources(value))
    return [Conversation(messages, row.origin, **provenance(value), tags=tags(value))]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Conversation):
        raise cannot_write("input_target", record)
    *before, answer = record.messages
    row: dict[str, Any]
    if len(before) == 1:
        row = {"input": media.flat(before[0])} | media.collect(before)
    else:
        row = {"input": [openai.written(message) for message in before]}
    return {**row, "target": answer.text} | dict(record.tags)
