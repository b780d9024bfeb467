"""tunesmith data inspect: what it counts, prints and writes."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tunesmith.cli.data import app
from tunesmith.errors import UserError
from tunesmith.formats.inspect import inspect, language
from tunesmith.formats.row import raw

ROWS = [
    {"instruction": "Say hello.", "input": "", "output": "Hello there."},
    {"instruction": "Say  hello.", "input": "", "output": "Hello\nthere."},
    {"instruction": "用中文问好。", "input": "", "output": "你好。"},
    {"instruction": "Скажи привет.", "input": "", "output": "Привет."},
    {"instruction": "Nothing", "input": "", "output": ""},
]


def run(*arguments):
    return CliRunner().invoke(app, ["inspect", *arguments])


def test_json_is_one_object_with_counts_and_every_refusal(save):
    path = save("a.json", ROWS)
    result = run(path, "--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert (found["read"], found["kept"], found["refused"]) == (5, 4, 1)
    assert found["format"] == "alpaca"
    assert found["languages"] == {"en": 2, "zh": 1, "other": 1}
    assert found["duplicates"] == 1
    assert found["files"] == [{"file": path, "format": "alpaca", "kept": 4, "refused": 1}]
    (refusal,) = found["refusals"]
    assert refusal["file"] == path
    assert (refusal["line"], refusal["field"], refusal["reason"]) == (5, "output", "is empty")


def test_no_refusal_is_left_out_of_the_json(save):
    rows = [{"instruction": "a", "output": ""}] * 300 + [{"instruction": "a", "output": "b"}]
    found = json.loads(run(save("a.json", rows), "--json").stdout)
    assert len(found["refusals"]) == found["refused"] == 300


def test_people_read_counts_and_refusals_with_cures(save):
    path = save("a.json", ROWS)
    result = run(path)
    assert result.exit_code == 0
    assert result.stdout == ""
    words = " ".join(result.stderr.split())
    assert "5 read, 4 kept, 1 refused" in words
    assert f"{path}:5 output: is empty → fill it in, or remove the record".replace(" ", "") in words.replace(" ", "")
    assert "alpaca" in words


def test_field_paths_with_brackets_are_shown(save):
    rows = [{"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": ""}]}]
    assert "conversations[1].value" in run(save("a.jsonl", rows)).stderr


def test_rejects_are_written_with_their_raw_record(save, tmp_path):
    path, rejects = save("a.json", ROWS), tmp_path / "out" / "rejects.jsonl"
    assert run(path, "--rejects", str(rejects)).exit_code == 0
    (row,) = map(json.loads, rejects.read_text().splitlines())
    assert (row["file"], row["line"], row["field"], row["reason"]) == (path, 5, "output", "is empty")
    assert json.loads(row["raw"]) == ROWS[4]
    assert [file.name for file in rejects.parent.iterdir()] == ["rejects.jsonl"]


def test_rejects_hold_half_surrogates_as_valid_utf8(save, tmp_path):
    path = save("a.jsonl", '{"instruction": "a", "output": "\\ud83d"}\n')
    rejects = tmp_path / "rejects.jsonl"
    assert run(path, "--rejects", str(rejects)).exit_code == 2
    assert json.loads(json.loads(rejects.read_text())["raw"]) == {"instruction": "a", "output": "\ud83d"}


def test_rejects_never_overwrite_the_data(save):
    path = save("a.json", ROWS)
    result = run(path, "--rejects", path)
    assert isinstance(result.exception, UserError)
    assert "would overwrite" in result.exception.message


def test_rejects_do_not_appear_when_reading_fails(save, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    assert isinstance(run("missing.json", "--rejects", str(rejects)).exception, UserError)
    assert not list(tmp_path.glob("*rejects*"))


def test_exit_code_is_2_when_nothing_is_kept(save):
    result = run(save("a.json", ROWS[4:]), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["kept"] == 0


def test_a_format_can_be_named(save):
    path = save("a.jsonl", [{"instruction": "a", "output": "b", "text": "c"}])
    assert json.loads(run(path, "--format", "text", "--json").stdout)["format"] == "text"
    assert isinstance(run(path, "--format", "txet").exception, UserError)


def test_lengths_count_characters_and_messages(save):
    rows = [{"instruction": "ab", "output": "c" * n} for n in range(1, 101)]
    lengths = inspect([save("a.json", rows)]).to_json()["lengths"]
    assert lengths["characters"]["total"] == 200 + 5050
    assert (lengths["answers"]["min"], lengths["answers"]["max"]) == (1, 100)
    assert lengths["answers"]["p50"] in (50, 51)
    assert lengths["answers"]["mean"] == 50.5
    assert lengths["messages"]["max"] == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Hello", "en"),
        ("Où est-ce?", "en"),
        ("你好", "zh"),
        ("请解释 attention 机制。", "zh"),
        ("Explain the idiom 画蛇添足 in English, with two examples of use.", "en"),
        ("Привет", "other"),
        ("こんにちは、おげんきですか", "other"),
        ("안녕하세요", "other"),
        ("1 + 1 = 2", "none"),
        ("", "none"),
    ],
)
def test_language_by_script(words, expected):
    assert language(words) == expected


def test_duplicates_of_the_shared_demo_sets_are_as_published(shared):
    folder = shared / "hiyouga__LLaMA-Factory/data"
    assert inspect([str(folder / "alpaca_en_demo.json")]).duplicates() == 14
    assert inspect([str(folder / "alpaca_zh_demo.json")]).duplicates() == 8
    assert inspect([str(folder / "v1_sft_demo.jsonl")]).duplicates() == 1
    assert inspect([str(folder / "v1_multimodal_demo.jsonl")]).duplicates() == 18


def test_several_formats_are_all_named(save):
    found = inspect([save("a.json", ROWS), save("b.txt", "Once upon a time.")]).to_json()
    assert found["format"] == "alpaca, text"
    assert found["formats"] == {"alpaca": 4, "text": 1}


def test_help_has_an_example_and_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from tunesmith.cli.data import app;"
        "out = CliRunner().invoke(app, ['inspect', '--help']).output; import tunesmith.formats;"
        "assert 'tunesmith data inspect' in out, out;"
        "bad = {'torch', 'transformers', 'pyarrow', 'datasets', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_raw_text_of_a_refused_row_can_always_be_written() -> None:
    for value in ("x\ud83d", ["\ud83d"], {"\ud83d": 1}, "中"):
        assert raw(value).encode()
