"""The training loop. There is one, and it does not know which method it is running."""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedModel

from tunesmith.batch import Batch
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.precision import Precision, arithmetic
from tunesmith.objectives.base import Objective
from tunesmith.tune import zero
from tunesmith.tune.heap import give_back
from tunesmith.tune.parallel import backward, clip_gradients, compute, sum_gradients, sum_over_ranks
from tunesmith.tune.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Work:
    """This rank's micro-batches of one step, what is asked of them, and how much it matters beside other work."""

    objective: Objective
    batches: list[Batch]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """One optimizer step; `step` counts from 1. Counts and losses are over all ranks.

    loss               per unit of weight, in nats for cross-entropy
    supervised_tokens  targets that carry weight
    tokens             tokens read, without padding
    seconds            this step took
    metrics            what the objectives measured besides, each divided by its terms
    mfu                share of what the devices could compute at best; None where nobody measured that
    encoder_tokens     of the tokens read, those that an encoder read
    """

    step: int
    loss: float
    lr: float
    grad_norm: float
    supervised_tokens: int
    tokens: int
    seconds: float
    metrics: dict[str, float]
    mfu: float | None = None
    encoder_tokens: int = 0

    def to_json(self) -> dict[str, float]:
        """A line of the log."""
        names = ("step", "loss", "lr", "grad_norm", "supervised_tokens", "seconds", "tokens")
        return {
            **{name: getattr(self, name) for name in names},
            "tokens_per_second": round(self.tokens / self.seconds, 1),
            "supervised_tokens_per_second": round(self.supervised_tokens / self.seconds, 1),
            **({} if self.mfu is None else {"mfu": round(self.mfu, 4)}),
            **self.metrics,
        }


def fit(
    model: PreTrainedModel,
    steps: Iterable[list[Work]],
    optimizer: Optimizer,
    lr_at: Schedule,
    max_grad_norm: float = 1.0,
    precision: Precision = "fp32",
    done: int = 0,
) -> Iterator[Report]:
    """Train from step `done` + 1 on, yielding one report a step; the caller logs, evaluates, saves or stops."""
    divided = zero.zero(model)
    for number, step in enumerate(steps, done + 1):
        start = time.perf_counter()
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = lr_at(number - 1) * group.get("scale", 1.0)
        totals = [accumulate(model, work, precision) for work in step]
        norm = zero.step(divided) if divided else clip(model, max_grad_norm)
        grad_norm, *sums = torch.cat([norm.double()[None].to(model.device), *totals]).tolist()  # waits for the device
        report = summary(number, lr_at(number - 1), grad_norm, [work.objective.metrics for work in step], sums)
        refuse_non_finite(report)
        if not divided:
            if not optimizer.state:  # the optimizer is about to make it, and a run needs the most memory from then on
                give_back()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        yield replace(report, seconds=time.perf_counter() - start)


def clip(model: PreTrainedModel, max_grad_norm: float) -> Tensor:
    """Sum the gradients over all ranks and bound their norm; the norm before."""
    sum_gradients(model)
    return clip_gradients(model, max_grad_norm)


def accumulate(model: PreTrainedModel, work: Work, precision: Precision) -> Tensor:
    """Add to .grad this rank's part of the gradient of the mean over all of `work`, however it is split.

    Returns [tokens, encoder's tokens, supervised tokens, loss, *metrics] in float64, over all ranks, loss and metrics
    divided by the terms.
    """
    device = model.device
    counts = torch.zeros(4, dtype=torch.float64, device=device)
    for batch in work.batches:
        targets = (batch.weights != 0).sum()
        read = torch.stack([batch.read(), batch.encoded()]) * (targets > 0)
        counts += torch.stack([work.objective.terms(batch), *read, targets]).to(device)
    terms, *counted = sum_over_ranks(model, counts)
    measured = torch.zeros(1 + len(work.objective.metrics), dtype=torch.float64, device=device)
    for batch in work.batches:
        with arithmetic(precision, device):
            sums = compute(model, work.objective, batch.to(device))
        backward(model, work.weight * sums.loss / terms)
        values = [work.weight * sums.loss.detach(), *(sums.metrics[name] for name in work.objective.metrics)]
        measured += torch.stack(values) / terms
    return torch.cat([torch.stack(counted), sum_over_ranks(model, measured)])


def summary(step: int, lr: float, grad_norm: float, names: Sequence[tuple[str, ...]], sums: Sequence[float]) -> Report:
    """The report of a step from the sums of all its works, one after another as `accumulate` returns them."""
    tokens = encoded = supervised = loss = 0.0
    metrics: dict[str, float] = {}
    rest = iter(sums)
    for some in names:
        tokens, encoded = tokens + next(rest), encoded + next(rest)
        supervised, loss = supervised + next(rest), loss + next(rest)
        metrics |= {name: next(rest) for name in some}
    return Report(step, loss, lr, grad_norm, int(supervised), int(tokens), 0.0, metrics, encoder_tokens=int(encoded))


def refuse_non_finite(report: Report) -> None:
    """The step is not taken: its gradient would turn every weight into NaN."""
    if not math.isfinite(report.grad_norm + report.loss):
        raise UserError(
            tr(
                "step {step}: the gradient is not finite (norm {norm}, loss {loss})",
                step=report.step,
                norm=report.grad_norm,
                loss=report.loss,
            ),
            tr("lower tune.lr, lengthen tune.warmup, or set tune.precision=fp32; the step was not taken"),
        )
