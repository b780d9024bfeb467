"""Which task a conversation is of, which category the task is of, and which instance of the task it is.

Readers say so in tags ("task", "category", "instance"); where they do not, a file is one task.
"""

import re
from dataclasses import replace
from pathlib import Path

from tunesmith.data.draw import drawn
from tunesmith.data.words import asked, tag
from tunesmith.records import Conversation, Message

FINAL = re.compile(r"(.*\S)\s*\n#### *(\S[^\n]*?)\s*\Z", re.DOTALL)
CALCULATED = re.compile(r"<<[^<>\n]*>>")
SPLIT = re.compile(r"[_.-](train|training|dev|valid|validation|test)$")


def task(conversation: Conversation) -> str:
    """The task's name; the file's where it has none, without the split: gsm8k for gsm8k_train.tsv."""
    return tag(conversation, "task") or tag(conversation, "dataset") or of_file(conversation.origin.file)


def of_file(name: str) -> str:
    return SPLIT.sub("", Path(Path(name).name.removesuffix(".gz")).stem)


def instance(conversation: Conversation) -> str:
    """A name for what is asked about: it stays the same in other words, once `marked`.

    Without a tag it is made of the input, where question and input are parts of their own, or of the whole question.
    """
    return tag(conversation, "instance") or f"{drawn(subject(conversation)):016x}"


def subject(conversation: Conversation) -> str:
    question = next((message for message in conversation if message.role == "user"), None)
    return part(question, "input") or asked(conversation) if question else ""


def marked(conversation: Conversation, *tags: tuple[str, str]) -> Conversation:
    """The conversation with its instance and these tags, to be called before its words change.

    So a question turned round, or asked with examples, is still known as the same instance when sets are split.
    """
    known = () if tag(conversation, "instance") else (("instance", instance(conversation)),)
    return replace(conversation, tags=conversation.tags + known + tags)


def part(message: Message, name: str) -> str:
    """The text of a named part, or nothing."""
    return next((part.text for part in message.parts if part.name == name), "")


def instruction(question: Message) -> str:
    """All that is said besides the input: what to do, whatever the input is."""
    return "\n\n".join(part.text for part in question.parts if part.name != "input")


def pair(conversation: Conversation) -> tuple[Message, Message] | None:
    """Question and answer, if the conversation is one of each in plain text, whatever the system message."""
    turns = [message for message in conversation if message.role != "system"]
    if [message.role for message in turns] != ["user", "assistant"]:
        return None
    plain = all(part.kind == "text" for message in turns for part in message.parts)
    return (turns[0], turns[1]) if plain and not turns[1].tool_calls and not turns[1].thinking else None


def reasoning(answer: Message) -> tuple[str, str] | None:
    """Rationale and final answer: parts of these names, or what stands before and after GSM8K's last "####".

    GSM8K's calculations for a tool, "<<48/2=24>>", are left out.
    """
    rationale, final = part(answer, "rationale"), part(answer, "answer")
    if rationale and final:
        return rationale, final
    found = FINAL.match(answer.text)
    return (CALCULATED.sub("", found[1]).strip(), found[2]) if found else None


def reworded(conversation: Conversation, question: Message, answer: Message) -> Conversation:
    """The conversation with these as its question and answer."""
    first = tuple(message for message in conversation if message.role == "system")
    return replace(conversation, messages=(*first, question, answer))
