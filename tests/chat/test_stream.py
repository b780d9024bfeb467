"""Text comes out of tokens whole: no half characters, nothing lost, nothing twice."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from tests.toys import byte_tokenizer, piece_tokenizer
from tunesmith.chat import TextStream

TOKENIZERS = {
    "bytes": byte_tokenizer("<|im_end|>"),
    "merged bytes": byte_tokenizer("<|im_end|>", merges=60),
    "pieces": piece_tokenizer(),
}
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd▁"), max_size=30) | st.lists(
    st.sampled_from(["你好", "👩‍👩‍👧", "🇨🇳", " the cat", "\n", "é", "𝒳", "a "]), max_size=8
).map("".join)


def stream(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> list[str]:
    made = TextStream(tokenizer)
    return [made.push(token) for token in ids]


@settings(max_examples=150, deadline=None)
@given(texts, st.sampled_from(sorted(TOKENIZERS)))
def test_the_pieces_together_are_the_text(text: str, name: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(text, add_special_tokens=False)
    pieces = stream(tokenizer, ids)
    assert "".join(pieces) == tokenizer.decode(ids, skip_special_tokens=True)
    assert not any("\ufffd" in piece for piece in pieces)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 255), max_size=40), st.sampled_from(["bytes", "merged bytes", "pieces"]))
def test_whatever_a_model_says_no_broken_character_is_shown(ids: list[int], name: str) -> None:
    assert "\ufffd" not in "".join(stream(TOKENIZERS[name], ids))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_character_comes_as_soon_as_its_last_byte_is_there(name: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode("a👩é", add_special_tokens=False)
    pieces = stream(tokenizer, ids)
    assert pieces[-1] == "é"
    assert "".join(pieces) == "a👩é"
    assert sum(bool(piece) for piece in pieces) == 3


def test_text_after_bytes_that_never_become_a_character_is_shown() -> None:
    tokenizer = TOKENIZERS["bytes"]
    torn = tokenizer.encode("👩", add_special_tokens=False)[:2]
    words = tokenizer.encode("ok 你", add_special_tokens=False)
    assert "".join(stream(tokenizer, [*torn, *words])) == "ok 你"


def test_a_control_token_is_not_shown_and_a_blank_after_it_is() -> None:
    tokenizer = TOKENIZERS["pieces"]
    ids = tokenizer.convert_tokens_to_ids(["a", "▁the", "▁", "▁cat"])
    assert stream(tokenizer, ids) == ["a", " the", " ", " cat"]
    control = TOKENIZERS["bytes"].convert_tokens_to_ids("<|im_end|>")
    assert stream(TOKENIZERS["bytes"], [65, control, 66])[1] == ""
