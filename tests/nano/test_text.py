"""The plain text that the base is trained on."""

import itertools
import re

import pytest

from tunesmith.models.nano import words
from tunesmith.models.nano.families import FAMILIES, generate
from tunesmith.models.nano.text import documents

DOCUMENTS = list(itertools.islice(documents(0), 4000))
TEXT = "\n".join(DOCUMENTS)


def test_the_same_seed_gives_the_same_documents():
    assert list(itertools.islice(documents(0), 50)) == DOCUMENTS[:50]
    assert list(itertools.islice(documents(1), 50)) != DOCUMENTS[:50]


def test_it_is_in_both_languages():
    chinese = sum(bool(re.search("[一-鿿]", document)) for document in DOCUMENTS)
    assert 0.35 < chinese / len(DOCUMENTS) < 0.65


def test_it_holds_no_chat_format_and_no_instruction():
    assert not re.search(r"<\||Human:|Assistant:|User:|### |Instruction", TEXT)
    asked = {task.instruction for task in generate("train", 2000, 0)}
    assert not [document for document in DOCUMENTS if any(line in asked for line in document.splitlines())]


def test_no_phrasing_of_an_instruction_stands_in_it():
    for family in FAMILIES:
        for phrase in family.ask_en + family.ask_zh:
            pieces = [piece for piece in re.split(r"\{\w+\}", phrase) if len(piece) > 12 or not piece.isascii()]
            whole = max(pieces, key=len, default="")
            if len(whole) > 8:
                assert whole not in TEXT, whole


def test_it_never_works_out_anything_about_a_held_out_word():
    for entry in words.entries("heldout"):
        if len(entry.en) > 4 and entry.category != "country":
            assert entry.en[::-1] not in TEXT
            assert "-".join(entry.en) not in TEXT
            assert not re.search(rf"\b{entry.en.upper()}\b", TEXT)
            assert not re.search(rf"\b{entry.en} has \d+ letters", TEXT)


@pytest.mark.parametrize(("sign", "result"), [("+", int.__add__), ("-", int.__sub__)])
def test_it_never_states_a_held_out_sum_and_all_that_it_states_are_right(sign: str, result):
    found = re.findall(rf"(?<!\d)(\d+) \{sign} (\d+)(?: = |: | -> | → |, )(\d+)", TEXT)
    assert len(found) > 30
    for left, right, told in found:
        assert result(int(left), int(right)) == int(told)
        low, high = sorted((int(left), int(right)))
        assert words.in_split(f"{low}{sign}{high}", "train")


def test_facts_are_told_about_held_out_words_too():
    held = words.entries("heldout")
    assert sum(entry.en in TEXT and entry.zh in TEXT for entry in held) > 0.8 * len(held)
