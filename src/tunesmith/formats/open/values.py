"""Records of one JSON document: a list of them, an object that holds such a list, or objects one after the other."""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from tunesmith.formats.open import faults
from tunesmith.formats.open.window import (
    SPACE_OR_COMMAS,
    MalformedError,
    TooLongError,
    UnfinishedError,
    Window,
    escaped,
)
from tunesmith.formats.row import Row
from tunesmith.messages import tr
from tunesmith.records import Origin, Refusal

CONTAINERS = ("Instances", "data", "rows", "records", "examples")  # fields that hold the records of an object
LIST_OF_OBJECTS = re.compile(r"\[\s*[\[{\]]")
ANY_OBJECT = re.compile(r'\{\s*"')
TOP_OBJECT = re.compile(r"\n\{")
FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*")')
NOWHERE = re.compile(r"(?!)")


def read_document(handle: BinaryIO, file: str) -> Iterator[Row | Refusal]:
    """The records of a JSON file, one at a time, with the line on which each begins.

    An object may describe its records before or after it lists them, so that it is read twice.
    """
    header: dict[str, Any] = {}
    if Window(handle).skip() == "{":
        handle.seek(0)
        consume(members(Window(handle), file, header))
    handle.seek(0)
    window = Window(handle)
    while start := window.skip():
        if start == "[":
            yield from elements(window, file, {})
        elif start == "{":
            yield from members(window, file, header)
        else:
            origin = Origin(file, window.line(window.at))
            rest = printable(window.seek(NOWHERE))
            yield faults.not_json(origin, tr("text outside of any record"), rest[: faults.SHOWN])


def elements(window: Window, file: str, header: dict[str, Any]) -> Iterator[Row | Refusal]:
    """The elements of the list that opens at the cursor; a damaged one is refused, and the next one looked for."""
    window.at += 1
    following, comma, place = ANY_OBJECT, 0, Origin(file)
    while (char := window.skip()) not in ("]", ""):
        if char == ",":
            comma = window.line(window.at)
            window.at += 1
            continue
        if following is ANY_OBJECT and (match := FIRST_KEY.match(window.text, window.at)):
            following = re.compile(r"\{\s*" + re.escape(match[1]))
        place = after(place, window.line(window.at))
        found = element(window, place, header, following)
        yield found
        comma = 0
        if isinstance(found, Refusal) and not window.skip():
            return
    yield from ended(window, file, char, comma)


def ended(window: Window, file: str, char: str, comma: int) -> Iterator[Refusal]:
    """What is wrong with the end of a list, if anything; `comma` is the line of a comma that nothing follows."""
    if char == "":
        yield faults.unclosed(Origin(file, window.line(window.at)))
        return
    window.at += 1
    if comma:
        reason = tr("a comma with no record after it")
        yield Refusal(Origin(file, comma), "record", reason, tr("remove the comma, or restore the record"), ",")


def after(before: Origin, line: int) -> Origin:
    """The place of the record that follows: numbered where it stands on the line of the one before."""
    return Origin(before.file, line, max(1, before.record) + 1 if line == before.line else 0)


def element(window: Window, origin: Origin, header: dict[str, Any], following: re.Pattern[str]) -> Row | Refusal:
    """The value at the cursor as a row; if it is damaged its refusal, and the cursor at what seems to follow."""
    try:
        value = window.value()
    except MalformedError as error:
        return faults.not_json(origin, str(error), passed(window, following))
    except UnfinishedError:
        return faults.cut_off(origin, passed(window, NOWHERE))
    except TooLongError:
        return faults.too_long(origin, passed(window, following))
    return foreign(window, origin) or Row(origin, value, header)


def foreign(window: Window, origin: Origin) -> Refusal | None:
    """The refusal of the value just decoded, where its bytes are not UTF-8."""
    if not window.damaged:
        return None
    words = window.text[window.began : window.at]
    place = escaped(words)
    if place is None:
        return None
    code = ord(words[place]) - 0xDC00
    return faults.not_utf8(origin, window.offset(window.began + place), code, printable(words))


def passed(window: Window, following: re.Pattern[str]) -> str:
    return printable(window.seek(following)).rstrip(" \t\r\n,")


def printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def consume(rows: Iterator[Row | Refusal]) -> None:
    for _ in rows:
        pass


def members(window: Window, file: str, header: dict[str, Any]) -> Iterator[Row | Refusal]:
    """The object at the cursor: the records in its containers, or else the object itself as one record.

    `header` gets the fields that are not containers.
    """
    origin = Origin(file, window.line(window.at))
    own: dict[str, Any] = {}
    contained, damage = False, None
    try:
        for key in keys(window):
            if key in CONTAINERS and window.ahead(LIST_OF_OBJECTS):
                contained = True
                yield from elements(window, file, header)
            else:
                own[key] = header[key] = window.value()
                damage = damage or foreign(window, origin)
    except MalformedError as error:
        yield faults.not_json(origin, str(error), passed(window, TOP_OBJECT))
    except UnfinishedError:
        yield faults.cut_off(origin, passed(window, NOWHERE))
    except TooLongError:
        yield faults.too_long(origin, passed(window, TOP_OBJECT))
    else:
        if not contained:
            yield damage or Row(origin, own)


def keys(window: Window) -> Iterator[str]:
    """The keys of the object at the cursor; the caller reads each value before it asks for the next key."""
    window.at += 1
    while (char := window.skip(SPACE_OR_COMMAS)) != "}":
        if char == "":
            raise UnfinishedError
        key = window.value() if char == '"' else None
        if key is None or window.skip() != ":":
            raise MalformedError(tr("a field without a name, line {line}", line=window.line(window.at)))
        window.at += 1
        window.skip()
        yield key
    window.at += 1
