"""Engines in a process of their own. vLLM and SGLang themselves are not run here: standin.py speaks as they do."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.chat.conftest import KNOWN
from tests.serve.conftest import LIMITS, serving, until
from tunesmith.chat import Sampling
from tunesmith.errors import ProofError, UserError
from tunesmith.records import text_message
from tunesmith.serve.engines import child
from tunesmith.serve.engines.base import Ask, Step
from tunesmith.serve.engines.draw import EngineError
from tunesmith.serve.engines.shape import Wanted
from tunesmith.serve.house import House, Served
from tunesmith.serve.loading import open_models, open_words
from tunesmith.serve.starting import program_named

BOTH = pytest.mark.parametrize("kind", ["vllm", "sglang"])


@dataclass
class Standin:
    folder: Path
    heard: list[str] = field(default_factory=list)

    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "asked.jsonl").read_text().splitlines()]

    @contextmanager
    def served(self, kind: str, model: Path) -> Iterator[Served]:
        """The model, opened by the program `kind`, and closed at the end."""
        (found,) = open_models([str(model)], "", LIMITS, self.heard.append, program_named(kind)).values()
        try:
            yield found
        finally:
            found.engine.close()
            assert not found.engine.alive()


@pytest.fixture
def standin(assistant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standin:
    """Programs called vllm and sglang that know what the assistant learnt."""
    tokenizer, renderer = open_words(str(assistant), "")
    assert renderer
    known = {
        json.dumps(renderer.prompt([text_message("user", asked)])): [
            *tokenizer(said, add_special_tokens=False).input_ids,
            min(renderer.stop_ids),
        ]
        for asked, said in KNOWN.items()
    }
    (tmp_path / "known.json").write_text(json.dumps(known))
    for kind in ("vllm", "sglang"):
        file = tmp_path / kind
        file.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent}/standin.py" {kind} "{tmp_path}" "$@"\n'
        )
        file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # logs of those that died are kept
    return Standin(tmp_path)


async def said(served: Served, ask: Ask) -> list[Step]:
    return [step async for steps in served.engine.answer(ask) for step in steps]


@BOTH
def test_clients_are_answered_by_the_program_and_ids_go_in_and_out(
    standin: Standin, kind: str, assistant: Path
) -> None:
    question: Any = {"messages": [{"role": "user", "content": "你好"}], "seed": 5, "temperature": 0.5, "top_p": 0.9}
    with (
        standin.served(kind, assistant) as served,
        serving(House({"m": served}, LIMITS)) as site,
        site.client() as client,
    ):
        found = client.chat.completions.create(
            model="m", **question, n=2, logprobs=True, top_logprobs=2, presence_penalty=0.5, logit_bias={"7": -3}
        )
        assert [choice.message.content for choice in found.choices] == [KNOWN["你好"]] * 2
        assert {choice.finish_reason for choice in found.choices} == {"stop"}
        first = found.choices[0].logprobs.content[0]
        drawn, *others = served.tongue.encode(KNOWN["你好"])
        assert len(found.choices[0].logprobs.content) == 1 + len(others)  # the token that ended it is no part of it
        assert (first.logprob, [one.logprob for one in first.top_logprobs]) == (-drawn / 100, [0.0, -0.01])
        one, other = sorted(standin.asked()[-2:], key=lambda body: json.dumps(body, sort_keys=True))
        prompt = served.tongue.prompt([text_message("user", "你好")])
        stops = sorted(served.tongue.stop_ids)
        if kind == "vllm":
            assert (one["prompt"], one["seed"], other["seed"], one["max_tokens"]) == (prompt, 5, 6, 200 - len(prompt))
            how = one
        else:
            how = one["sampling_params"]
            assert (one["input_ids"], how["sampling_seed"], other["sampling_params"]["sampling_seed"]) == (prompt, 5, 6)
            assert how["max_new_tokens"] == 192 - len(prompt)
        assert (how["temperature"], how["top_p"], how["stop_token_ids"]) == (0.5, 0.9, stops)
        assert (how["presence_penalty"], how["logit_bias"]) == (0.5, {"7": -3})
        streamed = client.chat.completions.create(model="m", **question, stop="，", stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == KNOWN["你好"].split("，")[0]
        counted = client.completions.create(model="m", prompt=[60], max_tokens=5)
        words = served.tongue.stream()
        assert counted.choices[0].text == "".join(map(words.push, range(61, 66)))
        assert (counted.choices[0].finish_reason, counted.usage.completion_tokens) == ("length", 5)


@BOTH
def test_what_needs_logits_or_hidden_states_is_refused(standin: Standin, kind: str, assistant: Path) -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with (
        standin.served(kind, assistant) as served,
        serving(House({"m": served}, LIMITS)) as site,
        site.client() as client,
    ):
        before = len(standin.asked())
        with pytest.raises(openai.BadRequestError, match="does not show its logits"):
            client.chat.completions.create(**asked, response_format={"type": "json_object"})
        with pytest.raises(openai.BadRequestError, match="does not show its logits"):
            client.completions.create(model="m", prompt=[1, 2], echo=True, logprobs=1, max_tokens=0)
        with pytest.raises(openai.BadRequestError, match="hidden states"):
            client.embeddings.create(model="m", input="a")
        assert len(standin.asked()) == before


@BOTH
def test_who_leaves_or_has_waited_enough_ends_the_answer(standin: Standin, kind: str, assistant: Path) -> None:
    ask = Ask((1, 2, 3), frozenset(), Sampling(max_new_tokens=100_000), wanted=Wanted(frequency=1.0))
    with standin.served(kind, assistant) as served:

        async def leave() -> None:
            begun = served.engine.answer(ask)
            assert await anext(begun)
            await begun.aclose()

        asyncio.run(leave())
        until((standin.folder / "left").exists)
        (standin.folder / "left").unlink()

        async def wait() -> list[Step]:
            return await said(served, replace(ask, until=asyncio.get_running_loop().time() + 0.3))

        assert [step.token for step in asyncio.run(wait())][:3] == [4, 5, 6]
        until((standin.folder / "left").exists)


@BOTH
def test_a_program_that_dies_is_told_with_its_last_words(standin: Standin, kind: str, assistant: Path) -> None:
    with standin.served(kind, assistant) as served:
        with pytest.raises(EngineError, match=r"has ended|broke off"):
            asyncio.run(said(served, Ask((13,), frozenset(), Sampling())))
        until(lambda: not served.engine.alive())
        until(lambda: "code 3" in standin.heard[-1] and "CUDA out of memory" in standin.heard[-1])
    (standin.folder / "broken").touch()
    with pytest.raises(UserError, match="no GPU was found") as refusal:
        open_models([str(assistant)], "", LIMITS, standin.heard.append, program_named(kind))
    assert Path(refusal.value.cure.split()[-1]).is_file()


def test_a_program_that_does_not_end_is_killed(
    standin: Standin, assistant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "ENDING", 0.2)
    (standin.folder / "stubborn").touch()
    heard = len(standin.heard)
    with standin.served("vllm", assistant):
        log = Path(standin.heard[heard].split()[-1])
        assert log.is_file()
    assert not log.exists()


def test_it_does_not_outlive_a_server_that_is_ended_while_it_loads() -> None:
    code = (
        "from tunesmith.serve.engines.child import start; made = start('x', ['sleep', '60'], {});"
        "print(made.process.pid, made.log, flush=True); made.wait('http://127.0.0.1:9/health')"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        pid, log = server.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        server.terminate()
        assert server.wait(10) == 128 + signal.SIGTERM
    assert not psutil.pid_exists(int(pid))
    Path(log).unlink()


def test_what_it_cannot_serve_is_refused_before_it_is_started(
    standin: Standin, assistant: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = program_named("vllm")
    with pytest.raises(UserError, match="2 are named"):
        open_models([str(assistant)] * 2, "", LIMITS, standin.heard.append, vllm)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="is an adapter") as refusal:
        open_models([str(tmp_path / "adapter")], "", LIMITS, standin.heard.append, vllm)
    assert "--to merged" in refusal.value.cure
    with pytest.raises((UserError, ProofError)):
        open_models([str(assistant)], "alpaca", LIMITS, standin.heard.append, vllm)
    assert not (standin.folder / "asked.jsonl").exists()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="needs the package sglang") as absent:
        program_named("sglang")
    assert absent.value.cure == "pip install 'tunesmith[sglang]'"
    with pytest.raises(UserError, match="no engine 'tgi'"):
        program_named("tgi")
    assert program_named("auto") is None
