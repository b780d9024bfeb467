"""Answers that must have a form, and logits that are changed, through the official client; the model knows neither."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.chat.conftest import KNOWN
from tests.serve.conftest import LIMITS, Asks, serving
from tests.serve.test_chat import say, text
from tests.toys import byte_tokenizer
from tunesmith.serve.grammar import Grammars, grammar_of
from tunesmith.serve.house import House
from tunesmith.serve.loading import open_models
from tunesmith.serve.tools import ToolForm

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}, "w": {"$ref": "#/$defs/w"}},
    "required": ["n", "w"],
    "additionalProperties": False,
    "$defs": {"w": {"enum": ["ab", "你好"]}},
}
SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": SCHEMA | {"description": name}}} for name in "fg"
]
TEMPLATE = """{%- for t in tools or () %}{{ t.function.name }}{% endfor -%}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content or "" }}{% for c in m.tool_calls or () %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor -%}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def fits(value: Any) -> bool:
    return set(value) == {"n", "w"} and value["n"] in range(10) and value["w"] in ("ab", "你好")


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_json_of_the_schema(chat: Asks, stream: bool) -> None:
    for seed in range(3):
        found = chat("hi", response_format=SCHEMA_FORMAT, temperature=2, seed=seed, stream=stream)
        assert fits(json.loads(text(found) if stream else found.choices[0].message.content))


def test_an_answer_is_an_object_that_ends_with_its_brace(chat: Asks) -> None:
    found = chat("hi", response_format={"type": "json_object"}, logit_bias={str(BRACE): 100}).choices[0]
    assert (found.message.content, found.finish_reason) == ("{}", "stop")
    assert chat("hi", response_format={"type": "text"}).choices[0].message.content == KNOWN["hi"]


BRACE = byte_tokenizer()("}").input_ids[0]


def test_bias_and_penalties_change_what_is_likeliest(chat: Asks) -> None:
    letter, other = byte_tokenizer()("zy").input_ids
    bias = {str(letter): 100, str(other): 99.5}
    assert chat("hi", logit_bias=bias, max_tokens=3).choices[0].message.content == "zzz"
    once = chat("hi", logit_bias=bias, presence_penalty=2, max_tokens=4).choices[0].message.content
    often = chat("hi", logit_bias=bias, frequency_penalty=2, max_tokens=4).choices[0].message.content
    assert sorted(once[:2]) == ["y", "z"]
    assert sorted(often) == ["y", "y", "z", "z"]
    with pytest.raises(openai.BadRequestError) as refusal:
        chat("hi", logit_bias={"99999": 1})
    assert refusal.value.param == "logit_bias"


def test_a_schema_that_cannot_be_kept_is_refused(chat: Asks) -> None:
    for schema in ({"type": "nonsense"}, {"type": "array", "uniqueItems": True}, {"$ref": "#"}):
        wrong = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        with pytest.raises(openai.BadRequestError) as refusal:
            chat("hi", response_format=wrong)
        assert refusal.value.param == "response_format"


@pytest.fixture(scope="module")
def calling(assistant: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asks]:
    """The same model behind a template that has tools."""
    template = tmp_path_factory.mktemp("template") / "tools.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    models = open_models([str(assistant)], str(template), replace(LIMITS, context=400), lambda line: None)
    with serving(House(models, LIMITS)) as site, site.client() as client:

        def ask(*messages: Any, **options: Any) -> Any:
            options = {"model": "model", "temperature": 0, "tools": TOOLS} | options
            return client.chat.completions.create(messages=[say("user", "hi"), *messages], **options)

        yield ask
    for served in models.values():
        served.engine.close()


def test_a_tool_is_called_and_its_result_goes_into_the_next_question(calling: Asks) -> None:
    named = {"type": "function", "function": {"name": "g"}}
    for choice, names in (("required", "fg"), (named, "g")):
        found = calling(tool_choice=choice).choices[0]
        assert found.finish_reason == "tool_calls"
        assert found.message.content is None
        assert all(call.function.name in names for call in found.message.tool_calls)
        assert all(fits(json.loads(call.function.arguments)) for call in found.message.tool_calls)
    streamed = [chunk.choices[0].delta for chunk in calling(tool_choice=named, stream=True)]
    (calls,) = [delta.tool_calls for delta in streamed if delta.tool_calls]
    assert calls[0].function.arguments == found.message.tool_calls[0].function.arguments
    result = {"role": "tool", "tool_call_id": found.message.tool_calls[0].id, "content": "7"}
    after = calling(found.message, result, tool_choice="none", max_tokens=5)
    assert after.usage.prompt_tokens > calling(tool_choice="none", max_tokens=5).usage.prompt_tokens
    assert after.choices[0].message.tool_calls is None


def test_one_call_comes_where_no_more_are_wanted(calling: Asks) -> None:
    """Even where a bias begins the next call as soon as it may."""
    eager = {str(byte_tokenizer()("<").input_ids[0]): 100}
    found = calling(tool_choice="required", parallel_tool_calls=False, logit_bias=eager).choices[0]
    assert found.finish_reason == "tool_calls"
    assert len(found.message.tool_calls) == 1
    more = calling(tool_choice="required", logit_bias=eager, max_tokens=200).choices[0].message
    assert str(more.content).count(FORM.open) > 1
    free = calling(parallel_tool_calls=False).choices[0].message
    assert free.content == calling().choices[0].message.content


def test_a_strict_tool_is_called_by_its_parameters_or_not_at_all(calling: Asks) -> None:
    strict = [{"type": "function", "function": tool["function"] | {"strict": True}} for tool in TOOLS]
    assert calling(tools=strict).choices[0].message.content == calling().choices[0].message.content
    unheld = [{"type": "function", "function": {"name": "f", "parameters": {"uniqueItems": True}, "strict": True}}]
    with pytest.raises(openai.BadRequestError) as refusal:
        calling(tools=unheld)
    assert refusal.value.param == "tools"


FORM = ToolForm("<tool_call>", "</tool_call>", "arguments")
CALL = '<tool_call>\n{"name": "f", "arguments": {"n": 3, "w": "你好"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("said", "many", "one"),
    [
        ("", True, True),
        ("a < b <tool", True, True),
        (CALL, True, True),
        (f"Let me see.\n{CALL}", True, True),
        (f"{CALL}\n{CALL}", True, False),
        (f"{CALL} so", False, False),
        (f"a {CALL.replace('3', '30')}", False, False),
        (CALL.replace('"f"', '"h"'), False, False),
        ("a <tool_call> b", False, False),
        ("a <tool_call>", False, False),
    ],
)
def test_words_are_free_and_calls_are_held(said: str, many: bool, one: bool) -> None:
    assert whole(said, grammar_of(None, FORM, TOOLS, free=True)) == many
    assert whole(said, grammar_of(None, FORM, TOOLS, free=True, one=True)) == one


def whole(said: str, grammar: str) -> bool:
    """Whether an answer may be this and no more."""
    form, ids = GRAMMARS.form(grammar), BYTES(said).input_ids
    for place, token in enumerate(ids):
        if not form.allowed(len(BYTES))[token]:
            return False
        if form.add(token):
            return place + 1 == len(ids)
    return bool(form.allowed(len(BYTES))[END])


BYTES = byte_tokenizer()
END = len(BYTES) - 1
GRAMMARS = Grammars(BYTES.backend_tokenizer.to_str, len(BYTES), [END])


def test_json_or_a_call_may_come_where_both_are_asked_for(calling: Asks) -> None:
    found = calling(response_format=SCHEMA_FORMAT).choices[0].message
    assert found.tool_calls or fits(json.loads(found.content))


def test_a_tool_that_is_not_there_is_refused(calling: Asks, chat: Asks) -> None:
    for refused in (
        lambda: calling(tool_choice={"type": "function", "function": {"name": "h"}}),
        lambda: chat("hi", tool_choice="required"),
    ):
        with pytest.raises(openai.BadRequestError) as refusal:
            refused()
        assert refusal.value.param == "tool_choice"
