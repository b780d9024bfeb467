"""An engine on anything that decodes in numbered slots: a thread of its own steps all running answers together."""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.draw import Draw, EngineError, received


class Decoder(Protocol):
    """Sequences that grow side by side. All calls come from one thread at a time."""

    name: str
    context: int
    slots: int

    def begin(self, slot: int, ids: Sequence[int]) -> Tensor:
        """[V] logits after a prompt, which from now on is the text of the slot."""
        ...

    def step(self, tokens: Mapping[int, int]) -> Mapping[int, Tensor]:
        """Slot → [V] logits after the token that is added to each of these slots."""
        ...

    def end(self, slot: int) -> None: ...

    def logits(self, ids: Sequence[int]) -> Tensor: ...

    def embed(self, ids: Sequence[int]) -> list[float] | None: ...


@dataclass(slots=True)
class SlotEngine:
    """Answers in the order they were asked for, as many at once as the decoder has slots."""

    decoder: Decoder
    waiting: "queue.SimpleQueue[Draw | None]" = field(default_factory=queue.SimpleQueue)
    running: dict[int, tuple[Draw, int]] = field(default_factory=dict)
    using: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self.thread.start()

    @property
    def name(self) -> str:
        return self.decoder.name

    @property
    def context(self) -> int:
        return self.decoder.context

    async def answer(self, ask: Ask) -> AsyncGenerator[Step, None]:
        draws: list[Draw] = []

        def begin(draw: Draw) -> None:
            draws.append(draw)
            self.waiting.put(draw)

        def stop() -> None:
            for draw in draws:
                draw.over = True

        steps = received(ask, begin, stop)
        try:
            async for step in steps:
                yield step
        finally:
            await steps.aclose()

    def logits(self, ids: Sequence[int]) -> Tensor:
        with self.using:
            return self.decoder.logits(ids)

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        with self.using:
            return self.decoder.embed(ids)

    def alive(self) -> bool:
        return self.thread.is_alive()

    def close(self) -> None:
        self.waiting.put(None)
        self.thread.join(timeout=30)

    def _work(self) -> None:
        while self._admit():
            try:
                with self.using:
                    self._advance()
            except Exception as error:  # whatever a library raises, the next question finds the engine ready
                self._give_up(error)

    def _admit(self) -> bool:
        """Fill free slots from the queue, waiting where nothing runs; false when it is time to leave."""
        while len(self.running) < self.decoder.slots:
            try:
                draw = self.waiting.get(block=not self.running)
            except queue.Empty:
                return True
            if draw is None:
                self._give_up(EngineError("closed"))
                return False
            if not draw.over:
                self._begin(draw)
        return True

    def _begin(self, draw: Draw) -> None:
        slot = next(number for number in range(self.decoder.slots) if number not in self.running)
        try:
            with self.using:
                logits = self.decoder.begin(slot, draw.ask.ids)
            self.running[slot] = draw, draw.take(logits)
        except Exception as error:
            draw.end(error)
            with suppress(Exception):
                self.decoder.end(slot)

    def _advance(self) -> None:
        for slot in [slot for slot, (draw, _) in self.running.items() if draw.over]:
            del self.running[slot]
            self.decoder.end(slot)
        if not self.running:
            return
        found = self.decoder.step({slot: token for slot, (_, token) in self.running.items()})
        for slot, logits in found.items():
            draw = self.running[slot][0]
            self.running[slot] = draw, draw.take(logits)

    def _give_up(self, error: Exception) -> None:
        for slot, (draw, _) in self.running.items():
            draw.end(error)
            with suppress(Exception):
                self.decoder.end(slot)
        self.running.clear()


async def gathered(steps: AsyncGenerator[Step, None]) -> list[Step]:
    """All steps of an answer."""
    return [step async for step in steps]


def answered(engine: SlotEngine, ask: Ask) -> list[int]:
    """The tokens of an answer, outside of an event loop."""
    return [step.token for step in asyncio.run(gathered(engine.answer(ask)))]
