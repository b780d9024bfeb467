"""The training part of a run: the loop, and beside it the log, the held-out loss and the checkpoints."""

import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

from torch.optim import Optimizer
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.models.precision import Precision
from tunesmith.objectives.base import Objective
from tunesmith.recipe import Budget
from tunesmith.tune import checkpoint, feed
from tunesmith.tune.checkpoint import State
from tunesmith.tune.ema import Average
from tunesmith.tune.evaluate import held_out_loss
from tunesmith.tune.feed import Layout
from tunesmith.tune.loop import Report, Work, fit
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.parallel import rank, world_size
from tunesmith.tune.save import Saver
from tunesmith.tune.schedule import schedule
from tunesmith.tune.watch import Watcher
from tunesmith.tune.workspace import EVALUATIONS, LOG, Workspace


@dataclass(slots=True)
class Course:
    """One run between its proofs; `state` moves with every step."""

    model: PreTrainedModel
    objective: Objective
    train: Sequence[Example]
    held: Sequence[Example]
    layout: Layout
    budget: Budget
    space: Workspace
    save: Saver
    watch: Watcher
    state: State
    lr_ratio: float = 1.0
    optimizer: Optimizer = field(init=False)
    ema: Average | None = field(init=False)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.model, self.budget, self.lr_ratio)
        self.ema = Average(self.model, self.budget.ema) if self.budget.ema else None

    def resume(self) -> None:
        """Go back to the last checkpoint."""
        last = self.space.checkpoints / "last"
        checkpoint.restore(last, self.model, self.optimizer)
        self.load_extra(checkpoint.read_extra(last))
        for name in (LOG, EVALUATIONS):
            self.space.cut(name, self.state.step)

    def run(self) -> None:
        """Train to the end of the plan."""
        plan = feed.plan(len(self.train), self.budget)
        if self.held and self.state.step == 0:
            self.evaluate(0)
        self.watch.begin(len(plan), self.state.step)
        steps = (self.work(chosen) for chosen in plan[self.state.step :])
        lr_at = schedule(self.budget, len(plan))
        reports = fit(
            self.model, steps, self.optimizer, lr_at, self.budget.max_grad_norm, self.precision, self.state.step
        )
        for report in reports:
            self.after(report, len(plan))

    def work(self, chosen: Sequence[int]) -> list[Work]:
        """This rank's part of one step."""
        examples = [self.train[index] for index in chosen]
        return [Work(self.objective, self.layout.batches(examples)[rank() :: world_size()])]

    def after(self, report: Report, steps: int) -> None:
        """Log the step; measure and keep what is due."""
        self.log(report)
        if self.ema:
            self.ema.update(self.model)
        self.state = replace(self.state, step=report.step)
        ends = report.step == steps
        epoch = math.ceil(len(self.train) / self.budget.batch_size)
        better = False
        if self.held and (ends or report.step % (self.budget.eval_every or epoch) == 0):
            better = self.evaluate(report.step)
        if not ends and (better or report.step % (self.budget.checkpoint_every or epoch) == 0):
            self.checkpoint()

    def log(self, report: Report) -> None:
        names = ("step", "loss", "lr", "grad_norm", "supervised_tokens", "seconds")
        self.space.append(LOG, {name: getattr(report, name) for name in names} | report.metrics)
        self.watch.step(report)

    def evaluate(self, step: int) -> bool:
        """Measure the held-out loss; true if it is the lowest after any step so far."""
        with self.averaged():
            loss = held_out_loss(self.model, self.objective, self.held, self.layout, self.precision)
        self.space.append(EVALUATIONS, {"step": step, "loss": loss})
        self.watch.evaluation(step, loss)
        better = step > 0 and (self.state.best_loss is None or loss < self.state.best_loss)
        if better:
            self.state = replace(self.state, best_step=step, best_loss=loss)
        return better

    def checkpoint(self) -> None:
        """Write where the run stands; from the first time on, OUT is there."""
        folder = self.space.checkpoints
        folder.mkdir(exist_ok=True)
        state, extra = replace(self.state, seconds=self.seconds), {"ema": self.ema.state_dict()} if self.ema else {}
        checkpoint.write(folder, self.model, self.optimizer, state, self.save, extra)
        self.space.show()

    def load_extra(self, extra: dict[str, Any]) -> None:
        if self.ema:
            self.ema.load_state_dict(extra["ema"])

    def averaged(self) -> AbstractContextManager[None]:
        """The weights that the run is about: their running average where there is one."""
        return self.ema.applied(self.model) if self.ema else nullcontext()

    def recall_best(self) -> None:
        """Go back to the weights of the lowest held-out loss; with a running average, to theirs alone."""
        best = self.space.checkpoints / "best"
        if self.ema:
            self.load_extra(checkpoint.read_extra(best))
        else:
            checkpoint.restore_weights(best, self.model)

    @property
    def precision(self) -> Precision:
        return cast(Precision, self.state.precision)

    @property
    def seconds(self) -> float:
        return self.state.seconds + time.perf_counter() - self.started
