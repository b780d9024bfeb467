"""Output layer and cross-entropy in one, a few rows at a time: [tokens, vocabulary] is never held.

The gradients are made in the forward pass, while a chunk's logits are there (as in Liger-Kernel and
Apple's cut-cross-entropy); the backward pass only scales them.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from tunesmith.models.rows import Learnt, unwrapped

CHUNK = 1 << 22  # logits held at a time: 16 MB in fp32, near the size of a CPU's cache
WIDE_CHUNK = 1 << 27  # elsewhere: 512 MB; a GPU's matrix units are full from about a thousand rows of 150,000 words


@dataclass(frozen=True, slots=True)
class Head:
    """From the last hidden states to the logits: weight [V, H], bias [V], and what is done to the result."""

    weight: Tensor
    bias: Tensor | None
    scale: float = 1.0
    cap: float | None = None  # logits are cap · tanh(logits / cap)
    learnt: Learnt | None = None  # rows that stand in for some of the weight's


def head(model: PreTrainedModel) -> Head | None:
    """The head, if it is a plain linear layer, of which rows may be learnt beside an adapter.

    That nothing else happens to the logits is for a proof to find out.
    """
    config = model.config.get_text_config()
    layer, learnt = unwrapped(model.get_output_embeddings())
    if type(layer) is not nn.Linear:
        return None
    scale = getattr(config, "logit_scale", None) or 1.0
    divisor = getattr(config, "logits_scaling", None) or 1.0
    cap = getattr(config, "final_logit_softcapping", None)
    bias = layer.bias if learnt is None else None  # peft leaves it out where it puts rows in
    return Head(layer.weight, bias, scale / divisor, cap, learnt)


def weighted_nll(hidden: Tensor, head: Head, targets: Tensor, weights: Tensor) -> Tensor:
    """Σ weights[n] · -log p(targets[n] | hidden[n]) over hidden [N, H]; a float32 scalar with gradient."""
    low = torch.is_autocast_enabled(hidden.device.type)
    dtype = torch.get_autocast_dtype(hidden.device.type) if low else head.weight.dtype
    values = head.learnt.values if head.learnt else None
    with torch.autocast(hidden.device.type, enabled=False):
        found = LinearCrossEntropy.apply(hidden, head.weight, head.bias, values, targets, weights, head, dtype)  # type: ignore[no-untyped-call]
    return cast(Tensor, found)


class LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, values: Tensor | None, targets: Tensor,
        weights: Tensor, head: Head, dtype: torch.dtype,
    ) -> Tensor:  # fmt: skip
        matrix, states, own = weight.to(dtype), hidden.to(dtype), None if values is None else values.to(dtype)
        d_states = torch.empty_like(states)
        d_weight, d_bias, d_values = room(weight), room(bias), room(values)
        loss = torch.zeros((), dtype=torch.float32, device=hidden.device)
        step = max(1, (CHUNK if hidden.device.type == "cpu" else WIDE_CHUNK) // weight.shape[0])
        for start in range(0, len(targets), step):
            some = slice(start, start + step)
            part, slope = chunk(states[some], matrix, bias, own, targets[some], weights[some], head)
            loss += part
            slope = slope.to(dtype)
            if d_bias is not None:
                d_bias += slope.sum(0)
            of_own = None if head.learnt is None else cut(slope, head.learnt.places)
            torch.mm(slope, matrix, out=d_states[some])
            if d_weight is not None:
                add_product(d_weight, slope, states[some])
            if of_own is not None and own is not None:
                d_states[some].addmm_(of_own, own)
            if of_own is not None and d_values is not None:
                add_product(d_values, of_own, states[some])
        ctx.gradients = [d_states.to(hidden.dtype), d_weight, d_bias, d_values]
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        # In place, and nothing else holds them, so that no copy is made of them: at 150,000 words the weight's
        # gradient is the largest tensor there is.
        scale = float(upstream)
        parts, ctx.gradients = ctx.gradients, None
        return *(None if part is None else part.mul_(scale) for part in parts), None, None, None, None


def room(parameter: Tensor | None) -> Tensor | None:
    """Zeros for the gradient, if there is to be one."""
    return (
        torch.zeros_like(parameter, dtype=torch.float32) if parameter is not None and parameter.requires_grad else None
    )


def cut(slope: Tensor, places: Tensor) -> Tensor:
    """The columns [n, N] at these places; zeros are left there, for the rows of the weight that others stand in for."""
    found = slope[:, places]
    slope.index_fill_(1, places, 0)
    return found


def chunk(
    states: Tensor, matrix: Tensor, bias: Tensor | None, own: Tensor | None, targets: Tensor, weights: Tensor,
    head: Head,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """(weighted loss, its gradient by the linear layer's output [n, V]) of a few rows."""
    logits = (states @ matrix.T).float()
    if own is not None and head.learnt is not None:
        logits[:, head.learnt.places] = (states @ own.T).float()
    if bias is not None:
        logits += bias
    bend = None
    if head.scale != 1.0:
        logits *= head.scale
    if head.cap is not None:
        bend = logits.div_(head.cap).tanh_()
        logits = bend * head.cap
    gold = logits.gather(1, targets[:, None])
    top = logits.amax(1, keepdim=True)
    logits = logits.sub_(top).exp_()
    total = logits.sum(1, keepdim=True)
    loss = ((total.log() + top - gold)[:, 0] * weights).sum()
    slope = logits.mul_(weights[:, None] / total).scatter_add_(1, targets[:, None], -weights[:, None])
    if bend is not None:
        slope *= 1 - bend * bend
    return loss, slope.mul_(head.scale) if head.scale != 1.0 else slope


def add_product(into: Tensor, slope: Tensor, states: Tensor) -> None:
    """into [V, H] += slopeᵀ [V, n] · states [n, H], in float32."""
    if slope.dtype == torch.float32:
        into.addmm_(slope.T, states)
    else:
        into += slope.T @ states
