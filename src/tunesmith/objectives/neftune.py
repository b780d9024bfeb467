"""Noise on the embeddings that a model reads while it trains."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.models.adapted import bare
from tunesmith.objectives.base import Objective, Sums


@dataclass(frozen=True, slots=True)
class Neftune:
    """An objective over noisy embeddings (NEFTune, Jain et al., 2023): uniform in ±alpha / √(L·d).

    L is the length of each example, be it padded or packed with others, and d the width of an embedding, so that the
    noise of an example is about alpha / √3 long whatever its length. A model in evaluation mode gets none.
    """

    inner: Objective
    alpha: float

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.inner.metrics

    def terms(self, batch: Batch) -> Tensor:
        return self.inner.terms(batch)

    def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
        if not model.training:
            return self.inner(model, batch)
        with noisy(model, self.alpha / lengths(batch).sqrt()):
            return self.inner(model, batch)

    def with_fused(self, fused: bool) -> "Neftune":
        return replace(self, inner=self.inner.with_fused(fused))


@contextmanager
def noisy(model: PreTrainedModel, reach: Tensor) -> Iterator[None]:
    """Add noise in ±reach [B, T] / √d to every embedding that is looked up."""

    def shake(_: object, __: object, embedded: Tensor) -> Tensor:
        noise = torch.empty_like(embedded).uniform_(-1, 1)
        return embedded + noise * (reach / math.sqrt(embedded.shape[-1]))[..., None].to(embedded.dtype)

    embedding: Any = bare(model).get_input_embeddings()
    hook = embedding.register_forward_hook(shake)
    try:
        yield
    finally:
        hook.remove()


def lengths(batch: Batch) -> Tensor:
    """[B, T] float32: how long the example of each token is, without padding. Positions [0,1,2,0,1] -> [3,3,3,2,2]."""
    example = (batch.positions == 0).cumsum(1)
    counts = torch.zeros(example.shape[0], int(example.max()) + 1, device=example.device)
    return counts.scatter_add_(1, example, batch.attention.float()).gather(1, example)
