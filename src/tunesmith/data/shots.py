"""Worked examples and a question, put into one text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tunesmith.data.tasks import instruction, part
from tunesmith.data.wordings import Layout
from tunesmith.records import Conversation, Message, Part

Shot = tuple[Message, str]  # question and answer


def own(conversation: Conversation, question: Message) -> Iterator[Shot]:
    """The examples that the task itself gives, as its reader tagged them, but for one that is the question itself."""
    told = tuple(part for part in question.parts if part.name != "input")
    for example in (json.loads(words) for name, words in conversation.tags if name == "example"):
        if example["input"].strip() != part(question, "input").strip():
            yield replace(question, parts=(*told, Part(text=example["input"], name="input"))), example["output"]


def with_shots(layout: Layout, question: Message, shots: Sequence[Shot]) -> str:
    """An instruction that all share is said once, before the examples; the text ends where the answer is to begin."""
    told = shared([question, *(asked for asked, _ in shots)])
    shown = (example(layout, told, *shot) for shot in shots)
    last = layout.question + body(question, told) + layout.answer.rstrip()
    return layout.between.join([*([told] if told else []), *shown, last])


def shared(questions: Sequence[Message]) -> str:
    """The instruction, where all questions have the same one and an input each; else nothing."""
    told = {instruction(question) for question in questions}
    return told.pop() if len(told) == 1 and all(part(question, "input") for question in questions) else ""


def body(question: Message, told: str) -> str:
    return part(question, "input") if told else question.text


def example(layout: Layout, told: str, question: Message, answer: str) -> str:
    return layout.question + body(question, told) + layout.answer + answer


def within(length: int, shots: Iterable[Shot]) -> Iterator[Shot]:
    """Those that fit into so many characters together; one that does not fit is left out, the next may."""
    for question, answer in shots:
        size = len(question.text) + len(answer)
        if size <= length:
            length -= size
            yield question, answer
