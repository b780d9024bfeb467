"""How many tokens a forward and backward pass may hold, by measurement on the user's own model and rows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from transformers import PreTrainedModel

from tunesmith.batch import Batch, Example
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.precision import Precision, arithmetic
from tunesmith.objectives.base import Objective
from tunesmith.recipe import Budget
from tunesmith.tune import limits, zero
from tunesmith.tune.checkpoint import begin_state, copied, size_of, state_size, weights
from tunesmith.tune.feed import Layout
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.parallel import agreed, compute, local
from tunesmith.tune.watch import peak_memory

MOST = 8192  # tokens; more in one pass is hardly faster
SPARE = 0.9  # of the memory is planned with: fragments, and what others take
PROBES = (16, 8)  # parts of what is wanted that are tried
LEAST = 256  # tokens of the smaller try: fewer do not show
CLEAR = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes at the peak of a step: `fixed`, and so many a token of the micro-batch; `kept` go into a checkpoint."""

    fixed: float
    per_token: float
    kept: int = 0

    def of(self, tokens: int) -> float:
        return self.fixed + self.per_token * tokens

    def tokens(self, memory: float) -> int:
        """How many tokens fit into so many bytes."""
        return int((memory - self.fixed) / max(self.per_token, 1.0))


def fitted(
    model: PreTrainedModel,
    objective: Objective,
    layout: Layout,
    rows: Sequence[Example],
    budget: Budget,
    precision: Precision,
    keeps: bool,
) -> int:
    """Tokens of a micro-batch: what the budget says if it fits, or the most that does (at most MOST).

    With `keeps`, checkpoints are written beside the steps, and on a CPU their copy counts too. Raises UserError where
    what the budget says, or the longest example alone, does not fit.
    """
    longest = max(map(len, rows))
    at_once = sum(sorted(map(len, rows))[-budget.batch_size :])  # a step has no more
    wanted = max(longest, min(budget.micro_tokens or MOST, at_once))
    need = measure(model, objective, layout, max(rows, key=len), budget, precision, wanted)
    if keeps and model.device.type == "cpu":
        need = replace(need, fixed=need.fixed + copied(need.kept))
    memory = SPARE * available(model.device)
    most = -round(agreed(-float(need.tokens(memory))))
    if most >= wanted:
        return budget.micro_tokens or MOST
    if most < longest or budget.micro_tokens:
        raise UserError(
            tr(
                "a step on {tokens} tokens would take about {need} GB of memory, and {memory} GB are free",
                tokens=wanted if budget.micro_tokens else longest,
                need=f"{need.of(wanted if budget.micro_tokens else longest) / 1e9:.1f}",
                memory=f"{memory / 1e9:.1f}",
            ),
            nearest(most, longest, budget),
        )
    return most


def nearest(most: int, longest: int, budget: Budget) -> str:
    """The settings next to those given that would fit."""
    if most >= longest:
        return tr("set tune.micro_tokens={tokens}, or 0 to have it fitted", tokens=most)
    shorter = tr("set tune.max_length={tokens}", tokens=most) if most > 64 else ""
    lighter = "" if budget.gradient_checkpointing else tr("set tune.gradient_checkpointing=true")
    return " / ".join(filter(None, [lighter, shorter, tr("use adapter=lora or adapter=qlora, or a smaller base")]))


def measure(
    model: PreTrainedModel,
    objective: Objective,
    layout: Layout,
    row: Example,
    budget: Budget,
    precision: Precision,
    wanted: int,
) -> Need:
    """Two passes of unlike size, and what the optimizer will hold; nothing of the model or of chance is changed."""
    sizes, peaks = [], []
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        model.train()
        for least, part in zip((LEAST, 2 * LEAST), PROBES, strict=True):
            rows = filling(row, min(wanted, max(least, wanted // part)))
            batch = replace(layout, shared=False).batch(rows).to(model.device)
            sizes.append(layout.cost(rows))
            peaks.append(peak_of_pass(model, objective, batch, precision))
        held = state_to_come(model, budget)
    model.zero_grad(set_to_none=True)
    kept = held + sum(size_of(local(value)) for value in weights(model).values())
    per_token = max(0.0, (peaks[1] - peaks[0]) / (sizes[1] - sizes[0])) if sizes[1] > sizes[0] else 0.0
    return Need(peaks[1] - per_token * sizes[1] + held, per_token, kept)


def state_to_come(model: PreTrainedModel, budget: Budget) -> int:
    """Bytes that the optimizer will hold; DeepSpeed makes them when it divides the model, later."""
    if budget.sharding in zero.STAGES:
        return zero.state_to_come(model)
    optimizer = make_optimizer(model, budget)
    begin_state(optimizer)
    return state_size(optimizer, here=True)


def filling(row: Example, tokens: int) -> list[Example]:
    """The row again and again, the last time without its beginning: so many tokens in all (or one row with a prompt
    apart, which is not cut)."""
    whole, rest = divmod(tokens, len(row))
    if row.encoder_ids:
        return [row] * max(1, whole)
    cut = [replace(row, ids=row.ids[-rest:], weights=row.weights[-rest:])] if rest > 1 else []
    return [row] * whole + cut


def peak_of_pass(model: PreTrainedModel, objective: Objective, batch: Batch, precision: Precision) -> int:
    """Bytes at the highest point of one forward and backward pass: of the GPU, or of this process."""
    reset_peak()
    with arithmetic(precision, model.device):
        loss = compute(model, objective, batch).loss
    loss.backward()
    return peak_memory()


def reset_peak() -> None:
    """Let `peak_memory` speak of what comes, where the system allows it."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif CLEAR.exists() and os.access(CLEAR, os.W_OK):
        CLEAR.write_text("5")


def available(device: torch.device) -> float:
    """Bytes that this process may hold in all: what it has, and its part of what is free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())
    free = min([psutil.virtual_memory().available, *limits.left()])
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # processes of this run on this machine, as torchrun says
    return float(psutil.Process().memory_info().rss + free / beside)
