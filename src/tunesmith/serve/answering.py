"""From a question to pieces of its answers, within the limits."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from tunesmith.chat import Sampling
from tunesmith.records import ToolCall
from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.shape import Form, Wanted
from tunesmith.serve.house import House, Served
from tunesmith.serve.limits import ApiError
from tunesmith.serve.schema import Sampled
from tunesmith.serve.tools import ToolForm
from tunesmith.serve.words import Words

T = TypeVar("T")
Reason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Wish:
    """Answers that are asked for together. `form`: tool calls are looked for."""

    asks: Sequence[Ask]
    stops: tuple[str, ...]
    form: ToolForm | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of an answer. `reason` stands in the last one."""

    text: str
    steps: Sequence[Step] = ()
    reason: Reason | None = None
    calls: Sequence[ToolCall] = ()


@dataclass(slots=True)
class Whole:
    """All pieces of an answer in one. `tokens` counts those that were computed for it."""

    text: str = ""
    steps: list[Step] = field(default_factory=list)
    reason: Reason = "stop"
    calls: Sequence[ToolCall] = ()


def sampling_of(request: Sampled, most: int) -> Sampling:
    """How to draw; without a seed, at random."""
    seed = secrets.randbits(63) if request.seed is None else request.seed
    temperature = 1.0 if request.temperature is None else request.temperature
    return Sampling(temperature, request.top_p or 1.0, most, seed)


def asks_for(
    served: Served,
    ids: Sequence[int],
    request: Sampled,
    most: int | None,
    top: int | None,
    form: Form | None = None,
) -> list[Ask]:
    """n asks for one prompt, with seeds that follow one another. `most`: tokens; None: all that there is room for."""
    room = served.engine.context - len(ids)
    if not ids:
        raise ApiError(400, "the prompt has no tokens", "prompt")
    if room < (most or 1):
        asked = f" and {most} of the answer" if most else ""
        message = f"{len(ids)} tokens of the prompt{asked} do not fit into the context of {served.engine.context}"
        raise ApiError(400, message, "max_tokens" if room > 0 else "messages", "context_length_exceeded")
    sampling = sampling_of(request, room if most is None else most)
    first = Ask(tuple(ids), served.tongue.stop_ids, sampling, top, wanted_of(served, request, form))
    return [
        replace(first, sampling=replace(sampling, seed=seeded(sampling.seed + number)))
        for number in range(request.n or 1)
    ]


def wanted_of(served: Served, request: Sampled, form: Form | None) -> Wanted | None:
    """The changes to logits that a request asks for; None where there are none."""
    bias = {int(token): by for token, by in (request.logit_bias or {}).items()}
    if bias and max(bias) >= served.tongue.size:
        raise ApiError(400, f"the model has tokens up to {served.tongue.size - 1}", "logit_bias")
    made = Wanted(request.presence_penalty or 0.0, request.frequency_penalty or 0.0, bias, form)
    return None if made == Wanted() else made


def seeded(seed: int) -> int:
    """A seed that a generator takes."""
    return seed % 2**63


async def answers(house: House, served: Served, wish: Wish) -> AsyncGenerator[tuple[int, Piece], None]:
    """(number of the ask, piece) as they come, for all asks together."""
    house.metrics.tokens.labels(served.id, "read").inc(sum(len(ask.ids) for ask in wish.asks))
    async for item in merged([answer(house, served, ask, wish) for ask in wish.asks]):
        yield item


async def answer(house: House, served: Served, ask: Ask, wish: Wish) -> AsyncGenerator[Piece, None]:
    """The pieces of one answer; it ends early at a stop string, and when its time is up, or the server's."""
    if not ask.sampling.max_new_tokens:
        yield Piece("", reason="length")
        return
    words = Words(served.tongue.stream(), wish.stops, wish.form.open if wish.form else "")
    clock = asyncio.get_running_loop().time
    deadline = clock() + house.limits.seconds
    with house.metrics.answer(served.id) as count:
        async with aclosing(served.engine.answer(replace(ask, until=deadline))) as coming:
            async for steps in coming:
                count(len(steps))
                text = "".join(map(words.push, steps))
                if words.cut:
                    yield last(words, text, "stop", wish.form)
                    return
                if house.over:
                    yield last(words, text, "length", wish.form)
                    return
                if text:
                    yield Piece(text, words.released())
    whole = words.count < ask.sampling.max_new_tokens and clock() < deadline
    yield last(words, "", "stop" if whole else "length", wish.form)


def last(words: Words, text: str, reason: Reason, form: ToolForm | None) -> Piece:
    """The end of an answer: tool calls where it ends with them, else all words that were held back."""
    text += words.close()
    if form and words.tail:
        if calls := form.calls(words.tail):
            return Piece(text, words.released(), "tool_calls", calls)
        text += words.tail
    return Piece(text, words.released(), reason)


async def wholes(house: House, served: Served, wish: Wish) -> list[Whole]:
    """The answers, once all are there."""
    found = [Whole() for _ in wish.asks]
    async for number, piece in answers(house, served, wish):
        found[number].text += piece.text
        found[number].steps += piece.steps
        if piece.reason:
            found[number].reason, found[number].calls = piece.reason, piece.calls
    return found


async def merged(sources: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[tuple[int, T], None]:
    """(number of the source, item) in the order in which they come. Ends with the first error of any."""
    if len(sources) == 1:  # the usual case needs no task of its own
        async with aclosing(sources[0]) as source:
            async for first in source:
                yield 0, first
        return
    queue = asyncio.Queue[tuple[int, T] | BaseException | None]()

    async def pump(number: int, source: AsyncGenerator[T, None]) -> None:
        try:
            async for item in source:
                queue.put_nowait((number, item))
            queue.put_nowait(None)
        except Exception as error:
            queue.put_nowait(error)
        finally:
            await source.aclose()

    tasks = [asyncio.create_task(pump(number, source)) for number, source in enumerate(sources)]
    left = len(tasks)
    try:
        while left:
            item = await queue.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
