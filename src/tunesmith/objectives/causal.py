"""Next-token prediction."""

import inspect
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.models.adapted import ask, bare, prompted
from tunesmith.models.fused import head, weighted_nll
from tunesmith.models.inputs import inputs
from tunesmith.objectives.base import Sums


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """Next-token cross-entropy, in nats, over the tokens that carry weight.

    fused  compute output layer and loss together, by chunks, from the last hidden states
    """

    metrics: ClassVar[tuple[str, ...]] = ()
    fused: bool = False

    def terms(self, batch: Batch) -> Tensor:
        return batch.weights.sum(dtype=torch.float64)

    def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
        if self.fused:
            return Sums(fused_loss(model, batch))
        return Sums((target_nll(model, batch) * batch.weights[batch.weights != 0]).sum())

    def with_fused(self, fused: bool) -> "CrossEntropy":
        return replace(self, fused=fused)


def target_nll(model: PreTrainedModel, batch: Batch) -> Tensor:
    """[N] float32: -log p of each of the batch's N tokens with weight, row by row, given what stands before it.

    The attention mask is left out: padding stands to the right, where a causal model cannot see it. Logits are
    asked for only in the columns from which some row predicts a weighted token; the soft-max runs on those alone.
    """
    rows, columns = (batch.weights != 0).nonzero(as_tuple=True)
    wanted, place = torch.unique(batch.sources[rows, columns], return_inverse=True)
    if takes(model, "logits_to_keep"):
        logits = ask(model, **inputs(batch), logits_to_keep=wanted).logits[rows, place]
    else:
        logits = ask(model, **inputs(batch)).logits[rows, wanted[place]]
    return functional.cross_entropy(logits.float(), batch.tokens[rows, columns], reduction="none")


def fused_loss(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The weighted sum over all tokens, never holding their logits. NotImplementedError: the head is no plain layer."""
    inner = bare(model)
    layer = head(inner)
    if layer is None or inner.base_model is inner:
        raise NotImplementedError("this model's output layer cannot be computed apart")
    rows, columns = (batch.weights != 0).nonzero(as_tuple=True)
    given = inputs(batch)
    states = inner.base_model(**prompted(model, given) or given).last_hidden_state
    hidden = states[rows, batch.sources[rows, columns]]
    return weighted_nll(hidden, layer, batch.tokens[rows, columns], batch.weights[rows, columns])


def takes(model: PreTrainedModel, argument: str) -> bool:
    """Whether the model's forward has this argument (an adapter passes on what its base takes)."""
    return argument in inspect.signature(bare(model).forward).parameters
