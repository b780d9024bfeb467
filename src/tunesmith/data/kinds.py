"""Comparisons, rated conversations and plain texts as conversations, for steps to look at, and back again.

A text is what the assistant says; a comparison is its prompt, then both answers, the better first. A tag says which
it is, and where the answers part. So every step that looks at words, whoever says them, knows them all.
"""

from dataclasses import replace
from typing import Literal, get_args

from tunesmith.data.words import tag
from tunesmith.records import Comparison, Conversation, Document, Rated, Record, text_message

Kind = Literal["conversation", "comparison", "text"]
KINDS: tuple[Kind, ...] = get_args(Kind)
KIND = "kind"  # the tag: "text", "good", "bad", or "comparison 1 1": messages of the prompt and of the better answer
RATED = {"good": True, "bad": False}


def kind(conversation: Conversation) -> Kind:
    """A conversation that was rated is a conversation."""
    found = tag(conversation, KIND).partition(" ")[0]
    return "text" if found == "text" else "comparison" if found == "comparison" else "conversation"


def flat(record: Record) -> Conversation:
    """The record as steps see it."""
    if isinstance(record, Conversation):
        return record
    if isinstance(record, Rated):
        mark = next(name for name, value in RATED.items() if value == record.desirable)
        return replace(record.conversation, tags=((KIND, mark), *record.conversation.tags))
    about = (record.origin, record.licence, record.generator)
    if isinstance(record, Document):
        return Conversation((text_message("assistant", record.text),), *about, tags=((KIND, "text"), *record.tags))
    mark = f"comparison {len(record.prompt)} {len(record.chosen)}"
    return Conversation(record.prompt + record.chosen + record.rejected, *about, tags=((KIND, mark), *record.tags))


def restored(conversation: Conversation) -> Record:
    """What `flat` was given, with the words that it has now."""
    mark, *sizes = tag(conversation, KIND).split(" ")
    tags = tuple(pair for pair in conversation.tags if pair[0] != KIND)
    about = (conversation.origin, conversation.licence, conversation.generator, tags)
    if mark == "text":
        return Document(conversation.messages[0].text, *about)
    if mark == "comparison":
        messages, prompt, chosen = conversation.messages, int(sizes[0]), int(sizes[0]) + int(sizes[1])
        return Comparison(messages[:prompt], messages[prompt:chosen], messages[chosen:], *about)
    return Rated(replace(conversation, tags=tags), RATED[mark]) if mark in RATED else conversation
