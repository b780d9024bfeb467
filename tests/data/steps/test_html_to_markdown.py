"""What was copied from a web page becomes Markdown; code, and talk about HTML, stay."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.html_to_markdown import HtmlToMarkdown

SHARED = (  # as in ShareGPT: a block of code with a heading and a button to copy it
    '<div class="markdown prose"><p>Here is an <strong>example</strong>:</p><pre><div class="bg-black"><div>'
    '<span>python</span><button class="flex">Copy code</button></div><div><code class="hljs language-python"><i>def</i>'
    " f(a_b, c):\n    return a_b &lt; c * 2 * 3\n</code></div></div></pre>"
    "<ol><li><p>First</p></li><li>Second a_b*c</li></ol></div>"
)


def test_a_shared_answer_keeps_its_code_to_the_letter():
    [kept], _ = run(HtmlToMarkdown(), [talk("How do I compare?", SHARED)])
    assert kept.messages[1].text == (
        "Here is an **example**:\n\n```python\ndef f(a_b, c):\n    return a_b < c * 2 * 3\n```\n\n"
        "1. First\n2. Second a_b*c"
    )


def test_only_the_markup_changes_in_mixed_text():
    mixed = "See <b>this</b>:\n\n```\n<p>keep</p>\n```\n\n  indented List<String> and `<b>` and 1 < 2"
    [kept], _ = run(HtmlToMarkdown(), [talk("q", mixed)])
    assert kept.messages[1].text == mixed.replace("<b>this</b>", "**this**")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Bold a word in HTML.", "<b>word</b>"),
        ("Make a page.", "<!DOCTYPE html><html><body><p>Hi</p></body></html>"),
        ("把标题做成网页", "<h1>标题</h1>"),
        ("Which is less?", "a < b and c > d, as Map<Key, Value> says"),
        ("Colour it.", '<span style="color: red">Hi</span>'),
        ("q", "an opening <p> alone"),
    ],
)
def test_code_and_talk_about_markup_stay(question, answer):
    row = talk(question, answer)
    assert run(HtmlToMarkdown(), [row])[0] == [row]
