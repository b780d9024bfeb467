"""What rendering makes, and what a training step reads."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunesmith.records import Origin

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence of T tokens.

    ids      what the model reads
    weights  how much each token counts as a target; 0 where the model is only reading
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    origin: Origin = Origin()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Batch:
    """B rows of T tokens, padded on the right.

    tokens     [B, T] int64
    weights    [B, T] float32; weight of each token as a target, 0 on prompts, on the first token and on padding
    attention  [B, T] int64; 1 on tokens, 0 on padding
    """

    tokens: "Tensor"
    weights: "Tensor"
    attention: "Tensor"

    def to(self, device: "torch.device | str") -> "Batch":  # type: ignore[name-defined]  # noqa: F821
        return Batch(self.tokens.to(device), self.weights.to(device), self.attention.to(device))
