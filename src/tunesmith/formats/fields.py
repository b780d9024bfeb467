"""Taking typed values out of raw records; whatever does not fit is a Fault that names the field."""

import json
from collections.abc import Sequence
from typing import Any, TypedDict

from tunesmith.formats.row import Fault, Row
from tunesmith.messages import tr

LICENCE = ("license", "licence")
GENERATOR = ("generator", "model", "model_name")
TAGS = ("id", "name", "category", "class", "task", "type", "dataset", "source")


def kind(value: Any) -> str:
    """What a value is, in words for the user."""
    if value is None:
        return tr("nothing")
    if isinstance(value, bool):
        return tr("true or false")
    if isinstance(value, int | float):
        return tr("the number {value}", value=f"{value:.6g}" if isinstance(value, float) else str(value)[:20])
    if isinstance(value, str):
        return tr("a text")
    return tr("a list") if isinstance(value, list | tuple) else tr("an object")


def mapping(value: Any, field: str = "record") -> dict[str, Any]:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise Fault(field, tr("is {kind}, not an object", kind=kind(value)), tr("write it as a JSON object"))
    return value


def listing(value: Any, field: str) -> list[Any]:
    """The value, which must be a list with something in it."""
    if value is None:
        raise Fault(field, tr("is missing"), tr("add it, or name another format with --format"))
    if not isinstance(value, list):
        raise Fault(field, tr("is {kind}, not a list", kind=kind(value)), tr("write it as [ … ]"))
    if not value:
        raise Fault(field, tr("is an empty list"), tr("fill it in, or remove the record"))
    return value


def text(value: Any, field: str) -> str:
    """The value, which must be text with something in it."""
    taken = optional(value, field)
    if value is None:
        raise Fault(field, tr("is missing"), tr("add it, or name another format with --format"))
    if not taken or taken.isspace():
        raise Fault(field, tr("is empty"), tr("fill it in, or remove the record"))
    return taken


def optional(value: Any, field: str) -> str:
    """The value, which may be absent or empty but, if it is there, must be sound text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Fault(field, tr("is {kind}, not text", kind=kind(value)), tr("write it as text in quotes"))
    sound(value, field)
    return value


def sound(value: str, field: str) -> None:
    """Refuse text that cannot be written as UTF-8 or that carries NUL characters."""
    if "\0" in value:
        raise Fault(field, tr("holds a NUL character"), tr("remove it: it means that the export went wrong"))
    if value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = f"U+{ord(value[error.start]):04X}"
        reason = tr("holds half a surrogate pair ({code}) at character {place}", code=code, place=error.start + 1)
        raise Fault(field, reason, tr("export again without cutting emoji in two")) from None


def decoded(value: Any, field: str) -> Any:
    """A value that some files store as JSON inside a string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise Fault(field, tr("is text that is not JSON"), tr("write it as JSON")) from None


def first_key(value: dict[str, Any], keys: Sequence[str]) -> str:
    """The first of the keys that the record has, or the first key of all, so that an error can name it."""
    return next((key for key in keys if value.get(key) is not None), keys[0])


class Provenance(TypedDict):
    """What a row says about where its words come from; empty where it says nothing."""

    licence: str
    generator: str


def provenance(value: dict[str, Any]) -> Provenance:
    """Licence and generator, where the row states them."""
    return {"licence": stated(value, LICENCE), "generator": stated(value, GENERATOR)}


def stated(value: dict[str, Any], keys: Sequence[str]) -> str:
    for key in keys:
        found = value.get(key)
        if isinstance(found, str):
            sound(found, key)
            return found
    return ""


def tags(value: dict[str, Any], keys: Sequence[str] = TAGS) -> tuple[tuple[str, str], ...]:
    """The named plain values of a row, as text."""
    found = [(key, value[key]) for key in keys if key in value]
    kept = tuple((key, item if isinstance(item, str) else json.dumps(item)) for key, item in found if plain(item))
    for key, item in kept:
        sound(item, key)
    return kept


def plain(item: Any) -> bool:
    return isinstance(item, str | int | float) and item != ""


def has(row: Row, *keys: str) -> bool:
    """Whether the row is an object with all of these keys."""
    return isinstance(row.value, dict) and all(key in row.value for key in keys)
