"""How much arithmetic a training step needs, and how much this device can do at best.

Their quotient is the model FLOPs utilisation (Chowdhery et al., 2022, appendix B), here against a measured rate of
matrix products instead of a number from a data sheet.
"""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from tunesmith.models.adapted import bare
from tunesmith.models.precision import Precision, product_seconds

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Shape = tuple[int, int, int]
SHAPES: dict[str, Shape] = {"cpu": (2048, 512, 1536)}  # rows, inner width, columns; a small model's products
ENCODED, DECODED = 7, 5  # tokens by which the sides of an encoder–decoder are told apart
LARGE: Shape = (4096, 4096, 4096)


@dataclass(frozen=True, slots=True)
class Ideal:
    """Seconds that a token of each side would take; a causal model has one."""

    token: float
    encoder_token: float

    def seconds(self, tokens: int, encoder_tokens: int) -> float:
        """Of so many tokens in all, so many of which an encoder reads."""
        return self.token * (tokens - encoder_tokens) + self.encoder_token * encoder_tokens


def ideal_seconds(model: "PreTrainedModel", precision: Precision, share: float = 1.0) -> Ideal:
    """What tokens would take if the device did nothing but the useful products, and those at its best rate.

    A soft prompt is not counted: it is not made anew for each token. `share` is this device's of the work.
    """
    inner, rate = bare(model), known_peak(precision, model.device) / share
    if not inner.config.is_encoder_decoder:
        return Ideal(per_token(inner) / rate, 0.0)
    encoding, decoding = sides(model)
    return Ideal(per_token(inner, only=decoding) / rate, per_token(inner, only=encoding) / rate)


def sides(model: "PreTrainedModel") -> tuple[set[nn.Module], set[nn.Module]]:
    """The modules of an encoder–decoder that read the encoder's tokens, and those that read the decoder's.

    A few tokens are sent through to see it: keys and values of the decoder's attention to the encoder are among the
    first. All processes that hold parts of the model call it together.
    """
    seen: dict[int, set[nn.Module]] = {ENCODED: set(), DECODED: set()}

    def note(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        states = next(value for value in (*given, *named.values()) if isinstance(value, torch.Tensor))
        seen.get(states.shape[-2] if states.ndim > 1 else 0, set()).add(module)

    owners = [module for module in bare(model).modules() if any(w.ndim > 1 for w in module.parameters(recurse=False))]
    hooks = [owner.register_forward_pre_hook(note, with_kwargs=True) for owner in owners]
    trained = model.training
    try:
        with torch.no_grad():
            encoded, decoded = (torch.zeros((1, length), dtype=torch.int64) for length in (ENCODED, DECODED))
            encoded, decoded = encoded.to(model.device), decoded.to(model.device)
            cast(Any, model.eval())(input_ids=encoded, decoder_input_ids=decoded, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(trained)
    return seen[ENCODED], seen[DECODED]


def per_token(model: nn.Module, head: float = 1.0, only: Container[nn.Module] | None = None) -> float:
    """Useful floating-point operations of training on one token; `head` is the share of tokens that have logits.

    `only` the weights of these modules count, where not all meet every token.

    Two a matrix weight for the forward pass, two to send the gradient on, and two for the gradient of the weight
    itself where it trains (Kaplan et al., 2020): six in full tuning, four for what stands frozen under an adapter.
    Not counted are the products of queries with keys and values, norms, whatever is computed twice to save memory,
    and a table where rows are only looked up. With frozen weights all the way down to the first layers, sending
    the gradient on is counted there too.
    """
    last = output(model)
    found = 0.0
    for module, weight, size in matrices(model):
        if only is not None and module not in only:
            continue
        share = head if id(weight) in last else 1.0
        found += share * size * (6.0 if weight.requires_grad else 4.0)
    return found


def matrices(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Parameter, float]]:
    """Every weight that is multiplied with, once, whose it is, and how many of its entries a token meets."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    passed = {id(table.weight) for table in tables} - output(model)
    for module in (module for module in model.modules() if module not in tables):
        for weight in module.parameters(recurse=False):
            if weight.ndim > 1 and id(weight) not in passed:
                passed.add(id(weight))
                yield module, weight, entries(module, weight) * asked(model, weight)


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
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    return 2.0 * rows * inner * columns / product_seconds(dtype, device, shape, patience=0.2)
