"""The server as a process: one port, and an end that lets running answers finish."""

import asyncio
import socket
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.serve.app import create_app
from tunesmith.serve.door import BACKLOG, Connection, Door, most_connections
from tunesmith.serve.guard import is_loopback
from tunesmith.serve.house import House

LAST_STEP = 3  # seconds from when the time of running answers is over until they are broken off


class Server(uvicorn.Server):
    """On the first signal: refuse new questions, let the running ones end, then leave. On the second: leave now."""

    def __init__(self, config: uvicorn.Config, house: House) -> None:
        super().__init__(config)
        self.house = house

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.house.draining:
            self.should_exit = self.force_exit = True
        self.house.drain()

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether to leave."""
        self.should_exit |= self.house.drained
        return bool(await super().on_tick(counter))


def listen(host: str, port: int, patience: float = 30.0) -> socket.socket:
    """The open port; 0 takes a free one. The system cuts off who takes nothing of what was sent for so many seconds."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.create_server((host, port), family=family, backlog=2048)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; else what was written stays until the client leaves
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(patience * 1000))
        return opened
    except OSError as error:
        raise UserError(
            tr("{host}:{port} cannot be served: {reason}", host=host, port=port, reason=error.strerror or str(error)),
            tr("choose another --port, or --host 127.0.0.1"),
        ) from error


def refuse_open_door(host: str, token: str) -> None:
    """An address that others can reach needs a token."""
    if token or is_loopback(host):
        return
    raise UserError(
        tr("--host {host} can be reached from other machines, and no token is set", host=host),
        tr("add --token SECRET, or leave out --host"),
    )


def make_server(house: House, token: str) -> Server:
    door = Door(house.limits.patience, most_connections())
    config = uvicorn.Config(
        create_app(house, token),
        log_level="warning",
        access_log=False,
        server_header=False,
        http=cast(Any, partial(Connection, door)),
        backlog=BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=LAST_STEP,
        lifespan="off",
    )
    return Server(config, house)


def run(house: House, token: str, port: socket.socket) -> None:
    """Serve until told to stop."""
    try:
        asyncio.run(make_server(house, token).serve([port]))
    finally:
        house.close()
