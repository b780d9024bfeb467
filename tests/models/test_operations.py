"""The useful work of a step, against what torch counts while a model trains."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.toys import CONFIGS, tiny_model
from tunesmith import recipe
from tunesmith.models.adapted import bare
from tunesmith.models.operations import ideal_seconds, known_peak, matrices, peak, per_token
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.prefix import Prefix


def counted(model: torch.nn.Module, tokens: int) -> float:
    """Operations a token of a forward and a backward pass. Rows of one token: there, attention costs nearly nothing."""
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.arange(tokens)[:, None], use_cache=False).logits.sum().backward()
    return counter.get_total_flops() / tokens


@pytest.mark.parametrize("kind", CONFIGS)
def test_full_tuning_needs_what_torch_counts(kind: str) -> None:
    model = tiny_model(kind)
    model.set_attn_implementation("eager")
    assert per_token(model) == pytest.approx(counted(model, 16), rel=0.02)


@pytest.mark.parametrize("kind", CONFIGS)
def test_an_adapter_saves_the_gradient_of_the_frozen_weights(kind: str) -> None:
    model = tiny_model(kind)
    model.set_attn_implementation("eager")
    whole, adapted = per_token(model), Lora(recipe.Lora(rank=2))(model)
    assert 4 / 6 < per_token(adapted) / whole < 5 / 6
    # at the lowest layer nothing is sent on, which is counted all the same
    assert per_token(adapted) == pytest.approx(counted(adapted, 16), rel=0.1)


def test_an_encoder_decoder_meets_each_token_with_one_side_and_the_prompt_with_cross_attention_too() -> None:
    """Two layers a side, width 32, inner width 64, 256 words; a decoder's token meets the tied output layer."""
    model = tiny_model("t5")
    attention, forward = 4 * 32 * 32, 2 * 32 * 64
    found = ideal_seconds(model, "fp32")
    prompt = 6 * 2 * (attention + forward + attention // 2)  # and keys and values of the decoder's cross-attention
    answer = 6 * (2 * (attention + attention // 2 + forward) + 256 * 32)
    assert found.encoder_token / found.token == pytest.approx(prompt / answer)
    assert found.token == pytest.approx(answer / known_peak("fp32", model.device))
    assert found.seconds(7, 5) == pytest.approx(5 * found.encoder_token + 2 * found.token)


def test_a_causal_model_has_one_side() -> None:
    model = tiny_model()
    assert ideal_seconds(model, "fp32", 0.5).seconds(8, 0) == 4 * per_token(model) / known_peak("fp32", model.device)


def test_a_soft_prompt_costs_nothing_by_the_token() -> None:
    whole = per_token(tiny_model())
    assert per_token(bare(Prefix(recipe.Prefix(hidden=64))(tiny_model()))) == pytest.approx(4 / 6 * whole)


def test_rows_of_new_tokens_beside_an_adapter_change_next_to_nothing() -> None:
    for kind in ("llama", "qwen2"):
        plain, grown = (Lora(recipe.Lora(rank=2), new)(tiny_model(kind)) for new in ((), (5, 7)))
        assert per_token(grown) == pytest.approx(per_token(plain), rel=0.01)


def test_a_tied_table_counts_as_the_output_layer_once() -> None:
    model = tiny_model("qwen2")
    table = model.get_input_embeddings().weight
    assert sum(weight is table for _, weight, _ in matrices(model)) == 1
    assert per_token(model) - per_token(model, head=0.25) == pytest.approx(0.75 * 6 * table.numel())


def test_of_a_stack_of_experts_those_count_that_a_token_is_sent_to() -> None:
    model = tiny_model(num_experts_per_tok=2)
    model.experts = torch.nn.Parameter(torch.zeros(8, 4, 5))
    assert per_token(model) - per_token(tiny_model()) == 6 * 2 * 4 * 5


def test_the_peak_is_a_rate_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    assert peak("fp32", torch.device("cpu")) > 1e8
    assert torch.equal(torch.get_rng_state(), before)
