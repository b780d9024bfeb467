"""Prediction of an answer, token by token, by a decoder that reads the prompt through its encoder."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.models.adapted import bare
from tunesmith.models.fused import head, weighted_nll
from tunesmith.models.inputs import inputs
from tunesmith.objectives.base import Sums


@dataclass(frozen=True, slots=True)
class AnswerCrossEntropy:
    """Cross-entropy of the decoder's tokens that carry weight, in nats, given the encoder's (Raffel et al., 2020).

    fused  compute output layer and loss together, by chunks, from the last hidden states
    """

    metrics: ClassVar[tuple[str, ...]] = ()
    fused: bool = False

    def terms(self, batch: Batch) -> Tensor:
        return batch.weights.sum(dtype=torch.float64)

    def __call__(self, model: PreTrainedModel, batch: Batch) -> Sums:
        rows, columns = (batch.weights != 0).nonzero(as_tuple=True)
        from_columns = batch.sources[rows, columns]
        targets, weights = batch.tokens[rows, columns], batch.weights[rows, columns]
        if self.fused:
            layer = head(bare(model))
            if layer is None:
                raise NotImplementedError("this model's output layer cannot be computed apart")
            return Sums(weighted_nll(head_input(model, batch)[rows, from_columns], layer, targets, weights))
        logits = model(**inputs(batch)).logits[rows, from_columns]
        nll = functional.cross_entropy(logits.float(), targets, reduction="none")
        return Sums((nll * weights).sum())

    def with_fused(self, fused: bool) -> "AnswerCrossEntropy":
        return replace(self, fused=fused)


def head_input(model: PreTrainedModel, batch: Batch) -> Tensor:
    """[B, T, H]: what the output layer is handed, after whatever a model does to its last states (T5 scales them).

    The layer itself is then handed no token at all, so that no logit is computed.
    """
    taken: list[Tensor] = []

    def instead(_: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        taken.append(given[0])
        return (given[0][:, :0],)

    watch = bare(model).get_output_embeddings().register_forward_pre_hook(instead)
    try:
        model(**inputs(batch))
    finally:
        watch.remove()
    return taken[0]
