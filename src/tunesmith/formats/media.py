"""Images, videos and audio that a record names beside its text, put where the text points to them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tunesmith.formats.fields import kind, text
from tunesmith.formats.row import Fault
from tunesmith.messages import tr
from tunesmith.records import Message, Part, PartKind

KINDS: tuple[PartKind, ...] = ("image", "video", "audio")


def sources(value: dict[str, Any]) -> dict[PartKind, list[str]]:
    """{"images": ["a.jpg"]} or {"image": "a.jpg"} -> {"image": ["a.jpg"]}."""
    found: dict[PartKind, list[str]] = {}
    for medium in KINDS:
        for key in (f"{medium}s", medium):
            given = value.get(key)
            if given:
                items = given if isinstance(given, list) else [given]
                found[medium] = [text(item, f"{key}[{i}]") for i, item in enumerate(items)]
                break
    return found


def place(messages: Sequence[Message], media: dict[PartKind, list[str]]) -> tuple[Message, ...]:
    """Replace each <image>, <video> and <audio> by the next source of its kind.

    Media that no text points to come first in the first user message; a number that does not fit is a Fault.
    """
    if not media:
        return tuple(messages)
    waiting = {medium: list(names) for medium, names in media.items()}
    pointed = {medium: pointers(messages, medium) for medium in waiting}
    placed = [replace(message, parts=tuple(spread(message.parts, waiting, pointed))) for message in messages]
    for medium, count in pointed.items():
        given = len(media[medium])
        if count and count != given:
            reason = tr("the text points to {count} and {given} are given", count=count, given=given)
            raise Fault(f"{medium}s", reason, tr("write <{medium}> once for each", medium=medium))
    front = tuple(Part(medium, source=name) for medium in KINDS for name in waiting.get(medium, ()))
    return tuple(in_front(placed, front)) if front else tuple(placed)


def pointers(messages: Sequence[Message], medium: PartKind) -> int:
    return sum(part.text.count(f"<{medium}>") for message in messages for part in message.parts)


def spread(parts: Sequence[Part], waiting: dict[PartKind, list[str]], pointed: dict[PartKind, int]) -> list[Part]:
    """Cut text parts at the pointers and put the sources there."""
    marks = [medium for medium in waiting if pointed[medium]]
    if not marks:
        return list(parts)
    pattern = re.compile("<(" + "|".join(marks) + ")>")
    made: list[Part] = []
    for part in parts:
        for i, piece in enumerate(pattern.split(part.text)):
            if i % 2 == 0:
                made += [replace(part, text=piece)] if piece else []
            elif waiting[piece]:  # type: ignore[index]
                made.append(Part(piece, source=waiting[piece].pop(0)))  # type: ignore[arg-type, index]
    return made


def in_front(messages: Sequence[Message], front: tuple[Part, ...]) -> list[Message]:
    """The messages, with `front` at the head of the first user message."""
    made = list(messages)
    for i, message in enumerate(made):
        if message.role == "user":
            made[i] = replace(message, parts=front + message.parts)
            return made
    raise Fault("messages", tr("media are given but no user message"), tr("add the user's message"))


def named(part: Part) -> str:
    """A pointer for a part that is not text, as it stands in a file."""
    return f"<{part.kind}>"


def collect(messages: Sequence[Message]) -> dict[str, list[str]]:
    """The inverse of `sources`: {"images": [...]} for the media in the messages."""
    parts = [part for message in messages for part in message.parts if part.kind != "text"]
    return {
        f"{medium}s": [part.source for part in parts if part.kind == medium]
        for medium in KINDS
        if any(part.kind == medium for part in parts)
    }


def flat(message: Message, joint: str = "\n\n") -> str:
    """The message as one text with pointers for its media; text parts that follow each other are joined by `joint`."""
    made, before = "", ""
    for part in message.parts:
        made += (joint if before == part.kind == "text" else "") + (part.text if part.kind == "text" else named(part))
        before = part.kind
    return made


def source_of(item: dict[str, Any], medium: PartKind, field: str) -> str:
    """The path or URL in a content part such as {"type": "image_url", "image_url": {"url": "a.jpg"}}."""
    for key in (f"{medium}_url", medium, "value", "url", "path", "data"):
        found = item.get(key)
        found = found.get("url") or found.get("data") if isinstance(found, dict) else found
        if found:
            return text(found, f"{field}.{key}")
    reason = tr("names no {medium} (it is {kind})", medium=medium, kind=kind(item))
    raise Fault(field, reason, tr("give its path or URL"))
