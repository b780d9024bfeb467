"""Completions, embeddings, models, ratings, metrics, the page."""

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch

from tests.serve.conftest import LIMITS, Asks, Site, serving, until
from tests.toys import byte_tokenizer
from tunesmith.chat import open_session
from tunesmith.models.adapted import ask as forward
from tunesmith.serve.app import create_app
from tunesmith.serve.house import House, Served

PROMPT = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_text_goes_on(client: openai.OpenAI) -> None:
    found = client.completions.create(model="model", prompt=PROMPT, temperature=0, max_tokens=30)
    assert found.choices[0].text.startswith("Hello!")
    pieces = client.completions.create(model="model", prompt=PROMPT, temperature=0, max_tokens=30, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == found.choices[0].text
    assert client.completions.create(model="model", prompt="a").usage.completion_tokens <= 16


def test_several_prompts_have_their_own_answers(client: openai.OpenAI) -> None:
    prompts = [PROMPT, PROMPT.replace("hi", "again")]
    found = client.completions.create(model="model", prompt=prompts, temperature=0, max_tokens=5, n=2)
    assert [choice.text for choice in found.choices] == ["Hello", "Hello", "twice", "twice"]
    assert [choice.index for choice in found.choices] == [0, 1, 2, 3]


@pytest.mark.parametrize("most", [0, 1])
def test_echo_tells_how_likely_a_text_is(client: openai.OpenAI, assistant: Path, most: int) -> None:
    """As lm-eval asks: ids in, log-probabilities of all of them out."""
    session = open_session(str(assistant))
    model, ids = session.model, session.renderer.tokenizer("Hi\nbc").input_ids
    found = client.completions.create(
        model="model", prompt=ids, echo=True, logprobs=2, max_tokens=most, temperature=0
    ).choices[0]
    with torch.no_grad():
        chances = torch.log_softmax(forward(model, input_ids=torch.tensor([ids])).logits[0].float(), -1)
    expected = [float(chances[place, token]) for place, token in enumerate(ids[1:])]
    assert found.logprobs.token_logprobs[0] is None
    assert found.logprobs.token_logprobs[1:5] == pytest.approx(expected, abs=1e-4)
    assert len(found.logprobs.tokens) == 5 + most
    assert found.text.startswith("Hi\nbc")
    assert found.logprobs.text_offset[:5] == [0, 1, 2, 3, 4]
    assert max(found.logprobs.top_logprobs[2].values()) == pytest.approx(float(chances[1].max()), abs=1e-4)


def test_parts_of_a_character_are_told_by_their_bytes(client: openai.OpenAI, chat: Asks) -> None:
    """Else they would all have the same name, and the likeliest of them could not be told."""
    found = client.completions.create(model="model", prompt="a🍎你b", echo=True, logprobs=5, max_tokens=0).choices[0]
    names, told = found.logprobs.tokens, found.logprobs
    raw = [b"a", *(bytes([byte]) for byte in "🍎你".encode()), b"b"]
    assert names == [one.decode() if one.isascii() else f"bytes:\\x{one[0]:02x}" for one in raw]
    assert told.text_offset == [0, 1, 2, 2, 2, 2, 3, 3, 3]
    assert all(len(best) == 5 for best in told.top_logprobs[1:])
    letter = byte_tokenizer()("🍎").input_ids[0]
    said = chat("hi", logit_bias={str(letter): 100}, max_tokens=2, logprobs=True).choices[0].logprobs.content
    assert [(entry.token, entry.bytes) for entry in said] == [("\\xf0", [0xF0])] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_no_token_is_asked_for(client: openai.OpenAI, stream: bool) -> None:
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    found = client.completions.create(model="model", prompt=PROMPT, max_tokens=0, **more)
    parts = list(found) if stream else [found]
    assert "".join(choice.text for part in parts for choice in part.choices) == ""
    assert [choice.finish_reason for part in parts for choice in part.choices] == ["length"]
    assert parts[-1].usage.completion_tokens == 0


def test_a_model_by_its_name(client: openai.OpenAI) -> None:
    assert client.models.retrieve("model") == client.models.list().data[0]
    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.models.retrieve("../model")


def test_ids_beyond_the_vocabulary_are_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="tokens up to"):
        client.completions.create(model="model", prompt=[1, 99_999])
    with pytest.raises(openai.BadRequestError, match="cannot be streamed"):
        client.completions.create(model="model", prompt="a", echo=True, stream=True)


def test_an_embedding_is_the_mean_of_the_last_states(client: openai.OpenAI, assistant: Path) -> None:
    session = open_session(str(assistant))
    ids = session.renderer.tokenizer("cat").input_ids
    with torch.no_grad():
        states = forward(session.model, input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0]
    packed = client.embeddings.create(model="model", input=["cat", "dog"])  # the client asks for base64
    plain = client.embeddings.create(model="model", input="cat", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(states.mean(0).tolist(), abs=1e-4)
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert packed.data[1].embedding != packed.data[0].embedding
    with pytest.raises(openai.BadRequestError, match="0 tokens"):
        client.embeddings.create(model="model", input="")


def test_models_and_what_the_page_asks_about_them(client: openai.OpenAI, site: Site) -> None:
    assert [model.id for model in client.models.list()] == ["model"]
    (facts,) = httpx.get(f"{site.url}/api/models").json()
    assert facts == {
        "id": "model",
        "engine": "transformers, continuous batching",
        "context": 200,
        "system": True,
        "chat": True,
        "tools": False,
    }


def test_metrics_count(site: Site, chat: Asks) -> None:
    def value(name: str) -> float:
        lines = httpx.get(f"{site.url}/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    said, asked = 'tunesmith_tokens_total{model="model",side="said"}', 'tunesmith_requests_total{route="/v1/chat'
    before = value(said), value(asked), value("tunesmith_first_token_seconds_count")
    spent = chat("hi").usage.completion_tokens
    assert (value(said), value(asked)) == (before[0] + spent, before[1] + 1)
    assert value("tunesmith_first_token_seconds_count") == before[2] + 1
    httpx.get(f"{site.url}/nowhere/{'x' * 50}")
    assert "xxx" not in httpx.get(f"{site.url}/metrics").text
    until(lambda: value("tunesmith_answers_in_work") == 0)


def test_health_and_readiness(site: Site) -> None:
    assert httpx.get(f"{site.url}/health").json() == {"status": "ok"}
    assert httpx.get(f"{site.url}/ready").json() == {"status": "ok"}


RATING: dict[str, Any] = {
    "messages": [{"role": "user", "content": "你好\u2028"}],
    "a": {"model": "model", "answer": "x\ny"},
    "b": {"model": "other", "answer": ""},
    "choice": "both_bad",
}


def test_ratings_are_kept_line_by_line(models: dict[str, Served], tmp_path: Path) -> None:
    file = tmp_path / "ratings.jsonl"
    with serving(House(models, LIMITS, ratings=file)) as site:
        for choice in ("a", "both_bad"):
            assert httpx.post(f"{site.url}/api/ratings", json=RATING | {"choice": choice}).json() == {"kept": True}
        assert httpx.post(f"{site.url}/api/ratings", json=RATING | {"choice": "c"}).status_code == 400
    rows = [json.loads(line) for line in file.read_bytes().split(b"\n")[:-1]]
    assert [row["choice"] for row in rows] == ["a", "both_bad"]
    assert rows[1] == {"time": rows[1]["time"], **RATING}
    assert math.isclose(rows[1]["time"], rows[0]["time"], abs_tol=60)


def test_without_a_file_ratings_are_refused(site: Site) -> None:
    answer = httpx.post(f"{site.url}/api/ratings", json=RATING)
    assert answer.status_code == 404
    assert "--ratings" in answer.json()["error"]["message"]


def test_the_page_is_served_with_a_strict_policy(models: dict[str, Served], tmp_path: Path) -> None:
    """Its files are shown without the token, which the page then asks for; nothing beside them is."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page/index.html").write_text("<p>hello</p>", encoding="utf-8")
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    app = create_app(House(models, LIMITS), "sesame", tmp_path / "page")

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    page = asyncio.run(ask("/"))
    assert page.text == "<p>hello</p>"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "/v1/models", "/nothing"):
        assert asyncio.run(ask(path)).status_code == 401
