"""The records that flow through the product before anything is a tensor.

All are frozen and free of torch. Every record knows its `origin`, so that an error, a reject
or a proof can name the row that it speaks of.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
PartKind = Literal["text", "image", "video", "audio"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record was read: file, and line (text formats) or record number (binary ones), from 1.

    `record` numbers the records of a line that holds several, as in a JSON list written without line breaks.
    """

    file: str = "memory"
    line: int = 0
    record: int = 0

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}#{self.record}" if self.record else f"{self.file}{line}"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of content. `text` holds the words of a text part, `source` the path or URL of any other.

    `name` tells apart the parts that some formats keep apart, such as Alpaca's "instruction" and "input".
    """

    kind: PartKind = "text"
    text: str = ""
    source: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant asks for; `arguments` is the decoded JSON object."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `thinking` is reasoning kept apart from the answer; `learn=False` excludes an answer from the loss.

    `call_id` names the ToolCall that a tool message answers, in data that numbers its calls.
    """

    role: Role
    parts: tuple[Part, ...]
    thinking: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    learn: bool = True
    call_id: str = ""

    @property
    def plain(self) -> bool:
        """Nothing but one text, as most messages are."""
        return (
            len(self.parts) == 1
            and self.parts[0].kind == "text"
            and not (self.parts[0].name or self.thinking or self.tool_calls or self.name or self.call_id)
        )

    @property
    def text(self) -> str:
        """All text parts, joined by a blank line."""
        if len(self.parts) == 1 and self.parts[0].kind == "text":
            return self.parts[0].text  # as nearly always, and asked for often
        return "\n\n".join(part.text for part in self.parts if part.kind == "text")


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order, with provenance.

    `tools` are JSON-schema tool descriptions. A conversation that ends with the user is a prompt;
    only the format for prompt lists makes those. `tags` keeps what a format knows besides the words
    (a category, a task name), never used for training.
    """

    messages: tuple[Message, ...]
    origin: Origin = Origin()
    licence: str = ""
    generator: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ways to go on from one prompt, the better one first (DPO, reward models). `tags` as of a Conversation."""

    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]
    origin: Origin = Origin()
    licence: str = ""
    generator: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rated:
    """A conversation that was found good or bad as a whole (KTO)."""

    conversation: Conversation
    desirable: bool

    @property
    def origin(self) -> Origin:
        return self.conversation.origin


@dataclass(frozen=True, slots=True)
class Document:
    """Plain text for continued pre-training. `tags` as of a Conversation."""

    text: str
    origin: Origin = Origin()
    licence: str = ""
    generator: str = ""
    tags: tuple[tuple[str, str], ...] = ()


Record = Conversation | Comparison | Rated | Document


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that was not kept: where, which field, what is wrong, what to do, and the raw text."""

    origin: Origin
    field: str
    reason: str
    cure: str
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.origin} {self.field}: {self.reason} → {self.cure}"


def text_message(role: Role, *texts: str) -> Message:
    """A message of one or more text parts: text_message("user", "Translate.", "cat")."""
    return Message(role, tuple(Part(text=text) for text in texts))
