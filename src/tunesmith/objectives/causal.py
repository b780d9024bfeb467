"""Next-token prediction."""

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.objectives.base import Sums


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Next-token cross-entropy, in nats, over the tokens that carry weight."""

    metrics: ClassVar[tuple[str, ...]] = ()

    def terms(self, batch: Batch) -> Tensor:
        return batch.weights.sum(dtype=torch.float64)

    def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
        return Sums((target_nll(model, batch) * batch.weights[batch.weights != 0]).sum())


def target_nll(model: PreTrainedModel, batch: Batch) -> Tensor:
    """[N] float32: -log p of each of the batch's N tokens with weight, row by row, given what stands before it.

    The attention mask is left out: padding stands to the right, where a causal model cannot see it. Logits are
    asked for only in the columns from which some row predicts a weighted token; the soft-max runs on those alone.
    """
    rows, columns = (batch.weights != 0).nonzero(as_tuple=True)
    wanted, place = torch.unique(columns - 1, return_inverse=True)
    if takes(model, "logits_to_keep"):
        logits = model(input_ids=batch.tokens, use_cache=False, logits_to_keep=wanted).logits[rows, place]
    else:
        logits = model(input_ids=batch.tokens, use_cache=False).logits[rows, columns - 1]
    return functional.cross_entropy(logits.float(), batch.tokens[rows, columns], reduction="none")


def takes(model: PreTrainedModel, argument: str) -> bool:
    """Whether the model's forward has this argument (an adapter passes on what its base takes)."""
    inner = cast(Any, model).get_base_model() if hasattr(model, "get_base_model") else model
    return argument in inspect.signature(inner.forward).parameters
