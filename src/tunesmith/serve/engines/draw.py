"""Logits in, steps out: the same choice of token for every engine, delivered from its thread to the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunesmith.chat import choose
from tunesmith.serve.engines.base import Ask, Step

Event = Step | Exception | None  # None: the answer is whole


@dataclass(slots=True)
class Draw:
    """The tokens of one answer, drawn one by one. `deliver` may be called from any thread."""

    ask: Ask
    deliver: Callable[[Event], None]
    generator: torch.Generator = field(init=False)
    drawn: int = 0
    over: bool = False

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.ask.sampling.seed)

    def take(self, logits: Tensor) -> int:
        """The next token from [V] logits; it is delivered unless it ends the answer."""
        logits = logits.float().cpu()
        token = choose(logits, self.ask.sampling, self.generator)
        if token in self.ask.stop_ids:
            self.end()
            return token
        self.drawn += 1
        self.deliver(self.step(token, logits))
        if self.drawn >= self.ask.sampling.max_new_tokens:
            self.end()
        return token

    def step(self, token: int, logits: Tensor) -> Step:
        return Step(token) if self.ask.top is None else told(token, logits, self.ask.top)

    def end(self, error: Exception | None = None) -> None:
        """Nothing more will be drawn."""
        if not self.over:
            self.over = True
            self.deliver(error)


def told(token: int, logits: Tensor, top: int) -> Step:
    """A token with its log-probability and those of the `top` likeliest, from [V] logits."""
    chances = torch.log_softmax(logits, -1)
    best = chances.topk(min(top, len(chances)))
    return Step(token, float(chances[token]), tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)))


class EngineError(Exception):
    """The engine could not go on with an answer."""


async def received(ask: Ask, begin: Callable[[Draw], None], stop: Callable[[], None]) -> AsyncGenerator[Step, None]:
    """Steps of a Draw that `begin` hands to an engine; `stop` is called when nobody waits for them any more."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[Event]()

    def deliver(event: Event) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(queue.put_nowait, event)

    whole = False
    try:
        begin(Draw(ask, deliver))
        while True:
            event = await queue.get()
            if event is None or isinstance(event, Exception):
                whole = True
                if event is not None:
                    raise EngineError(str(event)) from event
                return
            yield event
    finally:
        if not whole:
            stop()
