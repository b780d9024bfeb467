"""What a conversation says, for steps to look at and to change."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import is_

from tunesmith.formats.prepared import SOURCE as SOURCE  # the tag that names the source a conversation came from
from tunesmith.records import ROLES, Conversation, Message, Role


def asked(conversation: Conversation) -> str:
    """The first thing that the user says: the instruction with its input."""
    return next((message.text for message in conversation if message.role == "user"), "")


def answers(conversation: Conversation) -> Iterator[str]:
    """What the assistant says, turn by turn."""
    return (message.text for message in conversation if message.role == "assistant")


def said(conversation: Conversation) -> str:
    """All that is said, a line between turns."""
    return "\n".join(message.text for message in conversation)


def tag(conversation: Conversation, name: str) -> str:
    """A tag's value, or nothing."""
    return next((value for key, value in conversation.tags if key == name), "")


def edited(conversation: Conversation, edit: Callable[[str], str], roles: tuple[Role, ...] = ROLES) -> Conversation:
    """The conversation with every text of these roles passed through `edit`; itself where nothing changes."""
    old = conversation.messages
    new = [edited_message(message, edit) if message.role in roles else message for message in old]
    return conversation if all(map(is_, new, old)) else replace(conversation, messages=tuple(new))


def edited_message(message: Message, edit: Callable[[str], str]) -> Message:
    parts = [
        part if part.kind != "text" or (text := edit(part.text)) == part.text else replace(part, text=text)
        for part in message.parts
    ]
    return message if all(map(is_, parts, message.parts)) else replace(message, parts=tuple(parts))
