"""An answer is in the language of its question, unless another was asked for."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.language_match import LanguageMatch

ENGLISH = "Here is a list of four albums by the band that you can buy and listen to."
CHINESE = "这里有四张你可以买来听的专辑。"


@pytest.mark.parametrize(
    ("turns", "wrong"),
    [
        (("列出四张专辑。", ENGLISH), True),
        (("List four albums.", CHINESE), True),
        (("你好", "你好！", "列出四张专辑。", ENGLISH), True),
        (("列出四张专辑。", CHINESE), False),
        (("List four albums.", ENGLISH), False),
        (("把它翻译成英文：专辑", ENGLISH), False),
        (("Say it in Chinese.", CHINESE), False),
        (("列出四张专辑。", "Abbey Road, Let It Be, Help!, Revolver"), False),
        (("写一段代码", "import os\n# this is the file that you have to run with the data\nprint(os)"), False),
        (("列出四张专辑。", "《Help!》 " + ENGLISH + "还有更多"), False),
    ],
)
def test_match(turns, wrong):
    assert len(run(LanguageMatch(), [talk(*turns)])[1]) == wrong
