"""Answers to held-out prompts while a model trains."""

import gc
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from tests.toys import CONFIGS, byte_tokenizer, random_examples, save_base, tiny_model
from tunesmith.batch import Example
from tunesmith.chat import Sampling, generate
from tunesmith.errors import UserError
from tunesmith.models import adapted
from tunesmith.models.attention import NAME, take_over
from tunesmith.models.load import load_model
from tunesmith.models.surgery.base import Surgery
from tunesmith.models.surgery.lora import Lora as Adapt
from tunesmith.models.surgery.prefix import Prefix
from tunesmith.models.surgery.prompt import Prompt
from tunesmith.models.surgery.ptuning import Ptuning
from tunesmith.recipe import Budget, Lora, Tune
from tunesmith.tune.job import Job
from tunesmith.tune.run import tune
from tunesmith.tune.samples import ask, halves, markdown, most, remembers
from tunesmith.tune.save import Saver
from tunesmith.tune.watch import Silent

BUDGET = Budget(
    epochs=2, lr=1e-2, batch_size=8, micro_tokens=100, precision="fp32", eval_share=0.2, checkpoint_every=10**6
)
SAVE = Saver(byte_tokenizer(), (), "")


def example(prompt: list[int], answer: list[int], *more: int) -> Example:
    return Example((*prompt, *answer, *more), (0.0,) * len(prompt) + (1.0,) * len(answer) + (0.0,) * len(more))


def likeliest(model: PreTrainedModel, ids: list[int], count: int) -> list[int]:
    """Without a cache: the whole text is read again for each token."""
    ids = list(ids)
    for _ in range(count):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[-count:]


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("kind", CONFIGS)
def test_an_answer_is_the_likeliest_continuation_also_where_training_uses_our_attention(kind: str, lora: bool) -> None:
    model = tiny_model(kind)
    prompt = [80, 20, 63, 7, 99, 41]
    expected = likeliest(model, prompt, most(2))
    assert take_over(model)
    if lora:
        model = Adapt()(model)
    (sample,) = ask(model, [example(prompt, [65, 66])], SAVE, "fp32")
    assert sample.answer == SAVE.tokenizer.decode(expected)
    assert model.config._attn_implementation == NAME


@pytest.mark.parametrize("adapt", [Prefix(), Prompt(), Ptuning()])
def test_a_soft_prompt_stands_before_the_text_when_it_is_asked(adapt: Surgery) -> None:
    prompt = [80, 20, 63, 7, 99, 41]
    model = adapt(tiny_model()).eval()
    (sample,) = ask(model, [example(prompt, [65])], SAVE, "fp32")
    ids = list(prompt)
    for _ in range(most(1)):
        ids.append(int(adapted.ask(model, input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert sample.answer == SAVE.tokenizer.decode(ids[len(prompt) :])
    assert sample.answer != SAVE.tokenizer.decode(likeliest(tiny_model(), prompt, most(1)))


def test_an_answer_may_be_longer_than_its_reference_but_not_endless() -> None:
    assert [most(count) for count in (1, 10, 1000)] == [18, 36, 64]


def test_an_answer_ends_at_a_stop_token() -> None:
    model, prompt = tiny_model(), [80, 20, 63]
    third = likeliest(model, prompt, 3)
    assert third[2] not in third[:2]
    (sample,) = ask(model, [example(prompt, [65])], replace(SAVE, stop_ids=(third[2],)), "fp32")
    save = Saver(byte_tokenizer("<|end|>"), (), "")
    assert sample.answer == save.tokenizer.decode(third[:2])


def test_the_prompt_ends_where_the_first_answer_begins_and_the_reference_with_it() -> None:
    talk = Example(tuple(range(10)), (0, 0, 0, 1, 1, 0, 0, 1, 1, 1))
    assert halves(talk) == ([0, 1, 2], [3, 4])


def test_of_text_that_is_learnt_whole_the_beginning_is_the_prompt() -> None:
    prompt, reference = halves(Example(tuple(range(50)), (1.0,) * 50))
    assert (prompt, reference) == (list(range(16)), list(range(16, 50)))
    assert halves(Example((5, 6), (1.0, 1.0))) == ([5], [6])


def test_asking_leaves_random_numbers_and_memory_as_they_were() -> None:
    model = tiny_model(attention_dropout=0.5).train()
    rows = [example([1, 2, 3], [4])]
    ask(model, rows, SAVE, "fp32")
    state, held = torch.get_rng_state(), tensors()
    ask(model, rows, SAVE, "bf16")
    assert torch.equal(torch.get_rng_state(), state)
    assert tensors() == held


def tensors() -> int:
    gc.collect()
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def forgetful(kind: str) -> PreTrainedModel:
    """One takes no cache, the other keeps to itself what it was given."""
    from transformers import MambaConfig, MambaForCausalLM, RecurrentGemmaConfig, RecurrentGemmaForCausalLM

    torch.manual_seed(0)
    if kind == "mamba":
        return MambaForCausalLM(MambaConfig(vocab_size=256, hidden_size=16, num_hidden_layers=1, state_size=4))
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    return RecurrentGemmaForCausalLM(RecurrentGemmaConfig(vocab_size=256, lru_width=32, **shape))


@pytest.mark.parametrize("kind", ["mamba", "recurrent_gemma"])
def test_a_model_that_hands_out_no_cache_is_not_asked(kind: str) -> None:
    model = forgetful(kind)
    assert not remembers(model, "fp32")
    assert ask(model, [example([1, 2], [3])], SAVE, "fp32") == []
    with pytest.raises(UserError, match="does not hand out"):
        list(generate(model, [1, 2], (), Sampling()))


def test_a_run_of_such_a_model_says_why_it_has_no_answers_and_goes_on(tmp_path: Path) -> None:
    class Listening(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    said: list[str] = []
    base = tmp_path / "base"
    forgetful("recurrent_gemma").save_pretrained(base)
    byte_tokenizer().save_pretrained(base)
    tune(job(base, samples=3, epochs=1), tmp_path / "out", watch=Listening())
    assert sum("RecurrentGemmaForCausalLM" in text for text in said) == 1
    assert not (tmp_path / "out" / "samples.jsonl").exists()
    assert (tmp_path / "out" / "eval.jsonl").exists()


def test_text_with_marks_of_its_own_stays_as_it_is_in_markdown() -> None:
    (sample,) = ask(tiny_model(), [example([35, 10, 42], [96, 96, 96])], SAVE, "fp32")
    page = markdown([sample])
    assert all(f"    {line}" in page.split("\n") for line in sample.prompt.split("\n"))


def job(base: Path, **budget: object) -> Job:
    """Dropout is on: a single random number drawn too many would show."""
    stage = Tune(base=str(base), adapter="lora", lora=Lora(dropout=0.2), tune=replace(BUDGET, **budget))
    tokenizer, examples = byte_tokenizer("<|im_end|>"), random_examples(24)
    return Job(model=load_model(str(base)), tokenizer=tokenizer, examples=examples, stage=stage, inputs={})


def test_a_run_keeps_answers_at_each_evaluation_and_trains_as_it_would_without(tmp_path: Path) -> None:
    base = save_base(tmp_path / "base")
    tune(job(base, samples=3), tmp_path / "asked")
    tune(job(base, samples=0), tmp_path / "mute")
    lines = [json.loads(line) for line in (tmp_path / "asked" / "samples.jsonl").read_text("utf-8").split("\n")[:-1]]
    measured = [json.loads(line)["step"] for line in (tmp_path / "asked" / "eval.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [step for step in measured for _ in range(3)]
    assert all(line["prompt"] and line["reference"] for line in lines)
    assert not (tmp_path / "mute" / "samples.jsonl").exists()
    left, right = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("asked", "mute"))
    assert all(torch.equal(left[key], right[key]) for key in right)
