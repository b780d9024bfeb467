"""/v1/chat/completions through the official client."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from tests.chat.conftest import KNOWN
from tests.serve.conftest import Asks, Site, until
from tunesmith.chat import Sampling, open_session
from tunesmith.models.adapted import ask as forward


def text(stream: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_it_says_what_the_terminal_says(chat: Asks, assistant: Path) -> None:
    session = open_session(str(assistant), sampling=Sampling(max_new_tokens=60))
    for asked in (*KNOWN, "something else", "再来"):
        session.reset()
        length = len(session.prompt(asked))
        found = chat(asked, max_tokens=60)
        assert found.choices[0].message.content == "".join(session.ask(asked))
        assert found.usage.prompt_tokens == length
        assert found.usage.completion_tokens == session.spent


def test_a_stream_is_the_answer_in_pieces(chat: Asks) -> None:
    for asked, said in KNOWN.items():
        chunks = list(chat(asked, stream=True, stream_options={"include_usage": True}))
        assert text(chunks) == said
        assert chunks[0].choices[0].delta.role == "assistant"
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert sum(bool(c.choices and c.choices[0].delta.content) for c in chunks) > 1
        assert chunks[-1].usage.completion_tokens == len(said.encode())
        assert chunks[-1].choices == []


def test_turns_before_and_a_system_prompt_count(chat: Asks) -> None:
    assert chat("hi", messages=[say("system", "pirate"), say("user", "hi")]).choices[0].message.content == "Arr"
    parts = [{"type": "text", "text": "hi"}]
    assert chat("hi", messages=[{"role": "user", "content": parts}]).choices[0].message.content == KNOWN["hi"]


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize("stop", ["llo!", ["zz", "o! "], "Hello!"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_stop_string_ends_the_answer_wherever_tokens_end(chat: Asks, stop: Any, stream: bool) -> None:
    """Every token of this model is one byte, so that each of these lies across several."""
    expected = {"llo!": "He", "Hello!": ""}.get(str(stop), "Hell")
    found = chat("hi", stop=stop, stream=stream)
    assert (text(found) if stream else found.choices[0].message.content) == expected


def test_the_beginning_of_a_stop_string_that_does_not_come_is_no_loss(chat: Asks) -> None:
    for stop in ("Hello?", "👧!", "\n"):
        assert text(chat("hi", stop=stop, stream=True)) == KNOWN["hi"]


def test_length_is_told_and_kept(chat: Asks) -> None:
    found = chat("hi", max_completion_tokens=3)
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == ("Hel", "length")
    assert found.usage.completion_tokens == 3


def test_a_seed_reproduces_and_another_differs(chat: Asks) -> None:
    def drawn(seed: int) -> str:
        return str(chat("what else", temperature=2, seed=seed, max_tokens=30).choices[0].message.content)

    first = drawn(5)
    assert drawn(5) == first
    assert {drawn(seed) for seed in (6, 7, -1)} != {first}


def test_several_answers_are_those_of_following_seeds(chat: Asks) -> None:
    options = {"temperature": 2, "max_tokens": 20}
    found = chat("what else", n=3, seed=8, **options)
    assert [choice.index for choice in found.choices] == [0, 1, 2]
    alone = [chat("what else", seed=seed, **options).choices[0].message.content for seed in (8, 9, 10)]
    assert [choice.message.content for choice in found.choices] == alone
    streamed = ["", "", ""]
    for chunk in chat("what else", n=3, seed=8, stream=True, **options):
        streamed[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert streamed == alone
    assert found.usage.completion_tokens <= 60


def test_top_p_of_almost_nothing_is_greedy(chat: Asks) -> None:
    assert chat("hi", temperature=1.5, top_p=1e-6, seed=3).choices[0].message.content == KNOWN["hi"]


def test_logprobs_are_those_of_the_model(chat: Asks, assistant: Path) -> None:
    session = open_session(str(assistant))
    found = chat("hi", logprobs=True, top_logprobs=3).choices[0].logprobs.content
    prompt, ids = session.prompt("hi"), session.renderer.tokenizer.encode(KNOWN["hi"], add_special_tokens=False)
    with torch.no_grad():
        logits = forward(session.model, input_ids=torch.tensor([prompt + ids])).logits[0]
    chances = torch.log_softmax(logits.float(), -1)
    assert len(found) == len(ids)
    for place, (entry, token) in enumerate(zip(found, ids, strict=True)):
        row = chances[len(prompt) + place - 1]
        assert math.isclose(entry.logprob, float(row[token]), abs_tol=1e-4)
        assert [top.logprob for top in entry.top_logprobs] == pytest.approx(row.topk(3).values.tolist(), abs=1e-3)
    assert "".join(entry.token for entry in found[:6]) == "Hello!"
    assert found[0].bytes == [ord("H")]
    assert b"".join(bytes(entry.bytes) for entry in found).decode() == KNOWN["hi"]  # an emoji is several tokens
    cut = chat("hi", logprobs=True, stop="o!").choices[0].logprobs.content
    assert [entry.token for entry in cut] == list("Hell")


def test_logprobs_of_a_stream_are_the_same(chat: Asks) -> None:
    whole = chat("hi", logprobs=True).choices[0].logprobs.content
    streamed = [
        entry
        for chunk in chat("hi", logprobs=True, stream=True)
        for entry in (chunk.choices[0].logprobs.content if chunk.choices[0].logprobs else [])
    ]
    assert [entry.token for entry in streamed] == [entry.token for entry in whole]
    assert [entry.logprob for entry in streamed] == pytest.approx([entry.logprob for entry in whole], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"extra_body": {"top_k": 5}}, "top_k"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "content"),
        ({"messages": [{"role": "user", "content": None}]}, "content"),
        ({"max_tokens": 199}, "max_tokens"),
        ({"messages": [{"role": "user", "content": "long " * 50}]}, "messages"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(chat: Asks, options: dict[str, Any], word: str) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        chat("hi", **options)
    assert word in str(refusal.value.param)
    assert refusal.value.type == "invalid_request_error"


@pytest.mark.parametrize("name", ["../model", "/etc/passwd", "Model", "", "model\x00", "nano"])
def test_a_model_name_is_looked_up_and_nothing_else(chat: Asks, name: str) -> None:
    with pytest.raises(openai.NotFoundError, match="this server has model"):
        chat("hi", model=name)


def test_many_at_once_are_answered_each(site: Site, chat: Asks) -> None:
    asked = [*KNOWN] * 5
    with ThreadPoolExecutor(len(asked)) as pool:
        found = list(pool.map(lambda question: chat(question).choices[0].message.content, asked))
    assert found == [KNOWN[question] for question in asked]
    until(lambda: site.house.busy == 0)
