"""Control-token text that a person wrote stays words: it is marked before the template runs, and never matched."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tunesmith.records import Message, Part

GUARD = "\ue000"  # a private-use character, put inside the text of a control token


def guarded(messages: Sequence[Message], known: Iterable[str], thinking: bool = True) -> tuple[Message, ...]:
    """The messages with every control token in their words made harmless; without `thinking`, bare of it."""
    tokens = tuple(known)
    return tuple(guard_message(message, tokens, thinking) for message in messages)


def guard_message(message: Message, tokens: tuple[str, ...], thinking: bool) -> Message:
    parts = tuple(guard_part(part, tokens) for part in message.parts)
    thought = guard_text(message.thinking, tokens) if thinking else ""
    if parts == message.parts and thought == message.thinking:
        return message
    return replace(message, parts=parts, thinking=thought)


def guard_part(part: Part, tokens: tuple[str, ...]) -> Part:
    text = guard_text(part.text, tokens)
    return part if text == part.text else replace(part, text=text)


def guard_text(text: str, tokens: tuple[str, ...]) -> str:
    for token in tokens:
        if token in text:
            text = text.replace(token, token[0] + GUARD + token[1:])
    return text


def unguarded(text: str) -> str:
    return text.replace(GUARD, "")
