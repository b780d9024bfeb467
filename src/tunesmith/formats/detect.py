"""Which format the rows of a file have, told by what is in the first of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tunesmith.errors import UserError
from tunesmith.formats import (
    alpaca,
    belle,
    dolly,
    flan_cot,
    hh_rlhf,
    input_target,
    kto,
    natural_instructions,
    openai,
    preference,
    prepared,
    prompts,
    self_instruct,
    sharegpt,
    text,
    ultrachat,
)
from tunesmith.formats.nearest import nearest
from tunesmith.formats.row import Fault, Row
from tunesmith.messages import tr
from tunesmith.records import Record, Refusal

LOOKED_AT = 50  # rows
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Format:
    """`matches` tells a row of this format by its content; `read` gives its records or raises Fault."""

    name: str
    matches: Callable[[Row], bool]
    read: Callable[[Row], Sequence[Record | Refusal]]
    write: Callable[[Record], dict[str, Any]]


def made(module: ModuleType) -> Format:
    return Format(module.__name__.rpartition(".")[2], module.matches, module.read, module.write)


# Where two formats fit, the one that stands first is meant: the narrower stands before the wider.
FORMATS: tuple[Format, ...] = tuple(
    made(module)
    for module in (
        prepared,
        natural_instructions,
        hh_rlhf,
        preference,
        kto,
        openai,
        sharegpt,
        ultrachat,
        belle,
        dolly,
        self_instruct,
        alpaca,
        flan_cot,
        input_target,
        prompts,
        text,
    )
)


def names() -> tuple[str, ...]:
    return tuple(sorted(format.name for format in FORMATS))


def named(name: str) -> Format:
    """The format of this name."""
    for format in FORMATS:
        if format.name == name:
            return format
    if name == UNKNOWN:
        return Format(UNKNOWN, lambda row: True, refused, refused)  # type: ignore[arg-type]
    raise UserError(tr("unknown format {name}", name=ascii(name)), nearest(name, ("auto", *names())))


def best(rows: Iterable[Row]) -> Format:
    """The format that fits most of the rows; where none fits any, one that refuses them all."""
    given = list(rows)
    votes = [(sum(map(format.matches, given)), format) for format in FORMATS]
    count, format = max(votes, key=lambda vote: vote[0])
    return format if count else named(UNKNOWN)


def refused(row: Row) -> Sequence[Record | Refusal]:
    fields = ", ".join(map(str, row.value))[:200] if isinstance(row.value, dict) else type(row.value).__name__
    reason = tr("no known format has these fields: {fields}", fields=ascii_safe(fields))
    cure = tr("rename the fields, or name the format with --format: {names}", names=", ".join(names()))
    raise Fault("record", reason, cure)


def ascii_safe(words: str) -> str:
    """The words as they can be printed, half surrogates escaped."""
    return words.encode("utf-8", "backslashreplace").decode()
