"""Which conversations an export learns its rounding from, and with which it is verified."""

import hashlib
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from tunesmith import formats
from tunesmith.data.inputs import take
from tunesmith.errors import UserError
from tunesmith.records import Conversation, Message, Rated, Record, Refusal, text_message

FEWEST = 8  # conversations, of which half are verified with


@dataclass(frozen=True, slots=True)
class Data:
    """`inputs`: for each path the sha256 of its content."""

    held_out: tuple[Conversation, ...] = ()
    calibration: tuple[Conversation, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether an interval says anything."""
        return len(self.held_out) + len(self.calibration) >= FEWEST


def read(paths: Sequence[str], format: str, held_out: int, calibration: int) -> Data:
    """Two parts of the data that share no row, drawn by the content of the rows, whatever their order."""
    inputs = take(paths).hashes
    found = draw(usable(formats.read(paths, format)), held_out + calibration)
    border = min(held_out, len(found) // 2)
    return Data(tuple(found[:border]), tuple(found[border:]), inputs)


def usable(records: Iterator[Record | Refusal]) -> Iterator[Conversation]:
    """Conversations in words that end with an answer, without tools and thinking."""
    for record in records:
        if isinstance(record, Refusal):
            continue
        conversation = record.conversation if isinstance(record, Rated) else record
        if isinstance(conversation, Conversation) and is_plain(conversation):
            yield conversation


def is_plain(conversation: Conversation) -> bool:
    last = conversation.messages[-1]
    return (
        last.role == "assistant"
        and bool(last.text.strip())
        and not conversation.tools
        and not any(message.thinking or message.tool_calls or message.role == "tool" for message in conversation)
        and all(part.kind == "text" for message in conversation for part in message.parts)
    )


def draw(conversations: Iterator[Conversation], count: int) -> list[Conversation]:
    """`count` different ones, as if drawn by lot, and the same ones from the same data."""
    seen: set[str] = set()

    def marked() -> Iterator[tuple[str, Conversation]]:
        for conversation in conversations:
            mark = content_mark(conversation)
            if mark not in seen:
                seen.add(mark)
                yield mark, conversation

    return [conversation for _, conversation in heapq.nsmallest(count, marked(), key=lambda pair: pair[0])]


def content_mark(conversation: Conversation) -> str:
    words = json.dumps([[message.role, message.text] for message in conversation], ensure_ascii=False)
    return hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()


def recorded(manifest: dict[str, Any]) -> tuple[str, ...]:
    """The data that a model's manifest names, if all of it is still here and the same; else nothing."""
    config, inputs = manifest.get("config", {}), manifest.get("inputs", {})
    paths = tuple(config.get("data") or ())
    try:
        now = take(paths).hashes
    except UserError:
        return ()
    return paths if paths and all(now[path] == inputs.get(path) for path in paths) else ()


def own_prompts() -> list[tuple[Message, ...]]:
    """Questions in English and Chinese in turn, written for this purpose: free to travel with an export."""
    text = resources.files("tunesmith.export").joinpath("prompts.json").read_text(encoding="utf-8")
    english, chinese = json.loads(text).values()
    return [(text_message("user", words),) for pair in zip(english, chinese, strict=True) for words in pair]
