"""tunesmith data prepare, steps, show and diff, as a user calls them."""

import json

import pytest


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two small files in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    rows = [{"instruction": f"Say {n}.", "output": "word " * n} for n in range(1, 9)]
    zh = [{"instruction": f"说{n}。", "output": "好。"} for n in range(3)]
    (tmp_path / "english.json").write_text(json.dumps(rows))
    (tmp_path / "chinese.json").write_text(json.dumps(zh))
    recipe = 'sources: [english.json, {path: chinese.json, licence: "CC BY-NC"}]\nsteps: [{lengths: {answer: 5}}]\n'
    (tmp_path / "recipe.yaml").write_text(recipe)
    return tmp_path


def prepared(tunesmith, out, *words):
    done = tunesmith("data", "prepare", "recipe.yaml", "--out", out, "--workers", "1", "--json", *words)
    assert done.code == 0, done.err
    return done.json


def test_prepare_tells_every_step_and_reason(data, tunesmith):
    told = prepared(tunesmith, "out")
    assert [step["step"] for step in told["steps"]] == ["read", "lengths"]
    assert told["steps"][1]["reasons"] == {"answer too short": 4}
    assert (told["read"], told["rows"], told["languages"]) == (11, 7, {"en": 7})
    assert {file.name for file in (data / "out").iterdir()} == {
        "data",
        "manifest.json",
        "rejects.parquet",
        "report.html",
        "report.json",
    }


def test_people_see_the_steps_and_the_warnings(data, tunesmith):
    done = tunesmith("data", "prepare", "recipe.yaml", "--out", "out", "--workers", "1", "lengths.answer=2")
    assert done.code == 0, done.err
    assert "answer too short" not in done.err
    assert "not for commercial use" in done.err
    assert "11" in done.err


@pytest.mark.parametrize(
    ("words", "needle"),
    [
        (["recipe.yaml", "english.json", "--out", "x"], "names its own sources"),
        (["recipe.yaml", "--out", "x", "lengths.anser=2"], "answer"),
        (["recipe.yaml", "--out", "x", "length.answer=2"], "its steps: lengths"),
        (["recipe.yaml", "--out", "x", "--engine", "spark"], "local, ray"),
        (["nowhere.json", "--out", "x"], "does not exist"),
        (["recipe.yaml", "--out", "english.json"], "already exists"),
        (["recipe.yaml", "--out", "x", "--tokenizer", "english.json"], "tokenizer"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(data, tunesmith, words, needle):
    before = {path.name for path in data.iterdir()}
    done = tunesmith("data", "prepare", *words)
    assert done.code == 2
    assert needle in done.err
    assert "Traceback" not in done.err
    assert {path.name for path in data.iterdir()} == before


def test_show_finds_rows_by_conditions(data, tunesmith):
    prepared(tunesmith, "out", "lengths.answer=1")

    def shown(*words):
        done = tunesmith("data", "show", "out", "--json", *words)
        assert done.code == 0, done.err
        return [row["id"] for row in done.json["rows"]]

    assert shown("--where", "language=zh") == [f"chinese/{n}" for n in (1, 2, 3)]
    assert shown("--where", "text~SAY 7", "--where", "turns=2") == ["english/7"]
    assert shown("--where", "characters>=42", "--limit", "2") == ["english/7", "english/8"]
    assert shown("--where", "source!=chinese", "--limit", "1") == ["english/1"]


def test_show_tells_why_rows_were_let_go(data, tunesmith):
    prepared(tunesmith, "out")
    done = tunesmith("data", "show", "out", "--rejects", "--where", "id=english/1")
    assert done.code == 0
    assert "answer too short 4 < 5" in done.err
    assert "Say 1." in done.err


@pytest.mark.parametrize(
    ("where", "needle"),
    [("langage=zh", "language"), ("tokens", "no condition"), ("tokens>x", "number"), ("text~(", "expression")],
)
def test_show_refuses_conditions_that_mean_nothing(data, tunesmith, where, needle):
    prepared(tunesmith, "out")
    done = tunesmith("data", "show", "out", "--where", where)
    assert done.code == 2
    assert needle in done.err


def test_diff_tells_rows_settings_and_reasons(data, tunesmith):
    prepared(tunesmith, "old")
    (data / "english.json").write_text((data / "english.json").read_text().replace("Say 8", "Shout 8"))
    prepared(tunesmith, "new", "lengths.answer=1")
    done = tunesmith("data", "diff", "old", "new", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["rows"] == [7, 11]
    assert told["same"] == 6
    assert told["changed"] == {"count": 1, "first": ["english/8"]}
    assert told["added"]["count"] == 4
    assert told["removed"]["count"] == 0
    assert told["counts"] == [{"step": "lengths", "reason": "answer too short", "rows": [4, 0]}]
    assert any("'answer': 5" in line for line in told["settings"])


def test_diff_wants_prepared_data(data, tunesmith):
    done = tunesmith("data", "diff", ".", ".")
    assert done.code == 2
    assert "data prepare" in done.err


def test_steps_are_listed_with_examples(tunesmith):
    done = tunesmith("data", "steps", "--json")
    assert done.code == 0
    assert done.json["steps"]["lengths"]["options"]["answer"] == 1
    assert "answer too short" in tunesmith("data", "steps", "lengths").err


def test_prepared_data_can_be_tuned_on(data, tunesmith, base):
    prepared(tunesmith, "out")
    done = tunesmith("tune", "--base", base, "--data", "out", "--out", "model", "--json", "template=chatml",
                     "tune.epochs=1", "tune.batch_size=4")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["counts"]["examples"] == 7


def test_a_broken_file_of_rows_is_told_by_name(data, tunesmith):
    prepared(tunesmith, "out")
    (data / "out" / "data" / "00000.parquet").write_bytes(b"PAR1 cut short")
    done = tunesmith("data", "show", "out")
    assert done.code == 2
    assert "00000.parquet" in done.err
    assert "prepare the data again" in done.err


def test_an_encoder_that_is_missing_is_refused_and_the_work_is_kept(data, tunesmith):
    (data / "recipe.yaml").write_text("sources: [english.json]\nsteps: [{semantic_duplicates: {encoder: ./nowhere}}]")
    done = tunesmith("data", "prepare", "recipe.yaml", "--out", "out", "--workers", "1")
    assert done.code == 2, done.err
    assert "nowhere" in done.err
    assert (data / ".out.partial" / "0" / "complete.json").exists()
