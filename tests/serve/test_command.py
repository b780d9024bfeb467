"""The serve command, as a shell sees it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from tests.chat.conftest import KNOWN
from tunesmith.cli.serve import serve
from tunesmith.errors import UserError

QUESTION = {"model": "model", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


@contextmanager
def started(*options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "tunesmith", "serve", *options, "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ) as made:
        assert made.stdout
        try:
            yield made, json.loads(made.stdout.readline())["url"]
        finally:
            made.kill()


def test_it_serves_until_told_to_stop_and_ends_what_runs(assistant: Path, tmp_path: Path) -> None:
    with (
        started(str(assistant), "--max-context", "150", "--ratings", str(tmp_path / "r.jsonl")) as (process, url),
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        assert client.chat.completions.create(**QUESTION).choices[0].message.content == KNOWN["hi"]
        running = iter(client.chat.completions.create(**QUESTION, stream=True))
        next(running)
        process.send_signal(signal.SIGTERM)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in running) == KNOWN["hi"]
        assert process.wait(timeout=20) == 0
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/health")


def test_it_refuses_before_it_loads(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no token"):
        serve(["./nowhere"], host="0.0.0.0")
    with pytest.raises(UserError, match="cannot be written"):
        serve(["./nowhere"], ratings=tmp_path)
    with pytest.raises(UserError, match="no model folder"):
        serve(["./nowhere"], port=0)
