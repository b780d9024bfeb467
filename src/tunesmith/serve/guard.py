"""What stands before the application: who may ask, how large a request is, how long a client may take."""

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from tunesmith.serve.limits import ApiError, Limits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NAMES = ("localhost", "127.0.0.1", "[::1]")
OPEN = ("/health", "/ready")  # asked without a token, and answered while draining


class GoneError(Exception):
    """The client left before its request was whole."""


@dataclass(slots=True)
class Guard:
    """
    app       what stands behind
    limits    of body and patience
    token     what a client must show, if anything
    draining  whether new work is refused
    public    whether a path is shown without a token: files of the chat page, which asks for it
    """

    app: App
    limits: Limits
    token: str
    draining: Callable[[], bool]
    public: Callable[[str], bool]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        reader = Reader(send)
        try:
            self._admit(scope)
            body = await self._body(scope, receive)
        except ApiError as refused:
            headers = refused.headers() | {"connection": "close"}
            await JSONResponse(refused.body(), refused.status, headers)(scope, receive, reader.send)
        except GoneError:
            return
        else:
            await while_connected(self.app, scope, body, receive, reader, self.limits.patience)

    def _admit(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if not self.token and host_of(headers.get(b"host", b"")) not in NAMES:
            raise ApiError(403, "this server answers to localhost alone; start it with a token for other names")
        if scope["path"] in OPEN:
            return
        if self.token and not self.public(scope["path"]) and not shows(headers.get(b"authorization", b""), self.token):
            raise ApiError(401, "give the server's token: Authorization: Bearer TOKEN", code="invalid_api_key")
        if self.draining():
            raise ApiError(503, "the server is stopping", retry=30)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body; refused before it is read where it says that it is too large."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self.limits.body:
            raise self._too_large()
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.patience):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise GoneError
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.limits.body:
                        raise self._too_large()
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(408, f"the request did not arrive within {self.limits.patience:g} seconds") from None

    def _too_large(self) -> ApiError:
        return ApiError(413, f"the request is larger than {self.limits.body:,} bytes")


@dataclass(slots=True)
class Reader:
    """A client that takes the answer. `since`: when it was given a piece for which it has no room yet.

    To look at it now and then is far less work than a timeout around each piece.
    """

    give: Send
    since: float | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.since = time.monotonic()
        await self.give(message)
        self.since = None

    async def stopped(self, patience: float) -> None:
        """Returns when the client has made no room for so many seconds, or for up to twice as many."""
        while (waited := 0.0 if self.since is None else time.monotonic() - self.since) < patience:
            await asyncio.sleep(patience - waited)


async def while_connected(
    app: App, scope: Scope, body: bytes, receive: Receive, reader: Reader, patience: float
) -> None:
    """Run the application on a body that was read; a client that leaves or reads no more ends it, whatever it does."""
    rest: list[MutableMapping[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        if not rest:
            await asyncio.Event().wait()  # the application has no need to know: it is ended from outside
        return rest.pop()

    async def hang_up() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def work() -> None:
        async with AsyncExitStack() as scope["leave"]:
            await app(scope, replay, reader.send)

    working = asyncio.create_task(work())
    tasks = (working, asyncio.create_task(hang_up()), asyncio.create_task(reader.stopped(patience)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await working


def host_of(header: bytes) -> str:
    """The name in a Host header, without the port."""
    name = header.decode("latin-1").lower()
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]


def shows(header: bytes, token: str) -> bool:
    """Whether an Authorization header carries the token; takes the same time wherever they differ."""
    scheme, _, given = header.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
