"""A raw record: what a file holds at one place, before a format gives it a meaning."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunesmith.records import Origin, Refusal


@dataclass(frozen=True, slots=True)
class Row:
    """`value` is a decoded JSON object, a list of cells, or a string.

    `header` holds what the file says once for all its rows, such as the task definition above `Instances`.
    """

    origin: Origin
    value: Any
    header: Mapping[str, Any] = field(default_factory=dict)


class Fault(Exception):  # noqa: N818
    """Why one record cannot be used. Never leaves the formats: it becomes a Refusal, and reading goes on."""

    def __init__(self, field: str, reason: str, cure: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.cure = cure


def refuse(row: Row, fault: Fault) -> Refusal:
    """The refusal of a whole row, with its raw content for the rejects file."""
    return Refusal(row.origin, fault.field, fault.reason, fault.cure, raw(row.value))


def raw(value: Any) -> str:
    """The row as one line of JSON; half surrogates stay escaped, so that it can be written as UTF-8."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str)
    return text
