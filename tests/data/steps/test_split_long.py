"""Pieces are short enough, and together they are the conversation."""

from hypothesis import given
from hypothesis import strategies as st

from tests.data.steps.running import run, talk
from tests.toys import byte_tokenizer
from tunesmith.data.steps.split_long import SplitLong
from tunesmith.records import Conversation, text_message

SYSTEM = text_message("system", "Be kind.")


def texts(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation]


def test_rounds_are_packed_and_the_tail_is_a_piece():
    kept, _ = run(SplitLong(limit=10), [talk("aaa", "bb", "ccc", "dd", "eee", "ff")])
    assert [texts(piece) for piece in kept] == [["aaa", "bb", "ccc", "dd"], ["eee", "ff"]]
    assert [dict(piece.tags)["piece"] for piece in kept] == ["1/2", "2/2"]


def test_every_turn_has_its_price():
    row = talk("aaa", "bb", "ccc", "dd")
    assert len(run(SplitLong(limit=10), [row])[0]) == 1
    assert len(run(SplitLong(limit=13, turn=1), [row])[0]) == 2


def test_a_tokenizer_counts_its_tokens(tmp_path):
    byte_tokenizer().save_pretrained(tmp_path)
    row = talk("一", "二", "三", "四")  # three bytes each
    by_bytes = SplitLong(limit=6, tokenizer=str(tmp_path))
    assert [texts(piece) for piece in run(by_bytes, [row])[0]] == [["一", "二"], ["三", "四"]]
    assert len(run(SplitLong(limit=6), [row])[0]) == 1


def test_a_long_round_is_kept_whole_or_let_go():
    row = talk("a", "b", "c" * 20, "d", "e", "f")
    assert [texts(piece) for piece in run(SplitLong(limit=10), [row])[0]] == [["a", "b"], ["c" * 20, "d"], ["e", "f"]]
    kept, rejects = run(SplitLong(limit=10, too_long="reject"), [row])
    assert [texts(piece) for piece in kept] == [["a", "b"], ["e", "f"]]
    assert [(reject.reason, reject.detail) for _, reject in rejects] == [("one round too long", "21 > 10")]


@given(st.lists(st.text("ab", max_size=9), min_size=1, max_size=12), st.integers(1, 40), st.booleans())
def test_nothing_is_lost(words, limit, with_system):
    row = talk(*words)
    opening = (SYSTEM,) if with_system else ()
    whole = Conversation((*opening, *row.messages))
    pieces, rejects = run(SplitLong(limit=limit), [whole])
    assert rejects == []
    assert all(piece.messages[: len(opening)] == opening for piece in pieces)
    assert sum((piece.messages[len(opening) :] for piece in pieces), ()) == row.messages
    for piece in pieces:
        rounds = sum(message.role == "user" for message in piece)
        assert rounds == 1 or sum(map(len, texts(piece))) <= limit
