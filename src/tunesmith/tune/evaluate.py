"""The loss on examples that are not trained on."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.models.precision import Precision, arithmetic
from tunesmith.objectives.base import Objective
from tunesmith.tune.feed import Layout
from tunesmith.tune.parallel import compute, data_rank, data_ranks, sum_over_ranks


@torch.no_grad()
def held_out_loss(
    model: PreTrainedModel,
    objective: Objective,
    examples: Sequence[Example],
    layout: Layout,
    precision: Precision,
) -> float:
    """Mean over all terms of the examples, with dropout off."""
    model.eval()
    totals = torch.zeros(2, dtype=torch.float64, device=model.device)
    for batch in layout.batches(examples, data_rank(model), data_ranks(model)):
        with arithmetic(precision, model.device):
            loss = compute(model, objective, batch.to(model.device)).loss
        totals += torch.stack([loss.double(), objective.terms(batch).to(loss.device)])
    loss_sum, terms = sum_over_ranks(model, totals).tolist()
    return float(loss_sum / terms)
