"""What holds for every step that comes with Tunesmith."""

from dataclasses import is_dataclass

import pytest
import yaml

from tunesmith.data import step
from tunesmith.messages import catalog


@pytest.mark.parametrize("name", step.names())
def test_a_step_tells_what_it_does_in_both_languages(name):
    kind = step.kind(name)
    assert is_dataclass(kind)
    assert step.snake(kind.__name__) == name
    summary = (kind.__doc__ or "").split("\n")[0]
    missing = {summary, *kind.REASONS} - set(catalog("zh"))
    assert missing == set(), "add them to locale/zh/steps.json"


@pytest.mark.parametrize("name", step.names())
def test_the_example_of_a_step_names_it(name):
    example = yaml.safe_load(step.kind(name).EXAMPLE)
    assert (example if isinstance(example, str) else next(iter(example))) == name
