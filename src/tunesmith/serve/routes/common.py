"""What the routes share."""

import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any, cast

import msgspec
from fastapi import Depends, Request
from fastapi.responses import StreamingResponse

from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.house import House
from tunesmith.serve.limits import ApiError
from tunesmith.serve.schema import Error, Sampled, Usage


async def house_of(request: Request) -> House:  # what is not async is sent to a thread
    found: House = request.app.state.house
    return found


async def leave_of(request: Request) -> AsyncExitStack:
    """What is done when the request is over, however it ends."""
    found: AsyncExitStack = request.scope["leave"]
    return found


TheHouse = Annotated[House, Depends(house_of)]
Leave = Annotated[AsyncExitStack, Depends(leave_of)]

Responses = dict[int | str, dict[str, Any]]
ERRORS: Responses = {
    status: {"model": Error, "description": told}
    for status, told in {
        400: "The request is wrong.",
        401: "The server's token is missing.",
        403: "The server does not answer under this name.",
        408: "The request came too slowly.",
        413: "The request is too large.",
        500: "The engine failed.",
        503: "The server is stopping.",
    }.items()
}
NO_MODEL = {"model": Error, "description": "There is no such model."}
ASKING = ERRORS | {
    404: NO_MODEL,
    429: {"model": Error, "description": "The queue is full; Retry-After says when to come again."},
}
EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
STREAMED: Responses = {200: {"content": {"text/event-stream": {"schema": EVENT}}}}


def head(kind: str, model: str) -> dict[str, Any]:
    """The fields with which every answer begins."""
    prefix = "chatcmpl" if kind.startswith("chat") else "cmpl"
    return {"id": f"{prefix}-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def usage(read: int, said: int) -> Usage:
    return Usage(prompt_tokens=read, completion_tokens=said, total_tokens=read + said)


def refuse_options_without_stream(request: Sampled) -> None:
    if request.stream_options and not request.stream:
        raise ApiError(400, "stream_options needs stream=true", "stream_options")


def events(chunks: AsyncGenerator[dict[str, Any], None], leave: AsyncExitStack) -> StreamingResponse:
    """Chunks as server-sent events, with [DONE] at the end."""
    leave.push_async_callback(chunks.aclose)
    return StreamingResponse(lines(chunks), media_type="text/event-stream", headers={"cache-control": "no-store"})


async def lines(chunks: AsyncIterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield b"data: %b\n\n" % msgspec.json.encode(chunk)
    except EngineError as error:
        yield b"data: %b\n\n" % msgspec.json.encode(ApiError(500, str(error)).body())
    yield b"data: [DONE]\n\n"


def several(value: str | list[int] | list[str] | list[list[int]]) -> list[str | list[int]]:
    """One text, one list of ids, or a list of either -> each of them."""
    single = isinstance(value, str) or isinstance(value[0], int)
    return cast("list[str | list[int]]", [value] if single else value)
