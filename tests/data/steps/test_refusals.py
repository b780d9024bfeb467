"""Self-reference and refusal are two reasons; a mention of AI is neither."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.refusals import Refusals

SELF, DECLINES = "speaks of itself as a model", "declines the task"


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("What did you eat?", "As an AI language model, I don't eat.", SELF),
        ("What did you eat?", "Sorry, but as an AI developed by OpenAI, I do not eat.", SELF),
        ("What did you eat?", "I'm just an AI assistant, so nothing.", SELF),
        ("你吃了什么？", "作为一个人工智能助手，我不需要吃东西。", SELF),
        ("把垃圾拿出去。", "喔不，由于我是一个语言模型，无法拿垃圾。", SELF),
        ("Play a song.", "Sorry, I can't play the song Despacito on the keyboard.", DECLINES),
        ("Draw a logo.", "Sorry, this task requires a visual output.", DECLINES),
        ("Draw a logo.", "<nooutput>", DECLINES),
        ("Hack it.", "I’m sorry, but I can’t assist with that.", DECLINES),
        ("预测股价", "很抱歉，我无法提供准确的预测。", DECLINES),
        ("How is AI used?", "The model can be used as an AI assistant, my friend.", None),
        ("Jobs?", "I am an AI engineer and like it.", None),
        ("Describe the beach.", "Sand, as well as a large language school and an AI lab.", None),
        ("Play a chatbot.", "Hello! I am an AI assistant, and I will help you.", None),
        ("Decline an invitation.", "I'm sorry, but I can't attend your party.", None),
        ("Write an apology.", "I'm sorry for the inconvenience. I cannot help but regret it.", None),
        ("Rephrase: I can't do it", "I am not able to do it.", None),
        ("人工智能是什么？", "人工智能是让机器做事的科学。作为一个学科，它很年轻。", None),
        ("介绍自己的职业", "我是一个机器人工程师，喜欢发明。", None),
    ],
)
def test_why(question, answer, reason):
    _, rejects = run(Refusals(), [talk(question, answer)])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])


def test_either_can_be_switched_off():
    rows = [talk("q", "As an AI language model, I pass."), talk("q", "I'm sorry, but I cannot assist with that.")]
    assert [row for row, _ in run(Refusals(refusal=False), rows)[1]] == [0]
    assert [row for row, _ in run(Refusals(self_reference=False), rows)[1]] == [1]


@pytest.mark.parametrize(
    ("question", "clean"),
    [
        ("给出一段对话，要求GPT模型继续对话。", "给出一段对话，继续对话。"),
        ("如何训练GPT模型？", "如何训练GPT模型？"),
        ("请GPT", "请GPT"),
    ],
)
def test_words_that_address_the_model_are_deleted(question, clean):
    [kept], _ = run(Refusals(), [talk(question, "好")])
    assert kept.messages[0].text == clean


def test_alpaca(alpaca):
    _, rejects = run(Refusals(), alpaca)
    assert [reject.reason for _, reject in rejects] == [DECLINES] * 3  # all begin with "<nooutput>"
