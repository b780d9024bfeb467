"""tunesmith tune, from the command line to the folder."""

import json

from tunesmith.models.load import load_model


def options(base, rows, out, *more):
    return ("tune", "--base", base, "--data", rows, "--out", out, "template=chatml", "tune.epochs=1", *more)


def test_tune_makes_a_model_that_says_what_it_is(tunesmith, base, rows, tmp_path):
    out = tmp_path / "out"
    done = tunesmith(*options(base, rows, out, "tune.batch_size=4", "tune.precision=fp32", "--json"))
    assert done.code == 0, done.err
    told = done.json
    assert (told["counts"]["read"], told["counts"]["kept"], told["counts"]["refused"]) == (12, 11, 1)
    assert all(proof["passed"] for proof in told["proofs"])
    assert {"R1", "R2", "R3", "R4", "R5", "R6", "serving"} <= {proof["name"] for proof in told["proofs"]}
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert list(lines[0])[:6] == ["step", "loss", "lr", "grad_norm", "supervised_tokens", "seconds"]
    assert (out / "loss.png").stat().st_size > 1000
    manifest = json.loads((out / "manifest.json").read_text())
    assert {"inputs", "config", "versions", "proofs", "metrics"} <= set(manifest)
    assert manifest["inputs"][str(rows)]
    assert f"{rows}:5 output" in done.err


def test_the_saved_model_stops_at_the_end_mark_that_was_added(tunesmith, base, rows, tmp_path):
    out = tmp_path / "out"
    assert tunesmith(*options(base, rows, out)).code == 0
    from tunesmith.models.load import load_tokenizer

    model, tokenizer = load_model(str(out)), load_tokenizer(str(out))
    mark = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert mark in model.generation_config.eos_token_id
    assert model.get_input_embeddings().num_embeddings > mark
    text = tokenizer.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


def test_chat_answers_from_the_tuned_model(tunesmith, base, rows, tmp_path):
    out = tmp_path / "out"
    assert tunesmith(*options(base, rows, out, "adapter=lora", "tune.lr=1e-3")).code == 0
    done = tunesmith("chat", out, "--once", "Say 3.", "--max-new-tokens", "5", "--json")
    assert done.code == 0, done.err
    assert {"answer", "model", "tokens", "seconds"} <= set(done.json)


def test_a_rule_that_fails_ends_with_3_and_leaves_nothing(tunesmith, base, rows, tmp_path):
    """This template drops the exclamation mark from answers."""
    template = tmp_path / "bad.jinja"
    template.write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content | replace('!', '') }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    out = tmp_path / "out"
    done = tunesmith("tune", "--base", base, "--data", rows, "--out", out, f"template={template}")
    assert done.code == 3
    assert "R2" in done.err
    assert f"{rows}:1" in done.err
    assert "Traceback" not in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jinja", "rows.jsonl"]


def test_bad_input_ends_with_2_and_a_cure(tunesmith, base, rows, tmp_path):
    out = tmp_path / "out"
    cases = {
        ("tune", "--base", base, "--data", rows): "--out",
        ("tune", "--data", rows, "--out", out): "--base",
        ("tune", "--base", base, "--out", out): "--data",
        ("tune", "--base", base, "--data", rows, "--out", out): "template=chatml",
        ("tune", "--base", tmp_path / "no", "--data", rows, "--out", out, "template=chatml"): "no model folder",
        ("tune", "--base", base, "--data", tmp_path / "no.json", "--out", out, "template=chatml"): "no.json",
        options(base, rows, out, "tune.max_length=3"): "tune.max_length",
        options(base, rows, out, "tune.overlong=error", "tune.max_length=3"): "rows.jsonl:1",
        options(base, rows, out, "tune.leer=1"): "tune.lr",
        options(base, rows, tmp_path): "already exists",
        ("tune", "quickstart", "--out", out): "tunesmith run quickstart",
    }
    for words, needle in cases.items():
        done = tunesmith(*words)
        assert done.code == 2, (words, done.err)
        assert needle in done.err, (words, done.err)
        assert "Traceback" not in done.err
        assert done.out == ""
    assert not out.exists()


def test_errors_of_a_json_run_are_json_too(tunesmith, tmp_path):
    done = tunesmith("tune", "--json", "--base", tmp_path, "--data", "x")
    assert done.code == 2
    assert set(done.json) == {"error", "cure"}


def test_plain_text_is_learnt_whole(tunesmith, base, tmp_path):
    file = tmp_path / "book.txt"
    file.write_text("Once upon a time there was a fox.\n\n" * 20)
    out = tmp_path / "out"
    done = tunesmith(
        "tune", "--base", base, "--data", file, "--out", out, "tune.epochs=1", "tune.max_length=64", "--json"
    )
    assert done.code == 0, done.err
    counts = done.json["counts"]
    assert counts["supervised"] == counts["tokens"] - counts["examples"]


def test_long_conversations_are_split_between_turns(tunesmith, base, tmp_path):
    turns = [{"role": role, "content": f"{role} {n}"} for n in range(6) for role in ("user", "assistant")]
    file = tmp_path / "chat.jsonl"
    file.write_text(json.dumps({"messages": turns}) + "\n")
    words = (
        "tune",
        "--base",
        base,
        "--data",
        file,
        "template=vicuna-v1.1",
        "tune.epochs=1",
        "tune.max_length=260",
        "--json",
    )
    dropped = tunesmith(*words, "--out", tmp_path / "a")
    assert dropped.code == 2
    assert "tune.overlong=split" in dropped.err
    shorter = [word.replace("260", "20") if isinstance(word, str) else word for word in words]
    lost = tunesmith(*shorter, "--out", tmp_path / "c", "tune.overlong=split")
    assert lost.code == 2
    assert "raise tune.max_length" in lost.err
    assert "overlong" not in lost.err
    split = tunesmith(*words, "--out", tmp_path / "b", "tune.overlong=split")
    assert split.code == 0, split.err
    assert split.json["counts"]["split"] == 1
    assert split.json["counts"]["examples"] > 1


def test_a_plan_tells_what_the_run_would_take_and_makes_nothing(tunesmith, base, rows, tmp_path):
    out = tmp_path / "out"
    done = tunesmith(*options(base, rows, out, "--plan", "--json"))
    assert done.code == 0, done.err
    assert done.json["steps"] > 0
    assert done.json["seconds"] > 0
    assert {"tokens", "tokens_per_second", "peak_memory_bytes", "checkpoint_bytes", "way"} <= done.json.keys()
    assert not out.exists()


def test_a_run_into_a_folder_that_another_run_writes_is_refused(tunesmith, base, rows, tmp_path):
    from tunesmith.tune.locking import locked

    with locked(tmp_path / "out"):
        done = tunesmith(*options(base, rows, tmp_path / "out"))
    assert done.code == 2
    assert "another run is writing" in done.err
    assert "examples" not in done.err  # before any work
    assert {path.name for path in tmp_path.iterdir()} == {"rows.jsonl"}
