"""Every way to adapt a model, from its base to the saved result and back."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import MambaConfig, MambaForCausalLM, MixtralConfig, MixtralForCausalLM

from tests.toys import SHAPE, save_base, tiny_model
from tests.tune.test_run import job, read
from tunesmith.batch import Example
from tunesmith.chat import Sampling, generate
from tunesmith.errors import UserError
from tunesmith.evaluate.answer import greedy
from tunesmith.models.adapted import ask, prompt_length
from tunesmith.models.load import content_hash, load_model
from tunesmith.models.surgery.quantize import quantization
from tunesmith.recipe import Ia3, Lora, Prefix, Prompt, Ptuning, Qlora
from tunesmith.tune.job import Job
from tunesmith.tune.prepare import learning
from tunesmith.tune.run import tune

WAYS: dict[str, dict[str, Any]] = {
    "lora": {"adapter": "lora"},
    "pissa": {"adapter": "lora", "lora": Lora(rank=4, alpha=4.0, variant="pissa")},
    "qlora": {"adapter": "qlora", "qlora": Qlora(double=False)},
    "ia3": {"adapter": "ia3"},
    "prefix": {"adapter": "prefix", "prefix": Prefix(tokens=4, hidden=16)},
    "prompt": {"adapter": "prompt", "prompt": Prompt(tokens=4, init="ab")},
    "ptuning": {"adapter": "ptuning", "ptuning": Ptuning(tokens=4)},
}
SOFT = ("prefix", "prompt", "ptuning")
STOP = 257
# Rows that say something the random base does not: after 256 come the same four tokens and the new stop token.
ROWS = [Example((k, k + 1, k + 2, 256, 9, 9, 7, 7, STOP), (0.0,) * 4 + (1.0,) * 5) for k in (10, 40, 70, 100, 130, 160)]
LONG = {"epochs": 30, "batch_size": 6, "lr": 3e-2, "checkpoint_every": 10**6}


def adapting(base: Path, way: str, budget: dict[str, Any] | None = None, **changes: Any) -> Job:
    return job(base, budget=budget, **WAYS[way], **changes)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), hidden_size=64, head_dim=32, eos_token_id=2)


@pytest.fixture(scope="module", params=WAYS)
def done(request: pytest.FixtureRequest, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A run of each kind, on a base whose content is checked afterwards."""
    before = content_hash(str(base))
    out = tmp_path_factory.mktemp("done") / "out"
    result = tune(adapting(base, request.param, LONG, examples=ROWS), out)
    assert all(proof.passed for proof in result.proofs)
    assert content_hash(str(base)) == before
    return request.param, out


def test_the_loss_falls_by_more_than_half(done: tuple[str, Path]) -> None:
    losses = [json.loads(line)["loss"] for line in (done[1] / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] / 2


def test_each_kind_is_proved_by_what_it_can_promise(done: tuple[str, Path]) -> None:
    way, out = done
    names = {proof["name"] for proof in read(out / "manifest.json")["proofs"]}
    assert ("adapter_identity" in names) == (way not in SOFT)
    assert ({"soft_prompt_as_in_peft", "soft_prompt_learns"} <= names) == (way in SOFT)
    assert {"padding_changes_nothing", "frozen_receive_no_gradient", "saved_equals_trained"} <= names


def test_the_saved_adapter_is_small_and_says_what_it_needs(done: tuple[str, Path], base: Path) -> None:
    way, out = done
    assert sorted(path.name for path in out.glob("*.safetensors")) == ["adapter_model.safetensors"]
    parts = load_file(out / "adapter_model.safetensors")
    assert sum(part.numel() for part in parts.values()) < 20_000
    assert not any("transform" in name or "mlp_head" in name for name in parts)
    note = read(out / "base.json")
    assert note["sha256"] == content_hash(str(base))
    assert note["quantized"] == ({"type": "nf4", "double": False} if way == "qlora" else None)
    assert {tuple(rows) for rows in note["token_rows"].values()} == {(256, 257)}


def test_the_saved_model_says_what_it_learnt_and_stops(done: tuple[str, Path]) -> None:
    """Answers one by one, and many at once with padding on the left, are the same and right."""
    way, out = done
    model = load_model(str(out))
    assert (prompt_length(model) > 0) == (way in SOFT)
    assert (quantization(model) is not None) == (way == "qlora")
    prompts = [[130, 131, 132, 256], [7, 41, 42, 43, 256], [11, 256]]
    one_by_one = [list(generate(model, prompt, {STOP}, Sampling(max_new_tokens=8))) for prompt in prompts]
    assert greedy(model, prompts, 8, {STOP}, 0) == one_by_one
    assert one_by_one[0] == [9, 9, 7, 7]


def test_a_cache_goes_on_where_the_whole_text_would(done: tuple[str, Path]) -> None:
    """The answer token by token is that of reading everything again for each token."""
    model = load_model(str(done[1]))
    text = [3, 77, 256]
    said = list(generate(model, text, (), Sampling(max_new_tokens=6)))
    for _ in range(6):
        text.append(int(ask(model, input_ids=torch.tensor([text])).logits[0, -1].argmax()))
    assert said == text[3:]


def test_as_the_base_of_the_next_run_it_is_merged_or_refused(done: tuple[str, Path], tmp_path: Path) -> None:
    way, out = done
    still = {"lr": 1e-9, "epochs": 1}
    if way in SOFT:
        with pytest.raises(UserError, match="stands before the text"):
            tune(job(out, "lora", still, examples=ROWS), tmp_path / "out")
        return
    first, ids = load_model(str(out)), torch.tensor([[130, 131, 256, 9]])
    result = tune(job(out, "full", still, examples=ROWS), tmp_path / "out")
    assert all(proof.passed for proof in result.proofs)
    torch.testing.assert_close(load_model(str(tmp_path / "out"))(ids).logits, first(ids).logits, rtol=1e-3, atol=1e-3)


def test_4_bits_over_an_adapter_are_those_of_the_merged_model(base: Path, tmp_path: Path) -> None:
    tune(adapting(base, "lora", {"epochs": 4}, examples=ROWS), tmp_path / "one")
    tune(adapting(tmp_path / "one", "qlora", {"epochs": 1, "lr": 1e-9}, examples=ROWS), tmp_path / "two")
    model = load_model(str(tmp_path / "two"))
    ids = torch.tensor([[130, 131, 9, 9]])
    near, far = (load_model(str(folder))(ids).logits[..., :256] for folder in (tmp_path / "one", base))
    found = model(ids).logits[..., :256]
    assert (found - near).norm() < (found - far).norm()
    assert read(tmp_path / "two" / "base.json")["base"] == str(tmp_path / "one")


@pytest.mark.parametrize("way", WAYS)
def test_an_adapter_learns_under_bf16(base: Path, tmp_path: Path, way: str) -> None:
    tune(adapting(base, way, {**LONG, "epochs": 10, "precision": "bf16"}, examples=ROWS), tmp_path / "out")
    losses = [json.loads(line)["loss"] for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("way", ["qlora", "ia3", "pissa"])
def test_gradient_checkpointing_changes_no_loss(base: Path, tmp_path: Path, way: str) -> None:
    losses = []
    for again in (False, True):
        tune(adapting(base, way, {"gradient_checkpointing": again}, examples=ROWS), tmp_path / str(again))
        losses.append([json.loads(line)["loss"] for line in (tmp_path / str(again) / "log.jsonl").open()])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("way", SOFT)
def test_the_places_of_a_prompt_count_towards_the_longest_row(tmp_path: Path, way: str) -> None:
    base = save_base(tmp_path / "base", "gpt2", n_positions=12)
    rows = [Example((*range(9), STOP), (0.0,) * 5 + (1.0,) * 5)]
    with pytest.raises(UserError, match="10 tokens, and the model can hold 8") as refusal:
        tune(adapting(base, way, examples=rows), tmp_path / "out")
    assert refusal.value.cure == "set tune.max_length=8"


@pytest.mark.parametrize("way", SOFT)
def test_a_prompt_that_leaves_the_text_no_place_is_told_how_long_it_may_be(tmp_path: Path, way: str) -> None:
    base = save_base(tmp_path / "base", "gpt2", n_positions=12)
    made = job(base, way, examples=ROWS, prefix=Prefix(tokens=30), prompt=Prompt(tokens=30), ptuning=Ptuning(tokens=30))
    with pytest.raises(UserError, match=f"{way}.tokens=30 leaves no room for text: the model can hold 12") as refusal:
        tune(made, tmp_path / "out")
    assert refusal.value.cure == f"set {way}.tokens=3 or lower"


CONTRADICTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    **{
        f"train with {way}": ({**changes, "train": "mlp"}, {}, f"adapter={changes['adapter']} trains none")
        for way, changes in WAYS.items()
    },
    "pissa in 4 bits": ({**WAYS["qlora"], "lora": Lora(variant="pissa")}, {}, "holds them in 4 bits"),
    **{f"{way} and checkpointing": (WAYS[way], {"gradient_checkpointing": True}, "drops the keys") for way in SOFT},
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_settings_that_cannot_go_together_are_refused(base: Path, tmp_path: Path, what: str) -> None:
    changes, budget, reason = CONTRADICTIONS[what]
    with pytest.raises(UserError, match=reason) as refusal:
        tune(job(base, budget=budget, examples=ROWS, **changes), tmp_path / "out")
    assert refusal.value.cure
    assert not (tmp_path / "out").exists()


def test_settings_of_another_adapter_do_no_harm(base: Path, tmp_path: Path) -> None:
    others = {"prefix": Prefix(tokens=1000), "ia3": Ia3(targets="no_such"), "prompt": Prompt(tokens=1, init="abc")}
    tune(job(base, "lora", {"epochs": 1}, examples=ROWS, **others), tmp_path / "out")


@pytest.mark.parametrize("way", [*SOFT, "ia3"])
def test_a_model_that_cannot_take_an_adapter_is_refused_with_the_reason(tmp_path: Path, way: str) -> None:
    """A state-space model keeps no keys and values, and peft does not know where its factors would go."""
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=258, hidden_size=32, num_hidden_layers=2, state_size=4)
    made = adapting(save_base(tmp_path / "base"), way, examples=ROWS, model=MambaForCausalLM(config).eval())
    with pytest.raises(UserError, match=f"MambaForCausalLM.*does not take adapter={way}") as refusal:
        tune(made, tmp_path / "out")
    assert "adapter=lora" in refusal.value.cure


@pytest.mark.parametrize("variant", ["dora", "pissa"])
def test_experts_that_take_plain_lora_alone_are_told_so(base: Path, tmp_path: Path, variant: str) -> None:
    """Experts held in one tensor are no layer with a weight."""
    config = MixtralConfig(vocab_size=258, num_local_experts=2, num_key_value_heads=1, **SHAPE)
    made, plain = (
        job(base, "lora", lora=Lora(rank=4, variant=name), examples=ROWS, model=MixtralForCausalLM(config).eval())
        for name in (variant, "plain")
    )
    with pytest.raises(UserError, match=rf"does not take lora.variant={variant}: ") as refusal:
        tune(made, tmp_path / "out")
    assert refusal.value.cure == "set lora.variant=plain"
    assert all(proof.passed for proof in learning(plain, plain.model, ROWS)[1])


def test_the_text_that_a_prompt_starts_as_is_read_by_the_tokenizer(base: Path, tmp_path: Path) -> None:
    made = adapting(base, "prompt", {"lr": 1e-9, "epochs": 1}, examples=ROWS)
    tune(made, tmp_path / "out")
    found = load_file(tmp_path / "out" / "adapter_model.safetensors")["prompt_embeddings"]
    words = tiny_model(hidden_size=64, head_dim=32).get_input_embeddings().weight
    ids = made.tokenizer.encode("ab", add_special_tokens=False)
    torch.testing.assert_close(found, words[[*ids, *ids]], rtol=1e-3, atol=1e-6)


def test_what_is_kept_of_the_best_step_is_whole(base: Path, tmp_path: Path) -> None:
    """The network that makes a prompt comes back with it."""
    worse = {"epochs": 8, "lr": 1.0, "schedule": "constant", "eval_share": 0.3, "keep": "best", "max_grad_norm": 1e9}
    result = tune(adapting(base, "ptuning", worse), tmp_path / "out")
    assert result.metrics["best_step"] < result.metrics["steps"]
    assert all(proof.passed for proof in result.proofs)
