"""What of a conversation is compared with others, when duplicates are looked for."""

import json
from typing import Literal

from tunesmith.data.kinds import kind
from tunesmith.data.words import asked
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.records import Conversation, Message

Of = Literal["whole", "question", "answer"]


def compared(conversation: Conversation, of: Of) -> str:
    """All turns, the first question, or what the assistant says, does and thinks."""
    return "\n".join(map(content, chosen(conversation, of)))


def media(conversation: Conversation, of: Of) -> str:
    """The names of pictures and sounds; the same question about another picture is another question."""
    return "\n".join(
        [part.source for message in chosen(conversation, of) for part in message.parts if part.kind != "text"]
    )


def chosen(conversation: Conversation, of: Of) -> tuple[Message, ...]:
    if of == "whole" or kind(conversation) == "text":
        return conversation.messages
    if of == "answer":
        return tuple(message for message in conversation if message.role == "assistant")
    return tuple(message for message in conversation if message.role == "user")[:1]


def content(message: Message) -> str:
    """Thoughts, words and calls of tools."""
    if not message.thinking and not message.tool_calls:
        return message.text
    calls = (f"{call.name} {json.dumps(call.arguments, sort_keys=True)}" for call in message.tool_calls)
    return "\n".join((message.thinking, message.text, *calls))


def instruction(conversation: Conversation) -> str:
    """The task alone, where the data keep it apart from its input; else the first question."""
    parts = (part for message in chosen(conversation, "question") for part in message.parts)
    return next((part.text for part in parts if part.name == "instruction"), "") or asked(conversation)


def check(name: str, value: float) -> None:
    """Raise UserError unless the value is a part of one."""
    if not 0 < value < 1:
        raise UserError(
            tr("{name} is {value}", name=name, value=value), tr("give a number between 0 and 1, such as 0.7")
        )
