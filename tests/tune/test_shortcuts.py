"""Shortcuts are kept where they prove exact, and left where a model does not bear them."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    CohereConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPTJConfig,
    GPTNeoConfig,
    GraniteConfig,
    MistralConfig,
    MptConfig,
    OPTConfig,
    PhiConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen3Config,
)

from tests.toys import BYTES, CONFIGS, SHAPE, random_examples, tiny_model
from tunesmith import recipe
from tunesmith.batch import Example
from tunesmith.models.attention import NAME
from tunesmith.models.surgery.base import Surgery
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.prefix import Prefix
from tunesmith.models.surgery.prompt import Prompt
from tunesmith.models.surgery.ptuning import Ptuning
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.tune.shortcuts import LIMIT, Way, again, choose

ALL, UNSHARED, FUSED = Way(True, True, True), Way(True, False, True), Way(False, False, True)
GROUPED = SHAPE | {"vocab_size": BYTES, "num_key_value_heads": 1}
MORE: dict[str, Callable[[], PretrainedConfig]] = {
    "mistral": lambda: MistralConfig(sliding_window=16, **GROUPED),
    "qwen3": lambda: Qwen3Config(head_dim=16, **GROUPED),
    "gemma3": lambda: Gemma3TextConfig(head_dim=16, sliding_window=16, final_logit_softcapping=5.0, **GROUPED),
    "gemma2": lambda: Gemma2Config(head_dim=16, sliding_window=16, final_logit_softcapping=5.0, **GROUPED),
    "cohere": lambda: CohereConfig(logit_scale=0.3, **GROUPED),
    "granite": lambda: GraniteConfig(logits_scaling=3.0, **GROUPED),
    "phi": lambda: PhiConfig(vocab_size=BYTES, **SHAPE),
    "opt": lambda: OPTConfig(
        vocab_size=BYTES, hidden_size=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=2, word_embed_proj_dim=16
    ),
    "bloom": lambda: BloomConfig(vocab_size=BYTES, hidden_size=32, n_layer=2, n_head=2),
    "gpt_neo": lambda: GPTNeoConfig(
        vocab_size=BYTES, hidden_size=32, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]
    ),
    "gptj": lambda: GPTJConfig(vocab_size=BYTES, n_embd=32, n_layer=2, n_head=2, rotary_dim=8),
    "falcon": lambda: FalconConfig(vocab_size=BYTES, hidden_size=32, num_hidden_layers=2, num_attention_heads=2),
    "mpt": lambda: MptConfig(vocab_size=BYTES, d_model=32, n_layers=2, n_heads=2),
}
EXPECTED = {
    "llama": ALL, "qwen2": ALL, "qwen3": ALL, "mistral": ALL, "gemma3": ALL, "phi": ALL, "cohere": ALL, "granite": ALL,
    "gpt2": UNSHARED, "gpt_neox": UNSHARED, "opt": UNSHARED,  # these drop out
    "bloom": FUSED,  # ALiBi counts places by itself
    "gemma2": FUSED,  # caps its attention scores
}  # fmt: skip
ROWS = [Example((*range(20), *row.ids), (0.0,) * 20 + row.weights) for row in random_examples(4, seed=3)]


def model_of(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    config = (CONFIGS | MORE)[kind]()
    config.initializer_range = 0.2
    return AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("adapted", [False, True])
def test_each_family_goes_the_fastest_way_that_is_exact(kind: str, adapted: bool) -> None:
    model = Lora(recipe.Lora(rank=2))(model_of(kind)) if adapted else model_of(kind)
    way, proof = choose(model, CrossEntropy(), ROWS, 0, True)
    assert way == EXPECTED[kind]
    assert proof.passed
    assert proof.measured < LIMIT / 10
    assert all(parameter.grad is None for parameter in model.parameters())
    inner = model.get_base_model() if adapted else model
    assert (inner.config._attn_implementation == NAME) == way.packed


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gemma3", "cohere", "granite", "opt"])
@pytest.mark.parametrize("variant", ["plain", "dora"])
def test_rows_that_are_learnt_beside_an_adapter_cost_no_shortcut(kind: str, variant: str) -> None:
    model = Lora(recipe.Lora(rank=2, variant=variant), (7, 250))(model_of(kind))
    way, proof = choose(model, CrossEntropy(), ROWS, 0, True)
    assert way == EXPECTED[kind]
    assert proof.measured < LIMIT / 10


def test_packing_can_be_turned_off() -> None:
    model = tiny_model()
    assert choose(model, CrossEntropy(), ROWS, 0, False)[0] == FUSED
    assert model.config._attn_implementation != NAME


def test_a_model_that_looks_across_a_row_is_not_packed_and_it_is_said_why() -> None:
    """A layer that adds what stands before, over the whole row: harmless to padding, a leak in a pack."""
    model = tiny_model()

    def running_mean(_: object, __: object, out: Tensor) -> Tensor:
        return out + out.cumsum(1) / 10

    model.model.layers[0].mlp.register_forward_hook(running_mean)
    said: list[str] = []
    way, proof = choose(model, CrossEntropy(), ROWS, 0, True, say=said.append)
    assert way == FUSED
    assert "packing" in proof.detail
    (line,) = said
    assert re.search(r"padded together, not packed: .* \d\.\de[+-]\d\d \(relative\) off", line)


@pytest.mark.parametrize("kind", ["bloom", "gpt_neo", "gptj", "falcon", "mpt"])
def test_a_model_whose_attention_cannot_be_replaced_is_padded_and_it_is_said(kind: str) -> None:
    said: list[str] = []
    way, proof = choose(model_of(kind), CrossEntropy(), ROWS, 0, True, say=said.append)
    assert way == FUSED
    assert "not packing (this kind of model does not let its attention be replaced)" in proof.detail
    assert said == [
        "examples of like length are padded together, not packed: "
        "this kind of model does not let its attention be replaced"
    ]


def test_nothing_is_said_where_nothing_is_lost() -> None:
    said: list[str] = []
    choose(tiny_model(), CrossEntropy(), ROWS, 0, True, say=said.append)
    choose(model_of("bloom"), CrossEntropy(), ROWS, 0, False, say=said.append)
    assert said == []


def test_a_model_whose_logits_are_bent_afterwards_is_not_fused() -> None:
    model = tiny_model()
    plain = model.forward

    def bent(*args: object, **kwargs: object) -> object:
        out = plain(*args, **kwargs)
        out.logits = out.logits.clamp(-1, 1)
        return out

    model.forward = bent  # type: ignore[method-assign]
    said: list[str] = []
    assert not choose(model, CrossEntropy(), ROWS, 0, True, say=said.append)[0].fused
    (line,) = said
    assert line.startswith("the logits of a forward pass are held all at once: loss or gradient would be ")


@pytest.mark.parametrize("soft", [Prefix(recipe.Prefix(hidden=8)), Prompt(new=(7, 250)), Ptuning()])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral", "gemma3", "gpt2", "opt"])
def test_every_packed_example_stands_behind_the_soft_prompt(kind: str, soft: Surgery) -> None:
    model = soft(model_of(kind))
    way, proof = choose(model, CrossEntropy(), ROWS, 0, True)
    assert way == EXPECTED[kind]
    assert proof.measured < LIMIT / 10


def test_an_interrupted_run_goes_the_same_way() -> None:
    model = tiny_model()
    assert again(model, {"packed": True, "shared": False, "fused": True}) == UNSHARED
    assert model.config._attn_implementation == NAME
