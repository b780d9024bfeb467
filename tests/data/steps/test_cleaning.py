"""What holds for every step that cleans: once is enough, and no conversation is left bare."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.steps.running import run, talk
from tunesmith.data import step

CLEANING = [
    "chinese_script",
    "forbidden_words",
    "html_to_markdown",
    "language",
    "language_match",
    "lengths",
    "loops",
    "personal_data",
    "placeholders",
    "refusals",
    "role_order",
    "split_long",
    "truncated",
    "unicode",
    "whitespace",
]
PIECES = [
    *(
        "<p>one</p>",
        "<b>bold</b>",
        "<br>",
        "</div>",
        "<pre><code>x &lt; y</code></pre>",
        "&lt;b&gt;",
        "a < b",
        "<noinput>",
    ),
    *(
        "```python\n",
        "\n```",
        "`code`",
        "\n\n\n",
        " \r\n",
        "\t",
        "\u00a0",
        "\u200b",
        "\u3000",
        "\ufeff",
        "e\u0301",
        "Ã©",
        "â€œ",
    ),
    *(
        "The end. ",
        "it is what you have, ",
        "and the ",
        "你好，世界。",
        "漢字",
        "乾隆皇后",
        "发展",
        "的",
        "Input: nan",
        "\nInput: nan",
    ),
    *(
        "a@b.cn",
        "13812345678",
        "11010519491231002X",
        "8.8.4.44",
        "[EMAIL]",
        "要求GPT模型",
        "GPT",
        "As an AI, I ",
        "1 / 2\n",
    ),
]
TEXTS = st.one_of(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.text(max_size=20))


@pytest.mark.parametrize("name", CLEANING)
@settings(max_examples=60)
@given(turns=st.lists(TEXTS, min_size=1, max_size=5))
def test_to_clean_twice_is_to_clean_once(name, turns):
    cleaner = step.kind(name)()
    once, _ = run(cleaner, [talk(*turns)])
    assert all(conversation.messages for conversation in once)
    twice, rejects = run(cleaner, once)
    assert (twice, rejects) == (once, [])


@pytest.mark.parametrize("name", CLEANING)
def test_a_sound_conversation_passes_as_it_is(name):
    sound = [
        talk("What is the capital of France?", "The capital of France is Paris."),
        talk("为什么天空是蓝色的？", "因为大气散射短波光，也就是蓝光。"),
        talk("Write a loop.", "```python\nfor i in range(3):\n    print(i)\n```"),
        talk("How many?", "3", "And in words?", "Three"),
    ]
    kept, rejects = run(step.kind(name)(), sound)
    assert rejects == []
    assert all(new is old for new, old in zip(kept, sound, strict=True))
