"""The first of equals stays; case, width and white space do not tell rows apart, pictures and calls do."""

import json
from dataclasses import replace

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.exact_duplicates import ExactDuplicates
from tunesmith.formats import read
from tunesmith.records import Conversation, Message, Part, ToolCall


@pytest.mark.parametrize(
    ("again", "let_go"),
    [(("ａ  B\n", "c"), True), (("a b", "c!"), False), (("a", "b c"), False), (("a b", "d"), False)],
)
def test_what_differs_in_form_alone_is_let_go_and_names_the_first(again, let_go):
    rows = [talk("x", "y"), talk("a b", "c"), talk(*again)]
    kept, rejects = run(ExactDuplicates(), rows)
    assert kept == (rows[:2] if let_go else rows)
    assert [(row, reject.detail) for row, reject in rejects] == ([(2, "test/1")] if let_go else [])


@pytest.mark.parametrize(("of", "dropped"), [("whole", []), ("question", [1]), ("answer", [2])])
def test_only_what_is_named_is_compared(of, dropped):
    rows = [talk("a", "b"), talk("a", "c"), talk("d", "b")]
    assert [row for row, _ in run(ExactDuplicates(of=of), rows)[1]] == dropped


def test_the_same_words_about_another_picture_or_with_another_call_are_no_duplicate():
    seen = [Message("user", (Part("image", source=name), Part(text="What is it?"))) for name in ("a.png", "b.png")]
    calls = [Message("assistant", (), tool_calls=(ToolCall("search", {"q": query}),)) for query in "xy"]
    rows = [Conversation((seen[0], calls[0])), Conversation((seen[1], calls[0])), Conversation((seen[0], calls[1]))]
    assert run(ExactDuplicates(), rows)[1] == []
    assert [row for row, _ in run(ExactDuplicates(), [*rows, replace(rows[1])])[1]] == [3]


@pytest.mark.parametrize(("name", "repeats"), [("alpaca_en_demo", 14), ("alpaca_zh_demo", 8)])
def test_the_known_duplicates_of_a_real_file(shared, name, repeats):
    path = shared / f"hiyouga__LLaMA-Factory/data/{name}.json"
    rows = [record for record in read([str(path)], "alpaca") if isinstance(record, Conversation)]
    texts = [json.dumps([message.text for message in row]) for row in rows]
    assert len(texts) - len(set(texts)) == repeats
    assert len(run(ExactDuplicates(), rows)[1]) == repeats
