"""The answer is given and what led to it is asked for."""

from dataclasses import replace

from tests.data.steps.running import run, talk
from tunesmith.data.steps.invert import Invert
from tunesmith.data.words import asked, tag
from tunesmith.records import Conversation, Message, Part, text_message

LONG = "an answer that is long enough"


def parted(role: str, **texts: str) -> Message:
    return Message(role, tuple(Part(text=text, name=name) for name, text in texts.items()))


def inverted(conversation: Conversation, seed: int = 0) -> Conversation:
    (one,), _ = run(Invert(share=1, answer=10, keep=False, seed=seed), [conversation])
    return one


def test_a_question_is_asked_back_from_its_answer():
    one = inverted(talk("Why is the sky blue?", LONG))
    assert LONG in asked(one)
    assert "sky" not in asked(one)
    assert one.messages[1].text == "Why is the sky blue?"


def test_an_input_is_asked_back_from_instruction_and_answer():
    row = Conversation((parted("user", instruction="Reverse it.", input="abc"), text_message("assistant", LONG)))
    for seed in range(8):
        one = inverted(row, seed)
        assert "abc" not in asked(one)
        assert LONG in asked(one)
        if one.messages[1].text == "abc":
            assert "Reverse it." in asked(one)
    assert {inverted(row, seed).messages[1].text for seed in range(8)} == {"abc"}


def test_a_rationale_is_asked_for_or_leads_back_to_the_question():
    answer = parted("assistant", rationale="Two and two.", answer="four")
    row = Conversation((text_message("user", "How many?"), answer))
    found = {inverted(row, seed).messages[1].text: asked(inverted(row, seed)) for seed in range(20)}
    assert found.keys() == {"How many?", "Two and two."}
    assert "four" in found["How many?"]
    assert "Two and two." in found["How many?"]
    assert "How many?" in found["Two and two."]
    assert "Two and two." not in found["Two and two."]


def test_the_share_is_added_beside_the_rows_that_all_stay():
    rows = [talk(f"question {n}", f"{LONG} {n}") for n in range(500)]
    kept, _ = run(Invert(), rows)
    turned = [one for one in kept if tag(one, "wording")]
    assert 110 < len(turned) < 190
    assert [one for one in kept if not tag(one, "wording")] == rows


def test_short_answers_turns_and_worded_rows_are_not_inverted():
    rows = [talk("a", "yes"), talk("a", LONG, "b", LONG), replace(talk("a", LONG), tags=(("wording", "shots"),))]
    assert run(Invert(share=1), rows)[0] == rows
    assert run(Invert(share=1, keep=False), rows)[0] == rows


def test_chinese_rows_are_asked_back_in_chinese():
    one = inverted(talk("天空为什么是蓝色的?", "因为空气分子对短波长的光散射得更强,所以我们看到蓝色。"))
    assert not any("a" <= letter.lower() <= "z" for letter in asked(one))
