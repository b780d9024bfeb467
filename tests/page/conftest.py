"""The chat page in a browser, over a small server that answers in OpenAI's format what a test wants to hear."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import tunesmith
from tests.browser import Quiet, chromium, files, serving

PAGE = Path(tunesmith.__file__).parent / "serve" / "page"
MODELS = [
    {"id": "quick", "context": 1024, "engine": "transformers", "system": True},
    {"id": "wise", "context": 2048, "engine": "llamacpp", "system": False},
]


@dataclass
class Said:
    """What the models answer, and what the server was told.

    answers  model → its answer; {last} stands for the last question
    pause    seconds before each word
    token    what a request must bear, or ""
    broken   models that fail before their first word
    """

    answers: dict[str, str] = field(default_factory=lambda: {"quick": "Quick: {last}", "wise": "Wise: {last}"})
    pause: float = 0.0
    token: str = ""
    broken: tuple[str, ...] = ()
    asked: list[dict[str, Any]] = field(default_factory=list)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0


def handler(said: Said) -> Any:
    class Server(Quiet):
        def refused(self) -> bool:
            if not said.token or self.headers.get("authorization") == f"Bearer {said.token}":
                return False
            self.json(401, {"error": {"message": "a token is needed"}})
            return True

        def json(self, status: int, value: object) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:  # noqa: N802
            if self.path != "/api/models":
                return super().do_GET()
            return None if self.refused() else self.json(200, MODELS)

        def do_POST(self) -> None:  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.refused():
                return
            if self.path == "/api/ratings":
                said.ratings.append(body)
                return self.json(200, {})
            said.asked.append(body)
            if body["model"] in said.broken:
                return self.json(500, {"error": {"message": "out of order"}})
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            try:
                self.stream(said.answers[body["model"]].replace("{last}", body["messages"][-1]["content"]))
            except OSError:  # the person stopped it
                said.left += 1

        def stream(self, text: str) -> None:
            for word in text.split(" "):
                time.sleep(said.pause)
                self.event({"choices": [{"delta": {"content": word + " "}}]})
            self.event({"choices": [], "usage": {"completion_tokens": len(text.split(" "))}})
            self.wfile.write(b"data: [DONE]\n\n")

        def event(self, value: object) -> None:
            self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
            self.wfile.flush()

    return files(PAGE, Server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@dataclass
class Chat:
    """The page as a person uses it. `faults` are what the browser complained about, `requests` what it asked for."""

    page: Any
    said: Said
    address: str
    faults: list[str]
    requests: list[str]

    def ask(self, text: str) -> None:
        """Ask, and wait for the end of the answer."""
        self.page.fill("#ask", text)
        self.page.press("#ask", "Enter")
        self.page.wait_for_selector("body:not(.busy) .turn.assistant:last-of-type .acts button, body:not(.busy) .vote")

    def texts(self, kind: str) -> list[str]:
        return [text.strip() for text in self.page.locator(f".turn.{kind} > .text").all_inner_texts()]


@pytest.fixture
def said() -> Said:
    return Said()


@contextmanager
def opened(browser: Any, address: str, said: Said, **options: Any) -> Iterator[Chat]:
    """The page at an address, in a fresh browser profile."""
    context = browser.new_context(**({"locale": "en-US"} | options))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    faults, requests = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(address)
    page.wait_for_selector("select option, dialog", state="attached")
    yield Chat(page, said, address, faults, requests)
    context.close()


@pytest.fixture
def chat(browser: Any, said: Said, request: Any) -> Iterator[Chat]:
    """The page over the small server; its language or size may be given as a parameter."""
    with (
        serving(handler(said)) as address,
        opened(browser, address, said, **getattr(request, "param", {})) as made,
    ):
        yield made
