"""The language is told by script, and English from other Latin languages by its words."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.step import kind
from tunesmith.data.steps.language import Language
from tunesmith.data.tongue import tongue

FRENCH = (
    "La capitale de la France est Paris, une ville qui se trouve au bord de la Seine et que des millions de personnes "
    "visitent tous les ans pour ses nombreux monuments et musées."
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The capital of France is Paris.", "en"),
        ("Chanel, Gucci, Dolce & Gabbana, Louis Vuitton, Versace", "en"),
        (FRENCH, "other"),
        ("Столица Франции Париж", "other"),
        ("def sort_list(list):\n    return sorted(list)\n" * 5, "en"),
        ("法国的首都是巴黎。", "zh"),
        ("流行歌曲列表如下：Levitating Dua Lipa, Peaches Justin Bieber, Save Your Tears The Weeknd", "zh"),
        ("```\nprint('hello world')\n```\n这是代码", "zh"),
        ("12 + 5 = 17", "none"),
    ],
)
def test_tongue(text, expected):
    assert tongue(text) == expected


def test_other_languages_go_and_the_tag_tells_the_rest():
    rows = [talk("Hi", "Hello there"), talk("你好", "你好呀"), talk(FRENCH, FRENCH)]
    kept, rejects = run(Language(keep=("zh", "other"), tag=True), rows)
    assert [dict(row.tags)["language"] for row in kept] == ["zh", "other"]
    assert [(row, reject.detail) for row, reject in rejects] == [(0, "en")]


def test_a_class_and_its_type_do_not_clash():
    assert kind("language") is Language
