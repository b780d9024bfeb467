"""Conversations of one shape are written as the template writes each, or by the template itself."""

import json
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.text.shape import Mark, Shapes
from tunesmith.text.template import Template, load_template, shipped, write

CONTEXT = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "", "unk_token": "", "tools": None}
PEEKING = [
    "{{ 'x' if 'a' in m.content else 'y' }}",
    "{{ m.content | upper }}",
    "{{ m.content | length }}",
    "{{ m.content.split('</think>')[-1] }}",
    "{{ m.content | tojson }}",
    "{{ m.content | e }}",
    "{{ m.content[1:] }}",
    "{{ 'x' if m.content == 'a' }}{{ m.content }}",
    "{{ m.content | replace('a', 'b') }}",
    "{% for c in m.content %}{{ c }}.{% endfor %}",
    "{{ m.content.startswith('a') }}",
    "{{ '%s' % m.content | first }}",
    "{{ {'a': 1}[m.content] | default(m.content) }}",
    "{{ m.content if m.content is lower }}",
]
WORDS = st.one_of(st.sampled_from(["", " ", "a", " a\n", "<s>", '"', "\x1f", "\ue001"]), st.text(max_size=4))


def template_of(line):
    return Template("test", "{% for m in messages %}" + line + "|{% endfor %}")


def messages_of(words):
    return [
        {"role": role, "content": word} for role, word in zip(["user", "assistant"] * len(words), words, strict=False)
    ]


def attempt(writer, *args, **kwargs):
    try:
        return writer(*args, **kwargs)
    except UserError as error:
        return error.message


@pytest.mark.parametrize("name", shipped())
@given(many=st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=6), generate=st.booleans())
@settings(max_examples=25)
def test_shipped_templates(name, many, generate):
    template, shapes = load_template(name), Shapes()
    for words in many:
        got = attempt(shapes.write, template, messages_of(words), generate, CONTEXT)
        assert got == attempt(write, template, messages_of(words), generate, **CONTEXT)


@pytest.mark.parametrize("line", PEEKING)
@given(many=st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=5))
@settings(max_examples=25)
def test_a_template_that_looks_at_the_words_writes_each_itself(line, many):
    template, shapes = template_of(line), Shapes()
    for words in many:
        got = attempt(shapes.write, template, messages_of(words), False, {})
        assert got == attempt(write, template, messages_of(words), False)
    assert not any(shape for key, shape in shapes.known.items() if "content" in key)  # a word that is not empty


@pytest.mark.parametrize(
    ("line", "literals"),
    [
        ("{{ m.content }}", ("", "|")),
        ("{{ m.role ~ ': ' ~ m.content }}", ("user: ", "|")),
        ("{% if m.content and m.content is string %}{{ ('<' + m.content + '>') | trim }}{% endif %}", ("<", ">|")),
    ],
)
def test_a_template_that_only_writes_the_words_runs_once(line, literals):
    shapes = Shapes()
    for word in ("one", "two"):
        shapes.write(template_of(line), messages_of([word]), False, {})
    (shape,) = shapes.known.values()
    assert shape.literals == literals


@pytest.mark.parametrize("line", ["{{ strftime_now('%S') }}{{ m.content }}", "{{ [1, 2] | random }}{{ m.content }}"])
def test_a_template_that_may_write_other_words_each_time_runs_each_time(line):
    shapes = Shapes()
    shapes.write(template_of(line), messages_of(["one"]), False, {})
    assert list(shapes.known.values()) == [None]


def test_ends_are_stripped_as_the_template_strips_them():
    shapes = Shapes()
    line = "[{{ m.content | trim }}]{{ m.content }}{{ m.content.lstrip() }}|{{ m.content.rstrip() }}"
    for word in ("a", " b ", "\n\tc"):
        got = shapes.write(template_of(line), messages_of([word]), False, {})
        assert got == write(template_of(line), messages_of([word]), False)
    assert any(shapes.known.values())


def test_templates_of_released_models(shared):
    files = sorted((shared / "ggerganov__llama.cpp/models/templates").glob("*.jinja"))
    quick = 0
    for file, generate in product(files, (False, True)):
        template, shapes = Template(file.name, file.read_text(encoding="utf-8")), Shapes()
        for words in (["first"], [" two\n", "three"], [json.dumps({"a": "<b>"}), "</think>yes", "&"], ["a", "b", "c"]):
            got = attempt(shapes.write, template, messages_of(words), generate, CONTEXT)
            assert got == attempt(write, template, messages_of(words), generate, **CONTEXT), file.name
        quick += any(shapes.known.values())
    assert quick > len(files)  # of twice as many


def test_a_mark_can_be_asked_nothing_else():
    for name in set(dir(str)) - {"strip", "lstrip", "rstrip"}:
        if not name.startswith("__"):
            assert getattr(Mark, name).__name__ == "look"
