"""Every adapter starts as it says, trains what it says, and is refused where it cannot be."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tests.toys import BYTES, CONFIGS, save_base, tiny_model
from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.models.adapted import ask, bare, before, prompt_length
from tunesmith.models.load import load_model, load_quantized, merged, positions
from tunesmith.models.surgery.base import sizes
from tunesmith.models.surgery.grow_vocabulary import GrowVocabulary
from tunesmith.models.surgery.ia3 import Ia3
from tunesmith.models.surgery.lora import START, Lora
from tunesmith.models.surgery.prefix import Prefix
from tunesmith.models.surgery.prompt import Prompt
from tunesmith.models.surgery.ptuning import Ptuning
from tunesmith.models.surgery.quantize import Quantize4bit, quantization, quantized_layers

IDS = torch.tensor([[5, 17, 230, 8, 99], [1, 2, 3, 4, 0]])
NEW = (BYTES, BYTES + 1)
PISSA = recipe.Lora(rank=4, variant="pissa")
SOFT: dict[str, Callable[..., object]] = {
    "prefix": lambda new=(): Prefix(recipe.Prefix(tokens=6, hidden=16), new),
    "prefix without a network": lambda new=(): Prefix(recipe.Prefix(tokens=6, hidden=0), new),
    "prompt": lambda new=(): Prompt(recipe.Prompt(tokens=6), new),
    "ptuning": lambda new=(): Ptuning(recipe.Ptuning(tokens=6), new),
    "ptuning by lstm": lambda new=(): Ptuning(recipe.Ptuning(tokens=6, network="lstm", hidden=16), new),
}
HARD: dict[str, Callable[..., object]] = {
    "lora": lambda new=(): Lora(recipe.Lora(rank=4), new),
    "pissa": lambda new=(): Lora(PISSA, new),
    "ia3": lambda new=(): Ia3(recipe.Ia3(), new),
}


def trained(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("way", HARD)
def test_an_adapter_of_weights_starts_as_nothing(kind: str, way: str) -> None:
    before_it = tiny_model(kind)(IDS).logits
    adapted = HARD[way]()(tiny_model(kind)).eval()
    torch.testing.assert_close(adapted(IDS).logits, before_it, rtol=1e-4, atol=1e-4)
    assert trained(adapted)
    assert 0 < sizes(adapted)[0] < sizes(tiny_model(kind))[1] / 3


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("way", SOFT)
def test_a_soft_prompt_as_a_cache_is_what_peft_computes(kind: str, way: str) -> None:
    adapted = SOFT[way]()(tiny_model(kind)).eval()
    assert prompt_length(adapted) == 6
    ours = ask(adapted, input_ids=IDS, use_cache=False).logits
    torch.testing.assert_close(ours, adapted(IDS).logits[:, -5:], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours, tiny_model(kind)(IDS).logits, atol=0.1)
    ours.logsumexp(-1).sum().backward()
    assert all("prompt_encoder" in name for name in trained(adapted))
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in trained(adapted).values())
    assert all(p.grad is None for p in bare(adapted).parameters())


def test_without_a_soft_prompt_nothing_stands_before_the_text() -> None:
    for model in (tiny_model(), Lora()(tiny_model())):
        assert prompt_length(model) == 0
        assert before(model, 2) is None
        assert bare(model).config.model_type == "llama"


def test_a_soft_prompt_takes_its_places_from_the_text() -> None:
    assert positions(tiny_model("gpt2")) == 256
    assert positions(SOFT["prompt"]()(tiny_model("gpt2"))) == 250


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("way", {**SOFT, **HARD})
def test_beside_every_adapter_the_rows_of_new_tokens_train_and_no_others(kind: str, way: str, tmp_path: Path) -> None:
    adapted = {**SOFT, **HARD}[way](NEW)(GrowVocabulary(BYTES + 2, NEW)(tiny_model(kind)))
    rows = [part for name, part in trained(adapted).items() if "trainable_tokens" in name]
    assert {len(part) for part in rows} == {2}
    ask(adapted, input_ids=torch.tensor([[5, *NEW]])).logits.logsumexp(-1).sum().backward()
    assert all(part.grad.any() for part in rows)


def test_pissa_takes_the_principal_part_of_each_weight() -> None:
    """What stays frozen is the weight without its largest singular values."""
    whole = tiny_model().model.layers[0].mlp.up_proj.weight
    adapted = Lora(PISSA)(tiny_model())
    rest = bare(adapted).model.layers[0].mlp.up_proj.base_layer.weight
    torch.testing.assert_close(torch.linalg.svdvals(rest)[:-4], torch.linalg.svdvals(whole)[4:], rtol=0.05, atol=1e-3)


def test_pissa_comes_out_the_same_whatever_was_drawn_before() -> None:
    states = []
    for seed in (1, 2):
        model = tiny_model()
        torch.manual_seed(seed)
        first = torch.rand(1)
        torch.manual_seed(seed)
        states.append(Lora(PISSA)(model).state_dict())
        assert torch.equal(torch.rand(1), first)  # nor does it take from those who draw after it
    assert all(torch.equal(part, states[1][name]) for name, part in states[0].items())


def test_what_pissa_began_with_is_kept_and_does_not_train() -> None:
    adapted = Lora(PISSA)(tiny_model())
    state = adapted.state_dict()
    kept = {name: part for name, part in state.items() if f".{START}." in name}
    assert kept
    assert all(torch.equal(part, state[name.replace(START, "default")]) for name, part in kept.items())
    assert not any(START in name for name in trained(adapted))


def test_a_rank_above_that_of_a_weight_is_refused() -> None:
    with pytest.raises(UserError, match=r"lora.rank=24: model.layers.0.self_attn.k_proj has only 16") as refusal:
        Lora(recipe.Lora(rank=24, variant="pissa"))(tiny_model())
    assert "lora.rank=16" in refusal.value.cure


def test_a_prompt_starts_as_the_words_that_it_is_given() -> None:
    model = tiny_model()
    words = model.get_input_embeddings().weight
    adapted = Prompt(recipe.Prompt(tokens=5), init=(7, 9))(model)
    assert torch.equal(adapted.prompt_encoder["default"].embedding.weight, words[[7, 9, 7, 9, 7]])
    drawn = Prompt(recipe.Prompt(tokens=5))(tiny_model()).prompt_encoder["default"].embedding.weight
    assert all((row == words).all(-1).any() for row in drawn)


def test_a_text_longer_than_its_prompt_is_refused() -> None:
    with pytest.raises(UserError, match="3 tokens, and the prompt 2") as refusal:
        Prompt(recipe.Prompt(tokens=2), init=(1, 2, 3))(tiny_model())
    assert refusal.value.cure == "set prompt.tokens=3"


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (recipe.Ia3(targets="k_proj,no_such"), "ia3.targets: no module is called no_such"),
        (recipe.Ia3(targets="k_proj", feedforward="v_proj"), "not among"),
        (recipe.Ia3(feedforward="down_proj"), "no effect"),
    ],
)
def test_factors_on_modules_that_are_not_there_are_refused(settings: recipe.Ia3, reason: str) -> None:
    with pytest.raises(UserError, match=reason) as refusal:
        Ia3(settings)(tiny_model())
    assert refusal.value.cure


def test_factors_stand_where_they_are_asked_for() -> None:
    adapted = Ia3(recipe.Ia3(targets="k_proj, down_proj", feedforward="down_proj"))(tiny_model())
    shapes = {name.split(".ia3_l")[0].rsplit(".", 1)[1]: tuple(part.shape) for name, part in trained(adapted).items()}
    assert shapes == {"k_proj": (16, 1), "down_proj": (1, 64)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base"), hidden_size=64, head_dim=32)


def test_a_base_whose_rows_are_no_whole_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rows of 32 numbers"):
        load_quantized(str(save_base(tmp_path / "base")), Quantize4bit())


@pytest.mark.parametrize("double", [False, True])
def test_a_base_in_4_bits_is_loaded_as_such(base: Path, double: bool) -> None:
    model = load_quantized(str(base), Quantize4bit(double))
    layers = list(quantized_layers(model))
    assert len(layers) == 14
    assert all(layer.weight.dtype == torch.uint8 and layer.weight.quant_state.nested == double for layer in layers)
    assert model.get_output_embeddings().weight.dtype == torch.float32
    assert quantization(model) == Quantize4bit(double)
    assert sizes(model)[1] == sizes(load_model(str(base)))[1]
    before_it = dict(load_model(str(base)).named_parameters())
    for name, part in model.dequantize().named_parameters():
        apart = float((part - before_it[name]).detach().norm() / before_it[name].detach().norm())
        assert 0.05 < apart < 0.12 if "_proj" in name else apart == 0


def test_a_base_in_4_bits_computes_in_the_precision_of_the_run(base: Path) -> None:
    model = load_quantized(str(base), Quantize4bit())
    seen: list[torch.dtype] = []
    next(quantized_layers(model)).register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    plain = model(IDS).logits
    with torch.autocast("cpu", torch.bfloat16):
        low = model(IDS).logits
    assert torch.equal(model(IDS).logits, plain)
    assert seen == [torch.float32, torch.bfloat16, torch.float32]
    torch.testing.assert_close(low.float(), plain, rtol=0.1, atol=0.2)


def test_without_bitsandbytes_the_extra_is_named(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UserError, match="bitsandbytes") as refusal:
        load_quantized(str(base), Quantize4bit())
    assert "tunesmith[qlora]" in refusal.value.cure


@pytest.mark.parametrize("variant", ["plain", "dora"])
def test_an_adapter_over_4_bits_is_merged_into_the_numbers_that_it_was_trained_on(base: Path, variant: str) -> None:
    adapted = Lora(recipe.Lora(rank=4, variant=variant), (3,))(load_quantized(str(base), Quantize4bit()))
    with torch.no_grad():
        for part in trained(adapted).values():
            part += 0.1 * torch.randn_like(part)
    wanted = adapted.eval()(IDS).logits
    whole = merged(adapted)
    assert quantization(whole) is None
    assert {part.dtype for part in whole.parameters()} == {torch.float32}
    torch.testing.assert_close(whole(IDS).logits, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", SOFT)
def test_a_soft_prompt_is_not_merged(way: str) -> None:
    with pytest.raises(UserError, match="cannot go into the weights") as refusal:
        merged(SOFT[way]()(tiny_model()))
    assert "lora" in refusal.value.cure


@pytest.mark.parametrize(("rank", "millions"), [(1, 4.7), (8, 37.7)])
def test_the_parameter_counts_of_lora_on_gpt3(rank: int, millions: float) -> None:
    """Hu et al., 2021, table 4: rank 1 and 8 on the query and value projections of 96 layers of width 12,288."""
    adapted = Lora(recipe.Lora(rank=rank, targets="q_proj,v_proj"))(shaped(12288, 96, 96))
    assert round(sizes(adapted)[0] / 1e6, 1) == millions


def test_the_parameter_count_of_prompt_tuning() -> None:
    """Lester et al., 2021: 20,480 for a prompt of 5 tokens at the width of T5-XXL, 4096."""
    adapted = Prompt(recipe.Prompt(tokens=5))(shaped(4096, 1, 64))
    assert sizes(adapted)[0] == 20_480


def shaped(width: int, layers: int, heads: int) -> PreTrainedModel:
    """A model without numbers."""
    config = LlamaConfig(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=8, vocab_size=BYTES
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)
