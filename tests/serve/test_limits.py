"""Who is let in, how much, how long; and what happens to clients that misbehave."""

import asyncio
import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from itertools import islice
from typing import Any

import httpx
import openai
import pytest
import torch
from torch import Tensor

from tests.serve.conftest import LIMITS, Asks, Site, serving, until
from tunesmith.errors import UserError
from tunesmith.serve import running
from tunesmith.serve.engines.slots import SlotEngine
from tunesmith.serve.house import House, Served
from tunesmith.serve.running import LAST_STEP, listen, refuse_open_door

ENDLESS = {"model": "model", "messages": [{"role": "user", "content": "x"}], "temperature": 2, "stream": True}
# no end mark is drawn: the answer goes on as far as the context allows
ASKED = {"model": "model", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


class Steady:
    """In place of a model: the letter b every `pause` seconds, `most` times, then the mark that ends an answer."""

    name = "steady"
    context = 1_000_000
    slots = 4

    def __init__(self, served: Served, most: int = 1_000_000, pause: float = 0.05) -> None:
        self.letter, self.end_mark = served.tongue.encode("b")[0], min(served.tongue.stop_ids)
        self.size, self.most, self.pause = served.tongue.size, most, pause
        self.said: dict[int, int] = {}
        self.closed = 0
        self.served = Served("model", SlotEngine(self), served.tongue)

    def begin(self, slot: int, ids: Sequence[int]) -> None:
        self.said[slot] = 0

    def step(self, tokens: Mapping[int, int]) -> Mapping[int, Tensor]:
        time.sleep(self.pause)
        found = {}
        for slot in self.said:
            found[slot] = torch.full((self.size,), -100.0)
            found[slot][self.letter if self.said[slot] < self.most else self.end_mark] = 0
            self.said[slot] += 1
        return found

    def end(self, slot: int) -> None:
        del self.said[slot]
        self.closed += 1

    def logits(self, ids: Sequence[int]) -> Tensor:
        return torch.zeros(len(ids), self.size)

    def embed(self, ids: Sequence[int]) -> list[float] | None:
        return None

    def close(self) -> None: ...


def raw(site: Site, text: bytes, seconds: float = 5.0) -> bytes:
    """What comes back for these bytes."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as client:
        client.sendall(text)
        return b"".join(iter(lambda: client.recv(65536), b""))


def post(path: bytes, head: bytes, body: bytes = b"") -> bytes:
    return (
        b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body
    )


def test_a_gigabyte_is_refused_before_it_is_sent(site: Site) -> None:
    answer = raw(site, post(b"/v1/chat/completions", b"Content-Length: 1000000000\r\n", b"{"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"100,000 bytes" in answer


def test_a_body_without_a_length_is_counted(site: Site) -> None:
    chunk = b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    answer = raw(site, post(b"/v1/chat/completions", b"Transfer-Encoding: chunked\r\n", chunk * 7))
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe", b'{"model": "\xff"}', b"{", b"", b"[]", b"null", b'{"model": "\\ud800"}', b"[" * 50_000, b"NaN"],
)
@pytest.mark.parametrize("path", ["v1/chat/completions", "v1/completions", "v1/embeddings", "api/ratings"])
def test_what_is_no_request_is_refused(site: Site, path: str, body: bytes) -> None:
    answer = httpx.post(f"{site.url}/{path}", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_another_page_cannot_ask_in_a_users_name(site: Site) -> None:
    """A form of another origin sends no JSON, a name that was rebound to this machine is not ours."""
    form = httpx.post(
        f"{site.url}/v1/chat/completions", content=json.dumps(ASKED), headers={"content-type": "text/plain"}
    )
    assert form.status_code == 400
    rebound = httpx.get(f"{site.url}/v1/models", headers={"host": "evil.example"})
    assert rebound.status_code == 403
    preflight = httpx.options(f"{site.url}/v1/models", headers={"origin": "http://evil.example"})
    assert not any(name.startswith("access-control") for name in preflight.headers)


def test_a_path_leads_nowhere_else(site: Site) -> None:
    for path in (b"/../../etc/passwd", b"/%2e%2e/%2e%2e/etc/passwd", b"//etc/passwd", b"/..%5c..%5cx", b"/%00"):
        answer = raw(site, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert answer.split(b" ", 2)[1] == b"404"


WHOLE, HALF = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /v1/chat/completions HTTP/1.1\r\nHo"


@pytest.mark.parametrize(("before", "begun"), [(b"", b""), (b"", HALF), (WHOLE, HALF)])
def test_who_never_ends_the_head_of_a_request_is_let_go(models: dict[str, Served], before: bytes, begun: bytes) -> None:
    """Whether or not a whole request came before, and however often a byte comes."""
    with serving(House(models, replace(LIMITS, patience=0.5))) as site, connection(site) as client:
        if before:
            client.sendall(before)
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        end, rest = time.monotonic() + 5, iter(begun)
        while not let_go(client):
            assert time.monotonic() < end
            with suppress(ConnectionError):
                client.sendall(bytes(islice(rest, 1)))


def test_a_head_has_its_limit(site: Site) -> None:
    answer = b""
    with suppress(ConnectionError):
        answer = raw(site, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: %b\r\n" % (b"a" * 4000) * 500)
    assert answer == b""


def test_the_connection_that_idles_longest_makes_room(models: dict[str, Served], monkeypatch: Any) -> None:
    monkeypatch.setattr(running, "most_connections", lambda: 5)
    with serving(House(models, LIMITS)) as site, ExitStack() as stack:
        idle = [stack.enter_context(connection(site)) for _ in range(20)]
        time.sleep(0.2)
        assert httpx.get(f"{site.url}/health").status_code == 200
        assert not let_go(idle[-1])
        assert all(map(let_go, idle[:15]))


def connection(site: Site) -> socket.socket:
    host, port = site.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def let_go(client: socket.socket) -> bool:
    client.settimeout(0.05)
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_more_answers_than_the_queue_takes_are_no_matter_of_waiting(models: dict[str, Served]) -> None:
    with (
        serving(House(models, replace(LIMITS, queue=2))) as site,
        site.client() as client,
        pytest.raises(openai.BadRequestError, match="takes 2"),
    ):
        client.chat.completions.create(**ASKED, n=3)


def test_the_rest_waits_its_turn_up_to_the_queue(models: dict[str, Served]) -> None:
    with serving(House(models, replace(LIMITS, queue=2))) as site, site.client() as client:
        options: dict[str, Any] = {"temperature": 2, "seed": 1}
        first = client.chat.completions.create(**{**ENDLESS, **options, "n": 2})
        next(iter(first))
        with pytest.raises(openai.RateLimitError) as refusal:
            client.chat.completions.create(**ASKED)
        assert int(refusal.value.response.headers["retry-after"]) > 0
        first.close()
        until(lambda: site.house.busy == 0)
        assert client.chat.completions.create(**ASKED).choices[0].message.content


def test_a_client_that_leaves_stops_its_answer(models: dict[str, Served]) -> None:
    engine = Steady(models["model"])
    with serving(House({"model": engine.served}, LIMITS)) as site:
        for stream in (True, False):
            engine.closed = 0
            body = json.dumps(ENDLESS | {"stream": stream}).encode()
            host, port = site.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as client:
                client.sendall(post(b"/v1/chat/completions", b"Content-Length: %d\r\n" % len(body), body))
                until(lambda: site.house.busy == 1)
            until(lambda: engine.closed == 1)
            until(lambda: site.house.busy == 0)


def test_an_answer_ends_when_its_time_is_up(models: dict[str, Served]) -> None:
    engine = Steady(models["model"])
    with serving(House({"model": engine.served}, replace(LIMITS, seconds=0.5))) as site, site.client() as client:
        found = client.chat.completions.create(**ASKED)
    assert found.choices[0].finish_reason == "length"
    assert set(str(found.choices[0].message.content)) == {"b"}
    assert 1 < found.usage.completion_tokens <= 10
    assert engine.closed == 1


def test_who_stops_reading_is_let_go_and_nobody_else_waits(models: dict[str, Served]) -> None:
    """The answer goes on until no buffer has room, and ends soon after; the connection is cut."""
    engine = Steady(models["model"], pause=0.0)
    with serving(House({"model": engine.served}, replace(LIMITS, patience=1)), patience=1) as site:
        body = json.dumps(ENDLESS).encode()
        host, port = site.url.removeprefix("http://").split(":")
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect((host, int(port)))
            lazy.sendall(post(b"/v1/chat/completions", b"Content-Length: %d\r\n" % len(body), body))
            until(lambda: site.house.busy == 1)
            with site.client() as client:
                found = client.chat.completions.create(**ASKED, max_tokens=20)
            assert found.choices[0].message.content == "b" * 20
            assert site.house.busy == 1
            until(lambda: site.house.busy == 0, 10)
            until(lambda: engine.closed == 2)
            time.sleep(1.5)
            with pytest.raises(ConnectionError):
                b"".join(iter(lambda: lazy.recv(65536), b""))


def test_two_hundred_slow_clients_leave_it_answering(site: Site, chat: Asks) -> None:
    """They send half a request, or ask for an answer and do not read it."""

    async def besieged() -> float:
        host, port = site.url.removeprefix("http://").split(":")
        opened = await asyncio.gather(*(asyncio.open_connection(host, int(port)) for _ in range(200)))
        for number, (_, writer) in enumerate(opened):
            head = b"Content-Length: 500\r\n"
            writer.write(post(b"/v1/chat/completions", head, b"{")[: None if number % 2 else 40])
            await writer.drain()
        start = time.monotonic()
        found = await asyncio.to_thread(chat, "hi")
        taken = time.monotonic() - start
        assert found.choices[0].message.content
        late = await asyncio.wait_for(opened[1][0].read(100), timeout=10)
        assert late.startswith(b"HTTP/1.1 408")
        for _, writer in opened:
            writer.close()
        return taken

    assert asyncio.run(besieged()) < 5


@pytest.fixture
def guarded(models: dict[str, Served]) -> Iterator[Site]:
    with serving(House(models, LIMITS), token="sesame") as made:
        yield made


def test_with_a_token_nothing_is_told_to_those_without(guarded: Site) -> None:
    for path in ("v1/models", "api/models", "metrics", "openapi.json"):
        for header in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic sesame"},
            {"authorization": "Bearer"},
        ):
            assert httpx.get(f"{guarded.url}/{path}", headers=header).status_code == 401
        assert httpx.get(f"{guarded.url}/{path}", headers={"authorization": "Bearer sesame"}).status_code == 200
    assert httpx.get(f"{guarded.url}/health").status_code == 200
    assert httpx.get(
        f"{guarded.url}/v1/models", headers={"host": "x.example", "authorization": "bearer sesame"}
    ).is_success
    with guarded.client("sesame") as client, guarded.client("seaame") as other:
        assert client.chat.completions.create(**ASKED).choices[0].message.content
        with pytest.raises(openai.AuthenticationError):
            other.chat.completions.create(**ASKED)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_an_open_address_needs_a_token(host: str) -> None:
    refuse_open_door(host, "secret")
    with pytest.raises(UserError, match="no token"):
        refuse_open_door(host, "")


def test_a_taken_port_is_the_users_error() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(UserError, match="cannot be served"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_told_to_stop_it_finishes_what_runs_and_takes_nothing_new(models: dict[str, Served]) -> None:
    slow = Steady(models["model"], most=20)
    with serving(House({"model": slow.served}, LIMITS)) as site, site.client() as client:
        running = iter(client.chat.completions.create(**{**ASKED, "stream": True}))
        next(running)
        site.house.drain()
        for path in ("v1/models", "ready"):
            assert httpx.get(f"{site.url}/{path}").status_code == 503
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**ASKED)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in running) == "b" * 20
        until(lambda: refuses_connections(site))


def test_answers_that_do_not_end_in_time_are_ended(models: dict[str, Served]) -> None:
    """With all that was said so far, and as an answer that was cut off, not as a connection that broke."""
    endless = Steady(models["model"], pause=0.02)
    limits = replace(LIMITS, drain=0.5)
    with serving(House({"model": endless.served}, limits)) as site, site.client() as client:
        running = iter(client.chat.completions.create(**{**ASKED, "stream": True}))
        next(running)
        start = time.monotonic()
        site.house.drain()
        chunks = list(running)
        assert chunks[-1].choices[0].finish_reason == "length"
        until(lambda: refuses_connections(site))
        assert time.monotonic() - start < limits.drain + LAST_STEP


def refuses_connections(site: Site) -> bool:
    try:
        httpx.get(f"{site.url}/health")
    except httpx.TransportError:
        return True
    return False
