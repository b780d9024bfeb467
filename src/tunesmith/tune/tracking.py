"""Telling other programs of a run: a tracker is one file in trackers/, which alone imports its library.

What they hold is a copy of OUT's own log. A tracker is asked for nothing, and its failure ends no run.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any, Protocol, cast

from tunesmith.artifact import write_json
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.models.load import brief, read_object
from tunesmith.recipe import Tune
from tunesmith.tune.job import flat
from tunesmith.tune.loop import Report
from tunesmith.tune.parallel import leads
from tunesmith.tune.samples import Sample
from tunesmith.tune.watch import Watcher
from tunesmith.tune.workspace import EVALUATIONS, LOG, Workspace

TRACKING = "tracking.json"  # name of a tracker → what it calls this run
FIGURES = ("loss", "lr", "grad_norm", "tokens_per_second", "supervised_tokens_per_second", "mfu")
Logged = Mapping[str, int]  # name of a log → its last step


@dataclass(frozen=True, slots=True)
class About:
    """What a tracker is told when a run starts or goes on.

    space     where OUT grows; its folder is another one from the first checkpoint on
    settings  dotted key → value
    known     what the tracker called the run when it was begun; None for a run that is new to it
    """

    space: Workspace
    settings: Mapping[str, Any]
    known: str | None

    @property
    def name(self) -> str:
        return self.space.out.name


class Tracker(Protocol):
    """`known` is found again by About.known; `where` tells a person where to look."""

    @property
    def known(self) -> str: ...

    @property
    def where(self) -> str: ...

    def scalars(self, step: int, values: Mapping[str, float]) -> None: ...

    def samples(self, step: int, samples: Sequence[Sample]) -> None: ...

    def close(self, done: bool) -> None:
        """The run is over: at its end, or before."""
        ...


@dataclass(slots=True)
class Tracked:
    """A watcher that tells trackers too. One that fails is told nothing more.

    seen  for each tracker that knew the run before: up to which step; it is told of no step twice
    """

    watch: Watcher
    trackers: dict[str, Tracker]
    seen: Mapping[str, Logged]

    def say(self, text: str) -> None:
        self.watch.say(text)

    def begin(self, steps: int, done: int) -> None:
        self.watch.begin(steps, done)

    def step(self, report: Report) -> None:
        self.watch.step(report)
        line = report.to_json()
        values = {f"train/{name}": line[name] for name in (*FIGURES, *report.metrics)}
        self.tell(LOG, report.step, lambda tracker: tracker.scalars(report.step, values))

    def evaluation(self, step: int, loss: float) -> None:
        self.watch.evaluation(step, loss)
        self.tell(EVALUATIONS, step, lambda tracker: tracker.scalars(step, {"eval/loss": loss}))

    def samples(self, step: int, samples: Sequence[Sample]) -> None:
        self.watch.samples(step, samples)
        if samples:
            self.tell(EVALUATIONS, step, lambda tracker: tracker.samples(step, samples))

    def tell(self, log: str, step: int, act: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.trackers.items()):
            if step > self.seen.get(name, {}).get(log, -1):
                self.dare(name, tracker, act)

    def close(self, done: bool) -> None:
        for name, tracker in list(self.trackers.items()):
            self.dare(name, tracker, lambda tracker: tracker.close(done))

    def dare(self, name: str, tracker: Tracker, act: Callable[[Tracker], None]) -> None:
        """Any error is the tracker's own: training goes on without it. What it prints goes to stderr."""
        try:
            with redirect_stdout(sys.stderr):
                act(tracker)
        except Exception as error:
            del self.trackers[name]
            self.watch.say(tr("{name} failed, and is told nothing more: {reason}", name=name, reason=brief(error)))


@contextmanager
def tracked(watch: Watcher, stage: Tune, space: Workspace, logged: Logged) -> Iterator[Watcher]:
    """`watch`, which for as long as this lasts tells the trackers of the stage too; in the leading process."""
    if not stage.tune.track or not leads():
        yield watch
        return
    file = space.folder / TRACKING
    known = read_object(file, "") if file.is_file() else {}
    told = Tracked(watch, {}, dict.fromkeys(known, logged))
    done = False
    try:
        for name in dict.fromkeys(stage.tune.track):
            told.trackers[name] = started(name, About(space, flat(asdict(stage)), known.get(name)))
            watch.say(f"{name}: {told.trackers[name].where}")
        write_json(file, known | {name: tracker.known for name, tracker in told.trackers.items()})
        yield told
        done = True
    finally:
        told.close(done)


def started(name: str, about: About) -> Tracker:
    """The tracker of this name at work. Raises UserError where its library is missing, or will not start."""
    module = library(name)
    try:
        with redirect_stdout(sys.stderr):
            return cast(Tracker, module.start(about))
    except Exception as error:
        raise UserError(
            tr("{name} could not be started: {reason}", name=name, reason=brief(error)),
            tr("see to its settings and the network, or leave {name} out of tune.track", name=name),
        ) from error


def library(name: str) -> Any:
    """The module of a tracker, with its library. Call this early: a missing one is told before any long work."""
    try:
        return import_module(f"tunesmith.tune.trackers.{name}")
    except ImportError as error:
        raise UserError(
            tr("tune.track={name}: its library is not installed ({reason})", name=name, reason=brief(error)),
            f"pip install 'tunesmith[{name}]'",
        ) from error


def last_logged(space: Workspace) -> Logged:
    """Up to which step the logs go, before a resumed run cuts them back to its checkpoint."""
    records = {name: space.records(name) for name in (LOG, EVALUATIONS)}
    return {name: lines[-1]["step"] for name, lines in records.items() if lines}
