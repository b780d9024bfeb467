"""The training part of a run: the loop, and beside it the log, the held-out loss and the checkpoints."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

from torch.optim import Optimizer
from transformers import PreTrainedModel

from tunesmith.batch import Example
from tunesmith.messages import tr
from tunesmith.models.operations import Ideal, ideal_seconds
from tunesmith.models.precision import Precision
from tunesmith.objectives.base import Objective
from tunesmith.recipe import Budget
from tunesmith.tune import checkpoint, feed, zero
from tunesmith.tune.checkpoint import State
from tunesmith.tune.due import Due
from tunesmith.tune.ema import Average
from tunesmith.tune.evaluate import held_out_loss
from tunesmith.tune.feed import Layout
from tunesmith.tune.leaving import Left, heeded
from tunesmith.tune.loop import Report, Work, fit
from tunesmith.tune.optimizer import make_optimizer
from tunesmith.tune.parallel import data_rank, data_ranks, leads, world_size
from tunesmith.tune.samples import ask
from tunesmith.tune.save import Saver
from tunesmith.tune.schedule import schedule
from tunesmith.tune.watch import Watcher
from tunesmith.tune.workspace import EVALUATIONS, LOG, SAMPLES, Workspace


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
    due: Due
    lr_ratio: float = 1.0
    optimizer: Optimizer = field(init=False)
    ema: Average | None = field(init=False)
    ideal: Ideal = field(init=False)  # if all devices did nothing but useful products
    writer: checkpoint.Writer = field(default_factory=checkpoint.Writer)
    started: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.model, self.budget, self.lr_ratio)
        self.ema = Average(self.model, self.budget.ema) if self.budget.ema else None
        self.ideal = ideal_seconds(self.model, self.precision, 1 / world_size())
        if self.budget.sharding in zero.STAGES:
            zero.divide(self.model, self.optimizer, self.budget)

    def resume(self) -> None:
        """Go back to the last checkpoint."""
        with zero.stepping(self.model, self.optimizer):
            checkpoint.begin_state(self.optimizer)
        moving = self.moving()
        checkpoint.read(self.space.checkpoints / "last", moving)
        zero.reread(self.model)
        checkpoint.set_numbers(self.model, self.optimizer, moving)
        if self.ema:
            self.ema.updates = self.state.step
        checkpoint.restore_random(self.space.checkpoints / "last", data_rank(self.model))
        if leads():
            for name in (LOG, EVALUATIONS, SAMPLES):
                self.space.cut(name, self.state.step)

    def back_to(self, name: str) -> None:
        """Put the weights of a checkpoint into the model."""
        checkpoint.read(self.space.checkpoints / name, self.kept())
        zero.reread(self.model)

    def moving(self) -> dict[str, Any]:
        """All tensors that training changes, by name."""
        return self.kept() | checkpoint.optimizer_state(self.model, self.optimizer)

    def kept(self) -> dict[str, Any]:
        """Those of them that a model is made of."""
        averaged = self.ema.weights if self.ema else {}
        return checkpoint.weights(self.model) | {f"ema/{name}": value for name, value in averaged.items()}

    def averaged(self) -> AbstractContextManager[None]:
        """The weights that the run is about: their running average where there is one."""
        return self.ema.applied(self.model) if self.ema else nullcontext()

    def run(self) -> None:
        """Train to the end of the plan. Whatever ends it before, the checkpoint that was being written counts."""
        try:
            self.train_on()
        except BaseException:
            with suppress(OSError):
                self.settle()
            raise

    def train_on(self) -> None:
        plan = feed.plan(len(self.train), self.budget)
        if self.due.evaluation(self.state.step) and self.state.step == 0:
            self.evaluate(0)
        self.watch.begin(len(plan), self.state.step)
        steps = (self.work(chosen) for chosen in plan[self.state.step :])
        lr_at = schedule(self.budget, len(plan))
        reports = fit(
            self.model, steps, self.optimizer, lr_at, self.budget.max_grad_norm, self.precision, self.state.step
        )
        with heeded() as asked:
            for report in reports:
                self.after(report)
                if report.step < len(plan) and asked():
                    self.leave()

    def leave(self) -> None:
        """Keep where the run stands, and end it."""
        self.settle()
        if (self.space.checkpoints / "last").resolve().name != f"step-{self.state.step:06d}":
            self.checkpoint()
            self.settle()
        raise Left(tr("asked to leave after step {step}: --resume goes on from there", step=self.state.step))

    def work(self, chosen: Sequence[int]) -> list[Work]:
        """This rank's part of one step."""
        examples = [self.train[index] for index in chosen]
        batches = self.layout.batches(examples, data_rank(self.model), data_ranks(self.model))
        return [Work(self.objective, batches)]

    def after(self, report: Report) -> None:
        """Log the step; measure and keep what is due."""
        self.note(report)
        self.state = replace(self.state, step=report.step)
        ends = report.step == self.due.steps
        better = self.due.evaluation(report.step) and self.evaluate(report.step)
        if (better and not ends) or self.due.checkpoint(report.step):
            self.checkpoint()
        elif ends or self.writer.written:
            self.settle()

    def note(self, report: Report) -> None:
        """What is done about every step."""
        if self.ema:
            self.ema.update(self.model)
        self.log(replace(report, mfu=self.ideal.seconds(report.tokens, report.encoder_tokens) / report.seconds))

    def log(self, report: Report) -> None:
        self.space.append(LOG, report.to_json())
        self.watch.step(report)

    def evaluate(self, step: int) -> bool:
        """Measure the held-out loss; true if it is the lowest after any step so far."""
        with self.averaged():
            loss = held_out_loss(self.model, self.objective, self.held, self.layout, self.precision)
            self.space.append(EVALUATIONS, {"step": step, "loss": loss})
            self.watch.evaluation(step, loss)
            self.sample(step)
        better = step > 0 and (self.state.best_loss is None or loss < self.state.best_loss)
        if better:
            self.state = replace(self.state, best_step=step, best_loss=loss)
        return better

    def sample(self, step: int) -> None:
        """Keep and show what the model now answers to the first held-out prompts."""
        samples = ask(self.model, self.held[: self.budget.samples], self.save, self.precision)
        for sample in samples:
            self.space.append(SAMPLES, {"step": step, **asdict(sample)})
        self.watch.samples(step, samples)

    def checkpoint(self) -> None:
        """Begin to write where the run stands; what was being written comes first."""
        self.settle()
        state = replace(self.state, seconds=self.seconds)
        random = checkpoint.random_state(data_rank(self.model))
        self.writer.write(self.space.checkpoints, self.moving() | random, state)

    def settle(self) -> None:
        """Put the checkpoint that is being written in place; from the first one on, OUT is there."""
        self.writer.finish()
        if leads() and (self.space.checkpoints / "last").is_symlink():
            self.space.show()

    @property
    def precision(self) -> Precision:
        return cast(Precision, self.state.precision)

    @property
    def seconds(self) -> float:
        return self.state.seconds + time.perf_counter() - self.started
