"""Tokenizing in pieces gives the ids of tokenizing whole."""

from copy import deepcopy
from itertools import accumulate

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

from tunesmith.text import pieces, wordtable
from tunesmith.text.guard import GUARD
from tunesmith.text.pieces import Seams, count_tokens, cut_all, encode_pieces, learn_seams
from tunesmith.text.tokenizer import encode, load_tokenizer
from tunesmith.text.wordtable import GPT2

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PARTS = [
    "\n",
    "\n\n",
    " ",
    "\t",
    "\r\n",
    "\u00a0",
    "\u3000",
    "\x1c",
    "\x85",
    "\u2028",
    "a",
    " the",
    " is in the ",
    "'s",
]
PARTS += ["é", "中", "。", "1", ".", "!?", "#", "_", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|im", GUARD, "👩‍👧"]
texts = st.lists(st.one_of(st.sampled_from(PARTS), st.text(st.characters(exclude_categories=("Cs",)), max_size=3)))
LIKE_LLAMA = r"(?i:'s|'ll)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"
LETTERS = r"\p{L}+| \d"  # leaves most to no word
LIKE_QWEN = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

SPLIT = {"qwen": LIKE_QWEN, "llama3": LIKE_LLAMA, "composed": LIKE_QWEN, "letters": LETTERS}


@pytest.fixture(params=["trained", "nano", "gpt2", "llama", "qwen", "llama3", "composed", "letters"])
def any_tokenizer(request, tokenizer):
    if request.param == "nano":
        return load_tokenizer_of_nano()
    if request.param in ("gpt2", "llama"):
        return deepcopy(request.getfixturevalue(request.param))
    if request.param in SPLIT:
        split = pre_tokenizers.Split(Regex(SPLIT[request.param]), "isolated")
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, last])
        if request.param == "composed":
            tokenizer.backend_tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def load_tokenizer_of_nano():
    from tunesmith.models import nano

    return load_tokenizer(str(nano.path()))


@given(many=st.lists(texts.map("".join), min_size=1, max_size=8))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_give_the_ids_of_the_whole(many, any_tokenizer):
    seams = learn_seams(any_tokenizer.backend_tokenizer)
    assert encode_pieces(any_tokenizer, seams, many) == encode(any_tokenizer, many)
    assert ["".join(pieces) for pieces in cut_all(seams, many)] == many


@given(many=st.lists(texts.map("".join), min_size=1, max_size=8))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tokens_are_counted_as_the_tokenizer_makes_them(many, any_tokenizer):
    backend = any_tokenizer.backend_tokenizer
    whole = [len(found) for found in backend.encode_batch(many, add_special_tokens=False)]
    assert count_tokens(backend, learn_seams(backend), many) == whole


@given(many=st.lists(texts.map("".join), min_size=1, max_size=8))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_that_goes_on_from_the_one_before_is_cut_as_if_alone(many, any_tokenizer):
    seams = learn_seams(any_tokenizer.backend_tokenizer)
    grown = list(accumulate(many))
    assert list(cut_all(seams, grown)) == [next(cut_all(seams, [text])) for text in grown]


def test_a_text_does_not_grow_where_one_added_token_holds_another(tokenizer):
    seams = learn_seams(tokenizer.backend_tokenizer)
    assert seams.grow
    tokenizer.add_tokens([AddedToken("<s><s>", normalized=False, special=True)], special_tokens=True)
    seams = learn_seams(tokenizer.backend_tokenizer)
    assert list(cut_all(seams, ["a<s>", "a<s><s>"])) == [["a", "<s>", ""], ["a", "<s><s>", ""]]


@pytest.mark.parametrize("name", ["trained", "nano", "gpt2"])
def test_no_character_before_a_line_break_changes_what_stands_around_it(name, request, tokenizer):
    """All characters of the basic plane, in GPT-2's way to split words and in nano's."""
    if name != "trained":
        tokenizer = load_tokenizer_of_nano() if name == "nano" else request.getfixturevalue(name)
    seams = learn_seams(tokenizer.backend_tokenizer)
    assert seams.lines
    many = [f"a{chr(code)}\nb" for code in range(1, 0x10000) if not 0xD800 <= code < 0xE000 and chr(code) != GUARD]
    assert encode_pieces(tokenizer, seams, many) == encode(tokenizer, many)


def test_a_word_is_tokenized_once(tokenizer, monkeypatch):
    met = watch(monkeypatch, wordtable, "encode_apart")
    seams = learn_seams(tokenizer.backend_tokenizer)
    encode_pieces(tokenizer, seams, ["Be kind.\nOne.", "Be kind.\nTwo.", "<s>Be kind."])
    encode_pieces(tokenizer, seams, ["Be kind two"])
    assert sorted(met) == ["\n", " kind", " two", ".", "Be", "One", "Two"]


def test_a_piece_is_tokenized_once_where_words_cannot_be_told_apart(tokenizer, monkeypatch):
    tokenizer.backend_tokenizer.model.dropout = 1e-9
    met = watch(monkeypatch, pieces, "encode")
    seams = learn_seams(tokenizer.backend_tokenizer)
    encode_pieces(tokenizer, seams, ["Be kind.\nOne.", "Be kind.\nTwo.", "<s>Be kind."])
    assert sorted(met) == ["", "\nOne.", "\nTwo.", "<s>", "Be kind."]


def watch(monkeypatch, module, name):
    """What is given to the tokenizer itself."""
    met, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda made, many: met.extend(many) or real(made, many))
    return met


def test_a_text_whose_characters_two_engines_sort_otherwise_is_left_to_the_tokenizer(tokenizer):
    """An engine that takes another x for a letter stands for one that knows a newer Unicode."""
    table = learn_seams(tokenizer.backend_tokenizer).words
    table.split = regex.compile(GPT2.replace(r"\p{L}+", r"[\p{L}×]+")).findall
    texts = ["2×2 is a × b", "plain words"]
    assert table.encode(texts) == encode(tokenizer, texts)
    assert table.other == {"×"}
    assert texts[0] in table.ids
    assert texts[1] not in table.ids


def test_a_tokenizer_that_may_look_beyond_is_given_whole_texts(tokenizer):
    def changed(change):
        other = deepcopy(tokenizer)
        change(other.backend_tokenizer)
        return learn_seams(other.backend_tokenizer)

    assert learn_seams(tokenizer.backend_tokenizer).lines
    greedy = AddedToken("<x>", lstrip=True, special=True)
    assert changed(lambda made: made.add_special_tokens([greedy])) == Seams()
    assert changed(lambda made: made.enable_truncation(9)) == Seams()
    assert changed(lambda made: setattr(made, "pre_tokenizer", pre_tokenizers.Metaspace(prepend_scheme="first"))) == (
        Seams()
    )
    for change in (
        lambda made: setattr(made, "normalizer", normalizers.NFC()),
        lambda made: setattr(made, "pre_tokenizer", None),
        lambda made: setattr(made, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        lambda made: setattr(made, "pre_tokenizer", pre_tokenizers.Split(Regex(LIKE_QWEN), "isolated")),
    ):
        assert not changed(change).lines


@pytest.mark.parametrize("pattern", [GPT2, QWEN])
@given(text=st.text(st.characters(codec="ascii")))
def test_both_engines_split_ascii_alike(pattern, text):
    assert wordtable.for_ascii(pattern).findall(text) == regex.findall(pattern, text)


@pytest.mark.parametrize("pattern", [r"[\p{Lu}\p{L}]+", r"\P{L}+", "[[:alpha:]]+", r"[\p{L}--a]", "(?"])
def test_what_the_standard_library_would_read_otherwise_stays_with_the_other_engine(pattern):
    assert wordtable.for_ascii(pattern) is None
