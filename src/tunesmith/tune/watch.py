"""What a person sees of a run while it goes on. Everything goes to stderr."""

import re
import resource
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import torch
from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TimeRemainingColumn
from rich.text import Text

from tunesmith.messages import tr
from tunesmith.tune.loop import Report
from tunesmith.tune.samples import Sample

RECENT = 20  # steps over which the speed is measured


class Watcher(Protocol):
    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def begin(self, steps: int, done: int) -> None: ...

    def step(self, report: Report) -> None: ...

    def evaluation(self, step: int, loss: float) -> None: ...

    def samples(self, step: int, samples: Sequence[Sample]) -> None: ...


@dataclass(frozen=True, slots=True)
class Silent:
    def say(self, text: str) -> None: ...

    def begin(self, steps: int, done: int) -> None: ...

    def step(self, report: Report) -> None: ...

    def evaluation(self, step: int, loss: float) -> None: ...

    def samples(self, step: int, samples: Sequence[Sample]) -> None: ...


class Bar(Progress):
    """A progress bar, and under it a line of figures."""

    figures = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.figures:
            yield Text(self.figures, no_wrap=True, overflow="ellipsis")


@dataclass(slots=True)
class Live:
    """A progress bar over a line of figures; a line of both now and then where stderr is no terminal."""

    console: Console
    every: float = 15.0  # seconds between lines without a terminal
    bar: Bar = field(init=False)
    task: TaskID = field(init=False)
    recent: deque[Report] = field(default_factory=lambda: deque(maxlen=RECENT))
    started: float = 0.0
    spoke: float = 0.0
    first: int = 0  # steps that were done before

    def __enter__(self) -> Self:
        columns = (MofNCompleteColumn(), BarColumn(bar_width=None), TimeRemainingColumn())
        self.bar = Bar(*columns, console=self.console, transient=True, expand=True)
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
        self.first = done
        self.recent.clear()
        self.bar.update(self.task, total=steps, completed=done, visible=True)
        if self.console.is_terminal:
            self.bar.start()

    def step(self, report: Report) -> None:
        self.recent.append(report)
        self.bar.figures = figures(self.recent)
        self.bar.update(self.task, completed=report.step)
        now = time.monotonic()
        if not self.console.is_terminal and now - self.spoke > self.every:
            self.spoke = now
            left = self.left(report.step, now)
            self.say(tr("step {step}: {text}  {left} s left", step=report.step, text=self.bar.figures, left=left))

    def evaluation(self, step: int, loss: float) -> None:
        self.say(tr("step {step}: held-out loss {loss}", step=step, loss=f"{loss:.4f}"))

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        room = max(20, (self.console.width - 18) // 2)
        for sample in samples:
            answer, reference = clipped(sample.answer, room), clipped(sample.reference, room)
            self.say(tr("  {answer} (wanted: {reference})", answer=answer, reference=reference))

    def left(self, step: int, now: float) -> int:
        """Seconds to the end, at the mean pace so far."""
        total = int(self.bar.tasks[0].total or step)
        return round((total - step) * (now - self.started) / max(1, step - self.first))


def figures(recent: Sequence[Report]) -> str:
    """The last step in one line of at most 80 columns, with the speed of the recent ones."""
    last, seconds = recent[-1], max(1e-9, sum(report.seconds for report in recent))
    tokens, supervised = (sum(counts) / seconds for counts in zip(*map(read_and_learnt, recent), strict=True))
    parts = [
        tr("loss {loss}", loss=f"{last.loss:.4g}"),
        f"lr {last.lr:.1e}",
        f"|g| {last.grad_norm:.3g}",
        tr("{tokens} tok/s, {supervised} learnt", tokens=short(tokens), supervised=short(supervised)),
        *([] if last.mfu is None else [f"MFU {last.mfu:.0%}"]),
        f"{peak_memory() / 1e9:.1f} GB",
    ]
    return "  ".join(parts)


def read_and_learnt(report: Report) -> tuple[int, int]:
    return report.tokens, report.supervised_tokens


def short(number: float) -> str:
    """950 -> "950", 12345 -> "12.3k", 1200000 -> "1.2M"."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f}{letter}"
    return f"{number:.0f}"


def clipped(text: str, room: int) -> str:
    """On one line, of at most `room` columns of the terminal."""
    line = " ".join(text.split())
    return line if cell_len(line) <= room else set_cell_size(line, room - 1) + "…"


def peak_memory() -> int:
    """Bytes at the highest: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")  # Linux: unlike ru_maxrss it does not begin with what the parent process held
    told = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text("utf-8"), re.MULTILINE) if status.exists() else None
    if told:
        return int(told.group(1)) * 1024
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(highest if sys.platform == "darwin" else highest * 1024)
