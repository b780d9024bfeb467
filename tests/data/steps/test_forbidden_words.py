"""Words are whole words in Latin script, and characters in Chinese."""

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.forbidden_words import ForbiddenWords

STEP = ForbiddenWords(words=("map", "go to", "图片"), roles=("user",))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("Draw a MAP.", True),
        ("Go to work", True),
        ("看图片说话", True),
        ("Read maple maps", False),
        ("看图说话", False),
    ],
)
def test_words(question, found):
    assert len(run(STEP, [talk(question, "a map")])[1]) == found


def test_no_words_forbid_nothing():
    assert len(run(ForbiddenWords(words=()), [talk("q", "a")])[0]) == 1
