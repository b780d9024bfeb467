"""Serving: tokens per CPU-second and time to first token, with 1 and 8 answers at once.

    python -m bench.serve [--model FOLDER] [--tokens 64] [--rounds 11] [--json]

Contenders in one process, on the same prompts, greedy, without a stop token: our server over HTTP (asked by another
process), transformers' generate (batches padded on the left); where llama-cpp-python is installed, llama.cpp behind our
server and directly: its C functions in a loop, with its own greedy sampler, no words and no HTTP. The overhead of the
server is the median over the rounds, in each of which the two come one right after the other.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from string import ascii_lowercase
from typing import Any

import torch

from bench.work import llama, tokenizer
from tunesmith.models.llamacpp import installed, library, open_gguf
from tunesmith.models.load import load_model
from tunesmith.serve.house import House, Served
from tunesmith.serve.limits import Limits
from tunesmith.serve.loading import open_models
from tunesmith.serve.running import listen, make_server

LIMITS = replace(Limits(), context=512, parallel=8)
PROMPT = list(range(20, 52))  # 32 tokens
OURS, DIRECT = "ours, llama.cpp", "llama.cpp directly"
Measured = dict[str, float]


def prompts(count: int) -> list[list[int]]:
    return [[number + 60, *PROMPT] for number in range(count)]


@contextmanager
def served(models: dict[str, Served]) -> Iterator[tuple[str, House]]:
    house = House(models, LIMITS)
    port = listen("127.0.0.1", 0)
    server = make_server(house, "")
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([port])))
    thread.start()
    yield f"http://127.0.0.1:{port.getsockname()[1]}", house
    server.should_exit = True
    thread.join()


def over_http(url: str, house: House, model: str, tokens: int) -> Callable[[int], Measured]:
    """A client in a process of its own, whose time is not ours."""
    command = [sys.executable, "-m", "bench.workers.ask", url, model, str(tokens)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def waited() -> float:
        """Seconds to first tokens, summed, as the server tells them."""
        return house.metrics.registry.get_sample_value("tunesmith_first_token_seconds_sum", {"model": model}) or 0.0

    def run(count: int) -> Measured:
        assert client.stdin
        assert client.stdout
        before, start = waited(), time.process_time()
        print(json.dumps(prompts(count)), file=client.stdin, flush=True)
        return rated(int(client.stdout.readline()), start, (waited() - before) / count)

    return run


def rated(tokens: int, start: float, first: float) -> Measured:
    spent = time.process_time() - start
    return {"tokens": tokens, "tokens_per_cpu_second": round(tokens / spent, 1), "first_token_seconds": round(first, 3)}


def by_generate(model: Any, tokens: int) -> Callable[[int], Measured]:
    def run(count: int) -> Measured:
        ids = torch.tensor(prompts(count))
        begun, start = time.perf_counter(), time.process_time()
        first = 0.0

        class Clock:
            def put(self, value: torch.Tensor) -> None:
                nonlocal first, calls
                calls += 1
                first = first or (time.perf_counter() - begun if calls == 2 else 0.0)

            def end(self) -> None: ...

        calls, options = 0, {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens, "pad_token_id": 0}
        if count == 1:
            options["streamer"] = Clock()
        made = model.generate(ids, attention_mask=torch.ones_like(ids), eos_token_id=None, **options)
        return rated((made.shape[1] - ids.shape[1]) * count, start, first)

    return run


def by_llama(file: Path, tokens: int) -> Callable[[int], Measured]:
    """llama.cpp's own functions and nothing of ours between them: its batch, its greedy sampler."""
    opened = open_gguf(file, LIMITS.context, LIMITS.parallel, threads=torch.get_num_threads())
    lib, running = library(), opened.running
    batch = lib.llama_batch_init(512, 0, 1)
    greedy = lib.llama_sampler_init_greedy()

    def decode(rows: Sequence[tuple[int, int, int, bool]]) -> list[int]:
        """The likeliest token after each row that wants one; rows are (token, position, sequence, wanted)."""
        batch.n_tokens = len(rows)
        for place, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[place], batch.pos[place], batch.logits[place] = token, position, wanted
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, sequence
        assert lib.llama_decode(running, batch) == 0
        return [lib.llama_sampler_sample(greedy, running, place) for place, row in enumerate(rows) if row[3]]

    def run(count: int) -> Measured:
        begun, start = time.perf_counter(), time.process_time()
        asked = prompts(count)
        read = len(asked[0])
        chosen = decode([(token, at, n, at + 1 == read) for n, ids in enumerate(asked) for at, token in enumerate(ids)])
        first = time.perf_counter() - begun
        for said in range(tokens - 1):
            chosen = decode([(token, read + said, n, True) for n, token in enumerate(chosen)])
        made = rated(tokens * count, start, first)
        for sequence in range(count):
            lib.llama_memory_seq_rm(lib.llama_get_memory(running), sequence, -1, -1)
        return made

    return run


def measure(runs: dict[str, Callable[[int], Measured]], rounds: int) -> dict[str, dict[str, list[Measured]]]:
    """What each contender reached in some rounds, after one that warms up; the contenders take turns in each."""
    found: dict[str, dict[str, list[Measured]]] = {name: {"1": [], "8": []} for name in runs}
    for number in range(rounds + 1):
        for count in (1, 8):
            for name, run in runs.items():
                made = run(count)
                if number:
                    found[name][str(count)].append(made)
    return found


def overhead(ours: Sequence[Measured], direct: Sequence[Measured]) -> float:
    """CPU-seconds for a token that the server adds, as a share of those that llama.cpp takes by itself."""
    rates = [[one["tokens_per_cpu_second"] for one in made] for made in (ours, direct)]
    return round(median(alone / served for served, alone in zip(*rates, strict=True)) - 1, 3)


def middle(made: Sequence[Measured]) -> Measured:
    return {key: median(one[key] for one in made) for key in made[0]}


def example(folder: Path) -> Path:
    """A Llama of 41 million matrix weights that nobody trained; its tokens are text, which is streamed as it comes."""
    torch.manual_seed(0)
    llama().save_pretrained(folder)
    letters = random.Random(0).choices(ascii_lowercase, k=240_000)
    tokenizer([" ".join(map("".join, zip(*[iter(letters)] * 6, strict=True)))]).save_pretrained(folder)
    return folder


def gguf_of(folder: Path, out: Path) -> Path:
    from tunesmith.export.target import Work
    from tunesmith.export.targets.gguf import Gguf
    from tunesmith.models.load import load_tokenizer
    from tunesmith.text.render import Renderer
    from tunesmith.text.template import load_template

    out.mkdir()
    Gguf(quant="F32", shard_mb=0).write(
        Work(str(folder), folder, Renderer(load_template("alpaca"), load_tokenizer(str(folder)))), out
    )
    return out / "model.gguf"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.model or example(Path(name) / "model")
        names = [str(folder)]
        if installed():
            file = gguf_of(folder, Path(name) / "gguf")
            names.append(str(file))
        models = open_models(names, "", LIMITS, print if not options.json else lambda text: None)
        with served(models) as (url, house):
            ids = list(models)
            runs = {"ours, transformers": over_http(url, house, ids[0], options.tokens)}
            runs["transformers generate"] = by_generate(load_model(str(folder)), options.tokens)
            if installed():
                runs[OURS] = over_http(url, house, ids[1], options.tokens)
                runs[DIRECT] = by_llama(file, options.tokens)
            rounds = measure(runs, options.rounds)
        for one in models.values():
            one.engine.close()
    found = {name: {count: middle(made) for count, made in counts.items()} for name, counts in rounds.items()}
    extra: dict[str, float] = {}
    if OURS in rounds:
        extra = {count: overhead(made, rounds[DIRECT][count]) for count, made in rounds[OURS].items()}
    if options.json:
        print(json.dumps({**found, "llama_cpp_overhead": extra}, indent=1))
        return
    print("| | batch | tokens per CPU-second | first token, s |\n|---|---|---|---|")
    for contender, counts in found.items():
        for count, made in counts.items():
            print(f"| {contender} | {count} | {made['tokens_per_cpu_second']} | {made['first_token_seconds'] or '–'} |")
    for count, share in extra.items():
        print(f"\nThe server's overhead over llama.cpp itself, {count} at once: {share:.1%}")


if __name__ == "__main__":
    main()
