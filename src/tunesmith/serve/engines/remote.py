"""An engine in a child process that is asked over HTTP, by token ids: prompts, stop rules and words stay ours."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

import httpx
from torch import Tensor

from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.child import Child
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.engines.programs import Json, Program


@dataclass(slots=True)
class RemoteEngine:
    """`url`: where the program listens. It draws the tokens itself, with the seed and the settings of each request."""

    program: Program
    child: Child
    url: str
    context: int
    shows_logits: ClassVar[bool] = False

    @property
    def name(self) -> str:
        return self.program.name

    async def answer(self, ask: Ask) -> AsyncGenerator[Sequence[Step], None]:
        seen = 0
        async with aclosing(self._events(ask)) as events:
            while (event := await in_time(events, ask.until)) is not None:
                steps = self._read(event, seen, ask.top)
                seen += len(steps)
                kept = list(takewhile(lambda step: step.token not in ask.stop_ids, steps))
                if kept:
                    yield kept
                if len(kept) < len(steps):
                    return

    def _read(self, event: Json, seen: int, top: int | None) -> list[Step]:
        try:
            return self.program.read(event, seen, top)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise EngineError(f"{self.name} sent what cannot be read: {json.dumps(event)[:200]}") from error

    async def _events(self, ask: Ask) -> AsyncGenerator[Json, None]:
        """What it sends about one answer. Leaving cuts the connection, which ends the answer there."""
        try:
            async with (
                # it is on this machine: no proxy, no certificates to read for 50 ms; its queue may take its time
                httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False, timeout=None) as client,
                client.stream("POST", self.program.path, json=self.program.body(ask)) as reply,
            ):
                if reply.status_code != 200:
                    said = (await reply.aread()).decode(errors="replace")
                    raise EngineError(f"{self.name} answered {reply.status_code}: {said[:500]}")
                async for event in events_of(reply.aiter_bytes()):
                    if reason := failure(event):
                        raise EngineError(f"{self.name}: {reason}")
                    yield event
        except httpx.TransportError as error:
            raise EngineError(f"{self.name} {'broke off' if self.alive() else 'has ended'}") from error

    def logits(self, ids: Sequence[int]) -> Tensor:
        raise EngineError(f"{self.name} does not show its logits")

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        return None

    def alive(self) -> bool:
        return self.child.alive()

    def close(self) -> None:
        """End the program. Its log is kept where it ended by itself."""
        well = self.alive()
        self.child.close()
        if well:
            self.child.log.unlink(missing_ok=True)


async def in_time(events: AsyncGenerator[Json, None], until: float | None) -> Json | None:
    """The next event; None at the end, and when the time is up."""
    try:
        async with asyncio.timeout_at(until):
            return await anext(events, None)
    except TimeoutError:
        return None


async def events_of(pieces: AsyncIterator[bytes]) -> AsyncGenerator[Json, None]:
    """The JSON objects of server-sent events. Lines end at \\n alone: JSON may hold what Unicode calls a line's end."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
                yield json.loads(data)


def failure(event: Json) -> str:
    """Why the program gave an answer up; empty where it did not."""
    if error := event.get("error"):
        return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
    ended = event.get("meta_info", {}).get("finish_reason") or {}
    return str(ended.get("message", "aborted"))[:500] if ended.get("type") == "abort" else ""
