"""Preparing rows for supervised tuning, ours against TRL's, as records per CPU-second.

Both begin with messages in memory and end with token ids and what of them is learnt, by the same chat template and
tokenizer; ours proves every row besides. `whole` is a run's own way, from the file through the token cache.
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.dedup import resampled
from bench.work import conversations, tokenizer
from tunesmith.text.render import Renderer
from tunesmith.text.template import load_template

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers/bin/python"
ROUNDS = 3
MOST = 10_000  # rows of a comparison in three rounds; beyond, one round
PEER_MOST = 100_000  # rows that TRL is given: beyond, its rate is taken to stay


def prepare(n: int, data: Path | None = None, peers: Path = PEERS) -> dict[str, Any]:
    """Measure on `n` rows, contenders in turn in processes of their own, the median of the rounds.

    ours, trl  records per CPU-second; trl and ratio are None where there is no TRL
    tokens     of all rows: TRL's have one more each where the template ends a turn with a line break
    peak_mib   of the whole process      growth  exponent with which our CPU-seconds grow from n/4 to n rows
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = write_work(folder, n, data)
        found: dict[str, list[dict[str, Any]]] = {"ours": [], "trl": []}
        small: list[dict[str, Any]] = []
        for _ in range(ROUNDS if n <= MOST else 1):
            found["ours"].append(run(folder, "ours", n))
            small.append(run(folder, "ours", n // 4))
            if peers.exists() and n <= PEER_MOST:
                found["trl"].append(run(folder, str(peers), n))
    return summary(found, small) | facts


def write_work(folder: Path, n: int, data: Path | None) -> dict[str, Any]:
    """chats.jsonl for us, rows.jsonl with "prompt" and "completion" in messages for TRL, and the tokenizer."""
    chats = conversations(n, data)
    chats += resampled(n - len(chats)) if len(chats) < n else []
    fitted = chats[:PEER_MOST]
    words = tokenizer([part.text for chat in fitted for message in chat.messages for part in message.parts])
    renderer = Renderer(load_template("chatml"), words)
    words.chat_template = renderer.chat_template
    words.save_pretrained(folder / "tokenizer")
    turns = [[{"role": message.role, "content": message.text} for message in chat] for chat in chats]
    lines = [json.dumps({"messages": messages}) for messages in turns]
    (folder / "chats.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rows = [{"prompt": messages[:-1], "completion": messages[-1:]} for messages in turns]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return {"rows": len(chats), "words": len(words)}


def run(folder: Path, which: str, n: int) -> dict[str, Any]:
    """One process: ours, or TRL by the Python given."""
    ours = [sys.executable, "-m", "bench.workers.prepare_ours"]
    command = ours if which == "ours" else [which, str(ROOT / "bench/workers/prepare_trl.py")]
    done = subprocess.run([*command, str(folder), str(n)], cwd=ROOT, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        raise RuntimeError(f"{which}: {done.stderr[-2000:]}")
    return dict(json.loads(found[-1].removeprefix("RESULT ")))


def summary(found: dict[str, list[dict[str, Any]]], small: list[dict[str, Any]]) -> dict[str, Any]:
    ours, trl = found["ours"], found["trl"]
    rate = {which: round(median(runs, "records") / median(runs, "seconds")) for which, runs in found.items() if runs}
    grown = math.log(median(ours, "seconds") / median(small, "seconds"))
    return {
        "ours": rate["ours"],
        "trl": rate.get("trl"),
        "ratio": round(rate["ours"] / rate["trl"], 2) if trl else None,
        "whole": round(median(ours, "records") / median(ours, "whole_seconds")),
        "peak_mib": {which: round(median(runs, "peak_bytes") / 2**20) for which, runs in found.items() if runs},
        "growth": round(grown / math.log(median(ours, "records") / median(small, "records")), 3),
        "tokens": {which: runs[0]["tokens"] for which, runs in found.items() if runs},
    }


def median(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(result[name]) for result in runs)
