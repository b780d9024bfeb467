"""An engine on anything that decodes in numbered slots: a thread of its own steps all running answers together."""

import queue
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from torch import Tensor

from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.draw import Draw, EngineError, deliver, received


class Decoder(Protocol):
    """Sequences that grow side by side. All calls come from one thread at a time."""

    @property
    def name(self) -> str: ...

    @property
    def context(self) -> int: ...

    @property
    def slots(self) -> int: ...

    def begin(self, slot: int, ids: Sequence[int]) -> None:
        """The text of the slot is from now on this prompt, which the next steps read."""
        ...

    def step(self, tokens: Mapping[int, int]) -> Mapping[int, Tensor]:
        """Add a token to each of these slots, go on with all that is not read, and tell [V] logits of what is.

        The next step may write over them.
        """
        ...

    def end(self, slot: int) -> None: ...

    def logits(self, ids: Sequence[int]) -> Tensor: ...

    def embed(self, ids: Sequence[int]) -> list[float] | None: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class SlotEngine:
    """Answers in the order they were asked for, as many at once as the decoder has slots.

    chosen  slot → token that the decoder has not seen
    """

    decoder: Decoder
    waiting: "queue.SimpleQueue[Draw | None]" = field(default_factory=queue.SimpleQueue)
    running: dict[int, Draw] = field(default_factory=dict)
    chosen: dict[int, int] = field(default_factory=dict)
    using: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread = field(init=False)
    shows_logits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._work, name="decoder", daemon=True)
        self.thread.start()

    @property
    def name(self) -> str:
        return self.decoder.name

    @property
    def context(self) -> int:
        return self.decoder.context

    def answer(self, ask: Ask) -> AsyncGenerator[Sequence[Step], None]:
        return received(ask, self.waiting.put, abandon)

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
        with self.using:
            self.decoder.close()

    def _work(self) -> None:
        while self._admit():
            try:
                with self.using:
                    self._advance()
            except Exception as error:  # whatever a library raises, the next question finds the engine ready
                self._give_up(error)

    def _admit(self) -> bool:
        """Fill free slots from the queue, waiting where nothing runs; false when it is time to leave."""
        while len(self.running) < self.decoder.slots and not (self.running and self.waiting.empty()):
            draw = self.waiting.get()
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
                self.decoder.begin(slot, draw.ask.ids)
            self.running[slot] = draw
        except Exception as error:
            draw.end(error)

    def _advance(self) -> None:
        for slot in [slot for slot, draw in self.running.items() if draw.over]:
            self._leave(slot)
        if not self.running:
            return
        found = self.decoder.step(self.chosen)
        self.chosen = {slot: self.running[slot].take(logits) for slot, logits in found.items()}
        deliver(self.running.values())

    def _leave(self, slot: int) -> None:
        del self.running[slot]
        self.chosen.pop(slot, None)
        self.decoder.end(slot)

    def _give_up(self, error: Exception) -> None:
        for slot, draw in list(self.running.items()):
            draw.end(error)
            with suppress(Exception):
                self._leave(slot)


def abandon(draw: Draw) -> None:
    """Its slot is freed before the next step."""
    draw.over = True
