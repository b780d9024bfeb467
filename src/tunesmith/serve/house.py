"""What all routes share: the models, the limits, and whether the server is about to leave."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.serve.engines.base import Engine
from tunesmith.serve.limits import ApiError, Limits
from tunesmith.serve.metrics import Metrics
from tunesmith.serve.tongue import Tongue


@dataclass(frozen=True, slots=True)
class Served:
    """A model under the name that clients call it by."""

    id: str
    engine: Engine
    tongue: Tongue

    def need_logits(self, field: str) -> None:
        """Raise ApiError where the engine keeps to itself what `field` of a request asks for."""
        if not self.engine.shows_logits:
            raise ApiError(400, f"{self.id} runs on {self.engine.name}, which does not show its logits", field)


@dataclass(slots=True)
class House:
    """
    models    by name; a client's word is only ever looked up here
    ratings   file for the preferences that the chat page sends; None: they are refused
    told      when it was told to stop (time.monotonic)
    busy      answers that wait or run
    """

    models: dict[str, Served]
    limits: Limits
    metrics: Metrics = field(default_factory=Metrics)
    ratings: Path | None = None
    told: float | None = None
    busy: int = 0

    @property
    def draining(self) -> bool:
        """Told to stop: what runs may end, nothing new begins."""
        return self.told is not None

    def drain(self) -> None:
        self.told = time.monotonic()

    @property
    def over(self) -> bool:
        """Told to stop so long ago that what still runs has had its time."""
        return self.told is not None and time.monotonic() - self.told > self.limits.drain

    @property
    def drained(self) -> bool:
        """Told to stop, and nothing runs any more, or has had its time."""
        return self.draining and (self.over or not self.busy)

    def model(self, name: str) -> Served:
        found = self.models.get(name)
        if found is None:
            known = ", ".join(self.models)
            raise ApiError(404, f"no such model; this server has {known}", "model", "model_not_found")
        return found

    def alive(self) -> bool:
        return all(served.engine.alive() for served in self.models.values())

    @contextmanager
    def place(self, answers: int) -> Iterator[None]:
        """Room in the queue for some answers, as long as they are worked on."""
        if answers > self.limits.queue:  # no waiting would help
            raise ApiError(400, f"{answers} answers are asked for at once, and this server takes {self.limits.queue}")
        if self.busy + answers > self.limits.queue:
            raise ApiError(
                429, f"{self.busy} answers are waiting or running, try again later", retry=1 + self.busy // 8
            )
        self._count(answers)
        try:
            yield
        finally:
            self._count(-answers)

    def _count(self, change: int) -> None:
        self.busy += change
        self.metrics.busy.set(self.busy)

    def close(self) -> None:
        for served in self.models.values():
            served.engine.close()
