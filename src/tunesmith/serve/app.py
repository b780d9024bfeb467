"""The application: routes, errors in OpenAI's form, the chat page, and what stands before them."""

from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.staticfiles import StaticFiles

from tunesmith import __version__
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.guard import App, Guard, Receive, Scope, Send
from tunesmith.serve.house import House
from tunesmith.serve.limits import ApiError
from tunesmith.serve.routes import chat, completions, embeddings, ratings, state

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


def create_app(house: House, token: str = "", page: Path | None = None) -> App:
    """The server of a house. `page`: folder of the chat page; by default the package's own, if it has one."""
    app = FastAPI(title="Tunesmith", version=__version__, docs_url=None, redoc_url=None, lifespan=living)
    app.state.house = house
    for part in (chat, completions, embeddings, state, ratings):
        app.include_router(part.router)
    app.add_exception_handler(ApiError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(StarletteHTTPException, unknown)
    app.add_exception_handler(EngineError, failed)
    app.openapi = lambda: described(app)  # type: ignore[method-assign]  # FastAPI's own way to change it
    folder = page or page_folder()
    shown = files_of(folder)
    if shown:
        app.mount("/", Page(directory=folder, html=True), name="page")
    guard = Guard(app, house.limits, token, lambda: house.draining, lambda path: path in shown)
    return Counted(guard, house)


@asynccontextmanager
async def living(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.house.close()


def page_folder() -> Path:
    return Path(str(resources.files("tunesmith.serve") / "page"))


def files_of(folder: Path) -> frozenset[str]:
    """The paths of the chat page; none where there is no page."""
    if not (folder / "index.html").is_file():
        return frozenset()
    files = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return frozenset({"/", *(f"/{name}" for name in files)})


class Page(StaticFiles):
    """The chat page: nothing from elsewhere, no script but its own files."""

    async def get_response(self, path: str, scope: Any) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts every answer by its route and status."""

    app: App
    house: House

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self.house.metrics.requests.labels(route, str(message["status"])).inc()
            await send(message)

        await self.app(scope, receive, counting)


async def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status, error.headers())


async def failed(request: Request, error: Exception) -> Response:
    return await refused(request, ApiError(500, f"the engine failed: {error}"))


async def unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException | StarletteHTTPException)
    refusal = ApiError(error.status_code, str(error.detail))
    return JSONResponse(refusal.body(), refusal.status, {**(error.headers or {})})


async def invalid(request: Request, error: Exception) -> Response:
    """What pydantic says, with the name of the field."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return await refused(request, ApiError(400, f"{place}: {first['msg']}" if place else first["msg"], place or None))


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, without the error form that FastAPI adds and this server does not use."""
    if not app.openapi_schema:
        made = FastAPI.openapi(app)
        for path in made["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
    return dict(app.openapi_schema or {})
