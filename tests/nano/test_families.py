"""Practice instructions: right by themselves, and never the same ones in training and in measuring."""

import json
import re
from collections import Counter

import pytest

from tunesmith.models.nano import families, words
from tunesmith.models.nano.families import FAMILIES, NAMES, Task, generate

COUNT = 4 * len(NAMES) * 8
TRAIN = list(generate("train", 4 * COUNT, 1))
HELDOUT = list(generate("heldout", COUNT, 1))


def named(name: str, tasks: list[Task], language: str = "") -> list[Task]:
    return [task for task in tasks if task.family == name and language in ("", task.language)]


def test_there_are_at_least_twenty_five_families_each_in_both_languages():
    assert len(NAMES) == len(set(NAMES)) >= 25
    counts = Counter((task.family, task.language) for task in HELDOUT)
    assert set(counts) == {(name, language) for name in NAMES for language in ("en", "zh")}
    assert max(counts.values()) - min(counts.values()) <= 1


def test_train_and_held_out_share_no_argument():
    train = {(task.family, argument) for task in TRAIN for argument in task.about}
    heldout = {(task.family, argument) for task in HELDOUT for argument in task.about}
    assert train
    assert heldout
    assert not train & heldout


def test_train_and_held_out_share_no_argument_across_families_either():
    """Numbers in several families go by other keys (a sum by its pair), so only words are compared."""
    train = {argument for task in TRAIN for argument in task.about if argument.isalpha()}
    heldout = {argument for task in HELDOUT for argument in task.about if argument.isalpha()}
    assert not train & heldout


def test_every_task_is_about_something():
    assert all(task.about for task in TRAIN + HELDOUT)


def test_no_held_out_word_stands_in_a_train_instruction():
    held = {entry.zh for entry in words.entries("heldout") if len(entry.zh) > 2}
    for task in TRAIN:
        text = f"{task.instruction} {task.input}"
        assert not [word for word in held if word in text], text


def test_no_held_out_question_is_a_train_question():
    asked = {(task.instruction, task.input) for task in TRAIN}
    assert not asked & {(task.instruction, task.input) for task in HELDOUT}


def test_the_same_seed_gives_the_same_tasks_and_another_seed_others():
    assert list(generate("heldout", 200, 1)) == HELDOUT[:200]
    assert list(generate("heldout", 200, 2)) != HELDOUT[:200]


def test_a_shorter_run_is_the_start_of_a_longer_one():
    assert list(generate("train", 100, 1)) == TRAIN[:100]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("calendar", "capital", "identity")])
def test_questions_of_one_language_differ(name: str):
    found = [(task.instruction, task.input) for task in named(name, TRAIN)]
    assert len(set(found)) > 0.8 * len(found)


def test_no_phrasing_leaves_a_placeholder():
    assert not [task for task in TRAIN + HELDOUT if re.search(r"\{[a-z]+\}", task.instruction)
                and task.family != "brackets"]  # fmt: skip


def test_answers_are_short_and_not_empty():
    assert all(0 < len(task.answer) < 90 and task.answer == task.answer.strip() for task in TRAIN + HELDOUT)


def given(task: Task) -> str:
    """Input, or what stands after the last colon or between quotation marks."""
    return task.input or task.instruction


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sums_differences_and_products_are_right(language: str):
    for name, sign in (("add", "+"), ("subtract", "-"), ("multiply", "×")):
        for task in named(name, HELDOUT, language):
            if match := re.search(rf"(\d+) \{sign} (\d+)", given(task)):
                left, right = int(match[1]), int(match[2])
                assert int(task.answer) == {"+": left + right, "-": left - right, "×": left * right}[sign]


def test_sorted_numbers_are_sorted_and_the_same_numbers():
    for name, backwards in (("sort_ascending", False), ("sort_descending", True)):
        for task in named(name, HELDOUT):
            numbers = [int(number) for number in re.findall(r"\d+", task.answer)]
            assert numbers == sorted(numbers, reverse=backwards)
            assert sorted(map(int, re.findall(r"\d+", given(task)))) == sorted(numbers)


def test_sorted_words_are_sorted():
    for task in named("sort_words", HELDOUT):
        found = task.answer.split(", ")
        assert found == sorted(found, key=str.lower)
        assert all(word in given(task) for word in found)


def test_reversed_letters_read_the_same_backwards():
    assert all(task.answer[::-1] in given(task) for task in named("reverse_letters", HELDOUT))


def test_extremes_are_among_the_numbers():
    for name, choose in (("largest", max), ("smallest", min)):
        for task in named(name, HELDOUT):
            assert int(task.answer) == choose(map(int, re.findall(r"\d+", given(task))))


def test_json_answers_are_json():
    for name in ("json_record", "json_pair", "json_list"):
        assert all(json.loads(task.answer) for task in named(name, HELDOUT))


def test_number_words_and_digits_are_inverse():
    from tunesmith.models.nano.families.numbers import chinese, english

    assert [english(number) for number in (0, 13, 20, 45, 99)] == [
        "zero", "thirteen", "twenty", "forty-five", "ninety-nine"
    ]  # fmt: skip
    assert [chinese(number) for number in (0, 10, 13, 20, 45, 99)] == ["零", "十", "十三", "二十", "四十五", "九十九"]
    assert len({english(number) for number in range(100)} | {chinese(number) for number in range(100)}) == 200


def test_every_family_has_phrasings_and_statements_in_both_languages():
    for family in FAMILIES:
        assert len(family.ask_en) >= 2 or family.name == "identity"  # whose questions are all composed
        assert len(family.ask_zh) >= 2 or family.name == "identity"
        assert family.tell_en
        assert family.tell_zh


def test_the_lexicon_is_large_and_one_to_one():
    lexicon = words.lexicon()
    assert len(lexicon) >= 600
    assert len({entry.en for entry in lexicon}) == len({entry.zh for entry in lexicon}) == len(lexicon)
    assert all({entry.category for entry in lexicon} & {noun} for noun in words.NOUNS)


def test_every_closed_list_has_both_pools():
    for name, held in words.closed().items():
        assert held, name
    for category in words.NOUNS:
        assert len(words.entries("heldout", category)) >= 2, category
        assert len(words.entries("train", category)) >= 6, category


def test_opposites_are_held_out_together():
    held = {entry.en for entry in words.entries("heldout")}
    assert all((left in held) == (right in held) for left, right in words.pairs("opposites"))


def test_a_seed_and_a_split_decide_everything(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    assert next(families.generate("train", 1, 1)) == TRAIN[0]
