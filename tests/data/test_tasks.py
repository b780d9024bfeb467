"""Tasks and instances are told apart by tags, or by the file and the question."""

import pytest

from tests.data.steps.running import talk
from tunesmith.data.tasks import instance, marked, task
from tunesmith.data.wordings import CHINESE, ENGLISH, wordings
from tunesmith.records import Conversation, Message, Origin, Part, text_message


@pytest.mark.parametrize(
    ("tags", "file", "name"),
    [
        ((("task", "a"), ("dataset", "b")), "c.json", "a"),
        ((("dataset", "b"),), "c.json", "b"),
        ((), "x/gsm8k_train.tsv", "gsm8k"),
        ((), "x/gsm8k.test.jsonl.gz", "gsm8k"),
        ((), "x/train.json", "train"),
    ],
)
def test_a_task_is_named_by_its_tag_or_else_by_its_file(tags, file, name):
    assert task(Conversation(talk("a", "b").messages, Origin(file), tags=tags)) == name


def test_an_instance_is_its_input_whatever_is_asked_of_it():
    def asking(told: str, given: str) -> Conversation:
        parts = (Part(text=told, name="definition"), Part(text=given, name="input"))
        return Conversation((Message("user", parts), text_message("assistant", "x")))

    assert instance(asking("a", "b")) == instance(asking("c", "b"))
    assert instance(asking("a", "b")) != instance(asking("a", "c"))


def test_a_marked_conversation_stays_the_same_instance_in_other_words():
    first = talk("what?", "this")
    other = marked(first)
    assert instance(Conversation(talk("other").messages, tags=other.tags)) == instance(first)
    assert marked(other) == other


def test_words_come_in_the_language_of_the_question():
    assert wordings("把下面的句子译成英文。I am.") is CHINESE
    assert wordings("Translate 你好 into English, and say how it is pronounced.") is ENGLISH
    assert wordings("") is ENGLISH


@pytest.mark.parametrize("field", ENGLISH.__dataclass_fields__)
def test_both_languages_have_the_same_wordings(field):
    english, chinese = getattr(ENGLISH, field), getattr(CHINESE, field)
    assert len(english) == len(chinese)
    assert len(set(english)) == len(set(chinese)) == len(english)
    if field != "shots":
        for one, other in zip(english, chinese, strict=True):
            names = ("instruction", "input", "question", "rationale", "answer")
            assert [f"{{{name}}}" in str(one) for name in names] == [f"{{{name}}}" in str(other) for name in names]
