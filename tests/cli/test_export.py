"""tunesmith export and verify, from the command line to the folder."""

import json

from tunesmith.cli.export import REFUSED


def tuned(tunesmith, base, rows, out):
    words = ("template=chatml", "tune.epochs=1", "adapter=lora", "tune.lr=1e-3")
    assert tunesmith("tune", "--base", base, "--data", rows, "--out", out, *words).code == 0
    return out


def test_an_adapter_is_exported_and_verified(tunesmith, base, rows, tmp_path):
    model, out = tuned(tunesmith, base, rows, tmp_path / "lora"), tmp_path / "out"
    words = ("dtype=fp32", "answer_tokens=4")
    done = tunesmith("export", model, "--to", "merged", "--out", out, "--json", *words)
    assert done.code == 0, done.err
    told = done.json
    assert (told["out"], told["to"], told["verdict"]) == (str(out), "merged", "passed")
    assert {"name", "passed", "measured", "limit", "checked", "detail"} <= set(told["proofs"][0])
    assert {"name", "bytes", "sha256"} == set(told["files"][0])
    assert "tuned on" in done.err
    assert "| chatml |" in (out / "README.md").read_text()
    checked = tunesmith("verify", out, "--json")
    assert (checked.code, checked.json["verdict"]) == (0, "passed")
    (out / "config.json").write_text((out / "config.json").read_text() + " ")
    changed = tunesmith("verify", out / "model.safetensors", "--json")
    assert (changed.code, changed.json["verdict"]) == (3, "refused")
    assert "config.json" in changed.err


def test_a_refusal_ends_with_3_and_tells_all(tunesmith, base, rows, tmp_path):
    model, out = tuned(tunesmith, base, rows, tmp_path / "lora"), tmp_path / "out"
    done = tunesmith(
        "export", model, "--to", "merged", "--out", out, "--json", "dtype=bf16", "limits.logit_gap=0", "answer_tokens=4"
    )
    assert done.code == REFUSED == 3
    assert (done.json["verdict"], done.json["out"]) == ("refused", f"{out}.refused")
    assert [proof["name"] for proof in done.json["proofs"] if not proof["passed"]] == ["logit_gap"]
    assert json.loads((tmp_path / "out.refused" / "manifest.json").read_text())["verdict"] == "refused"
    assert "Traceback" not in done.err


def test_bad_words_are_refused_before_anything_is_read(tunesmith, tmp_path):
    for words, needle in (
        (("--to", "merge"), "merged"),
        (("--to", "merged", "dtype=x"), "bf16"),
        (("--to", "merged", "word"), "no setting"),
        (("--to", "merged"), "no model folder"),
    ):
        done = tunesmith("export", tmp_path / "none", *words, "--out", tmp_path / "out")
        assert done.code == 2
        assert needle in done.err
    assert tunesmith("verify", tmp_path).code == 2
    assert list(tmp_path.iterdir()) == []
