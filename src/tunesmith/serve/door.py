"""Connections: how many are open, and how long one may stay without a whole head of a request.

uvicorn takes care of a connection from its first request on; the guard (guard.py) of each request. Before, nobody does.
"""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

BACKLOG = 256  # connections that the system keeps until they are taken, and that are taken in one go
SPARE = 2 * BACKLOG  # files that stay free for those, for models, ratings and whatever libraries open
ENOUGH = 10_000  # connections, where the system sets no limit
HEAD = 65_536  # bytes of the head of a request


@dataclass(slots=True)
class Door:
    """What all connections of a server share.

    patience  seconds from the first byte of a request, or from the connection, to the end of the request's head
    most      connections; the one that idles for the longest makes room for another
    idle      those without a request that is worked on, the longest first
    """

    patience: float
    most: int
    idle: dict["Connection", None] = field(default_factory=dict)

    def make_room(self, connections: int) -> bool:
        """Whether one more can be let in."""
        if connections <= self.most:
            return True
        longest = next(iter(self.idle), None)
        if longest is not None:
            longest.let_go()
        return longest is not None


class Connection(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # one of two classes, whichever is installed
    """uvicorn's, with limits to the head of a request. `timer` runs while one is awaited, `read` counts its bytes."""

    def __init__(self, door: Door, **given: Any) -> None:
        super().__init__(**given)
        self.door = door
        self.timer: asyncio.TimerHandle | None = None
        self.read = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.door.make_room(len(self.connections)):
            self.wait()
        else:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.resting() and self.timer is None:  # the next request of a connection that is kept
            self.wait()
        super().data_received(data)
        self.read = self.read + len(data) if self.resting() else 0
        if not self.resting():
            self.stop_waiting()
        elif self.read > HEAD:
            self.let_go()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.resting() and not self.transport.is_closing():
            self.door.idle[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        super().connection_lost(exc)

    def resting(self) -> bool:
        """No request is worked on."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def wait(self) -> None:
        self.door.idle[self] = None
        self.timer = self.loop.call_later(self.door.patience, self.let_go)

    def stop_waiting(self) -> None:
        self.door.idle.pop(self, None)
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def let_go(self) -> None:
        self.stop_waiting()
        self.transport.abort()


def most_connections() -> int:
    """As many as the system lets this process open files, which is raised as far as it allows, but for a few."""
    if sys.platform == "win32":
        return ENOUGH
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = ENOUGH + SPARE if hard == resource.RLIM_INFINITY else min(hard, ENOUGH + SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(files - SPARE, files // 2)
