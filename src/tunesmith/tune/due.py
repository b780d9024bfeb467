"""When a run looks at the held-out examples, and when it keeps where it stands."""

import math
from dataclasses import dataclass

from tunesmith.recipe import Budget


@dataclass(frozen=True, slots=True)
class Due:
    """steps: of the whole run; evaluate_every, keep_every: steps between two; held: whether examples are held out."""

    steps: int
    evaluate_every: int
    keep_every: int
    held: bool

    @classmethod
    def of(cls, steps: int, examples: int, held: bool, budget: Budget) -> "Due":
        """Where the budget leaves it open, after every epoch."""
        epoch = math.ceil(examples / budget.batch_size)
        return cls(steps, budget.eval_every or epoch, budget.checkpoint_every or epoch, held)

    def evaluation(self, step: int) -> bool:
        """Whether the held-out loss is measured after this step; 0 is before the first."""
        return self.held and (step in (0, self.steps) or step % self.evaluate_every == 0)

    def checkpoint(self, step: int) -> bool:
        """Whether one is due after this step. A better held-out loss is a reason for one too, but after the last."""
        return step < self.steps and step % self.keep_every == 0

    @property
    def evaluations(self) -> int:
        return sum(map(self.evaluation, range(self.steps + 1)))

    @property
    def checkpoints(self) -> int:
        """At most: as if every evaluation found a better loss."""
        return sum(self.checkpoint(step) or self.evaluation(step) for step in range(1, self.steps))
