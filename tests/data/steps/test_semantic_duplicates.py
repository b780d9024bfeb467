"""What the encoder finds close is let go, block by block as if all were compared at once."""

import random

import numpy as np
import pytest

from tests.data.steps.running import run, talk
from tests.toys import byte_tokenizer, tiny_model
from tunesmith.data.encoder import encoder, hashed
from tunesmith.data.steps import semantic_duplicates
from tunesmith.data.steps.semantic_duplicates import SemanticDuplicates
from tunesmith.data.words import asked
from tunesmith.errors import UserError
from tunesmith.records import Conversation, Message, Part

BEES = "Why do bees make honey, and how do they store it for the winter?"


def cosine(one: str, other: str) -> float:
    first, second = hashed([one, other])
    return float(first @ second)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (BEES, "how do bees store honey for the winter, and why do they make it"),
        (BEES, "Why do bees make honey and how do they store it for winter?!"),
        ("请解释一下什么是量子计算机的工作原理", "请解释什么是量子计算机的工作原理。"),
    ],
)
def test_other_order_and_small_changes_are_nearer_than_other_questions(one, other):
    assert cosine(one, other) > 0.7
    assert abs(cosine(one, "Translate this sentence into French")) < 0.3
    assert cosine(one, one) == pytest.approx(1, abs=1e-5)


def test_vectors_do_not_depend_on_what_they_are_made_with():
    assert np.array_equal(hashed([BEES, "other"])[0], hashed([BEES])[0])
    assert np.linalg.norm(hashed(["", "?", "a"]), axis=1) == pytest.approx([0, 1, 1], abs=1e-5)


def test_decisions_in_blocks_are_those_of_one_greedy_pass(monkeypatch):
    monkeypatch.setattr(semantic_duplicates, "BLOCK", 7)
    draw = random.Random(0)
    texts = [" ".join(draw.choice(("red", "green", "blue", "sun", "moon", "sea")) for _ in range(5)) for _ in range(60)]
    vectors = hashed(texts).astype(np.float16).astype(np.float32)
    expected: list[int] = []
    for row in range(60):
        kept = [other for other in range(row) if other not in expected]
        if kept and (vectors[kept] @ vectors[row]).max() >= 0.8:
            expected.append(row)
    kept, rejects = run(SemanticDuplicates(threshold=0.8), [talk(text, "x") for text in texts])
    assert [row for row, _ in rejects] == expected
    assert 10 < len(expected) < 50
    for row, reject in rejects:
        place, _, value = reject.detail.partition(", cosine ")
        earlier = int(place.removeprefix("test/"))
        assert float(value) == pytest.approx(float(vectors[earlier] @ vectors[row]), abs=1e-3)
        assert earlier in set(range(row)) - set(expected)


def test_lists_find_nearly_all_that_comparing_all_with_all_finds_and_nothing_else(monkeypatch, alpaca):
    draw = random.Random(0)
    rows = list(alpaca[:1000])
    for row in alpaca[:1000]:
        words = asked(row).split()
        words[draw.randrange(len(words))] = "otherwise"
        rows.append(talk(" ".join(words), "x"))
    draw.shuffle(rows)
    step = SemanticDuplicates()
    everything = {row for row, _ in run(step, rows)[1]}
    monkeypatch.setattr(semantic_duplicates, "BLOCK", 64)
    monkeypatch.setattr(semantic_duplicates, "RUN", 128)
    found = {row for row, _ in run(step, rows)[1]}
    assert len(everything) > 250
    assert len(found & everything) >= 0.99 * len(everything)
    assert len(found - everything) <= 0.01 * len(everything)  # what a missed row, kept, is close to
    assert found == {row for row, _ in run(step, rows)[1]}


def test_the_nearest_of_several_runs_is_named_and_not_one_that_was_let_go(monkeypatch):
    monkeypatch.setattr(semantic_duplicates, "BLOCK", 2)
    monkeypatch.setattr(semantic_duplicates, "RUN", 4)
    texts = [BEES, f"{BEES} Really?", *(f"Another question, number {n * 7919}, of no import" for n in range(6)), BEES]
    rejects = run(SemanticDuplicates(0.85), [talk(text, "x") for text in texts])[1]
    named = {row: reject.detail.partition(",")[0] for row, reject in rejects}
    assert named[1] == named[8] == "test/0"


def test_the_same_words_about_another_picture_are_no_duplicate():
    seen = [Message("user", (Part("image", source=name), Part(text="What is it?"))) for name in ("a", "b", "a")]
    assert [row for row, _ in run(SemanticDuplicates(), [Conversation((message,)) for message in seen])[1]] == [2]


def test_a_model_of_a_folder_is_pooled_over_the_tokens_of_each_text(tmp_path):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    texts = ["a longer text than the other", "short"]
    expected = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        mean = model.base_model(ids).last_hidden_state[0].mean(0).detach().numpy()
        expected.append(mean / np.linalg.norm(mean))
    assert np.allclose(encoder(str(tmp_path))(texts), expected, atol=1e-5)
    rows = [talk(text, "x") for text in (*texts, texts[0])]
    assert [row for row, _ in run(SemanticDuplicates(0.999, str(tmp_path)), rows)[1]] == [2]


def test_an_encoder_that_is_not_there_is_the_users_to_fix(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        run(SemanticDuplicates(encoder=str(tmp_path / "nowhere")), [talk("a", "b")])
