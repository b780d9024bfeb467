"""A choice stays the same choice, in whatever order and under whatever marks it is offered."""

from collections import Counter

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.options import offered
from tunesmith.data.steps.answer_options import AnswerOptions
from tunesmith.data.steps.chain_of_thought import ChainOfThought
from tunesmith.data.tasks import part, reasoning
from tunesmith.data.words import asked, tag
from tunesmith.formats import read
from tunesmith.records import Conversation

QUESTION = "Which animal barks, number {}?\nOptions:\n- the cat\n- the dog\n- the cow"


def meant(row: Conversation) -> str:
    """The words of the option that the answer names."""
    found = offered(asked(row))
    assert found
    place = found.place((reasoning(row.messages[1]) or ("", row.messages[1].text))[1])
    assert place is not None
    return found.texts[place]


def test_the_answer_names_the_same_option_under_every_mark_and_in_every_order():
    kept, _ = run(AnswerOptions(), [talk(QUESTION.format(n), "the dog") for n in range(300)])
    assert {meant(row) for row in kept} == {"the dog"}
    assert len({tag(row, "options") for row in kept}) == 17
    assert len({asked(row).split("\n")[1] for row in kept}) == 8
    places = Counter(offered(asked(row)).texts.index("the dog") for row in kept)  # type: ignore[union-attr]
    assert min(places.values()) > 60
    by_label = [row for row in kept if row.messages[1].text != "the dog"]
    assert 75 < len(by_label) < 165
    assert all(tag(row, "options") not in ("-", "*", "•") for row in by_label)


def test_a_share_is_asked_without_options_and_answered_in_words():
    rows = [talk(QUESTION.format(n).replace("- the dog", "- the dog."), "the dog") for n in range(200)]
    kept, _ = run(AnswerOptions(without=0.5), rows)
    bare = [row for row in kept if tag(row, "options") == "none"]
    assert 70 < len(bare) < 130
    assert {asked(row).partition(",")[0] for row in bare} == {"Which animal barks"}
    assert not any(offered(asked(row)) for row in bare)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Which?\nOptions:\n- a\n- b", "c"),
        ("Which?\nOptions:\n- a\n- a", "a"),
        ("What are options?\n- a\n- b", "a"),
        ("Tell me of:\n1. a\n2. b", "a"),
        ("No options at all", "a"),
    ],
)
def test_what_offers_no_choice_or_answers_none_stays(question, answer):
    rows = [talk(question, answer)]
    assert run(AnswerOptions(), rows)[0] == rows


def test_options_that_speak_of_others_keep_their_order():
    question = "Which?\nOptions:\n(A) one\n(B) two\n(C) all of the above"
    kept, _ = run(AnswerOptions(), [talk(f"{n} {question}", "(C)") for n in range(40)])
    assert {offered(asked(row)).texts for row in kept} == {("one", "two", "all of the above")}  # type: ignore[union-attr]
    assert {meant(row) for row in kept} == {"all of the above"}


@pytest.mark.parametrize("name", ["aqua", "ecqa"])
def test_flan_questions_keep_their_right_answer_and_their_reasoning(shared, name):
    path = shared / f"google-research__FLAN/flan/v2/cot_data/{name}_train.tsv"
    rows = [record for record in read([str(path)]) if isinstance(record, Conversation)][:300]
    kept, _ = run(AnswerOptions(), rows)
    changed = [(old, new) for old, new in zip(rows, kept, strict=True) if tag(new, "options")]
    assert len(changed) > 200
    assert [meant(old) for old, _ in changed] == [meant(new) for _, new in changed]
    assert all(part(old.messages[1], "rationale") == part(new.messages[1], "rationale") for old, new in changed)


def test_gsm8k_reasons_before_its_four_hashes_and_the_answer_comes_last(shared):
    path = shared / "openai__grade-school-math/grade_school_math/data/test.jsonl"
    rows = [record for record in read([str(path)]) if isinstance(record, Conversation)]
    assert len(rows) == 1319
    kept, _ = run(ChainOfThought(0.5, "{rationale}\n#### {answer}"), rows)
    shown = [row for row in kept if tag(row, "wording").startswith("reasoned/")]
    assert 600 < len(shown) < 720
    for before, after in zip(rows, kept, strict=True):
        final = before.messages[1].text.rpartition("#### ")[2].strip()
        text = after.messages[1].text
        assert text.endswith(f"\n#### {final}") if tag(after, "wording").startswith("reasoned/") else text == final
        assert "<<" not in text
