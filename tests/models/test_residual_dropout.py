"""Residual dropout: found by trying, in every family, and rising from layer to layer."""

import pytest
import torch
from torch import nn

from tests.toys import random_examples, tiny_model
from tests.tune.test_shortcuts import EXPECTED, model_of
from tunesmith import recipe
from tunesmith.errors import UserError
from tunesmith.models.layers import layers
from tunesmith.models.surgery.lora import Lora
from tunesmith.models.surgery.residual_dropout import ResidualDropout
from tunesmith.objectives.causal import CrossEntropy
from tunesmith.tune.shortcuts import choose, drops

IDS = torch.arange(9)[None]


def rates(model: nn.Module) -> list[set[float]]:
    """Of each layer."""
    return [
        {module.p for name, module in layer.named_modules() if name.endswith("residual_dropout")}
        for layer in layers(model)
    ]


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("adapted", [False, True])
def test_with_all_branches_dropped_a_layer_gives_back_its_input(kind: str, adapted: bool) -> None:
    """The last layer drops nearly everything, the first nothing: what leaves the one entered the other."""
    model = Lora(recipe.Lora(rank=2))(model_of(kind)) if adapted else model_of(kind)
    names = [name for name, _ in model.named_parameters()]
    expected = model.eval()(IDS).logits
    model = ResidualDropout(0.999999)(model)
    assert rates(model) == [{0.0}, {0.999999}]
    assert [name for name, _ in model.named_parameters()] == names
    assert torch.equal(model.eval()(IDS).logits, expected)
    seen = []
    top = layers(model)[-1]
    top.register_forward_hook(lambda _, args, out: seen.append((args[0], out[0] if isinstance(out, tuple) else out)))
    torch.manual_seed(0)
    top.train()
    for module in top.modules():  # the model's own dropout, where it has some, is not what is asked about
        module.train(not (isinstance(module, nn.Dropout) and module.p == 0.1))
    model(IDS)
    torch.testing.assert_close(seen[0][1], seen[0][0])


def test_the_rate_rises_in_a_line() -> None:
    model = ResidualDropout(0.3)(tiny_model("llama", num_hidden_layers=4))
    assert [max(layer) for layer in rates(model)] == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_each_branch_is_dropped_by_itself() -> None:
    model = ResidualDropout(0.5)(tiny_model())
    layer, seen = model.model.layers[1].train(), {}
    for name in ("self_attn", "mlp"):
        part = getattr(layer, name)
        part.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    model(IDS)
    for found in (seen["self_attn"][0], seen["mlp"]):
        assert 0.3 < float((found == 0).float().mean()) < 0.7


def test_heads_are_not_shared_where_masks_are_drawn() -> None:
    model = ResidualDropout(0.3)(tiny_model())
    assert drops(model)
    way, proof = choose(model, CrossEntropy(), random_examples(4), 0, True)
    assert (way.packed, way.shared, way.fused) == (True, False, True)
    assert proof.passed


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 1}, {}])
def test_a_model_that_is_built_otherwise_is_refused(changes: dict[str, int]) -> None:
    model = tiny_model("llama", **changes)
    for layer in model.model.layers:
        layer.register_forward_hook(lambda _, __, out: 2 * out)
    with pytest.raises(UserError, match="residual_dropout") as refusal:
        ResidualDropout(0.3)(model)
    assert refusal.value.cure
