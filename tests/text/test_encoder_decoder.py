"""For an encoder–decoder: the encoder reads what serving sends, the decoder says the answer and its end."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.toys import TEXTS, unigram_tokenizer
from tunesmith.data.portion import Portion, from_bytes, merge, to_bytes
from tunesmith.errors import UserError
from tunesmith.records import Conversation, Message, Origin, Refusal, text_message
from tunesmith.text.length import Fit
from tunesmith.text.proofs import RULES, Rules, prove_serving, remarked
from tunesmith.text.render import Rendered, Renderer
from tunesmith.text.template import Template, load_template, shipped
from tunesmith.text.tokenizer import load_tokenizer

START = 0


def chat(*texts: str) -> Conversation:
    roles = ("user", "assistant") * len(texts)
    return Conversation(tuple(text_message(role, text) for role, text in zip(roles, texts, strict=False)))


TWO = chat("the cat sat", "on the mat", "return a", "def add(a, b):")


def renderer(template: str = "flan-t5", **settings: str) -> Renderer:
    return Renderer(load_template(template), unigram_tokenizer(), opening=(START,), **settings)


def one(made: Renderer, conversation: Conversation) -> Rendered:
    (rendered,) = made.render([conversation])
    assert isinstance(rendered, Rendered), str(rendered)
    return rendered


def proofs(made: Renderer, *rendered: Rendered) -> dict[str, str]:
    rules = Rules(made)
    for item in rendered:
        rules.check(item)
    assert [proof.name for proof in rules.proofs() if not proof.passed] == []
    return {proof.name: proof.detail for proof in rules.proofs()}


@pytest.mark.parametrize("template", shipped())
def test_each_answer_is_an_example_whose_encoder_reads_the_prompt_of_serving(template: str) -> None:
    made = renderer(template)
    rendered = one(made, TWO)
    assert len(rendered.examples) == 2
    for turn, example in zip((1, 3), rendered.examples, strict=True):
        assert list(example.encoder_ids) == made.prompt(TWO.messages[:turn])
        assert example.ids[0] == START
        assert example.weights == (0.0,) + (1.0,) * (len(example.ids) - 1)
        assert example.ids[-1] in made.stop_ids
        said = made.tokenizer.decode(example.ids, skip_special_tokens=True)
        assert said.strip().removesuffix("### End").strip() == TWO.messages[turn].text
    assert set(proofs(made, rendered)) == set(RULES)
    assert prove_serving(made, [rendered]).passed


def test_flan_t5_sends_the_bare_request_closed_by_eos_and_learns_the_answer_closed_by_eos() -> None:
    made = renderer()
    (first,) = one(made, chat("the cat sat", "on the mat")).examples
    tokenizer = made.tokenizer
    assert tokenizer.decode(first.encoder_ids) == "the cat sat</s>"
    assert tokenizer.decode(first.ids) == "<pad> on the mat</s>"
    assert list(first.ids[1:]) == [*tokenizer("on the mat", add_special_tokens=False).input_ids, 1]


def test_earlier_turns_stand_before_the_request_with_their_speakers() -> None:
    made = renderer()
    _, second = one(made, TWO).examples
    expected = "User: the cat sat\nAssistant: on the mat\nUser: return a</s>"
    ids = made.tokenizer(expected, add_special_tokens=False).input_ids
    assert list(second.encoder_ids) == ids


@pytest.mark.parametrize(("mask", "learnt"), [("answers", [True, True]), ("last_answer", [False, True])])
def test_masks_mean_what_they_mean_for_a_causal_model(mask: str, learnt: list[bool]) -> None:
    assert [any(example.weights) for example in one(renderer(mask=mask), TWO).examples] == learnt
    quiet = Message("assistant", TWO.messages[1].parts, learn=False)
    some = Conversation((TWO.messages[0], quiet, *TWO.messages[2:]))
    assert [any(example.weights) for example in one(renderer(), some).examples] == [False, True]


def test_a_mask_on_the_prompt_is_refused() -> None:
    with pytest.raises(UserError, match="mask=everything") as refusal:
        renderer(mask="everything")
    assert "mask=answers" in refusal.value.cure


def test_an_answer_that_the_tokenizer_alters_is_counted_and_told() -> None:
    made = renderer()
    kept, altered = one(made, chat("the cat", "on the mat")), one(made, chat("the cat", "on\n  the\tmat "))
    assert altered.examples == kept.examples
    assert "1 as the tokenizer alters them, first memory messages[1]" in proofs(made, kept, altered)["R2"]
    assert "alters" not in proofs(made, kept)["R2"]


def test_answers_that_the_tokenizer_alters_are_counted_in_every_portion() -> None:
    made, portions = renderer(), []
    for line, answers in enumerate([("on the mat",), ("on\nthe mat", "on\tthe mat"), ("on the  mat",)]):
        rules = Rules(made)
        for answer in answers:
            rules.check(one(made, replace(chat("the cat", answer), origin=Origin("rows", line))))
        first = rules.first_altered
        portions.append(
            from_bytes(to_bytes(Portion(proofs=rules.verdicts(), altered=rules.altered, first_altered=first)))
        )
    whole = merge(portions)
    told = {proof.name: proof.detail for proof in remarked(whole.proofs, whole.altered, whole.first_altered)}
    assert "3 as the tokenizer alters them, first rows:1 messages[1]" in told["R2"]
    assert "alters" not in told["R1"]


def test_an_answer_with_words_missing_fails_r2() -> None:
    made = renderer()
    rendered = one(made, chat("the cat", "on the\nmat"))
    (example,), ((turn,),) = rendered.examples, rendered.groups
    for place in (
        place for place, token in enumerate(example.ids) if made.tokenizer.decode(token).strip("▁ ") and place
    ):
        weights = tuple(0.0 if index == place else weight for index, weight in enumerate(example.weights))
        rules = Rules(made)
        fault = type(example)(example.ids, weights, example.origin, example.encoder_ids)
        rules.check(Rendered(rendered.conversation, (fault,), ((turn,),)))
        assert "R2" in [proof.name for proof in rules.proofs() if not proof.passed]


def test_an_answer_without_tokens_is_refused_by_its_character() -> None:
    (refusal,) = renderer().render([chat("the cat", "on the € mat")])
    assert isinstance(refusal, Refusal)
    assert "'€'" in refusal.reason
    assert refusal.field not in RULES
    one(renderer(), chat("the € cat", "on the mat"))  # serving would send the same


def test_a_prompt_without_a_token_is_refused() -> None:
    bare = "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    made = Renderer(Template("bare", bare), unigram_tokenizer(), opening=(START,))
    (refusal,) = made.render([chat("  ", "on the mat")])
    assert isinstance(refusal, Refusal)
    assert "nothing for the prompt" in refusal.reason


def test_a_limit_of_length_holds_for_each_side() -> None:
    made = renderer()
    rendered = one(made, chat(" ".join(TEXTS[:2]), "on the mat"))
    (example,) = rendered.examples
    assert example.longest == len(example.encoder_ids) > len(example.ids)
    assert len(example) == len(example.encoder_ids) + len(example.ids)
    assert list(Fit(made, example.longest)([rendered])) == [rendered]
    shorter = Fit(made, example.longest - 1)
    assert list(shorter([rendered])) == []
    assert shorter.dropped == 1


def test_t5s_own_tokenizer_passes_all_rules(shared: Path) -> None:
    model = shared / "pytorch__torchtune/tests/assets/sentencepiece.model"
    if not model.is_file():
        pytest.skip("T5's SentencePiece model is not among the test data")
    made = Renderer(load_template("flan-t5"), load_tokenizer(str(model)), opening=(START,))
    rendered = one(made, chat("Translate to German:\nHow old are you?", "Wie alt sind Sie?\n\nÜber 40."))
    (example,) = rendered.examples
    assert example.ids[-1] == example.encoder_ids[-1] == 1
    assert "1 as the tokenizer alters them" in proofs(made, rendered)["R2"]
