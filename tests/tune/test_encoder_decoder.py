"""A tiny T5, mT5 or BART learns rows by heart, is saved whole, goes on after a kill, and answers."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tests.toys import answer_examples, byte_tokenizer, random_examples, save_base, tiny_model, unigram_tokenizer
from tests.tune.test_processes import losses, together
from tests.tune.test_resume import lines
from tunesmith.chat import open_session
from tunesmith.errors import UserError
from tunesmith.models.load import load_model
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.stages import sft
from tunesmith.tune.job import Job
from tunesmith.tune.loop import Report
from tunesmith.tune.run import tune
from tunesmith.tune.watch import Silent

ROWS = {"the cat": "sat on the mat", "多语言": "模型可以回答问题", "def add": "return a + b"}
BUDGET = Budget(epochs=80, lr=1e-2, batch_size=3, precision="fp32", checkpoint_every=10**6)
KINDS = ["t5", "mt5", "bart"]


def make_base(folder: Path, kind: str, **changes: object) -> Path:
    """A model with the tokenizer of its family."""
    if kind != "bart":
        save_base(folder, kind, **changes)
        unigram_tokenizer().save_pretrained(folder)
        return folder
    tokenizer = byte_tokenizer("<s>", "</s>", "<pad>")
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"})
    ids = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258, "decoder_start_token_id": 257}
    save_base(folder, kind, vocab_size=259, **ids, **changes)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> str:
    file = tmp_path / "rows.jsonl"
    lines = [json.dumps({"instruction": asked, "input": "", "output": said}) for asked, said in ROWS.items()]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


@pytest.mark.parametrize(
    ("kind", "adapter", "template"),
    [("t5", "full", "flan-t5"), ("mt5", "full", "chatml"), ("mt5", "lora", "chatml"), ("bart", "full", "flan-t5")],
)
def test_it_learns_its_rows_by_heart_and_chats_the_answers(
    kind: str, adapter: str, template: str, tmp_path: Path, data: str
) -> None:
    base, out = make_base(tmp_path / "base", kind), tmp_path / "out"
    budget = replace(BUDGET, epochs=200) if adapter == "lora" else BUDGET
    stage = Tune(base=str(base), data=(data,), template=template, adapter=adapter, lora=Lora(rank=8), tune=budget)
    told = sft.run(stage, out, False, Silent()).summary
    assert {"R1", "R4", "serving", "padding_changes_nothing", "saved_equals_trained"} <= {
        proof["name"] for proof in told["proofs"] if proof["passed"]
    }
    assert told["counts"]["supervised"] < told["counts"]["tokens"]
    session = open_session(str(out))
    for asked, said in ROWS.items():
        session.reset()
        assert "".join(session.ask(asked)) == said
    if adapter == "full":
        tokenizer, model = AutoTokenizer.from_pretrained(out), AutoModelForSeq2SeqLM.from_pretrained(out)
        for asked, said in ROWS.items():
            chat = [{"role": "user", "content": asked}]
            given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
            ids = model.generate(given["input_ids"], max_new_tokens=40)[0]
            assert tokenizer.decode(ids, skip_special_tokens=True).strip() == said


def job(base: Path, adapter: str = "full", **changes: object) -> Job:
    budget = replace(BUDGET, epochs=2, batch_size=4, micro_tokens=80, checkpoint_every=3, eval_share=0.1, samples=1)
    stage = Tune(base=str(base), adapter=adapter, lora=Lora(dropout=0.2), tune=budget)
    examples = answer_examples(40, words=40)
    tokenizer = unigram_tokenizer()
    model = load_model(str(base))
    made = Job(model=model, tokenizer=tokenizer, examples=examples, stage=stage, inputs={"rows": "1"}, stop_ids=(1,))
    return replace(made, objective=sft.objective_for(model), **changes)


def test_two_processes_that_split_it_reach_what_one_reaches(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "t5")

    def run(sharding: str, out: Path) -> None:
        made = job(base)
        budget = replace(made.stage.tune, sharding=sharding)
        tune(replace(made, stage=replace(made.stage, tune=budget)), out)

    run("none", tmp_path / "one")
    assert together(lambda: run("full", tmp_path / "two"), 2, tmp_path / "meet") == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


class KillAt5(Silent):
    def step(self, report: Report) -> None:
        if report.step == 5:
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["t5", "mt5"])
@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_a_killed_run_goes_on_bit_for_bit(kind: str, adapter: str, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", kind, dropout_rate=0.1)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    tune(job(base, adapter), straight)
    child = os.fork()
    if child == 0:
        try:
            tune(job(base, adapter), killed, watch=KillAt5())
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    tune(job(base, adapter), killed, resume=True)
    name = "model.safetensors" if adapter == "full" else "adapter_model.safetensors"
    one, other = load_file(straight / name), load_file(killed / name)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert lines(straight / "log.jsonl") == lines(killed / "log.jsonl")
    assert (straight / "eval.jsonl").read_text() == (killed / "eval.jsonl").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_can_be_the_base_of_the_next_run(kind: str, tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", kind)
    tune(job(base, "lora", new_tokens=(3,)), tmp_path / "one")
    given = {"input_ids": torch.tensor([[9, 8, 7]]), "decoder_input_ids": torch.tensor([[0, 5]])}
    first = load_model(str(tmp_path / "one"))(**given).logits
    again = job(tmp_path / "one")
    again = replace(again, stage=replace(again.stage, tune=replace(again.stage.tune, lr=1e-9)))
    tune(again, tmp_path / "two")
    torch.testing.assert_close(load_model(str(tmp_path / "two"))(**given).logits, first, rtol=1e-4, atol=1e-4)


def test_gradient_checkpointing_changes_no_loss(tmp_path: Path) -> None:
    base, losses = make_base(tmp_path / "base", "t5"), []
    for again in (False, True):
        made = job(base)
        budget = replace(made.stage.tune, gradient_checkpointing=again, epochs=1)
        tune(replace(made, stage=replace(made.stage, tune=budget)), tmp_path / str(again))
        losses.append([json.loads(line)["loss"] for line in (tmp_path / str(again) / "log.jsonl").open()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_plain_text_is_refused_with_the_way_out(tmp_path: Path, data: str) -> None:
    base, text = make_base(tmp_path / "base", "t5"), tmp_path / "book.txt"
    text.write_text("the cat sat on the mat\n")
    for paths in ((str(text),), (data, str(text))):
        with pytest.raises(UserError, match="plain text has no answer") as refusal:
            sft.make_job(Tune(base=str(base), data=paths, template="flan-t5"), lambda _: None)
        assert "book.txt" in refusal.value.message
        assert "causal base" in refusal.value.cure


def test_examples_for_the_other_kind_of_model_are_refused(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "t5")
    with pytest.raises(UserError, match="rendered for another kind of model than T5ForConditionalGeneration"):
        tune(job(base, examples=random_examples(4)), tmp_path / "out")
    with pytest.raises(UserError, match="rendered for another kind of model than Llama"):
        tune(job(base, model=tiny_model()), tmp_path / "out")


def test_a_prompt_longer_than_the_model_is_refused_with_the_length_that_fits(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", "bart", max_position_embeddings=16)
    with pytest.raises(UserError, match="and the model can hold 16"):
        tune(job(base), tmp_path / "out")


@pytest.mark.parametrize(
    ("adapter", "budget"), [("full", {"neftune_alpha": 5.0}), ("full", {"residual_dropout": 0.3}), ("prefix", {})]
)
def test_techniques_that_know_one_pile_of_layers_are_refused(
    adapter: str, budget: dict[str, float], tmp_path: Path
) -> None:
    asked = job(make_base(tmp_path / "base", "t5"), adapter)
    asked = replace(asked, stage=replace(asked.stage, tune=replace(asked.stage.tune, **budget)))
    with pytest.raises(UserError, match="is made for models without an encoder"):
        tune(asked, tmp_path / "out")
    assert not (tmp_path / "out").exists()
