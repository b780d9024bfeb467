"""A model in the browser: tokens per second, CPU-seconds of the browser's processes, time to first token.

    make setup-web setup-llamacpp && python -m bench.browser [--tokens 64] [--rounds 3] [--json]

The WebAssembly runtime of `export --to web` in headless Chromium against llama.cpp natively, on the same file (Q4_K_M)
and the same prompt of 33 tokens, greedy, one thread each: the embedded base, and a Llama of 41 million matrix weights
that nobody trained. The page itself (templates, words, Markdown) is left out.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from tests.browser import chromium, files, serving

from bench.serve import PROMPT, by_llama, example, middle
from tunesmith.export.target import Work
from tunesmith.export.targets.web import Web
from tunesmith.models import nano
from tunesmith.models.load import load_tokenizer
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template

Measured = dict[str, float]
OPEN = """async () => {
  const { LoggerWithoutDebug, Wllama } = await import("./wllama/index.js");
  const quiet = { logger: LoggerWithoutDebug, suppressNativeLog: true };
  window.engine = new Wllama({ default: "wllama/wllama.wasm" }, quiet);
  const model = new File([await (await fetch("model/model.gguf")).blob()], "model.gguf");
  await engine.loadModel([model], { n_ctx: 512, n_parallel: 1, n_gpu_layers: 0, n_threads: 1 });
}"""
ANSWER = """async ({ ids, tokens }) => {
  const [{ named }, told] = [await import("./stream.js"), await (await fetch("prompts.json")).json()];
  const start = performance.now();
  let [first, said] = [0, 0];
  const greedy = { temperature: 0, max_tokens: tokens, stream: true, prompt: named(ids, told.control) };
  for await (const { timings } of await engine.createCompletion(greedy)) {
    first ||= performance.now() - start;
    said = timings?.predicted_n ?? said + 1;
  }
  return { said, first: first / 1000, seconds: (performance.now() - start) / 1000 };
}"""


def exported(folder: Path, out: Path) -> Path:
    """`model` as export --to web writes it."""
    out.mkdir()
    work = Work(str(folder), folder, Renderer(load_template("alpaca"), load_tokenizer(str(folder))))
    Web().write(work, out)
    return out


def spent() -> float:
    """CPU-seconds of the browser's processes, which are below this one."""
    found = [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()]
    return sum(one.cpu_times().user + one.cpu_times().system for one in found)


def in_browser(browser: Any, folder: Path, tokens: int, rounds: int) -> list[Measured]:
    with serving(files(folder)) as address:
        page = browser.new_page()
        page.goto(address)
        page.evaluate(OPEN)

        def run(number: int) -> Measured:
            before = spent()
            made = page.evaluate(ANSWER, {"ids": [60 + number, *PROMPT], "tokens": tokens})
            return rates(made["said"], made["seconds"], spent() - before, made["first"])

        return taken(run, rounds)


def natively(file: Path, tokens: int, rounds: int) -> list[Measured]:
    answer = by_llama(file, tokens)

    def run(number: int) -> Measured:
        begun, before = time.perf_counter(), time.process_time()
        made = answer(1)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - before
        return rates(int(made["tokens"]), seconds, cpu, made["first_token_seconds"])

    return taken(run, rounds)


def taken(run: Callable[[int], Measured], rounds: int) -> list[Measured]:
    """Some rounds after one that warms up."""
    return [run(number) for number in range(rounds + 1)][1:]


def rates(tokens: int, seconds: float, cpu: float, first: float) -> Measured:
    return {
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "tokens_per_cpu_second": round(tokens / cpu, 1),
        "first_token_seconds": round(first, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, Measured]] = {}
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        for model, folder in (("nano", nano.path()), ("llama", example(Path(name) / "model"))):
            page = exported(folder, Path(name) / f"{model}-page")
            found[model] = {
                "browser": middle(in_browser(browser, page, options.tokens, options.rounds)),
                "llama.cpp": middle(natively(page / "model/model.gguf", options.tokens, options.rounds)),
            }
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print("| | | tokens | per second | per CPU-second | first token, s |\n|---|---|---|---|---|---|")
    for model, contenders in found.items():
        for contender, made in contenders.items():
            print(f"| {model} | {contender} | " + " | ".join(str(made[key]) for key in made) + " |")


if __name__ == "__main__":
    main()
