"""What a conversation says, for steps to look at and to change."""

from collections.abc import Callable, Iterator
from dataclasses import replace

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
    messages = tuple(edited_message(message, edit) if message.role in roles else message for message in conversation)
    same = all(new is old for new, old in zip(messages, conversation.messages, strict=True))
    return conversation if same else replace(conversation, messages=messages)


def edited_message(message: Message, edit: Callable[[str], str]) -> Message:
    parts = tuple(
        part if part.kind != "text" or (text := edit(part.text)) == part.text else replace(part, text=text)
        for part in message.parts
    )
    same = all(new is old for new, old in zip(parts, message.parts, strict=True))
    return message if same else replace(message, parts=parts)
