"""What a benchmark asks is found in a row, and the pair is shown; its phrasing and its short answers are not."""

import json
from pathlib import Path

import pytest

from tests.data.steps.running import run, talk
from tunesmith.data.steps.decontaminate import Decontaminate
from tunesmith.errors import UserError
from tunesmith.formats import read
from tunesmith.records import Conversation

LONG = "A train leaves the old station at noon and travels north at sixty miles an hour until it meets the sea"
MIDDLE = "How many apples are left when Tom eats two"
SHORT = "What is two plus two?"


@pytest.fixture
def benchmark(tmp_path: Path) -> str:
    path = tmp_path / "items.jsonl"
    rows = [{"question": text, "answer": "4"} for text in (LONG, MIDDLE, SHORT)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def found(path: str, *turns: str, **options: object) -> list[tuple[str, str]]:
    _, rejects = run(Decontaminate((path,), **options), [talk(*turns)])
    return [(reject.reason, reject.detail) for _, reject in rejects]


def test_thirteen_words_in_a_row_are_enough_and_twelve_are_not(benchmark):
    words = LONG.lower().split()
    assert found(benchmark, "Hi", f"So: {' '.join(words[3:15])}, no?") == []
    assert found(benchmark, "Hi", f"So: {' '.join(words[3:16]).upper()}, no?") == [
        ("shares words with a benchmark", f"{benchmark}:1: {' '.join(words[3:16])}")
    ]
    assert found(benchmark, "Hi", " ".join(words[3:15]), words=12) != []


def test_an_item_of_eight_to_twelve_words_must_stand_in_the_row_whole(benchmark):
    assert found(benchmark, f"Tell me. {MIDDLE}? Think.", "x") == [
        ("shares words with a benchmark", f"{benchmark}:2: {MIDDLE.lower()}")
    ]
    assert found(benchmark, "x", MIDDLE.removesuffix(" two")) == []


def test_a_shorter_item_must_be_all_of_a_question(benchmark):
    assert found(benchmark, "what is two plus two", "x") == [("is an item of a benchmark", f"{benchmark}:3: {SHORT}")]
    assert found(benchmark, "hello", "hi", SHORT, "x") != []
    assert found(benchmark, f"{SHORT} Explain.", "x") == found(benchmark, "x", SHORT) == []
    assert found(benchmark, "4", "4") == []  # an answer alone is no item


def test_a_question_changed_in_every_thirteen_words_is_still_close(benchmark):
    words = LONG.split()
    changed = " ".join([*words[:10], "very", *words[10:]])
    assert found(benchmark, changed, "x") == []
    [(reason, detail)] = found(benchmark, changed, "x", threshold=0.5)
    assert reason == "close to an item of a benchmark"
    assert detail == f"{benchmark}:1, Jaccard 0.591: {LONG}"  # 17 n-grams and 18, of which 13 are shared


def test_phrasing_that_more_than_ten_items_have_is_not_a_question(tmp_path):
    frame = "Read the following passage with care and then choose the one best answer to it"
    path = tmp_path / "items.jsonl"
    for items, expected in ((10, 1), (11, 0)):
        path.write_text("".join(json.dumps({"prompt": f"{frame}: item{i}"}) + "\n" for i in range(items)))
        assert len(found(str(path), f"Well. {frame}. And so on, as long as you like, my dear friend.", "x")) == expected


def test_rows_of_no_known_format_give_their_words(tmp_path):
    path = tmp_path / "test.csv"
    path.write_text(f'Question,A,B,Answer\n"{LONG}",yes,no,A\n')
    assert found(str(path), LONG, "x") == [("is an item of a benchmark", f"{path}:2: {LONG}")]
    assert found(str(path), "yes", "no") == []


def test_chinese_is_compared_by_characters(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text(json.dumps({"prompt": "请问在下列哪一种情况下水的沸点会明显升高"}, ensure_ascii=False))
    assert found(str(path), "老师说:下列哪一种情况下水的沸点会变化", "x") != []
    assert found(str(path), "老师说:下列哪一种情况下水沸", "x") == []


@pytest.mark.parametrize("paths", [(), ("nowhere.jsonl",)])
def test_benchmarks_that_are_missing_are_the_users_to_fix(paths):
    with pytest.raises(UserError):
        Decontaminate(paths).ready()


@pytest.mark.parametrize(
    "path",
    [
        "LianjiaTech__BELLE/eval/eval_set.json",
        "openai__grade-school-math/grade_school_math/data/test.jsonl",
        "openai__human-eval/data/HumanEval.jsonl.gz",
        "haonan-li__CMMLU/data/test/agronomy.csv",
        "HaeChan0305__MLILAB-FedLLM/data/mmlu/dev",
    ],
)
def test_every_item_of_a_real_benchmark_is_found(shared, path):
    from tunesmith.data.benchmarks import items

    step = Decontaminate((str(shared / path),))
    asked = [item.text for item in items(step.benchmarks) if item.question]
    assert len(asked) > 100
    assert run(step, [talk(text, "x") for text in asked])[0] == []


def test_training_rows_of_grade_school_math_are_told_from_its_test(shared):
    folder = shared / "openai__grade-school-math/grade_school_math/data"
    rows = [row for row in read([str(folder / "train.jsonl")]) if isinstance(row, Conversation)][:1000]
    test = [row for row in read([str(folder / "test.jsonl")]) if isinstance(row, Conversation)][:5]
    _, rejects = run(Decontaminate((str(folder / "test.jsonl"),)), [*rows, *test])
    assert {1000, 1001, 1002, 1003, 1004} <= {row for row, _ in rejects}
    assert len(rejects) < 30
