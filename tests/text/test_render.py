"""Rendering: every answer stands behind exactly the prompt that serving sends, and nothing else is learnt."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.records import Conversation, Document, Message, Part, Refusal, ToolCall, text_message
from tunesmith.text.proofs import Rules, prove_serving
from tunesmith.text.render import Renderer, render_documents
from tunesmith.text.template import Template, load_template, shipped

FOUR = Conversation(
    (
        text_message("user", "QUESTION ONE?"),
        text_message("assistant", "Answer alpha."),
        text_message("user", "QUESTION TWO?"),
        text_message("assistant", "Answer beta."),
    )
)
words = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\ue000"), min_size=1, max_size=12
).filter(lambda text: text.strip() == text and text)
chats = st.lists(st.tuples(words, words), min_size=1, max_size=3).map(
    lambda pairs: Conversation(
        tuple(m for ask, reply in pairs for m in (text_message("user", ask), text_message("assistant", reply)))
    )
)


def one(renderer, conversation):
    (rendered,) = renderer.render([conversation])
    assert not isinstance(rendered, Refusal), str(rendered)
    return rendered


def failed(renderer, rendered):
    rules = Rules(renderer)
    rules.check(rendered)
    return [proof.name for proof in rules.proofs() if not proof.passed]


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_template_passes_all_rules(name, tokenizer):
    renderer = Renderer(load_template(name), tokenizer)
    rendered = one(renderer, FOUR)
    assert failed(renderer, rendered) == []
    assert [turn.answer for group in rendered.groups for turn in group] == ["Answer alpha.", "Answer beta."]
    assert prove_serving(renderer, [rendered]).passed


def test_a_tokenizer_whose_end_of_text_also_stands_for_the_unknown_loses_no_row(tokenizer):
    """GPT-2's <|endoftext|> is both."""
    tokenizer.unk_token = tokenizer.eos_token
    renderer = Renderer(load_template("alpaca"), tokenizer)
    assert failed(renderer, one(renderer, FOUR)) == []


@pytest.mark.parametrize("name", ["chatml", "vicuna-v1.1", "alpaca", "belle", "ultralm"])
@given(chat=chats)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_each_answer_follows_the_prompt_that_would_produce_it(name, chat, tokenizer):
    renderer = Renderer(load_template(name), tokenizer)
    rendered = one(renderer, chat)
    for example, group in zip(rendered.examples, rendered.groups, strict=True):
        for turn in group:
            asked = renderer.prompt(chat.messages[: turn.number])
            assert list(example.ids[: len(asked)]) == asked
            assert not any(example.weights[: len(group[0].prompt)])
            assert example.weights[len(asked)] == 1.0
            assert example.ids[len(asked) + len(turn.said) - 1] in renderer.stop_ids
    assert failed(renderer, rendered) == []


def test_chatml_learns_the_words_and_the_end_mark_only(tokenizer):
    rendered = one(Renderer(load_template("chatml"), tokenizer), FOUR)
    (example,) = rendered.examples
    learnt = [token for token, weight in zip(example.ids, example.weights, strict=True) if weight]
    assert tokenizer.decode(learnt) == "Answer alpha.<|im_end|>Answer beta.<|im_end|>"


def test_last_answer_mask_learns_the_last_answer(tokenizer):
    rendered = one(Renderer(load_template("chatml"), tokenizer, mask="last_answer"), FOUR)
    learnt = [t for e in rendered.examples for t, w in zip(e.ids, e.weights, strict=True) if w]
    assert tokenizer.decode(learnt) == "Answer beta.<|im_end|>"


def test_an_answer_that_the_data_excludes_is_read_but_not_learnt(tokenizer):
    first = Message("assistant", (Part(text="Answer alpha."),), learn=False)
    rendered = one(
        Renderer(load_template("chatml"), tokenizer), Conversation((FOUR.messages[0], first, *FOUR.messages[2:]))
    )
    learnt = [t for e in rendered.examples for t, w in zip(e.ids, e.weights, strict=True) if w]
    assert tokenizer.decode(learnt) == "Answer beta.<|im_end|>"


def test_control_tokens_in_a_persons_words_stay_words(tokenizer):
    chat = Conversation(
        (text_message("user", "say <|im_end|> twice"), text_message("assistant", "<|im_end|><|im_end|>"))
    )
    renderer = Renderer(load_template("chatml"), tokenizer)
    rendered = one(renderer, chat)
    mark = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert rendered.examples[0].ids.count(mark) == 2  # one ends the question, one ends the answer
    assert failed(renderer, rendered) == []


def test_a_template_whose_mark_the_tokenizer_lacks_adds_it_as_one_token(tokenizer):
    renderer = Renderer(
        Template(
            "own",
            "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '<stop>' }}{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}",
        ),
        tokenizer,
    )
    assert renderer.added == ("<stop>",)
    rendered = one(renderer, FOUR)
    assert rendered.examples[0].ids[-1] == tokenizer.convert_tokens_to_ids("<stop>")
    assert failed(renderer, rendered) == []


def test_a_template_without_an_end_mark_gets_the_end_of_text(tokenizer):
    source = (
        "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    renderer = Renderer(Template("bare", source), tokenizer)
    rendered = one(renderer, FOUR)
    assert renderer.dialect().added
    assert [example.ids[-1] for example in rendered.examples] == [tokenizer.eos_token_id] * 2
    assert failed(renderer, rendered) == []


THINKER = Template(
    "thinker",
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
)


def test_an_empty_think_block_is_prompt_and_each_turn_its_own_example(tokenizer):
    renderer = Renderer(THINKER, tokenizer)
    rendered = one(renderer, FOUR)
    assert len(rendered.examples) == 2
    assert [turn.spoken for group in rendered.groups for turn in group] == [
        "Answer alpha.<|im_end|>",
        "Answer beta.<|im_end|>",
    ]
    assert tokenizer.decode(rendered.groups[0][0].prompt).endswith("<think>\n\n</think>\n\n")
    assert failed(renderer, rendered) == []
    assert prove_serving(renderer, [rendered]).passed


def test_thinking_of_the_row_is_learnt_and_earlier_thinking_dropped(tokenizer):
    def reply(text, thought):
        return Message("assistant", (Part(text=text),), thinking=thought)

    chat = Conversation((FOUR.messages[0], reply("one", "first idea"), FOUR.messages[2], reply("two", "second idea")))
    renderer = Renderer(THINKER, tokenizer)
    rendered = one(renderer, chat)
    assert [turn.spoken for group in rendered.groups for turn in group] == [
        "<think>\nfirst idea\n</think>\n\none<|im_end|>",
        "<think>\nsecond idea\n</think>\n\ntwo<|im_end|>",
    ]
    assert "first idea" not in tokenizer.decode(rendered.groups[1][0].prompt)
    assert failed(renderer, rendered) == []
    assert prove_serving(renderer, [rendered]).passed
    without = one(Renderer(THINKER, tokenizer, thinking="none"), chat)
    assert [turn.spoken for group in without.groups for turn in group] == ["one<|im_end|>", "two<|im_end|>"]


def test_a_tool_call_is_learnt_as_the_template_writes_it(tokenizer):
    call = Message("assistant", (), tool_calls=(ToolCall("add", {"a": 1, "b": 2}),))
    chat = Conversation(
        (FOUR.messages[0], call, text_message("tool", "3"), text_message("assistant", "It is 3.")),
        tools=({"type": "function", "function": {"name": "add", "parameters": {}}},),
    )
    renderer = Renderer(load_template("qwen"), tokenizer)
    rendered = one(renderer, chat)
    spoken = [turn.spoken for group in rendered.groups for turn in group]
    assert spoken[0].rstrip().endswith('{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call><|im_end|>')
    assert spoken[1] == "It is 3.<|im_end|>"
    assert failed(renderer, rendered) == []


def test_a_prompt_that_opens_a_think_block_is_refused_for_answers_without_thinking(tokenizer):
    source = (
        "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}{# </think> #}"
    )
    with pytest.raises(UserError, match="think block"):
        Renderer(Template("opens", source), tokenizer)


@pytest.mark.parametrize(
    "source", ["{% for m in messages %}", "{{ raise_exception('no') }}", "{{ messages[0].content }}", "{{ 1 / 0 }}"]
)
def test_a_useless_template_is_refused_with_its_reason(source, tokenizer):
    with pytest.raises(UserError, match="own"):
        Renderer(Template("own", source), tokenizer)


def test_a_template_that_changes_the_words_refuses_the_row(tokenizer):
    source = load_template("chatml").source.replace("message.content", "message.content | replace('bad', 'good')")
    renderer = Renderer(Template("changing", source), tokenizer)
    chat = Conversation((text_message("user", "hi"), text_message("assistant", "bad words")))
    (refusal,) = renderer.render([chat])
    assert isinstance(refusal, Refusal)
    assert "changes the words" in refusal.reason


def test_half_a_surrogate_pair_refuses_the_row_and_the_next_row_goes_on(tokenizer):
    broken = Conversation((text_message("user", "a\ud83d"), text_message("assistant", "b")))
    whole = Conversation((text_message("user", "😀 你好"), text_message("assistant", "👩‍👩‍👧 好")))
    refusal, rendered = Renderer(load_template("chatml"), tokenizer).render([broken, whole])
    assert isinstance(refusal, Refusal)
    assert "surrogate" in refusal.reason
    assert rendered.groups[0][0].spoken == "👩‍👩‍👧 好<|im_end|>"


def test_documents_go_on_in_the_next_example_and_lose_nothing(tokenizer):
    text = "The answer is 42. " * 40
    examples = list(render_documents([Document(text)], tokenizer, max_length=50))
    ids = [token for example in examples for token in example.ids]
    assert tokenizer.decode(ids[:-1]) == text
    assert ids[-1] == tokenizer.eos_token_id
    assert all(len(example) <= 50 and example.weights[1:] == (1.0,) * (len(example) - 1) for example in examples)


def test_rules_see_planted_faults(tokenizer):
    """Each rule fails on an example that breaks it."""
    from dataclasses import replace

    renderer = Renderer(load_template("vicuna-v1.1"), tokenizer)
    good = one(renderer, FOUR)
    (example,) = good.examples
    start, end = len(good.groups[0][0].prompt), len(example) - 1
    bos = tokenizer.bos_token_id

    def broken(ids=example.ids, weights=example.weights):
        return replace(good, examples=(replace(example, ids=tuple(ids), weights=tuple(weights)),))

    changed = [*example.ids]
    changed[3] += 1
    late = [*example.weights]
    late[start] = 0.0
    early = [*example.weights]
    early[start - 1] = 1.0
    unended = [*example.weights]
    unended[end] = 0.0
    assert "R1" in failed(renderer, broken(ids=changed))
    assert "R2" in failed(renderer, broken(weights=late))
    assert failed(renderer, broken(weights=early)) == ["R3"]
    assert "R4" in failed(renderer, broken(weights=unended))
    assert "R5" in failed(renderer, broken(ids=(bos, *example.ids), weights=(0.0, *example.weights)))
    assert "R6" in failed(renderer, broken(weights=[0.0] * len(example)))
