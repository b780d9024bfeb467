"""Who speaks when: role spellings, and the order of turns that every conversation keeps."""

from collections.abc import Sequence
from typing import Any

from tunesmith.errors import UserError
from tunesmith.formats.row import Fault
from tunesmith.messages import tr
from tunesmith.records import Message, Part, Role

SPELLINGS: dict[Role, tuple[str, ...]] = {
    "system": ("system", "developer", "系统"),
    "user": ("user", "human", "prompter", "person", "client", "customer", "用户", "人类", "问"),
    "assistant": (
        *("assistant", "gpt", "chatgpt", "bing", "bard", "bot", "chatbot", "ai", "model", "agent", "llm"),
        *("function_call", "tool_call", "function-call", "助手", "答"),
    ),
    "tool": ("tool", "observation", "function", "function_response", "tool_response", "function-response", "ipython"),
}
ROLE_OF: dict[str, Role] = {spelling: role for role, spellings in SPELLINGS.items() for spelling in spellings}


def role(value: Any, field: str) -> Role:
    """The role that a spelling means."""
    if isinstance(value, str):
        found = ROLE_OF.get(value) or ROLE_OF.get(value.strip().lower())
        if found:
            return found
    shown = ascii(value)[:40] if isinstance(value, str) else type(value).__name__
    cure = tr("use system, user, assistant or tool, or map it under tags in a dataset_info.json")
    raise Fault(field, tr("unknown role {role}", role=shown), cure)


def ordered(turns: Sequence[tuple[str, Message]], *, prompt: bool = False) -> tuple[Message, ...]:
    """The messages of (field, message) pairs, if they take turns as a chat does.

    At most one system message, at the start; then user and assistant in turn, with tool results only
    after an assistant. It ends with the assistant; where `prompt` is set, with the user.
    """
    last: Role | None = None
    for field, message in turns:
        follow(last, message.role, field)
        last = message.role
    if not turns:
        raise Fault("messages", tr("there are no messages"), tr("fill it in, or remove the record"))
    closed(turns[-1][0], last, prompt)
    return tuple(message for _, message in turns)


def follow(last: Role | None, this: Role, field: str) -> None:
    """Refuse a turn that may not come after the one before it."""
    if this == "system" and last is not None:
        raise Fault(field, tr("a system message after the first place"), tr("move it to the beginning"))
    if this == "assistant" and last in (None, "system"):
        reason = tr("the assistant speaks before the user")
        raise Fault(field, reason, tr("remove this turn, or put the user's question before it"))
    if this == "tool" and last not in ("assistant", "tool"):
        reason = tr("a tool result that no assistant message asked for")
        raise Fault(field, reason, tr("put the assistant's call before it"))
    if this == last and this != "tool":
        cure = tr("join the two turns, or remove one; they are not merged silently")
        raise Fault(field, tr("two {role} turns in a row", role=this), cure)
    if this == "user" and last == "tool":
        reason = tr("the user speaks before the assistant has used the tool's result")
        raise Fault(field, reason, tr("add the assistant's answer, or remove the tool turn"))


def closed(field: str, last: Role | None, prompt: bool) -> None:
    """Refuse a conversation that ends with the wrong speaker."""
    if prompt and last != "user":
        raise Fault(field, tr("a prompt must end with the user"), tr("remove the answer, or name another format"))
    if prompt or last == "assistant":
        return
    if last == "tool":
        raise Fault(field, tr("the conversation ends with a tool result"), tr("add the assistant's answer"))
    cure = tr("add the answer, remove the last turn, or read it as prompts (--format prompts)")
    reason = (
        tr("the conversation ends with the system message")
        if last == "system"
        else tr("the conversation ends with the user")
    )
    raise Fault(field, reason, cure)


def said(role: Role, *texts: tuple[str, str]) -> Message:
    """A message of named text parts; empty ones are left out: said("user", ("instruction", "Add."), ("input", ""))."""
    return Message(role, tuple(Part(text=text, name=name) for name, text in texts if text))


def cannot_write(format: str, record: object) -> UserError:
    """The error for a record that a format has no room for."""
    what = type(record).__name__
    return UserError(tr("{format} cannot hold a {what}", format=format, what=what), tr("write it in another format"))
