"""Damage is mended; what only looks unusual stays."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.unicode import Unicode


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("schÃ¶n", "schön"),
        ("itâ€™s", "it’s"),
        ("æ±‰å\u00ad—æ±‰å\u00ad—", "汉字汉字"),
        ("cafe\u0301", "café"),
        ("a\u200bb\ufeff", "ab"),
        ("\x1b[31mred\x1b[0m\x07", "red"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_damage_is_mended(broken, mended):
    [kept], rejects = run(Unicode(), [talk("q", broken)])
    assert (kept.messages[1].text, rejects) == (mended, [])


@pytest.mark.parametrize(
    "text",
    [
        "你好，世界！《书》“引”：；（注）",
        "ＡＢＣ１２３",
        "L’été naïve",
        "ﬁ &amp; &lt;",
        "👨\u200d👩\u200d👧",
        "`a\u200bb`",
        "می\u200cخواهم",
    ],
)
def test_what_is_sound_stays(text):
    row = talk("q", text)
    assert run(Unicode(), [row])[0][0] is row


def test_what_is_lost_for_good_lets_the_row_go():
    rows = [talk("q", "a \ufffd"), talk("q", "half \ud83d")]
    assert [reject.reason for _, reject in run(Unicode(), rows)[1]] == ["characters lost"] * 2
    assert len(run(Unicode(lost=1), rows)[0]) == 2
