"""Inputs that say nothing go; blanks and missing texts let the row go."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.placeholders import Placeholders
from tunesmith.records import Conversation, Part, text_message

BLANK, ANSWER, INPUT, IMAGE = Placeholders.REASONS


@pytest.mark.parametrize("nothing", ["<noinput>", "Noinput", "No input.", "nan", "N/A", "[No Input]", "无输入"])
def test_an_input_that_says_nothing_is_taken_out(nothing):
    row = Conversation((text_message("user", "Tell a story.", nothing), text_message("assistant", "Once upon a time.")))
    joined = talk(f"Tell a story.\nInput: {nothing}", "Once upon a time.")
    kept, _ = run(Placeholders(), [row, joined])
    assert [row.messages[0] for row in kept] == [text_message("user", "Tell a story.")] * 2


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Make a logo.", "<noinput>", ANSWER),
        ("Sort this.", "nan", ANSWER),
        ("What is in it? <image attached>", "A cat.", BLANK),
        ("Summarize: [paste the text here]", "A text.", BLANK),
        ("Caption the following photo.", "Smile!", IMAGE),
        ("看图，写一段话。", "山很高。", IMAGE),
        ("Summarize the given article.", "It is about trade.", INPUT),
        ("将给定的文本归类。", "说明文。", INPUT),
        ("Fix it.", "Please provide the sentence that you want fixed.", INPUT),
        ("修改句子", "很抱歉，您没有提供任何句子。", INPUT),
        ("Write a letter of complaint.", "Dear [insert name], I complain.", None),
        ("Summarize the given article: Trade grew.", "It grew.", None),
        ('Rewrite the following sentence "He go".', "He goes.", None),
        ("He go home. Correct the given sentence.", "He goes home.", None),
        ("分析以下句子的主语：狗睡觉。", "狗", None),
        ("写一个100字以下的故事", "从前有座山。", None),
        ("Write a function that reverses the given sentence.", "def f(s): return s[::-1]", None),
        ("Caption the following photo of a bee.", "Buzz!", None),
        ("What does N/A mean?", "It means not applicable.", None),
        ("Complete: <mask> is red.\n<mask>", "Blood", None),
        ("Read the following poem aloud, Autumn by John Keats, and tell me its theme.", "Autumn.", None),
    ],
)
def test_why(question, answer, reason):
    _, rejects = run(Placeholders(), [talk(question, answer)])
    assert [reject.reason for _, reject in rejects] == ([reason] if reason else [])


def test_an_image_that_is_there_is_not_missed():
    picture = text_message("user", "Describe this image.")
    row = Conversation(
        (type(picture)("user", (*picture.parts, Part("image", source="a.png"))), text_message("assistant", "A cat."))
    )
    assert run(Placeholders(), [row])[0] == [row]


def test_alpaca(alpaca):
    before = {row.origin: row for row in alpaca}
    kept, rejects = run(Placeholders(), alpaca)
    assert sum(row is not before[row.origin] for row in kept) == 26  # 24 inputs "No input", 2 answers after "<noinput>"
    assert sorted(reject.reason for _, reject in rejects) == [ANSWER] * 4 + [IMAGE]
