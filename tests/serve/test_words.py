"""From tokens to words: stop strings, tool calls, wherever the borders are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.toys import byte_tokenizer
from tunesmith.chat import TextStream
from tunesmith.records import ToolCall
from tunesmith.serve.engines.base import Step
from tunesmith.serve.tools import ToolForm, form_of, learn_form
from tunesmith.serve.words import Words
from tunesmith.text.render import Renderer
from tunesmith.text.template import Template, load_template

BYTES, MERGED = byte_tokenizer(), byte_tokenizer(merges=40)
FORM = ToolForm("<tool_call>", "</tool_call>", "arguments")


@given(
    st.text("abc你👧 ", max_size=30), st.lists(st.text("abc你👧 ", min_size=1, max_size=4), max_size=3), st.booleans()
)
def test_an_answer_is_what_stands_before_the_stop_string_that_is_whole_first(
    text: str, stops: list[str], merged: bool
) -> None:
    tokenizer = MERGED if merged else BYTES
    words, said = Words(TextStream(tokenizer), stops), ""
    ids = tokenizer(text).input_ids
    given_steps: list[Step] = []
    for token in ids:
        fresh = words.push(Step(token))
        said += fresh
        assert not any(stop in said for stop in stops)
        given_steps += words.released()
        if words.cut:
            break
    said += words.close()
    given_steps += words.released()
    assert said == cut_at_first(text, ids, stops, tokenizer)
    if not words.cut:
        assert [step.token for step in given_steps] == ids
    else:
        assert [step.token for step in given_steps] == ids[: len(given_steps)]


def cut_at_first(text: str, ids: list[int], stops: list[str], tokenizer: Any) -> str:
    """The text up to a stop string, as soon as so many tokens hold one."""
    for count in range(len(ids)):
        heard = str(tokenizer.decode(ids[: count + 1])).rstrip("\ufffd")
        if places := [heard.find(stop) for stop in stops if stop in heard]:
            return heard[: min(places)]
    return text


def test_words_before_a_mark_are_said_and_the_rest_is_kept() -> None:
    words = Words(TextStream(BYTES), (), FORM.open)
    call = '<tool_call>\n{"name": "f", "arguments": {"a": [1, "}"]}}\n</tool_call>'
    said = "".join(words.push(Step(token)) for token in BYTES("Let me <b> see. " + call).input_ids) + words.close()
    assert said == "Let me <b> see. "
    (found,) = FORM.calls(words.tail) or ()
    assert (found.name, found.arguments) == ("f", {"a": [1, "}"]})
    assert found.id.startswith("call_")


@pytest.mark.parametrize(
    "tail",
    [
        "<tool_call>\n{",
        '<tool_call>{"name": "f", "arguments": {}}',
        '<tool_call>{"name": "f", "arguments": []}</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "f", "arguments": {}}</tool_call> and more',
        "<tool_call>" + "[" * 100_000,
    ],
)
def test_what_is_no_call_is_words(tail: str) -> None:
    assert FORM.calls(tail) is None


def test_several_calls_are_read() -> None:
    one = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    assert [call.name for call in FORM.calls(f"{one}\n{one.replace('f', 'g', 1)}") or ()] == ["f", "g"]


def renderer(source: str) -> Renderer:
    return Renderer(Template("test", source), byte_tokenizer("<|im_start|>", "<|im_end|>"))


CALL = 'OPEN{"name": "{{ c.function.name }}", "KEY": {{ c.function.arguments | tojson }}}CLOSE'
CALLING = f"""{{%- if tools %}}{{{{ tools | tojson }}}}{{% endif -%}}
{{%- for m in messages %}}<|im_start|>{{{{ m.role }}}}
{{{{ m.content }}}}{{% for c in m.tool_calls or () %}}{CALL}{{% endfor %}}<|im_end|>
{{% endfor -%}}{{% if add_generation_prompt %}}<|im_start|>assistant
{{% endif %}}"""


def learnt(mark: str, key: str, close: str) -> ToolForm | None:
    made = renderer(CALLING.replace("OPEN", mark).replace("KEY", key).replace("CLOSE", close))
    return learn_form(made.template, made.dialect(), made.control)


def test_the_form_of_calls_is_learnt_from_the_template() -> None:
    assert learnt("<tool_call>\n", "arguments", "\n</tool_call>\n") == FORM
    assert learnt("[CALL]", "parameters", "[/CALL]") == ToolForm("[CALL]", "[/CALL]", "parameters")


def test_calls_that_cannot_be_told_from_words_are_not_offered() -> None:
    assert learnt("", "arguments", "") is None
    assert learnt("<|im_start|>", "arguments", "<|im_start|>") is None  # not in the words of an answer
    assert learnt("call the function", "arguments", "<end>") is None
    plain = renderer(load_template("chatml").source)
    assert learn_form(plain.template, plain.dialect(), plain.control) is None
    assert form_of("nothing") is None


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3), st.text("abc", min_size=1))
def test_a_call_that_was_written_is_read_back(arguments: dict[str, str], name: str) -> None:
    text = f"{FORM.open}\n{json.dumps({'name': name, 'arguments': arguments}, ensure_ascii=False)}\n{FORM.close}"
    found: Any = FORM.calls(text)
    assert found == [ToolCall(name, arguments, found[0].id)]
