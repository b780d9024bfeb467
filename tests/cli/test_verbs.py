"""The other verbs: what they print, and to which stream."""

import os

import pytest
import transformers

from tests.toys import save_base, unigram_tokenizer
from tunesmith.cli import main

VERBS = ["quickstart", "tune", "chat", "data", "render", "run", "recipes", "doctor", "export", "verify"]


@pytest.mark.parametrize(
    "words", [[verb] for verb in VERBS] + [["data", "inspect"], ["recipes", "show"], ["recipes", "diff"]]
)
def test_help_teaches_with_an_example(words, tunesmith):
    done = tunesmith(*words, "--help")
    assert done.code == 0
    assert "tunesmith" in done.out.split("Options")[-1] or words in (["data"], ["recipes"])


def test_render_tells_ids_mask_answers_and_proofs(tunesmith, base, rows):
    done = tunesmith("render", rows, "--model", base, "--template", "alpaca", "--index", "1", "--json")
    assert done.code == 0, done.err
    told = done.json
    assert told["answers"] == ["2!"]
    assert len(told["ids"]) == len(told["supervised"])
    assert sum(told["supervised"]) == len("2!") + 1
    assert told["text"].endswith("### Response:2!</s>")
    assert [proof["name"] for proof in told["proofs"]] == ["R1", "R2", "R3", "R4", "R5", "R6"]


def test_render_shows_the_row_to_people(tunesmith, base, rows):
    done = tunesmith("render", rows, "--tokenizer", base, "--template", "chatml")
    assert done.code == 0
    assert "Say 1." in done.out
    assert "R6" in done.err


@pytest.mark.parametrize(
    ("more", "needle"),
    [
        (["--model", "x", "--tokenizer", "y"], "either"),
        (["--index", "99"], "99"),
        (["--template", "nope"], "chatml"),
        (["--mask", "all"], "last_answer"),
    ],
)
def test_render_refuses_bad_input(more, needle, tunesmith, base, rows):
    given = [] if "--model" in more else ["--model", base]
    done = tunesmith("render", rows, *given, "--template", "chatml", *more)
    assert done.code == 2
    assert needle in done.err


def test_render_shows_what_the_encoder_and_the_decoder_of_a_t5_read(tunesmith, rows, tmp_path):
    base = save_base(tmp_path / "t5", "t5")
    unigram_tokenizer(["Say 2. 2!"] * 9).save_pretrained(base)
    told = tunesmith("render", rows, "--model", base, "--template", "flan-t5", "--index", "1", "--json").json
    assert (told["encoder_text"], told["text"]) == ("Say 2.</s>", "<pad> 2!</s>")
    assert told["supervised"] == [False] + [True] * (len(told["ids"]) - 1)
    done = tunesmith("render", rows, "--model", base, "--template", "flan-t5", "--index", "1")
    assert "Say 2.</s><pad> 2!</s>" in done.out
    refused = tunesmith("render", rows, "--model", base, "--template", "flan-t5", "--mask", "everything")
    assert refused.code == 2
    assert "mask=answers" in refused.err


def test_recipes_list_show_and_diff(tunesmith):
    assert set(tunesmith("recipes", "list", "--json").json["recipes"]) >= {
        "sft",
        "alpaca",
        "belle_sft",
        "flan_t5",
        "nano_base",
        "quickstart",
    }
    shown = tunesmith("recipes", "show", "alpaca", "tune.lr=1e-4")
    assert "tune.lr = 0.0001" in shown.out
    assert "recipes/alpaca.py:" in shown.out
    assert tunesmith("recipes", "show", "alpaca", "--json").json["stages"]["sft"]["tune"]["batch_size"] == 128
    assert "tune.max_length: 512 → 1024" in tunesmith("recipes", "diff", "alpaca", "belle_sft").out
    assert tunesmith("recipes", "show", "alpacca").code == 2


def test_run_takes_a_yaml(tunesmith, base, rows, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"recipe: sft\nbase: {base}\ndata: [{rows}]\ntemplate: chatml\ntune:\n  epochs: 1\n")
    done = tunesmith("run", file, "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert done.json["stages"]["sft"]["metrics"]["steps"] == 1
    file.write_text("recipe: sft\ntune:\n  epoch: 1\n")
    refused = tunesmith("run", file, "--out", tmp_path / "other")
    assert refused.code == 2
    assert f"{file}:3" in refused.err


def test_doctor_measures(tunesmith):
    told = tunesmith("doctor", "--json").json
    assert told["torch"]["gflops_fp32"] > 0
    assert told["machine"]["cores"] >= 1


def test_an_unknown_verb_is_refused(tunesmith):
    done = tunesmith("tuna")
    assert done.code == 2
    assert "tune" in done.err


def test_waiting_threads_sleep_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    main.share_the_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    main.share_the_cores()
    assert os.environ["OMP_WAIT_POLICY"] == "active"


def test_what_a_library_prints_does_not_stand_in_the_json(tunesmith, base, rows, monkeypatch):
    real = transformers.AutoTokenizer.from_pretrained

    def chatty(*words, **options):
        print("Setting accelerator to CPU")
        return real(*words, **options)

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", chatty)
    done = tunesmith("render", rows, "--model", base, "--template", "alpaca", "--index", "1", "--json")
    assert done.code == 0, done.err
    assert done.json["answers"] == ["2!"]
    assert "Setting accelerator" in done.err
