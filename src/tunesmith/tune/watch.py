"""What a person sees of a run while it goes on. Everything goes to stderr."""

import resource
import sys
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tunesmith.messages import tr
from tunesmith.tune.loop import Report


class Watcher(Protocol):
    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def begin(self, steps: int, done: int) -> None: ...

    def step(self, report: Report) -> None: ...

    def evaluation(self, step: int, loss: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Silent:
    def say(self, text: str) -> None: ...

    def begin(self, steps: int, done: int) -> None: ...

    def step(self, report: Report) -> None: ...

    def evaluation(self, step: int, loss: float) -> None: ...


@dataclass(slots=True)
class Live:
    """A progress bar with loss, speed, memory and time left; a line now and then where stderr is no terminal."""

    console: Console
    every: float = 15.0  # seconds between lines without a terminal
    bar: Progress = field(init=False)
    task: TaskID = field(init=False)
    started: float = 0.0
    spoke: float = 0.0
    tokens: int = 0
    first: int = 0  # steps that were done before

    def __enter__(self) -> Self:
        columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task("", total=None, visible=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar.live.is_started:
            self.bar.stop()

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def begin(self, steps: int, done: int) -> None:
        self.started = self.spoke = time.monotonic()
        self.tokens, self.first = 0, done
        self.bar.update(self.task, total=steps, completed=done, visible=True)
        if self.console.is_terminal:
            self.bar.start()

    def step(self, report: Report) -> None:
        self.tokens += report.tokens
        now = time.monotonic()
        speed = self.tokens / max(1e-9, now - self.started)
        text = tr(
            "loss {loss}  {speed} tokens/s  {memory} GB",
            loss=f"{report.loss:.3f}",
            speed=f"{speed:,.0f}",
            memory=f"{peak_memory() / 1e9:.1f}",
        )
        self.bar.update(self.task, completed=report.step, description=text)
        if not self.console.is_terminal and now - self.spoke > self.every:
            self.spoke = now
            left = self.left(report.step, now)
            self.say(tr("step {step}: {text}  {left} s left", step=report.step, text=text, left=left))

    def evaluation(self, step: int, loss: float) -> None:
        self.say(tr("step {step}: held-out loss {loss}", step=step, loss=f"{loss:.4f}"))

    def left(self, step: int, now: float) -> int:
        """Seconds to the end, at the mean pace so far."""
        total = int(self.bar.tasks[0].total or step)
        return round((total - step) * (now - self.started) / max(1, step - self.first))


def peak_memory() -> int:
    """Bytes at the highest: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(highest if sys.platform == "darwin" else highest * 1024)
