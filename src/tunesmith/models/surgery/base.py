"""What every surgery is, and what it did."""

from collections.abc import Callable

from transformers import PreTrainedModel

Surgery = Callable[[PreTrainedModel], PreTrainedModel]


def sizes(model: PreTrainedModel) -> tuple[int, int]:
    """(trainable, all) parameters; tied weights count once."""
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)
