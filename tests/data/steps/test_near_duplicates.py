"""A row is let go where an earlier kept one is as similar as the threshold asks: brute force decides the same."""

import random
import re
from pathlib import Path

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.minhash import BANDS, MISSED, rows
from tunesmith.data.shingles import jaccard, sets, words
from tunesmith.data.steps.near_duplicates import NearDuplicates
from tunesmith.data.wordhash import hashed, hashed_texts
from tunesmith.data.words import said
from tunesmith.errors import UserError
from tunesmith.formats import read
from tunesmith.records import Conversation, Message, Part

VOCABULARY = [f"{a}{b}" for a in "abcdefghijkl" for b in "mnopqrstuvwx"]


def noisy(texts: list[list[str]], count: int, draw: random.Random) -> list[list[str]]:
    """`count` copies, up to a fifth of their words changed."""
    rates = [draw.choice((0, 0.02, 0.05, 0.1, 0.2)) for _ in range(count)]
    return [
        [draw.choice(VOCABULARY) if draw.random() < rate else word for word in draw.choice(texts)] for rate in rates
    ]


def brute(texts: list[str], n: int, threshold: float) -> list[int]:
    """Rows let go by comparing sets of tuples with every kept one."""
    kept: list[set[tuple[str, ...]]] = []
    lost = []
    for row, text in enumerate(texts):
        said = text.lower().split() if text.isascii() else re.findall(r"\w", text)
        own = {tuple(said[i : i + n]) for i in range(max(1, len(said) - n + 1))}
        if any(len(own & other) / len(own | other) >= threshold for other in kept):
            lost.append(row)
        else:
            kept.append(own)
    return lost


@pytest.mark.parametrize(("n", "threshold"), [(3, 0.7), (5, 0.7), (3, 0.5), (3, 0.9)])
def test_decisions_are_those_of_brute_force(n, threshold):
    draw = random.Random(n)
    texts = [[draw.choice(VOCABULARY) for _ in range(draw.randrange(1, 80))] for _ in range(300)]
    texts += noisy(texts, 500, draw)
    draw.shuffle(texts)
    said = [" ".join(text) for text in texts]
    expected = set(brute(said, n, threshold))
    found = {row for row, _ in run(NearDuplicates(threshold, n, "question"), [talk(text, "") for text in said])[1]}
    assert len(expected) > 100
    assert found <= expected or len(found - expected) <= 0.01 * len(found)
    assert len(found & expected) >= 0.99 * len(expected)


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_at_the_threshold_few_are_missed(threshold):
    assert (1 - threshold ** rows(threshold)) ** BANDS <= MISSED


def test_the_reject_names_the_match_and_a_chain_of_likenesses_stays_tied_to_kept_rows():
    text = [*"abcdefghij"]
    first, second, third = text, [*text[1:], "k"], [*text[2:], "k", "l"]
    rows = [talk(" ".join(words), "") for words in (first, second, third)]
    kept, rejects = run(NearDuplicates(0.7, 2, "question"), rows)
    assert kept == [rows[0], rows[2]]  # 8 of 10 pairs are shared with the first; the third shares 7 of 11
    assert [(row, reject.detail) for row, reject in rejects] == [(1, "test/0, Jaccard 0.800")]


def test_chinese_is_compared_by_characters():
    said = [
        "请你写一篇关于春天的短文,要求语言优美,不少于三百字。",
        "请你写一篇关于春天的短文,要求语言优美,不少于四百字。",
        "天空是什么颜色的呢",
    ]
    _, rejects = run(NearDuplicates(words=3), [talk(text, "") for text in said])
    assert [row for row, _ in rejects] == [1] == brute(said, 3, 0.7)


def test_empty_texts_and_texts_of_signs_are_like_their_equals_alone():
    said = ["", "???", "!!!", "???", "", "ok"]
    assert [row for row, _ in run(NearDuplicates(of="question"), [talk(text, "x") for text in said])[1]] == [3, 4]


def test_the_same_words_about_another_picture_are_no_duplicate():
    seen = [Message("user", (Part("image", source=name), Part(text="What is it?"))) for name in ("a", "b", "a")]
    assert [row for row, _ in run(NearDuplicates(), [Conversation((message,)) for message in seen])[1]] == [2]


def test_a_threshold_that_is_no_part_of_one_is_refused():
    with pytest.raises(UserError, match="70"):
        NearDuplicates(threshold=70)


@pytest.mark.parametrize("text", ["Don't say_it 3x", "Größe naïve Привет мир", "你好ab世界 カナ"])
def test_words_are_letters_and_digits_in_a_row_but_chinese_characters_and_kana_alone(text):
    assert words(text) == re.findall(r"[\u4e00-\u9fff\u3041-\u30ff]|[^\W_\u4e00-\u9fff\u3041-\u30ff]+", text.lower())


def test_plain_and_other_text_are_split_alike():
    text = "".join(map(chr, range(128)))
    assert words(text) == words(text + " é")[:-1]


def test_similarity_is_that_of_the_sets_of_n_grams():
    one, other = sets(["a b c d", "a b c e"], 2)
    assert jaccard(one, other) == 2 / 4


def test_sets_that_were_thinned_at_sixty_per_cent_have_few_near_duplicates_left(shared):
    folder = shared / "gururise__AlpacaDataCleaned/dataset_extensions/GPTeacher"
    tools, roles = (conversations(next(folder.rglob(f"{name}*.json"))) for name in ("toolformer", "roleplay"))
    lost = {row for row, _ in run(NearDuplicates(0.6), tools[:1000])[1]}
    assert lost == set(brute_sets(tools[:1000], 0.6)) != set()
    assert run(NearDuplicates(0.8), tools)[1] == run(NearDuplicates(0.6), roles)[1] == []


def conversations(path: Path) -> list[Conversation]:
    return [record for record in read([str(path)]) if isinstance(record, Conversation)]


def brute_sets(rows: list[Conversation], threshold: float) -> list[int]:
    kept: list[frozenset[int]] = []
    lost = []
    for row, own in enumerate(sets([said(row) for row in rows], 5)):
        if any(jaccard(own, other) >= threshold for other in kept):
            lost.append(row)
        else:
            kept.append(own)
    return lost


def test_all_texts_at_once_and_word_by_word_have_the_same_hashes():
    texts = ["", "a", "One two, three!", "x_y  9\n", "!!!", "two one", "naïve one two"]
    flat, counts = hashed_texts([text for text in texts if text.isascii()])
    found = [words(text) for text in texts if text.isascii()]
    assert counts.tolist() == list(map(len, found))
    assert flat.tolist() == hashed(word for said in found for word in said).tolist()
    assert len(set(flat.tolist())) == len({word for said in found for word in said})
    every = [sets([text], 2)[0] for text in texts]
    assert sets(texts, 2) == every
    assert len(every[6] & every[2]) == 1
