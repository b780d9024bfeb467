"""Decisions are exactly those of a loop over rouge_score."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from tests.data.steps.running import run, talk
from tunesmith.data.rouge import fmeasure, tokens
from tunesmith.data.steps.novelty import Novelty
from tunesmith.formats import read
from tunesmith.records import Conversation, Message, Part

SCORER = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)


def loop(instructions: list[str], threshold: float, seeds: list[str]) -> list[int]:
    """The rows that Self-Instruct's own way lets go."""
    pool, lost = list(seeds), []
    for row, text in enumerate(instructions):
        if any(SCORER.score(other, text)["rougeL"].fmeasure > threshold for other in pool):
            lost.append(row)
        else:
            pool.append(text)
    return lost


def lost(instructions: list[str], **options: object) -> list[int]:
    return [row for row, _ in run(Novelty(**options), [talk(text, "x") for text in instructions])[1]]


words = st.lists(st.sampled_from(["a", "the", "cat", "sat", "on", "mat", "Dog's", "3.5", "é", "!"]), max_size=12)


@given(st.lists(words.map(" ".join), min_size=1, max_size=25), st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_any_texts_are_decided_as_the_loop_decides(texts, threshold):
    assert lost(texts, threshold=threshold) == loop(texts, threshold, [])


def test_real_instructions_and_seeds_are_decided_as_the_loop_decides(shared, tmp_path):
    rows = json.loads((shared / "tatsu-lab__stanford_alpaca/alpaca_data.json").read_text())
    draw, said = random.Random(0), [row["instruction"] for row in rows[:90]]
    vocabulary = " ".join(said).split()
    for text in said[:60]:
        rate = draw.choice((0.1, 0.3, 0.5))
        said.append(" ".join(draw.choice(vocabulary) if draw.random() < rate else word for word in text.split()))
    seeds = [f"{text} now" for text in said[:10]]
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps({"instruction": text, "output": "x"}) + "\n" for text in seeds))
    expected = loop(said, 0.7, seeds)
    assert len(expected) > 25
    assert lost(said, seeds=str(path)) == expected


def test_answers_published_as_thinned_at_sixty_per_cent_are_all_novel_at_sixty_and_not_below(shared):
    """GPTeacher's levels of similarity are ROUGE-L between answers."""
    folder = shared / "gururise__AlpacaDataCleaned/dataset_extensions/GPTeacher"
    rows = [row for row in read([str(next(folder.rglob("toolformer*.json")))]) if isinstance(row, Conversation)]
    assert len(rows) > 2300
    assert run(Novelty(0.6, of="answer"), rows)[1] == []
    assert len(run(Novelty(0.55, of="answer"), rows)[1]) > 100


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 60))
def test_f_is_rounded_as_rouge_score_rounds_it(shared, one, other):
    shared = min(shared, one, other)
    texts = [["w"] * shared + [name] * (size - shared) for name, size in (("a", one), ("b", other))]
    assert fmeasure(shared, one, other) == rouge_scorer._score_lcs(*texts).fmeasure


@given(st.text(alphabet="aZ09é_ 你\nİß"))
def test_words_are_rouge_scores_own_where_it_has_any(text):
    ours = [word for word in tokens(text) if word.isascii()]
    assert ours == SCORER._tokenizer.tokenize(text)


def test_chinese_instructions_are_compared_though_rouge_score_sees_nothing_in_them():
    said = ["请写一首关于春天的诗", "请写一首关于秋天的诗", "解释什么是黑洞"]
    assert SCORER.score(said[0], said[1])["rougeL"].fmeasure == 0
    assert lost(said) == [1]


def test_the_reject_names_the_match_or_the_seed_and_repeats_are_judged_as_their_first(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"instruction": "name three red fruits", "output": "x"}\n')
    said = ["Name three red fruits!", "Sort these words", "Sort those words now", "sort these words", "?", "?"]
    _, rejects = run(Novelty(seeds=str(path)), [talk(text, "x") for text in said])
    assert [(row, reject.detail) for row, reject in rejects] == [
        (0, f"{path}:1, ROUGE-L 1.000"),
        (3, "test/1, ROUGE-L 1.000"),
    ]
    assert lost(["a b c d", "a b c e", "a b c e"]) == [1, 2]


def test_the_input_of_a_task_does_not_count():
    rows = [
        Conversation((Message("user", (Part(text="Translate it", name="instruction"), Part(text=text, name="input"))),))
        for text in ("good morning to all of you", "where is the station")
    ]
    assert [row for row, _ in run(Novelty(), rows)[1]] == [1]


@pytest.mark.parametrize("repeated", [2000])
def test_many_repeats_cost_little(repeated):
    assert lost(["Write a story about a dog"] * repeated) == list(range(1, repeated))
