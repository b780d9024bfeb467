"""Supervised tuning against the peers, at the same work and precision, as tokens per CPU-second.

    make bench-peers && python -m bench.sft [--quick] [--json] [--data alpaca_data.json]

A 41-million-parameter Llama shape with random weights (and a Qwen3 shape with 151,936 words for memory) is tuned on
the same tokenized rows by our engine, by TRL, by Hugging Face's Trainer and by LLaMA-Factory, each in processes of its
own, in turn; a peer that is not installed is left out, and named. Wall time on a shared machine says little, so rates
are per CPU-second of the process. The physical limit is a matrix-product rate measured in the same run. The last line
of --json is one object.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.work import operations, prepare
from tunesmith.models.precision import choose

ROOT = Path(__file__).resolve().parent.parent
WORKERS = ROOT / "bench/workers"
PEERS = [str(ROOT / ".venv-peers/bin/python"), str(WORKERS / "peer.py")]
FACTORY = [str(ROOT / ".venv-peers-llamafactory/bin/python"), str(WORKERS / "factory.py")]
BATCH, LR, THREADS = 16, 1e-4, 2
CONTENDERS = {
    "ours": [sys.executable, "-m", "bench.workers.ours"],
    **dict.fromkeys(("trl", "trl_packing", "trl_padding_free", "hf_grouped"), PEERS),
    **dict.fromkeys(("llamafactory", "llamafactory_neat_packing"), FACTORY),
}

# TRL's default, and the fastest peer of whole runs; ours three times, as the few steps of one run differ by a third.
QUICK = ("ours", "trl", "ours", "llamafactory_neat_packing", "ours")


def run(folder: Path, which: str, model: str, precision: str, steps: int, lora: bool) -> dict[str, Any] | None:
    """One process; None, with the reason on stderr, where it fails."""
    settings = {
        "which": which, "model": str(folder / model), "precision": precision, "steps": steps, "batch": BATCH,
        "lr": LR, "threads": THREADS, "lora": lora, "out": str(folder / "out"),
    }  # fmt: skip
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [*CONTENDERS[which], str(folder), "settings.json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not found:
        print(f"{which}: failed\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return dict(json.loads(found[-1].removeprefix("RESULT ")))


def product_rate(precision: str) -> float:
    """Operations per CPU-second of the best of a few products of the trunk's shape, on the threads that all use."""
    torch.set_num_threads(THREADS)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(2048, 512).to(dtype), torch.randn(512, 1536).to(dtype)
    best = float("inf")
    for _ in range(8):
        start = time.process_time()
        for _ in range(10):
            _ = left @ right
        best = min(best, time.process_time() - start)
    return 10 * 2 * 2048 * 512 * 1536 / best


def installed() -> list[str]:
    """The contenders that can run here."""
    return [which for which, (python, *_) in CONTENDERS.items() if Path(python).exists()]


def rates(
    folder: Path, precision: str, order: Sequence[str], steps: int, lora: bool
) -> tuple[dict[str, list[dict[str, Any]]], float]:
    """What each contender reached, in the order in which they are named, and the median of the product rates between
    them: a shared machine is not as fast at all times, and their rates are medians too."""
    found: dict[str, list[dict[str, Any]]] = {}
    peaks = [product_rate(precision)]
    for number, which in enumerate(order, 1):
        print(f"{number} of {len(order)}: {which}", file=sys.stderr)
        result = run(folder, which, "llama", precision, steps, lora)
        if result:
            found.setdefault(which, []).append(result)
        peaks.append(product_rate(precision))
    return found, statistics.median(peaks)


def summary(found: dict[str, list[dict[str, Any]]], peak: float, facts: dict[str, Any]) -> dict[str, Any]:
    """The object that --json ends with."""
    rate = {which: statistics.median(result["rate"] for result in results) for which, results in found.items()}
    peers = {which: value for which, value in rate.items() if which != "ours"}
    share = facts["supervised"]
    told: dict[str, Any] = {
        "ratio_trl_default": round(rate["ours"] / rate["trl"], 2) if "trl" in rate else None,
        "ratio_best_peer": round(rate["ours"] / max(peers.values()), 2) if peers else None,
        "best_peer": max(peers, key=peers.__getitem__) if peers else None,
        "mfu": round(rate["ours"] * operations(1) / peak, 3),
        "mfu_computed": round(rate["ours"] * operations(1, share) / peak, 3),
        "loss_gap": gap(found, "trl"),
        "loss_gap_llamafactory": gap(found, "llamafactory"),
        "tokens_per_cpu_second": {which: round(value, 1) for which, value in rate.items()},
        "supervised_tokens_per_cpu_second": {
            which: round(statistics.median(result["supervised_rate"] for result in results), 1)
            for which, results in found.items()
        },
        "losses": {which: [round(loss, 4) for loss in results[0]["losses"]] for which, results in found.items()},
        "peak_gflops_per_cpu_second": round(peak / 1e9, 1),
        "versions": {which: results[0]["versions"] for which, results in found.items()},
    }
    return told | {"work": facts}


def gap(found: dict[str, list[dict[str, Any]]], peer: str) -> float | None:
    """How far our loss at the first step, on the same rows in the same order, is from a peer's."""
    if peer not in found:
        return None
    return abs(found["ours"][0]["losses"][0] - found[peer][0]["losses"][0])


def memory(folder: Path, precision: str) -> dict[str, Any]:
    """Peak memory of one step with 151,936 words, ours and TRL's default, in bytes of resident memory."""
    if "trl" not in installed():
        return {"memory_ratio": None}
    ours, trl = (run(folder, which, "qwen", precision, 1, False) for which in ("ours", "trl"))
    if not ours or not trl:
        return {"memory_ratio": None}
    return {
        "memory_ratio": round(ours["peak_bytes"] / trl["peak_bytes"], 3),
        "peak_gib": {"ours": round(ours["peak_bytes"] / 2**30, 2), "trl": round(trl["peak_bytes"] / 2**30, 2)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few steps, two peers; under five minutes")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, help="rows to tune on; by default Alpaca's, where they are at hand")
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="by default what this machine is faster in")
    options = parser.parse_args()
    precision = options.precision or choose("auto", torch.device("cpu"))
    here = installed()
    order, steps = ([which for which in QUICK if which in here], 3) if options.quick else (here * 3, 6)
    absent = [which for which in CONTENDERS if which not in here]
    if absent:
        print(f"not installed (make bench-peers), left out: {', '.join(absent)}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        facts = prepare(folder, BATCH * steps, options.data)
        found, peak = rates(folder, precision, order, steps, options.lora)
        told = {"precision": precision, "left_out": absent, **summary(found, peak, facts), **memory(folder, precision)}
    if options.json:
        print(json.dumps(told))
    else:
        print("\n".join(f"{key:34} {value}" for key, value in told.items()))


if __name__ == "__main__":
    main()
