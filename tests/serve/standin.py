"""A stand-in for vLLM and SGLang: no engine, only their ways over HTTP as far as they are used, told from their source.

    standin.py vllm|sglang FOLDER-OF-THE-TEST ARGUMENTS...

It says by heart what known.json in the folder of the test holds for a prompt, and counts up after any other; a token's
log-probability is -token / 100. Requests go to asked.jsonl, and `left` appears there when a client leaves too early.
A prompt that begins with 13 kills it. Options and fields that the real ones do not know are refused, as there.
"""

import json
import os
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KIND, FOLDER = sys.argv[1], Path(sys.argv[2])
STARTED = time.monotonic()
SHAPING = {"temperature", "top_p", "stop_token_ids", "presence_penalty", "frequency_penalty", "logit_bias"}
FIELDS = {
    "vllm": {"prompt", "stream", "return_token_ids", "return_tokens_as_token_ids", "max_tokens", "seed", "ignore_eos",
             "logprobs", *SHAPING},
    "sglang": {"input_ids", "stream", "sampling_params", "return_logprob", "top_logprobs_num", "logprob_start_len"},
    "sampling_params": {"max_new_tokens", "sampling_seed", *SHAPING},
}  # fmt: skip
PATHS = {"vllm": "/v1/completions", "sglang": "/generate"}


def options() -> Any:
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("serve", choices=["serve"])
    if KIND == "vllm":
        parser.add_argument("folder")
        for name in ("--max-model-len", "--max-num-seqs"):
            parser.add_argument(name, type=int, required=True)
        parser.add_argument("--generation-config", choices=["vllm"], required=True)
    else:
        parser.add_argument("--model-path", dest="folder", required=True)
        for name in ("--context-length", "--max-running-requests"):
            parser.add_argument(name, type=int, required=True)
        for name in ("--skip-tokenizer-init", "--enable-deterministic-inference"):
            parser.add_argument(name, action="store_true", required=True)
    parser.add_argument("--host", choices=["127.0.0.1"], required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args(sys.argv[3:])


def tokens(ids: list[int], stops: list[int], most: int) -> Iterator[int]:
    """The answer with the token that stops it, as both send it."""
    known = json.loads((FOLDER / "known.json").read_text()).get(json.dumps(ids))
    for number in range(most):
        token = known[number] if known else (ids[-1] + 1 + number) % 200
        yield token
        if token in stops:
            return


def vllm_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is new; the drawn token comes first among the likeliest, then the best in their order."""
    for token in tokens(body["prompt"], body["stop_token_ids"], body["max_tokens"]):
        told = None
        if body["logprobs"] is not None:
            best = {f"token_id:{one}": -one / 100 for one in (token, *range(body["logprobs"]))}
            told = {"tokens": [f"token_id:{token}"], "token_logprobs": [-token / 100], "top_logprobs": [best]}
        choice = {"index": 0, "text": "\u2028", "token_ids": [token], "logprobs": told, "finish_reason": None}
        yield {"object": "text_completion", "choices": [choice]}


def sglang_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All from the first token on."""
    said, told, best = [], [], []
    how = body["sampling_params"]
    for token in tokens(body["input_ids"], how["stop_token_ids"], how["max_new_tokens"]):
        said.append(token)
        told.append([-token / 100, token, None])
        best.append([[-one / 100, one, None] for one in range(body.get("top_logprobs_num", 0))])
        about: dict[str, Any] = {"finish_reason": None}
        if body.get("return_logprob"):
            about |= {"output_token_logprobs": told} | ({"output_top_logprobs": best} if best[0] else {})
        yield {"output_ids": said, "meta_info": about}


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200 if time.monotonic() > STARTED + 0.2 else 503)
        self.end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with (FOLDER / "asked.jsonl").open("a") as log:
            log.write(json.dumps(body) + "\n")
        unknown = (set(body) - FIELDS[KIND]) | (set(body.get("sampling_params", ())) - FIELDS["sampling_params"])
        if self.path != PATHS[KIND] or unknown:
            self.send_response(400)
            self.end_headers()
            self.wfile.write(f"unknown {unknown}".encode())
            return
        if (body.get("prompt") or body["input_ids"])[0] == 13:
            print("CUDA out of memory", flush=True)
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        try:
            for event in vllm_events(body) if KIND == "vllm" else sglang_events(body):
                self.wfile.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())
                time.sleep(0.002)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            (FOLDER / "left").touch()


if __name__ == "__main__":
    given = options()
    print("loading", given.folder, flush=True)
    if (FOLDER / "broken").exists():
        sys.exit("no GPU was found")
    if (FOLDER / "stubborn").exists():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()
