"""What an objective is: it counts its terms and sums its loss. It never divides."""

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor
from transformers import PreTrainedModel

from tunesmith.batch import Batch


@dataclass(frozen=True, slots=True)
class Sums:
    """Totals over one batch, still to be divided by the terms of the whole step.

    loss     scalar with gradient
    metrics  scalars without gradient, by the names that the objective declares
    """

    loss: Tensor
    metrics: dict[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    @property
    def metrics(self) -> tuple[str, ...]:
        """What it measures besides the loss: known beforehand, so that a rank without a batch can take part."""
        ...

    def terms(self, batch: Batch) -> Tensor:
        """How much of the batch counts: its share of the denominator. A float64 scalar."""
        ...

    def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums: ...

    def with_fused(self, fused: bool) -> "Objective":
        """The same, with or without the output layer computed together with the loss. Without is the plain way."""
        ...
