"""The bilingual tokenizer of the embedded base."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from tunesmith.models.nano import tokenizer as tokens

TOKENIZER = tokens.build()


@given(st.text())
def test_any_text_comes_back_unchanged(text: str):
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


@given(
    st.lists(st.sampled_from([" the ", " the", "the", "The", " ", "猫", "，", "\n", "12", "\u2028", "é", "🐱", "龘"]))
)
def test_mixtures_of_words_hanzi_and_signs_come_back_unchanged(parts: list[str]):
    text = "".join(parts)
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


def test_a_chinese_character_is_one_token():
    text = "我喜欢吃苹果，你呢？"
    assert len(TOKENIZER.encode(text).ids) == len(text)


def test_all_characters_of_gb2312_level_1_are_pieces():
    assert len(tokens.hanzi()) == 3755
    assert all(len(TOKENIZER.encode(character).ids) == 1 for character in tokens.characters())


def test_a_known_word_is_the_same_token_wherever_it_stands():
    for text in ("violin", "A violin", "[violin]", '"violin", harp', "- violin\n", "小violin"):
        assert "violin" in TOKENIZER.encode(text).tokens


def test_a_space_goes_with_a_joining_word_or_a_mark_else_alone():
    assert TOKENIZER.encode("Write the words").tokens == ["Write", "ĠtheĠ", "words"]
    assert TOKENIZER.encode("the violin, red").tokens == ["the", "Ġ", "violin", ",Ġ", "red"]
    assert TOKENIZER.encode("then thermal").tokens == ["then", "Ġ", *"thermal"]


def test_an_unknown_word_is_letters():
    assert TOKENIZER.encode("torvi").tokens == list("torvi")
    assert TOKENIZER.encode("Violin VIOLIN").tokens == [*"Violin", "Ġ", *"VIOLIN"]


def test_names_of_facts_are_known_words():
    assert all(len(TOKENIZER.encode(word).ids) == 1 for word in ("Anna", "Paris", "Monday", "sixteen", "superb"))


def test_digits_stand_singly():
    assert TOKENIZER.encode("1234").tokens == list("1234")


@pytest.mark.parametrize("text", ["", "a", "，", "12+34"])
def test_nothing_is_put_before_or_after_a_text(text: str, tmp_path: Path):
    tokens.save(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.encode(text) == TOKENIZER.encode(text, add_special_tokens=False).ids
    assert len(loaded.encode(text)) <= max(len(text), 0)


def test_transformers_reads_it_with_its_control_tokens_and_without_a_template(tmp_path: Path):
    tokens.save(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.chat_template is None
    assert loaded.bos_token is None
    assert (loaded.eos_token_id, loaded.pad_token_id) == (0, 1)
    assert [loaded.convert_tokens_to_ids(token) for token in tokens.SPECIAL] == [0, 1, 2, 3]
    assert loaded.encode("<|im_start|>user")[0] == 2
    assert loaded.decode(loaded.encode("a , b ！ c")) == "a , b ！ c"


def test_it_is_the_same_every_time(tmp_path: Path):
    tokens.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved == json.loads(tokens.build().to_str())
    ids = saved["model"]["vocab"]
    assert sorted(ids.values()) == list(range(len(ids)))
