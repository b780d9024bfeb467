"""What every surgery is, and what it did."""

import math
from collections.abc import Callable

from torch.nn import Parameter
from transformers import PreTrainedModel

Surgery = Callable[[PreTrainedModel], PreTrainedModel]


def sizes(model: PreTrainedModel) -> tuple[int, int]:
    """(trainable, all) parameters; tied weights count once, and those in 4 bits by their number, not their bytes."""
    parameters = list(model.parameters())
    return sum(count(p) for p in parameters if p.requires_grad), sum(count(p) for p in parameters)


def count(parameter: Parameter) -> int:
    """How many numbers it stands for; one in 4 bits, or split by DeepSpeed, has another size."""
    packed = getattr(parameter, "quant_state", None)
    whole: int = getattr(parameter, "ds_numel", parameter.numel())
    return math.prod(packed.shape) if packed is not None else whole
