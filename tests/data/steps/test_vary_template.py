"""The words around a question vary; the question and the answer do not."""

from collections import Counter
from dataclasses import replace

from tests.data.steps.running import run, talk
from tunesmith.data.steps.vary_template import VaryTemplate
from tunesmith.data.words import asked, tag
from tunesmith.records import Conversation, text_message


def given(n: int, told: str = "Translate.", what: str = "cat") -> Conversation:
    messages = (text_message("user", told, f"{what} {n}"), text_message("assistant", "chat"))
    parts = tuple(zip(messages[0].parts, ("instruction", "input"), strict=True))
    question = replace(messages[0], parts=tuple(replace(part, name=name) for part, name in parts))
    return Conversation((question, messages[1]))


def test_instruction_and_input_stand_in_each_wording():
    rows = [given(n) for n in range(400)]
    kept, _ = run(VaryTemplate(), rows)
    assert Counter(tag(one, "wording") for one in kept).keys() == {f"given/{n}" for n in range(8)}
    for n, one in enumerate(kept):
        assert "Translate." in asked(one)
        assert f"cat {n}" in asked(one)
        assert one.messages[1] == rows[n].messages[1]


def test_braces_in_a_question_are_just_braces():
    (one,), _ = run(VaryTemplate(), [talk("What is {input} {0} {}?", "b")])
    assert "What is {input} {0} {}?" in asked(one)
    assert tag(one, "wording").startswith("alone/")


def test_chinese_questions_get_chinese_words():
    kept, _ = run(VaryTemplate(), [given(n, "请翻译下面的词语。", "猫和狗在哪里") for n in range(60)])
    words = {letter for one in kept for letter in asked(one)}
    assert not words & set("TaskInputAnswer")
    assert set("任务输入回答") <= words


def test_the_share_is_varied_and_once_only():
    rows = [talk(f"question {n}", "a") for n in range(500)]
    kept, _ = run(VaryTemplate(0.4), rows)
    changed = [one for one in kept if tag(one, "wording")]
    assert 150 < len(changed) < 250
    assert all(one in rows for one in kept if not tag(one, "wording"))
    assert run(VaryTemplate(1), changed)[0] == changed


def test_conversations_of_several_turns_stay():
    rows = [talk("a", "b", "c", "d")]
    assert run(VaryTemplate(), rows)[0] == rows
