"""What every surgery is, and what it did."""

import math
from collections.abc import Callable

from torch.nn import Parameter
from transformers import PreTrainedModel

Surgery = Callable[[PreTrainedModel], PreTrainedModel]


def sizes(model: PreTrainedModel) -> tuple[int, int]:
    """(trainable, all) parameters; tied weights count once, and those in 4 bits by their number, not their bytes."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(count(p) for p in parameters)


def count(parameter: Parameter) -> int:
    packed = getattr(parameter, "quant_state", None)
    return math.prod(packed.shape) if packed is not None else parameter.numel()
