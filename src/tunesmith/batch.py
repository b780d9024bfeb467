"""What rendering makes, and what a training step reads."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from tunesmith.records import Origin

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Example:
    """One training sequence of T tokens.

    ids          what the model reads; of an encoder–decoder, what its decoder reads
    weights      how much each token counts as a target; 0 where the model is only reading
    encoder_ids  what the encoder of an encoder–decoder reads: the prompt; empty for a causal model
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]
    origin: Origin = Origin()
    encoder_ids: tuple[int, ...] = ()

    def __len__(self) -> int:
        """Tokens read, on both sides."""
        return len(self.encoder_ids) + len(self.ids)

    @property
    def longest(self) -> int:
        """Tokens of the longer side: what limits of length are held against."""
        return max(len(self.encoder_ids), len(self.ids))


@dataclass(frozen=True, slots=True)
class Spans:
    """Which tokens of a packed row of T places see each other.

    How attention gathers N examples into padded groups, and puts them back:

    index  for each group of examples of like length [S, L]: the places that each reads, filled up on the right
    own    for each group: which of its S·L outputs are kept
    order  [T]: where the output of each place is among all that were kept

    And how a kernel for rows of any length reads them end to end:

    keys     [K]: the places that each example reads, one example after the other; None: every place once, in order
    edges    [2, N + 1] int32: where each example begins among the T queries, and among the K keys
    longest  queries and keys of the example that has most of them
    """

    index: "tuple[Tensor, ...]"
    own: "tuple[Tensor, ...]"
    order: "Tensor"
    keys: "Tensor | None"
    edges: "Tensor"
    longest: tuple[int, int]

    def to(self, device: "torch.device | str") -> "Spans":
        """The same plan elsewhere."""
        index, own = (tuple(part.to(device) for part in parts) for parts in (self.index, self.own))
        keys = None if self.keys is None else self.keys.to(device)
        return Spans(index, own, self.order.to(device), keys, self.edges.to(device), self.longest)


@dataclass(slots=True)
class Batch:
    """B rows of T tokens: one example a row, padded on the right; or many in one row, told apart by `spans`.

    tokens     [B, T] int64
    weights    [B, T] float32; weight of each token as a target, 0 on prompts, on the first token and on padding
    attention  [B, T] int64; 1 on tokens, 0 on padding
    positions  [B, T] int64; the place of each token in its own example
    sources    [B, T] int64; the place in the row from which each token is predicted
    spans      which tokens of a packed row see each other; None where every row is one example

    For an encoder–decoder these are the decoder's, and beside them stand, None for a causal model:

    encoder_tokens     [B, S] int64
    encoder_attention  [B, S] int64; an encoder looks both ways, and would see its padding
    """

    tokens: "Tensor"
    weights: "Tensor"
    attention: "Tensor"
    positions: "Tensor"
    sources: "Tensor"
    spans: "Spans | None" = None
    encoder_tokens: "Tensor | None" = None
    encoder_attention: "Tensor | None" = None

    def to(self, device: "torch.device | str") -> "Batch":
        """The same batch elsewhere."""
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: part if part is None else part.to(device) for name, part in parts.items()}
        return Batch(**moved)

    def read(self) -> "Tensor":
        """How many tokens are read, without padding. An int64 scalar."""
        return self.attention.sum() + self.encoded()

    def encoded(self) -> "Tensor":
        """How many of them an encoder reads. An int64 scalar."""
        return self.attention.new_zeros(()) if self.encoder_attention is None else self.encoder_attention.sum()
