"""KTO labels: a conversation, or prompt and completion, with `label` true (good) or false (bad)."""

from typing import Any

from tunesmith.formats import alpaca, input_target, openai, sharegpt
from tunesmith.formats.fields import kind
from tunesmith.formats.row import Fault, Row
from tunesmith.formats.turns import cannot_write
from tunesmith.messages import tr
from tunesmith.records import Conversation, Rated, Record

LABELS = ("label", "kto_tag", "desirable")
WORDS = {"true": True, "false": False, "1": True, "0": False}
SHAPES = (openai, sharegpt, alpaca, input_target)


def matches(row: Row) -> bool:
    if not isinstance(row.value, dict) or not any(verdict(row.value.get(key)) is not None for key in LABELS):
        return False
    return any(shape.matches(row) for shape in SHAPES)


def verdict(value: Any) -> bool | None:
    """True, false, 1, 0 or these as words; nothing else is a label."""
    if isinstance(value, str):
        return WORDS.get(value.strip().lower())
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def read(row: Row) -> list[Record]:
    key = next((key for key in LABELS if isinstance(row.value, dict) and key in row.value), LABELS[0])
    label = verdict(row.value.get(key)) if isinstance(row.value, dict) else None
    if label is None:
        found = row.value.get(key) if isinstance(row.value, dict) else None
        raise Fault(key, tr("is {kind}, not a label", kind=kind(found)), tr("write true or false"))
    shape = next((shape for shape in SHAPES if shape.matches(row)), openai)
    return [Rated(rated, label) for rated in shape.read(row) if isinstance(rated, Conversation)]


def write(record: Record) -> dict[str, Any]:
    if not isinstance(record, Rated):
        raise cannot_write("kto", record)
    return openai.write(record.conversation) | {"label": record.desirable}
