"""Changes to a model do what they say, and refuse what they cannot do."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from tests.toys import BYTES, CONFIGS, tiny_model
from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.models.surgery.base import sizes
from tunesmith.models.surgery.grow_vocabulary import GrowVocabulary, resize, rows
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.train import Train

IDS = torch.tensor([[5, 17, 230, 8, 99]])


@pytest.mark.parametrize("kind", CONFIGS)
def test_lora_starts_as_nothing_and_freezes_the_rest(kind: str) -> None:
    model = tiny_model(kind)
    before = model(IDS).logits
    trainable, total = sizes(model)
    assert trainable == total
    adapted = Lora(recipe.Lora(rank=2))(model).eval()
    torch.testing.assert_close(adapted(IDS).logits, before)
    names = [name for name, parameter in adapted.named_parameters() if parameter.requires_grad]
    assert names
    assert all("lora_" in name for name in names)
    assert 0 < sizes(adapted)[0] < total / 4


def test_lora_targets_are_modules_by_name() -> None:
    adapted = Lora(recipe.Lora(rank=2, targets="q_proj, mlp.down_proj"))(tiny_model())
    names = {name.split(".lora_")[0].rsplit(".", 1)[1] for name, _ in adapted.named_parameters() if "lora_" in name}
    assert names == {"q_proj", "down_proj"}


@pytest.mark.parametrize("targets", ["q_proj,no_such", "proj", "", ","])
def test_a_target_that_matches_nothing_is_refused(targets: str) -> None:
    with pytest.raises(UserError, match="no module is called") as refusal:
        Lora(recipe.Lora(targets=targets))(tiny_model())
    assert "q_proj" in refusal.value.cure


def test_train_freezes_what_does_not_match() -> None:
    model = Train(r"layers\.1\.|lm_head")(tiny_model())
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert names == [name for name, _ in model.named_parameters() if "layers.1." in name or "lm_head" in name]
    everything = Train("")(model)
    assert sizes(everything)[0] == sizes(everything)[1]


@pytest.mark.parametrize(("pattern", "reason"), [("layer\\.9", "matches none"), ("(", "not a regular expression")])
def test_a_pattern_that_cannot_match_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        Train(pattern)(tiny_model())


@pytest.mark.parametrize("kind", CONFIGS)
def test_new_tokens_start_as_the_mean_of_the_old_and_leave_those_alone(kind: str) -> None:
    model = tiny_model(kind)
    before = model(IDS).logits
    grown = GrowVocabulary(BYTES + 3, (BYTES, BYTES + 1, BYTES + 2))(model)
    assert rows(grown) == BYTES + 3 == grown.config.vocab_size
    after = grown(IDS).logits
    torch.testing.assert_close(after[..., :BYTES], before, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        after[..., BYTES:], before.mean(-1, keepdim=True).expand(-1, -1, 3), rtol=1e-4, atol=1e-4
    )
    embedding = grown.get_input_embeddings().weight
    torch.testing.assert_close(embedding[BYTES + 1], embedding[:BYTES].mean(0))


def test_a_new_token_may_take_a_row_that_was_there_unused() -> None:
    model = GrowVocabulary(BYTES, (250,))(tiny_model())
    assert rows(model) == BYTES
    old = tiny_model().get_input_embeddings().weight
    torch.testing.assert_close(model.get_input_embeddings().weight[250], old.mean(0))
    assert torch.equal(model.get_input_embeddings().weight[:250], old[:250])


def test_resizing_never_shrinks() -> None:
    assert rows(resize(tiny_model(), 10)) == BYTES


@pytest.mark.parametrize("kind", CONFIGS)
def test_beside_an_adapter_the_rows_of_new_tokens_train_and_no_others(kind: str, tmp_path: Path) -> None:
    new = (BYTES, BYTES + 1)
    adapted = Lora(recipe.Lora(rank=2), new)(GrowVocabulary(BYTES + 2, new)(tiny_model(kind)))
    ids = torch.tensor([[5, BYTES, 7, BYTES + 1]])
    before = adapted(ids).logits
    optimizer = torch.optim.SGD([parameter for parameter in adapted.parameters() if parameter.requires_grad], lr=1.0)
    adapted(ids, labels=ids).loss.backward()
    optimizer.step()
    merged = adapted.merge_and_unload()
    fresh = GrowVocabulary(BYTES + 2, new)(tiny_model(kind))
    for embedding in ("get_input_embeddings", "get_output_embeddings"):
        trained, old = getattr(merged, embedding)().weight, getattr(fresh, embedding)().weight
        assert torch.equal(trained[:BYTES], old[:BYTES])
        assert not torch.allclose(trained[BYTES:], old[BYTES:])
    assert not torch.allclose(merged(ids).logits, before)


@pytest.mark.parametrize("variant", ["rslora", "dora"])
def test_variants_start_as_nothing_and_are_themselves(variant: str) -> None:
    plain, other = (Lora(recipe.Lora(rank=4, variant=name))(tiny_model()) for name in ("plain", variant))
    ids = torch.arange(20)[None]
    torch.testing.assert_close(other(input_ids=ids).logits, tiny_model()(input_ids=ids).logits, rtol=1e-4, atol=1e-4)
    found = [[module.scaling for module in model.modules() if isinstance(getattr(module, "scaling", None), dict)]
             for model in (plain, other)]  # fmt: skip
    scales = [scaling[0]["default"] for scaling in found]
    assert scales == ([4.0, 8.0] if variant == "rslora" else [4.0, 4.0])
    lengths = [name for name, _ in other.named_parameters() if "magnitude" in name]
    assert bool(lengths) == (variant == "dora")


@pytest.mark.parametrize(
    ("width", "inner", "layers", "millions"), [(4096, 11008, 32, 17.89), (5120, 13824, 40, 28.02)], ids=["7B", "13B"]
)
def test_the_parameter_counts_of_belle(width: int, inner: int, layers: int, millions: float) -> None:
    """LLaMA-7B and -13B with rank 8 on all but o_proj, as BELLE reports them."""
    config = LlamaConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=width // 128
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
        adapted = Lora(recipe.Lora(rank=8, targets="q_proj,k_proj,v_proj,gate_proj,down_proj,up_proj"))(model)
    assert round(sizes(adapted)[0] / 1e6, 2) == millions
