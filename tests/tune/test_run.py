"""What a run leaves behind, and what it refuses."""

import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    BloomForCausalLM,
    GenerationConfig,
    PreTrainedModel,
)

from tests.toys import CONFIGS, byte_tokenizer, random_examples, save_base, tiny_model
from tunesmith.artifact import hash_file
from tunesmith.batch import Example
from tunesmith.errors import ProofError, UserError
from tunesmith.models.load import load_model
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.proof import Proof
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune import proofs
from tunesmith.tune.job import Job
from tunesmith.tune.loop import Report
from tunesmith.tune.prepare import load_base
from tunesmith.tune.run import TuneResult, tune
from tunesmith.tune.watch import Silent

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
BUDGET = Budget(epochs=2, lr=1e-2, batch_size=8, micro_tokens=100, precision="fp32")
STOP = 257


def job(base: Path, adapter: str = "full", budget: Mapping[str, Any] | None = None, **changes: Any) -> Job:
    stage = Tune(base=str(base), adapter=adapter, lora=Lora(rank=4), tune=replace(BUDGET, **(budget or {})))
    named = {field.name for field in fields(Tune)}
    stage = replace(stage, **{key: changes.pop(key) for key in tuple(changes) if key in named})
    tokenizer = byte_tokenizer("<|im_start|>", "<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    made = Job(
        model=changes.pop("model", None) or load_base(stage),
        tokenizer=tokenizer,
        examples=random_examples(24, words=258),
        stage=stage,
        inputs={"rows.jsonl": "abc"},
        proofs=(Proof("R1", True, 24, "rendered as served"),),
        stop_ids=(STOP,),
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), eos_token_id=2)


@pytest.fixture(scope="module", params=["full", "lora"])
def tuned(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    out = tmp_path_factory.mktemp("tuned") / "deep" / "out"
    return tune(job(base, request.param, {"eval_share": 0.1}, counts={"read": 24}), out)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


KEYS = ["step", "loss", "lr", "grad_norm", "supervised_tokens", "seconds", "tokens"]
KEYS += ["tokens_per_second", "supervised_tokens_per_second", "mfu"]


def test_the_log_has_one_line_a_step_with_its_ten_keys(tuned: TuneResult) -> None:
    log = [json.loads(line) for line in (tuned.path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, len(log) + 1))
    assert all(list(line) == KEYS for line in log)
    assert tuned.metrics["steps"] == len(log)
    assert tuned.metrics["last_loss"] == log[-1]["loss"]


def test_the_manifest_says_where_the_model_came_from(tuned: TuneResult) -> None:
    manifest = read(tuned.path / "manifest.json")
    assert {"inputs", "config", "versions", "proofs", "metrics", "seconds", "content", "counts"} <= manifest.keys()
    assert manifest["inputs"] == {"rows.jsonl": "abc"}
    assert manifest["config"]["tune"]["lr"] == 1e-2
    assert manifest["counts"] == {"read": 24}
    assert {"torch", "transformers", "python"} <= manifest["versions"].keys()
    assert manifest["proofs"][0]["name"] == "R1"
    assert all(proof["passed"] for proof in manifest["proofs"])
    for name, content in manifest["content"].items():
        assert hash_file(tuned.path / name) == content
    assert any(name.endswith(".safetensors") for name in manifest["content"])


def test_every_proof_ran(tuned: TuneResult) -> None:
    names = [
        "R1",
        "padding_changes_nothing",
        "shortcuts_change_nothing",
        "first_loss_is_finite",
        "saved_equals_trained",
    ]
    if (tuned.path / "base.json").exists():
        names += ["adapter_identity", "frozen_receive_no_gradient"]
    assert {proof.name for proof in tuned.proofs} == set(names)


@dataclass(frozen=True, slots=True)
class Listening(Silent):
    heard: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.heard.append(text)


def test_a_run_that_is_not_packed_says_so_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    bloom = BloomForCausalLM(BloomConfig(vocab_size=258, hidden_size=32, n_layer=1, n_head=2)).eval()
    watch = Listening()
    tune(job(save_base(tmp_path / "base"), budget={"epochs": 1}, model=bloom), tmp_path / "out", watch=watch)
    assert sum("not packed: this kind of model does not let its attention" in line for line in watch.heard) == 1


def test_the_loss_is_drawn(tuned: TuneResult) -> None:
    assert (tuned.path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_the_held_out_loss_is_measured_before_and_after_each_epoch(tuned: TuneResult) -> None:
    lines = [json.loads(line) for line in (tuned.path / "eval.jsonl").read_text().splitlines()]
    steps = tuned.metrics["steps"]
    assert [line["step"] for line in lines] == [0, steps // 2, steps]
    assert tuned.metrics["eval_loss_before"] == lines[0]["loss"]
    assert tuned.metrics["best_eval_loss"] == min(line["loss"] for line in lines[1:])


def test_the_saved_model_carries_tokenizer_template_and_stop_ids(tuned: TuneResult) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tuned.path)
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") == STOP
    # 2 was a default of the config; in this tokenizer it is a word
    assert GenerationConfig.from_pretrained(tuned.path).eos_token_id == [STOP]
    assert load_model(str(tuned.path)).generation_config.eos_token_id == [STOP]


def test_only_the_result_is_left(tuned: TuneResult) -> None:
    assert [path.name for path in tuned.path.parent.iterdir()] == ["out"]
    hidden = [path.name for path in tuned.path.rglob("*") if path.name.startswith(".") or path.suffix == ".pt"]
    assert hidden == []


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_the_model_learns_its_rows_by_heart(kind: str, adapter: str, tmp_path: Path) -> None:
    """Asked on disk, not by the loss: the likeliest tokens of the saved model are the answers."""
    base = save_base(tmp_path / "base", kind)
    examples = [
        Example((256, *range(k, k + 3), 256, *range(k + 9, k, -3), 257), (0.0,) * 5 + (1.0,) * 4) for k in (10, 90, 170)
    ]
    budget = {"epochs": 60, "batch_size": 3, "lr": 2e-2, "checkpoint_every": 10**6}
    tune(job(base, adapter, budget, examples=examples), tmp_path / "out")
    model = load_model(str(tmp_path / "out"))
    for example in examples:
        guesses = model(torch.tensor([example.ids])).logits[0].argmax(-1).tolist()
        assert guesses[4:8] == list(example.ids[5:])


def test_an_adapter_is_saved_alone_with_the_name_and_hash_of_its_base(base: Path, tmp_path: Path) -> None:
    tune(job(base, "lora"), tmp_path / "out")
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert (tmp_path / "out" / "adapter_model.safetensors").stat().st_size < 60_000
    note = read(tmp_path / "out" / "base.json")
    assert note["base"] == str(base)
    assert read(tmp_path / "out" / "adapter_config.json")["base_model_name_or_path"] == str(base)
    assert len(note["sha256"]) == 64


def test_an_adapter_whose_base_was_changed_is_refused(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    tune(job(base, "lora"), tmp_path / "out")
    save_base(base, seed=9)
    with pytest.raises(UserError, match="no longer the one"):
        load_model(str(tmp_path / "out"))


def test_a_relative_base_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_base(tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    tune(job(Path("base"), "lora"), Path("out"))
    monkeypatch.chdir("/")
    load_model(str(tmp_path / "out"))


def test_an_adapter_can_be_the_base_of_the_next_run(base: Path, tmp_path: Path) -> None:
    tune(job(base, "lora"), tmp_path / "one")
    first = load_model(str(tmp_path / "one"))
    for adapter in ("lora", "full"):
        result = tune(job(tmp_path / "one", adapter, {"lr": 1e-9}), tmp_path / adapter)
        assert all(proof.passed for proof in result.proofs)
        ids = torch.tensor([[256, 9, 8, 257]])
        second = load_model(str(tmp_path / adapter))
        torch.testing.assert_close(second(ids).logits, first(ids).logits, rtol=1e-4, atol=1e-4)


def test_only_the_named_parameters_change(base: Path, tmp_path: Path) -> None:
    tune(job(base, train=r"layers\.1\.mlp", examples=random_examples(24)), tmp_path / "out")
    before, after = tiny_model(eos_token_id=2).state_dict(), load_model(str(tmp_path / "out")).state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name][: len(before[name])])}
    assert changed == {name for name in before if "layers.1.mlp" in name}


def test_gradient_checkpointing_changes_no_loss(base: Path, tmp_path: Path) -> None:
    losses = []
    for adapter in ("full", "lora"):
        for again in (False, True):
            out = tmp_path / f"{adapter}{again}"
            tune(job(base, adapter, {"gradient_checkpointing": again}), out)
            losses.append([json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[2] == pytest.approx(losses[3], rel=1e-5)


def worsening(base: Path, keep: str) -> Job:
    """A run whose held-out loss is lowest after its first epoch."""
    return job(base, "full", {"epochs": 4, "eval_share": 0.2, "lr": 5e-2, "schedule": "constant", "keep": keep})


@pytest.mark.parametrize("keep", ["last", "best"])
def test_the_last_weights_are_kept_or_the_best(base: Path, tmp_path: Path, keep: str) -> None:
    result = tune(worsening(base, keep), tmp_path / "out")
    assert result.metrics["best_step"] < result.metrics["steps"]
    best = tmp_path / "out" / "checkpoints" / "best"
    assert best.is_dir() == (keep == "last")
    model = load_model(str(best if keep == "last" else tmp_path / "out"))
    held = proofs_loss(model, worsening(base, keep))
    assert held == pytest.approx(result.metrics["best_eval_loss"], rel=1e-5)
    if keep == "last":
        last = proofs_loss(load_model(str(tmp_path / "out")), worsening(base, keep))
        assert last == pytest.approx(result.metrics["eval_loss"], rel=1e-5)


def proofs_loss(model: PreTrainedModel, done: Job) -> float:
    from tunesmith.tune.evaluate import held_out_loss
    from tunesmith.tune.feed import Layout, split

    return held_out_loss(model, done.objective, split(done.examples, 0.2)[1], Layout(100, 0), "fp32")


def refused(made: Job, out: Path, kind: type[UserError], reason: str) -> None:
    """The run is refused with this reason, and nothing is left."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(kind, match=reason) as refusal:
        tune(made, out)
    assert refusal.value.cure
    assert sorted(out.parent.iterdir()) == before


def test_rows_that_cannot_teach_are_refused_by_name(base: Path, tmp_path: Path) -> None:
    good = random_examples(3)
    mute = replace(good[1], weights=(1.0,) + (0.0,) * (len(good[1]) - 1))
    foreign = replace(good[2], ids=(9999,) * len(good[2]))
    refused(job(base, examples=[]), tmp_path / "out", UserError, "nothing to train on")
    refused(job(base, examples=[good[0], mute]), tmp_path / "out", UserError, "rows.jsonl:2: no token of this example")
    refused(
        job(base, examples=[good[0], foreign]), tmp_path / "out", UserError, "rows.jsonl:3: a token id lies outside"
    )


def test_a_row_longer_than_the_model_is_refused_with_the_length_that_fits(base: Path, tmp_path: Path) -> None:
    short = tiny_model("gpt2", n_positions=30)
    refused(job(base, model=short), tmp_path / "out", UserError, "and the model can hold 30")


def test_settings_that_contradict_each_other_are_refused(base: Path, tmp_path: Path) -> None:
    refused(job(base, "lora", train="mlp"), tmp_path / "out", UserError, "adapter=lora trains none of them")
    refused(job(base, budget={"keep": "best"}), tmp_path / "out", UserError, "tune.eval_share is 0")


def test_too_little_memory_is_told_with_what_to_lower(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(CrossEntropy, "__call__", exhausted)
    refused(job(base), tmp_path / "out", UserError, "out of memory")


def test_an_occupied_out_is_refused_and_left_as_it_is(base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    refused(job(base), tmp_path / "out", UserError, "already exists")
    refused(job(base), tmp_path / "file", UserError, "is a file")
    with pytest.raises(UserError, match="cannot be written"):
        tune(job(base), tmp_path / "file" / "out")
    with pytest.raises(UserError, match="no checkpoint to resume from"):
        tune(job(base), tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_an_empty_out_is_as_good_as_none(base: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError):
        tune(job(base, "full", {"lr": 1e30, "max_grad_norm": 1e30, "warmup": 0.0}), tmp_path / "out")
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
    tune(job(base), tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_base_that_computes_no_numbers_is_refused(base: Path, tmp_path: Path) -> None:
    broken = tiny_model()
    with torch.no_grad():
        broken.model.norm.weight[3] = float("nan")
    refused(job(base, model=broken), tmp_path / "out", ProofError, "first_loss_is_finite")


def test_a_run_that_breaks_down_before_its_first_checkpoint_leaves_nothing(base: Path, tmp_path: Path) -> None:
    hot = job(base, "full", {"lr": 1e30, "max_grad_norm": 1e30, "warmup": 0.0})
    refused(hot, tmp_path / "out", UserError, r"step \d: the gradient is not finite")


def test_an_interrupted_run_keeps_its_checkpoint_and_nothing_else(base: Path, tmp_path: Path) -> None:
    class Interrupt(Silent):
        def step(self, report: Report) -> None:
            if report.step == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(job(base, "full", {"checkpoint_every": 2}), tmp_path / "out", watch=Interrupt())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "checkpoints" / "last").resolve().name == "step-000004"


def test_a_full_disk_is_told_and_leaves_nothing(base: Path, tmp_path: Path) -> None:
    """No file may grow over 50 kB: the weights do not fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        refused(job(base), tmp_path / "out", UserError, "cannot be written")
        refused(job(base, budget={"checkpoint_every": 1}), tmp_path / "out", UserError, "cannot be written")
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # the weights fit, the optimizer does not
        refused(job(base, budget={"checkpoint_every": 1}), tmp_path / "out", UserError, "cannot be written")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_model_that_was_not_saved_as_trained_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(folder: str) -> PreTrainedModel:
        model = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            model.model.norm.weight[0] += 0.5
        return model

    monkeypatch.setattr(proofs, "load_model", other)
    refused(job(base, budget={"epochs": 1}), tmp_path / "out", ProofError, "saved_equals_trained")
    with pytest.raises(ProofError):
        tune(job(base, budget={"epochs": 2}), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"checkpoints", "log.jsonl"}
