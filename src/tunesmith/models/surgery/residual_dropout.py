"""Dropout on what each layer adds to what passes through it.

The branches of a layer are found by trying. A branch is a part whose output comes out of the layer as it is, or
multiplied by a constant; and without its branches a layer gives back what it was given.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.layers import layers

EXACT = 1e-3  # relative; a layer's output may be a thousand times as large as what a branch adds
PROBE = 8  # tokens


@dataclass(frozen=True, slots=True)
class ResidualDropout:
    """From 0 at the bottom layer in a line to `top` at the last (LIMA, Zhou et al., 2023: 0.3, small models 0.2)."""

    top: float

    def __call__(self, model: PreTrainedModel) -> PreTrainedModel:
        model.eval()
        blocks = layers(model)
        found = [branches(block, call) for block, call in calls(model, blocks)]
        if not all(found) or len(found) != len(blocks) or len(blocks) < 2:
            raise UserError(
                tr(
                    "tune.residual_dropout: this model ({kind}) is no pile of layers whose parts add to their input",
                    kind=type(model).__name__,
                ),
                tr("set tune.residual_dropout=0"),
            )
        for height, parts in enumerate(found):
            for branch in parts:
                drop(branch, self.top * height / (len(blocks) - 1))
        return model


@dataclass(frozen=True, slots=True)
class Call:
    """How a layer is called: with its input [1, T, H], and what stands beside it."""

    args: tuple[Any, ...]
    more: dict[str, Any]

    @property
    def given(self) -> Tensor:
        return cast(Tensor, self.args[0] if self.args else self.more["hidden_states"])

    def __call__(self, block: nn.Module, instead: Mapping[nn.Module, Tensor]) -> Tensor:
        """What the layer gives, if some of its parts gave something else `instead`."""
        with ExitStack() as hooks:
            for part, output in instead.items():
                hooks.enter_context(part.register_forward_hook(lambda _, __, out, new=output: replaced(out, new)))
            return first(block(*self.args, **self.more))


@torch.no_grad()
def calls(model: PreTrainedModel, blocks: Sequence[nn.Module]) -> list[tuple[nn.Module, Call]]:
    """How the blocks are called when the model reads a few tokens."""
    seen: dict[nn.Module, Call] = {}

    def note(block: nn.Module, args: tuple[Any, ...], more: dict[str, Any]) -> None:
        seen[block] = Call(args, more)

    inner = cast(Any, model).get_base_model() if hasattr(model, "get_base_model") else model
    with ExitStack() as hooks:
        for block in blocks:
            hooks.enter_context(block.register_forward_pre_hook(note, with_kwargs=True))
        inner(input_ids=torch.arange(PROBE, device=model.device)[None], use_cache=False)
    return [(block, seen[block]) for block in blocks if block in seen]


@torch.no_grad()
def branches(block: nn.Module, call: Call) -> list[nn.Module]:
    """The outermost parts that only add to the layer's input; none, where that is not all that the layer does.

    Tried from the last that ran to the first: what comes later is already silent, so that it cannot answer too.
    """
    given = call.given
    probe = torch.randn(given.shape, generator=torch.Generator().manual_seed(0)).to(given) * given.std()
    found: dict[nn.Module, Tensor] = {}
    nothing = torch.zeros_like(given)
    for part in reversed(parts(block, call)):
        without, with_probe = (call(block, {**found, part: output}) for output in (nothing, probe))
        if without.any() and multiple(with_probe - without, probe):  # else the input passes through the part
            found[part] = nothing
    return list(found) if found and close(call(block, found), given) else []


def parts(block: nn.Module, call: Call) -> list[nn.Module]:
    """The parts, at any depth, that give something as large as the layer's input; in the order of their last end."""
    ended: dict[nn.Module, None] = {}

    def note(part: nn.Module, _: object, output: object) -> None:
        if isinstance(first(output), Tensor) and first(output).numel() == call.given.numel():
            ended.pop(part, None)
            ended[part] = None

    with ExitStack() as hooks:
        for part in block.modules():
            if part is not block:
                hooks.enter_context(part.register_forward_hook(note))
        call(block, {})
    return list(ended)


def multiple(found: Tensor, probe: Tensor) -> bool:
    """Whether one is the other times a constant that is not 0."""
    factor = (found * probe).sum() / (probe * probe).sum()
    return bool(factor.abs() > EXACT) and close(found, factor * probe)


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found - expected).abs().max() <= EXACT * expected.abs().max())


def drop(branch: nn.Module, rate: float) -> None:
    """Let the module's output go through dropout; one without weights, that train() and eval() reach."""
    branch.add_module("residual_dropout", nn.Dropout(rate))
    branch.register_forward_hook(lambda module, _, out: replaced(out, module.residual_dropout(first(out))))


def first(output: Any) -> Tensor:
    """What is added; some modules give more beside it."""
    return cast(Tensor, output[0] if isinstance(output, tuple) else output)


def replaced(output: Any, new: Tensor) -> Any:
    """The same with another first part, in its shape: some models lay all tokens end to end."""
    new = new.reshape(first(output).shape)
    return (new, *output[1:]) if isinstance(output, tuple) else new
