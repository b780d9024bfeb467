"""Scores by family: what is counted, and what counts as right."""

import pytest

from tests.toys import byte_tokenizer, tiny_model
from tunesmith.evaluate.practice import Sample, score, summary
from tunesmith.models.nano.families import generate
from tunesmith.models.nano.families.family import Task


def sample(family: str, expected: str, given: str) -> Sample:
    return Sample(family, "en", "?", expected, given)


def test_the_share_is_over_all_tasks_and_over_each_family():
    scores = summary([sample("a", "1", "1"), sample("a", "1", "2"), sample("b", "x", "x"), sample("b", "y", " y\n")])
    assert scores.exact_match == 0.75
    assert {name: (found.correct, found.total) for name, found in scores.families.items()} == {"a": (1, 2), "b": (2, 2)}
    assert scores.interval[0] < 0.75 < scores.interval[1]
    assert scores.verdicts == [True, False, True, True]


@pytest.mark.parametrize("given", ["Paris.", "paris", "Par is", "Paris Paris", ""])
def test_nearly_right_is_wrong(given: str):
    assert not sample("capital", "Paris", given).right


def test_json_tells_every_family():
    told = summary([sample("a", "1", "1"), sample("b", "1", "2")]).to_json()
    assert set(told) == {"exact_match", "interval", "families"}
    assert told["families"]["b"]["share"] == 0.0


def test_a_model_is_asked_every_task_once_and_judged_by_its_own_words():
    tokenizer, model = byte_tokenizer("<|end|>"), tiny_model(vocab_size=300)
    tasks = list(generate("heldout", 6, 0))
    scores = score(model, tokenizer, lambda task: tokenizer.encode(task.instruction), {256}, tasks)
    assert [item.expected for item in scores.samples] == [task.answer for task in tasks]
    echo = [Task(task.family, task.language, task.instruction, "", item.given) for task, item in
            zip(tasks, scores.samples, strict=True)]  # fmt: skip
    again = score(model, tokenizer, lambda task: tokenizer.encode(task.instruction), {256}, echo)
    assert again.exact_match == 1.0
