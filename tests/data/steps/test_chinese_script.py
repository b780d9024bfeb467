"""Characters are chosen by the word they stand in."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.chinese_script import ChineseScript


@pytest.mark.parametrize(
    ("to", "text", "written"),
    [
        ("simplified", "頭髮、發展、乾淨、乾隆皇后以後", "头发、发展、干净、乾隆皇后以后"),
        ("traditional", "头发、发展、干净、皇后以后", "頭髮、發展、乾淨、皇后以後"),
        ("simplified", "`頭` 頭", "`頭` 头"),
        ("simplified", "カタカナ and English", "カタカナ and English"),
    ],
)
def test_conversion(to, text, written):
    [kept], _ = run(ChineseScript(to=to), [talk("q", text)])
    assert kept.messages[1].text == written
    assert run(ChineseScript(to=to), [kept])[0] == [kept]


def test_a_task_to_convert_stays():
    row = talk("把“頭髮”写成简体", "头发")
    assert run(ChineseScript(to="traditional"), [row])[0] == [row]
