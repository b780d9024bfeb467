"""How much arithmetic a training step needs, and how much this device can do at best.

Their quotient is the model FLOPs utilisation (Chowdhery et al., 2022, appendix B), here against a measured rate of
matrix products instead of a number from a data sheet.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from tunesmith.models.precision import Precision, product_seconds

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Shape = tuple[int, int, int]
SHAPES: dict[str, Shape] = {"cpu": (2048, 512, 1536)}  # rows, inner width, columns; a small model's products
LARGE: Shape = (4096, 4096, 4096)


def ideal_seconds(model: "PreTrainedModel", precision: Precision) -> float:
    """What one token would take if the device did nothing but the useful products, and those at its best rate.

    The model is the one within an adapter's wrapper: a soft prompt is not made anew for each token.
    """
    return per_token(model) / known_peak(precision, model.device)


def per_token(model: nn.Module, head: float = 1.0) -> float:
    """Useful floating-point operations of training on one token; `head` is the share of tokens that have logits.

    Two a matrix weight for the forward pass, two to send the gradient on, and two for the gradient of the weight
    itself where it trains (Kaplan et al., 2020): six in full tuning, four for what stands frozen under an adapter.
    Not counted are the products of queries with keys and values, norms, whatever is computed twice to save memory,
    and a table where rows are only looked up. With frozen weights all the way down to the first layers, sending
    the gradient on is counted there too.
    """
    last = output(model)
    found = 0.0
    for weight, size in matrices(model):
        share = head if id(weight) in last else 1.0
        found += share * size * (6.0 if weight.requires_grad else 4.0)
    return found


def matrices(model: nn.Module) -> Iterator[tuple[nn.Parameter, float]]:
    """Every weight that is multiplied with, once, and how many of its entries a token meets."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    passed = tables - output(model)
    for module in model.modules():
        for weight in module.parameters(recurse=False):
            if weight.ndim > 1 and id(weight) not in passed:
                passed.add(id(weight))
                yield weight, entries(module, weight) * asked(model, weight)


def output(model: nn.Module) -> set[int]:
    """Identities of the weights of the output layer, an adapter's included."""
    layer = cast(Any, model).get_output_embeddings()
    return set() if layer is None else {id(weight) for weight in layer.parameters()}


def entries(module: nn.Module, weight: nn.Parameter) -> int:
    """In × out; of a quantized layer the packed storage would tell another number."""
    return module.in_features * module.out_features if isinstance(module, nn.Linear) else weight.numel()


def asked(model: nn.Module, weight: nn.Parameter) -> float:
    """The share of a stack of experts [E, …] that a token is sent to; 1 for a plain matrix."""
    chosen = getattr(cast(Any, model).config.get_text_config(), "num_experts_per_tok", None)
    return chosen / weight.shape[0] if weight.ndim == 3 and chosen else 1.0


@cache
def known_peak(precision: Precision, device: torch.device) -> float:
    """The peak, measured once in a process."""
    return peak(precision, device)


def peak(precision: Precision, device: torch.device) -> float:
    """Floating-point operations a second in the best of a few matrix products; takes about 0.2 s."""
    rows, inner, columns = shape = SHAPES.get(device.type, LARGE)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return 2.0 * rows * inner * columns / product_seconds(dtype, device, shape, patience=0.2)
