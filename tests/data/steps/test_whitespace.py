"""White space without meaning goes; indents, tables and code keep theirs."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.whitespace import Whitespace


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("\n one  two \r\nthree\t\n\n\n\nfour\n", "one  two\nthree\n\nfour"),
        ("a\u00a0b", "a b"),
        ("\n    def f():\n        return 1  \n", "    def f():\n        return 1"),
        ("x\n```\na  \n\n\n\nb\u00a0\n```", "x\n```\na  \n\n\n\nb\u00a0\n```"),
        ("\u3000\u3000第一段。\n\u3000\u3000第二段。", "第一段。\n\u3000\u3000第二段。"),
        ("a\tb\u2028c", "a\tb\nc"),
    ],
)
def test_white_space(text, tidy):
    [kept], _ = run(Whitespace(), [talk("q", text)])
    assert kept.messages[1].text == tidy
