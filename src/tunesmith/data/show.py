"""Looking at prepared rows: which ones, by conditions on their columns."""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tunesmith.config import nearest
from tunesmith.errors import UserError
from tunesmith.formats.prepared import turns
from tunesmith.messages import tr

Row = dict[str, Any]
TEXT = "text"  # stands for all that is said, or for the raw row that was let go
CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|!=|=|<|>|~)\s*(.*?)\s*$", re.DOTALL)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def matching(rows: Iterable[Row], conditions: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """The rows for which every condition holds, such as "tokens>500", "language=zh" or "text~sorry" (a pattern)."""
    tests = [condition(text, columns) for text in conditions]
    return (row for row in rows if all(test(row) for test in tests))


def condition(text: str, columns: Sequence[str]) -> Callable[[Row], bool]:
    """Raises UserError where the condition cannot be read or names no column."""
    found = CONDITION.match(text)
    if not found:
        raise UserError(
            tr("{text!r} is no condition", text=text), tr("write column=value, with one of = != < > <= >= ~")
        )
    name, sign, value = found.groups()
    if name not in (*columns, TEXT):
        close = nearest(name, (*columns, TEXT))
        cure = tr("did you mean {name!r}?", name=close) if close else ""
        raise UserError(
            tr("no column {name!r}", name=name), cure or tr("use one of {names}", names=", ".join((*columns, TEXT)))
        )
    return pattern(name, value) if sign == "~" else comparison(name, COMPARE[sign], value)


def pattern(name: str, value: str) -> Callable[[Row], bool]:
    try:
        wanted = re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise UserError(
            tr("{text!r} is no regular expression: {error}", text=value, error=error), tr("put \\ before special signs")
        ) from error
    return lambda row: wanted.search(str(cell(row, name) or "")) is not None


def comparison(name: str, compare: Callable[[Any, Any], bool], value: str) -> Callable[[Row], bool]:
    """As numbers where the column holds numbers, else as text."""

    def holds(row: Row) -> bool:
        found = cell(row, name)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return compare(found, number(name, value))
        return compare(str(found or ""), value)

    return holds


def number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UserError(
            tr("column {name!r} holds numbers, {value!r} is none", name=name, value=value), tr("write a number")
        ) from None


def cell(row: Row, name: str) -> Any:
    if name != TEXT:
        return row[name]
    return row["raw"] if "raw" in row else "\n".join(message["content"] for _, message in turns(row))
