"""The rationale is shown where it is asked for, and only there."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.chain_of_thought import ChainOfThought
from tunesmith.data.words import asked, tag
from tunesmith.errors import UserError
from tunesmith.formats import read
from tunesmith.records import Conversation, Message, Part, text_message


def reasoned(n: int) -> Conversation:
    parts = (Part(text="Two and two.", name="rationale"), Part(text="four", name="answer"))
    return Conversation((text_message("user", f"How many, {n}?"), Message("assistant", parts)))


def test_the_share_shows_its_reasoning_and_the_rest_gives_only_the_answer():
    kept, _ = run(ChainOfThought(0.5), [reasoned(n) for n in range(400)])
    shown = [one for one in kept if tag(one, "wording").startswith("reasoned/")]
    assert 150 < len(shown) < 250
    assert {tag(one, "wording") for one in shown} == {f"reasoned/{n}" for n in range(5)}
    for n, one in enumerate(kept):
        answer = one.messages[1].text
        assert f"How many, {n}?" in asked(one)
        assert asked(one) != f"How many, {n}?"
        assert "four" in answer
        assert ("Two and two." in answer) == (one in shown)
        assert answer == "four" or one in shown


def test_answers_without_a_rationale_stay():
    rows = [talk("a", "b"), talk("a", "b", "c", "d")]
    assert run(ChainOfThought(), rows)[0] == rows


def test_flan_rows_are_asked_to_reason(shared):
    path = shared / "google-research__FLAN/flan/v2/cot_data/gsm8k_train.tsv"
    rows = [record for record in read([str(path)]) if isinstance(record, Conversation)][:200]
    kept, _ = run(ChainOfThought(), rows)
    for before, after in zip(rows, kept, strict=True):
        rationale, answer = (part.text for part in before.messages[1].parts)
        assert rationale in after.messages[1].text
        assert answer in after.messages[1].text
        assert tag(after, "wording").startswith("reasoned/")


@pytest.mark.parametrize("form", ["{answer}", "{answer} for {rationale}", "{rationale}"])
def test_a_form_without_the_answer_after_the_rationale_is_refused(form):
    with pytest.raises(UserError, match=r"chain_of_thought\.form"):
        ChainOfThought(form=form)


def test_braces_of_a_form_and_of_an_answer_are_just_braces():
    row = talk("How many?", "By {sums}.\n#### {4}")
    (kept,), _ = run(ChainOfThought(form="{rationale} \\boxed{{answer}}"), [row])
    assert kept.messages[1].text == "By {sums}. \\boxed{{4}}"
