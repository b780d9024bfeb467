"""A real server on a free port, with the tiny assistant of the chat tests."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("llguidance", reason="the extra serve is not installed")
pytest.importorskip("openai", reason="the official client is not installed")

import openai

from tests.chat.conftest import assistant
from tunesmith.serve.house import House, Served
from tunesmith.serve.limits import Limits
from tunesmith.serve.loading import open_models
from tunesmith.serve.running import listen, make_server

__all__ = ["assistant"]
LIMITS = Limits(context=200, parallel=4, queue=40, seconds=20, body=100_000, patience=3, drain=5)


@dataclass
class Site:
    url: str
    house: House

    def client(self, token: str = "none") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=token, max_retries=0)


def until(true: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for what follows an answer: a client has it before the server has put its things away."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def serving(house: House, token: str = "", patience: float = 30.0) -> Iterator[Site]:
    """The house behind a port of this machine, served by a thread."""
    port = listen("127.0.0.1", 0, patience)
    server = make_server(house, token)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([port])))
    thread.start()
    try:
        yield Site(f"http://127.0.0.1:{port.getsockname()[1]}", house)
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def models(assistant: Path) -> Iterator[dict[str, Served]]:
    with ThreadPoolExecutor(1) as apart:  # opening runs an event loop, and a test with a browser has one here already
        found = apart.submit(open_models, [str(assistant)], "", LIMITS, lambda text: None).result()
    yield found
    for served in found.values():
        served.engine.close()


@pytest.fixture(scope="session")
def site(models: dict[str, Served]) -> Iterator[Site]:
    with serving(House(models, LIMITS)) as made:
        yield made


@pytest.fixture
def client(site: Site) -> Iterator[openai.OpenAI]:
    with site.client() as made:
        yield made


Asks = Callable[..., Any]


@pytest.fixture
def chat(client: openai.OpenAI) -> Asks:
    """One question, greedy unless told otherwise."""

    def ask(question: str, **options: Any) -> Any:
        given = {"model": "model", "messages": [{"role": "user", "content": question}], "temperature": 0} | options
        return client.chat.completions.create(**given)

    return ask
