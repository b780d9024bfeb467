"""Logits in, steps out: the same choice of token for every engine, delivered from its thread to the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tunesmith.chat import choose
from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.shape import Shape


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more comes: the answer is whole, has failed, or (`late`) nobody waits for the rest."""

    error: Exception | None = None
    late: bool = False


Events = asyncio.Queue[Step | End]


@dataclass(slots=True)
class Draw:
    """The tokens of one answer, drawn one by one in any thread; `deliver` brings them to `loop`, which reads `events`.

    ready  what is not delivered
    """

    ask: Ask
    loop: asyncio.AbstractEventLoop
    events: Events
    generator: torch.Generator = field(init=False)
    shape: Shape | None = field(init=False)
    ready: list[Step | End] = field(default_factory=list)
    drawn: int = 0
    over: bool = False

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.ask.sampling.seed)
        self.shape = Shape(self.ask.wanted) if self.ask.wanted else None

    def take(self, logits: Tensor) -> int:
        """The next token from [V] logits; it is made ready unless it ends the answer."""
        logits = logits.float().cpu()
        token = choose(self.shape(logits) if self.shape else logits, self.ask.sampling, self.generator)
        if token in self.ask.stop_ids:
            self.finish()
            return token
        self.drawn += 1
        self.ready.append(self.step(token, logits))
        whole = self.shape is not None and self.shape.add(token)
        if whole or self.drawn >= self.ask.sampling.max_new_tokens:
            self.finish()
        return token

    def step(self, token: int, logits: Tensor) -> Step:
        return Step(token) if self.ask.top is None else told(token, logits, self.ask.top)

    def finish(self, error: Exception | None = None) -> None:
        """Nothing more will be drawn."""
        if not self.over:
            self.over = True
            self.ready.append(End(error))

    def end(self, error: Exception | None = None) -> None:
        """Nothing more will be drawn, and that is told now."""
        self.finish(error)
        deliver([self])


def deliver(draws: Iterable[Draw]) -> None:
    """Bring all that is ready to the event loop in one call: to wake it costs more than to draw a token."""
    post: dict[asyncio.AbstractEventLoop, list[tuple[Events, list[Step | End]]]] = {}
    for draw in draws:
        if draw.ready:
            post.setdefault(draw.loop, []).append((draw.events, draw.ready))
            draw.ready = []
    for loop, letters in post.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(put, letters)


def put(letters: Sequence[tuple[Events, Sequence[Step | End]]]) -> None:
    for events, ready in letters:
        for event in ready:
            events.put_nowait(event)


def told(token: int, logits: Tensor, top: int) -> Step:
    """A token with its log-probability and those of the `top` likeliest, from [V] logits."""
    chances = torch.log_softmax(logits, -1)
    best = chances.topk(min(top, len(chances)))
    return Step(token, float(chances[token]), tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)))


class EngineError(Exception):
    """The engine could not go on with an answer."""


async def received(
    ask: Ask, begin: Callable[[Draw], None], leave: Callable[[Draw], None]
) -> AsyncGenerator[list[Step], None]:
    """Steps of a Draw that `begin` hands to an engine; `leave` is called when nobody waits for it any more."""
    loop, events = asyncio.get_running_loop(), Events()
    draw, end = Draw(ask, loop, events), None
    timer = loop.call_at(ask.until, events.put_nowait, End(late=True)) if ask.until else None
    try:
        begin(draw)
        while end is None:
            steps, end = await come(events)
            if steps:
                yield steps
    finally:
        if timer:
            timer.cancel()
        leave(draw)
    if end.error:
        raise EngineError(str(end.error)) from end.error


async def come(events: Events) -> tuple[list[Step], End | None]:
    """All steps that are there, once there is one, and the end if it is among them."""
    steps, event = [], await events.get()
    while isinstance(event, Step):
        steps.append(event)
        if events.empty():
            return steps, None
        event = events.get_nowait()
    return steps, event
