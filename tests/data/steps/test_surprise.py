"""Perplexity and difficulty are what their papers say, under a model that the user names."""

import math

import numpy as np
import pytest
import torch

from tests.data.steps.running import run, talk
from tests.toys import byte_tokenizer, tiny_model
from tunesmith.data.steps.difficulty import Difficulty, difficulties
from tunesmith.data.steps.perplexity import Perplexity
from tunesmith.data.surprise import BREAK, Reader
from tunesmith.errors import UserError

ROWS = [talk(f"question {n}", "the cat sat"[: n + 2], "and", "on the mat") for n in range(9)]
MIXED = [talk(question, answer) for question in ("abc", "xyz", "12") for answer in ("a cat", "b", "1+2", "zz top")]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model(vocab_size=257).save_pretrained(folder)
    tokenizer = byte_tokenizer("</s>")
    tokenizer.eos_token = "</s>"
    tokenizer.save_pretrained(folder)
    return str(folder)


def by_hand(text: str, *answers: str) -> float:
    """Mean −ln p over the tokens of the answers, each of which is found in the text: a token a character."""
    ids = [256, *byte_tokenizer().encode(text)]
    with torch.no_grad():
        logs = tiny_model(vocab_size=257)(torch.tensor([ids])).logits[0].log_softmax(-1)
    places = [at + 1 for answer in answers for at in range(text.index(answer), text.index(answer) + len(answer))]
    return -float(np.mean([logs[place - 1, ids[place]].item() for place in places]))


def test_all_answers_count_each_given_all_before(model):
    text = BREAK.join(("ask", "first", "again", "second"))
    assert Reader(model).conversation(talk("ask", "first", "again", "second")) == pytest.approx(
        by_hand(text, "first", "second"), rel=1e-4
    )


def test_difficulty_reads_the_same_answer_with_and_without_its_question(model):
    given, alone = Reader(model).answer(talk("ask", "first", "again", "second"))
    assert given == pytest.approx(by_hand(f"ask{BREAK}first", "first"), rel=1e-4)
    assert alone == pytest.approx(by_hand("first", "first"), rel=1e-4)
    assert abs(given - alone) > 1e-3


def test_what_lies_beyond_the_length_has_no_part(model):
    read = Reader(model, length=9)  # the start, 3 letters, the break, 3 letters
    assert read.conversation(talk("ask", "answer")) == pytest.approx(by_hand(f"ask{BREAK}ans", "ans"), rel=1e-4)
    given, alone = read.answer(talk("ask", "answer"))
    assert given == pytest.approx(by_hand(f"ask{BREAK}ans", "ans"), rel=1e-4)
    assert alone == pytest.approx(by_hand("ans", "ans"), rel=1e-4)
    assert math.isnan(read.conversation(talk("a longer question", "answer")))


def test_the_published_example_of_difficulty():
    """Li et al., 2023: 0.696 with the instruction and 0.761 alone are 0.915."""
    given, alone = np.array([0.696, 2.0]), np.array([0.761, 1.5])
    assert difficulties(given, alone, "loss") == pytest.approx([0.915, 4 / 3], abs=5e-4)
    assert difficulties(given, alone, "perplexity") == pytest.approx([math.exp(0.696 - 0.761), math.exp(0.5)])


def perplexities(model):
    return np.exp([Reader(model).conversation(row) for row in ROWS])


def test_a_window_of_values_holds_both_its_ends(model):
    found = perplexities(model)
    low, high = np.sort(found)[[2, 6]].tolist()
    kept, rejects = run(Perplexity(model, low=low, high=high), [*ROWS, talk("no answer")])
    assert kept == [row for row, value in zip(ROWS, found, strict=True) if low <= value <= high]
    assert len(kept) == 5
    reasons = [reject.reason for _, reject in rejects]
    assert sorted(reasons) == ["no answer to read"] + ["perplexity too high"] * 2 + ["perplexity too low"] * 2


def test_a_window_of_quantiles_holds_its_share_of_the_rows(model):
    found = perplexities(model)
    kept, _ = run(Perplexity(model, low=0.25, high=0.75, unit="quantile"), ROWS)
    assert kept == [ROWS[row] for row in sorted(np.argsort(found)[2:7])]


def test_the_hardest_of_those_that_the_question_helps(model):
    found = difficulties(*np.array([Reader(model).answer(row) for row in MIXED]).T, "loss")
    helped = sorted(value for value in found if value < 1)
    assert 2 <= len(helped) < 12, "the toy model shows both"
    kept, rejects = run(Difficulty(model, low=0.5), MIXED)
    assert kept == [
        row for row, value in zip(MIXED, found, strict=True) if float(np.median(helped)) <= value <= helped[-1]
    ]
    assert [row for row, reject in rejects if reject.reason == "question does not help"] == [
        row for row, value in enumerate(found) if value >= 1
    ]
    assert len(run(Difficulty(model, low=0.0, unit="value", harmed="keep"), MIXED)[0]) == 12


def test_without_options_the_highest_tenth_of_the_helped_is_kept(model):
    kept, _ = run(Difficulty(model), MIXED)
    found = difficulties(*np.array([Reader(model).answer(row) for row in MIXED]).T, "loss")
    assert kept == [MIXED[int(np.argmax(np.where(found < 1, found, 0)))]]


def test_nano_finds_sense_less_surprising_than_nonsense():
    read = Reader("nano").conversation
    assert read(talk("What do you see?", "The dog runs in the park.")) < read(
        talk("What do you see?", "Park zq the xx in dog the.")
    )


@pytest.mark.parametrize("kind", [Perplexity, Difficulty])
@pytest.mark.parametrize("window", [{"low": 2, "high": 1}, {"low": 2, "high": 3, "unit": "quantile"}])
def test_a_window_into_which_nothing_falls_is_refused(kind, window):
    with pytest.raises(UserError, match="no score lies between"):
        kind("nano", **window)


def test_a_model_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be loaded"):
        run(Perplexity(str(tmp_path)), ROWS)
    torch.save({}, tmp_path / "pytorch_model.bin")
    tiny_model().config.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="cannot be loaded"):
        run(Perplexity(str(tmp_path)), ROWS)
