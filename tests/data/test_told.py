"""What is written about the steps is what the steps say of themselves."""

import runpy
from dataclasses import fields
from pathlib import Path

import pytest

from tunesmith.data import step
from tunesmith.data.told import told
from tunesmith.messages import catalog

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", step.names())
def test_every_option_is_told_in_both_languages(name):
    of = told(step.kind(name))
    assert [one for names, _, _ in of.options for one in names.split(", ")] == [
        field.name for field in fields(step.kind(name))
    ]
    missing = {of.summary, *of.paragraphs, *(text for _, text, _ in of.options)} - set(catalog("zh"))
    assert missing == set(), "add them to locale/zh/steps_told.json"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_of_steps_says_what_the_steps_say(language):
    page = runpy.run_path(str(DOCS / "steps.py"))["page"](language)
    assert (DOCS / language / "steps.md").read_text(encoding="utf-8") == page, "run: python docs/steps.py"


def test_no_text_of_a_step_that_is_gone_is_kept():
    import json

    from tunesmith import messages

    kept = json.loads((Path(messages.__file__).parent / "locale/zh/steps_told.json").read_text(encoding="utf-8"))
    every = [told(step.kind(name)) for name in step.names()]
    assert set(kept) <= {text for of in every for text in (*of.paragraphs, *(option[1] for option in of.options))}
