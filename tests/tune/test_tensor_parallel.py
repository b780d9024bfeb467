"""Two processes that compute each layer together do what one does, whatever the model's plan asks for."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from tests.toys import random_examples, save_base, tiny_model
from tests.tune.test_processes import job, losses, together, weights
from tests.tune.test_resume import KillAt, lines
from tunesmith.errors import UserError
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.residual_dropout import ResidualDropout
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.recipe import Budget
from tunesmith.recipe import Lora as LoraSettings
from tunesmith.tune.checkpoint import begin_state, state_size
from tunesmith.tune.feed import collate
from tunesmith.tune.job import Job, refuse_contradictions
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.parallel import whole
from tunesmith.tune.run import tune
from tunesmith.tune.shortcuts import distance
from tunesmith.tune.tensor_parallel import split_proved
from tunesmith.tune.watch import Silent

SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SHAPE |= {"vocab_size": 256, "initializer_range": 0.2}
GROUPED = SHAPE | {"num_key_value_heads": 2}
KINDS: dict[str, Callable[[], PreTrainedConfig]] = {
    "llama with biases": lambda: LlamaConfig(attention_bias=True, mlp_bias=True, **GROUPED),
    "qwen2": lambda: Qwen2Config(tie_word_embeddings=True, **GROUPED),
    "qwen3": lambda: Qwen3Config(head_dim=8, **GROUPED),  # norms of single heads
    "gemma3": lambda: Gemma3TextConfig(head_dim=8, sliding_window=8, **GROUPED),
    "gpt_neox": lambda: GPTNeoXConfig(**SHAPE),  # queries, keys and values of a head in one layer
    "phi3": lambda: Phi3Config(pad_token_id=0, **GROUPED),  # columns that are gathered again
    "olmo2": lambda: Olmo2Config(**GROUPED),
}
ROWS = random_examples(4)


def short(base: Path, adapter: str, sharding: str, dropout: float = 0.0, **changes: Any) -> Job:
    """Five steps."""
    begun = job(base, adapter, True, sharding, dropout)
    changes = {"epochs": 1, "lr": 3e-4, "checkpoint_every": 2, "micro_tokens": 160, "samples": 0} | changes
    budget = replace(begun.stage.tune, **changes)
    return replace(begun, examples=begun.examples[:20], stage=replace(begun.stage, tune=budget))


def gradient(model: PreTrainedModel) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    CrossEntropy()(model, collate(ROWS, 0)).loss.backward()
    return {name: whole(p.grad).clone() for name, p in model.named_parameters() if p.grad is not None}


def made(kind: str, adapted: bool) -> PreTrainedModel:
    """A random model; adapted by LoRA whose second matrices are not 0, else the first would receive no gradient."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS[kind]()).eval()
    if adapted:
        model = Lora(LoraSettings(rank=2), ())(model)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.1)
    return model


def test_every_parameter_receives_the_gradient_that_it_has_in_one_process(tmp_path: Path) -> None:
    """Of all kinds in the same two processes, which take a second to begin."""

    def work() -> None:
        for kind, adapted in [*((kind, False) for kind in KINDS), ("qwen3", True), ("phi3", True)]:
            model = made(kind, adapted)
            alone = gradient(model)
            parts, proof = split_proved(model, CrossEntropy(), ROWS, 0)
            assert proof.passed, (kind, proof.detail)
            assert sum(isinstance(parameter, DTensor) for parameter in parts.parameters()) >= 8, kind
            assert distance(gradient(parts), alone) < 1e-5, kind

    assert together(work, 2, tmp_path / "meet") == [0, 0]


def test_the_optimizer_holds_its_part_of_the_state(tmp_path: Path) -> None:
    def work() -> None:
        parts, _ = split_proved(made("qwen3", False), CrossEntropy(), ROWS, 0)
        optimizer = make_optimizer(parts, Budget())
        begin_state(optimizer)
        spread = sum(p.numel() for p in parts.parameters() if isinstance(p, DTensor))
        assert state_size(optimizer) - state_size(optimizer, here=True) == 2 * 4 * spread // 2

    assert together(work, 2, tmp_path / "meet") == [0, 0]


def test_experts_are_refused(tmp_path: Path) -> None:
    config = Qwen3MoeConfig(num_experts=2, num_experts_per_tok=1, moe_intermediate_size=32, head_dim=8, **GROUPED)
    assert "experts" in refused(config, 2, tmp_path)


def test_a_sum_that_the_plan_forgets_is_found(tmp_path: Path) -> None:
    """Logits would be right and the norms of heads would learn from one process's heads alone."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(KINDS["qwen3"]()).eval()
    plan = {name: word for name, word in model.tp_plan.items() if "norm" not in name}

    def work() -> None:
        model.tp_plan = plan
        assert not split_proved(model, CrossEntropy(), ROWS, 0)[1].passed

    assert together(work, 2, tmp_path / "meet") == [0, 0]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without biases of keys: they receive rounding errors alone, of which AdamW makes whole steps."""
    return save_base(tmp_path_factory.mktemp("base"), num_key_value_heads=2, mlp_bias=True)


@pytest.fixture(scope="module")
def dropping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), num_key_value_heads=2, num_hidden_layers=1, attention_dropout=0.2)


@pytest.fixture(scope="module")
def straight(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process, and nothing disturbed it."""
    out = tmp_path_factory.mktemp("straight") / "out"
    tune(short(base, "full", "none"), out)
    return out


@pytest.mark.parametrize(
    ("adapter", "changes"),
    [
        ("full", {"ema": 0.9, "samples": 1, "max_grad_norm": 0.1}),
        ("full", {"packing": False, "gradient_checkpointing": True}),
        ("lora", {"keep": "best", "neftune_alpha": 5.0}),
    ],
)
def test_two_processes_reach_what_one_reaches(
    adapter: str, changes: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    tune(short(base, adapter, "none", **changes), tmp_path / "one")
    codes = together(lambda: tune(short(base, adapter, "tensor", **changes), tmp_path / "two"), 2, tmp_path / "meet")
    assert codes == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    one, two = lines(tmp_path / "one" / "log.jsonl"), lines(tmp_path / "two" / "log.jsonl")
    for name in ("supervised_tokens", "tokens", "grad_norm"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], rel=1e-4)
    if changes.get("samples"):
        assert lines(tmp_path / "two" / "samples.jsonl") == lines(tmp_path / "one" / "samples.jsonl") != []
    left, right = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert left.keys() == right.keys()
    for name in left:
        apart = float((right[name] - left[name]).norm() / left[name].norm().clamp(min=1.0))
        assert apart < 1e-5, name  # single numbers lie further apart where AdamW follows a gradient near 0
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert "tensor_parallel_changes_nothing" in [proof["name"] for proof in manifest["proofs"]]


def test_bf16_stays_near_fp32(base: Path, straight: Path, tmp_path: Path) -> None:
    job = short(base, "full", "tensor", precision="bf16")
    assert together(lambda: tune(job, tmp_path / "two"), 2, tmp_path / "meet") == [0, 0]
    assert losses(tmp_path / "two") == pytest.approx(losses(straight), rel=2e-2)


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_two_processes_killed_at_a_step_go_on_bit_for_bit(adapter: str, dropping: Path, tmp_path: Path) -> None:
    """With dropout, whose masks are part of what comes back."""

    def work(name: str, watch: Silent, resume: bool = False) -> Callable[[], object]:
        begun = short(dropping, adapter, "tensor", 0.2, ema=0.9)
        return lambda: tune(begun, tmp_path / name, resume, watch)

    assert together(work("straight", Silent()), 2, tmp_path / "meet") == [0, 0]
    assert together(work("killed", KillAt(3)), 2, tmp_path / "meet") == [-signal.SIGKILL] * 2
    assert together(work("killed", Silent(), resume=True), 2, tmp_path / "meet") == [0, 0]
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")
    left, right = weights(tmp_path / "straight"), weights(tmp_path / "killed")
    assert left.keys() == right.keys()
    assert all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize(("before", "after"), [(("tensor", 2), ("none", 1)), (("full", 2), ("tensor", 2))])
def test_a_run_goes_on_split_otherwise(
    before: tuple[str, int], after: tuple[str, int], base: Path, straight: Path, tmp_path: Path
) -> None:
    def part(way: tuple[str, int], watch: Silent) -> list[int]:
        sharding, count = way
        return together(
            lambda: tune(short(base, "full", sharding), tmp_path / "out", True, watch), count, tmp_path / "meet"
        )

    assert set(part(before, KillAt(3))) == {-signal.SIGKILL}
    assert set(part(after, Silent())) == {0}
    assert losses(tmp_path / "out") == pytest.approx(losses(straight), rel=1e-5)


@pytest.mark.parametrize("residual", [0.0, 0.5])
def test_copies_drop_out_alike(residual: float, base: Path, tmp_path: Path) -> None:
    """Where one process's features were masked otherwise than the other's copy of them, gradients would part."""

    def work() -> None:
        torch.manual_seed(0)
        model = Lora(LoraSettings(dropout=0.5 - residual), ())(AutoModelForCausalLM.from_pretrained(base))
        if residual:
            model = ResidualDropout(residual)(model)
        split_proved(model, CrossEntropy(), ROWS, 0)
        model.train()
        own = [value for name, value in gradient(model).items() if "o_proj.lora_B" in name]
        for value in own:
            other = value.clone()
            torch.distributed.broadcast(other, src=0)
            assert torch.equal(value, other)
        assert own

    assert together(work, 2, tmp_path / "meet") == [0, 0]


def refused(config: PreTrainedConfig, processes: int, tmp_path: Path) -> str:
    """What the leading process says."""
    model = AutoModelForCausalLM.from_config(config)

    def work() -> None:
        with pytest.raises(UserError) as caught:
            split_proved(model, CrossEntropy(), ROWS, 0)
        (tmp_path / f"said-{torch.distributed.get_rank()}").write_text(f"{caught.value} {caught.value.cure}")

    assert together(work, processes, tmp_path / "meet") == [0] * processes
    return (tmp_path / "said-0").read_text()


def test_what_cannot_be_split_is_refused_with_the_reason(tmp_path: Path) -> None:
    said = refused(LlamaConfig(**GROUPED), 4, tmp_path)
    assert "num_key_value_heads=2" in said
    assert "4 processes" in said
    said = refused(LlamaConfig(**GROUPED | {"intermediate_size": 63}), 2, tmp_path)
    assert "mlp.gate_proj: 63" in said
    said = refused(GPT2Config(n_embd=32, n_layer=2, n_head=2), 2, tmp_path)
    assert "GPT2LMHeadModel" in said
    assert "tune.sharding=full" in said


@pytest.mark.parametrize(
    "change",
    [
        {"adapter": "ia3"},
        {"adapter": "qlora"},
        {"adapter": "prefix"},
        {"adapter": "lora", "lora": LoraSettings(variant="dora")},
        {"adapter": "lora", "lora": LoraSettings(variant="pissa")},
    ],
)
def test_adapters_that_need_whole_layers_are_refused(change: dict[str, Any], base: Path) -> None:
    begun = job(base, "full", True, "tensor")
    with pytest.raises(UserError, match=r"tune\.sharding=tensor splits a model that"):
        refuse_contradictions(replace(begun, stage=replace(begun.stage, **change)))


@pytest.mark.parametrize(
    "change", [{"optimizer": "adafactor"}, {"optimizer": "adamw8bit"}, {"precision": "bf16_sr"}, {"compile": True}]
)
def test_techniques_that_need_whole_layers_are_refused(change: dict[str, Any], base: Path) -> None:
    name = next(iter(change))
    with pytest.raises(UserError, match=rf"tune\.{name}=\w+ works on whole layers"):
        refuse_contradictions(short(base, "full", "tensor", **change))


def test_an_encoder_is_refused(tmp_path: Path) -> None:
    begun = replace(short(save_base(tmp_path), "full", "tensor"), model=tiny_model("t5"))
    with pytest.raises(UserError, match=r"tune\.sharding=tensor is made for models without an encoder"):
        refuse_contradictions(begun)


def test_one_process_alone_has_nothing_to_split(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tune\.sharding=tensor splits the model over several processes"):
        tune(job(base, "full", True, "tensor"), tmp_path / "out")
