"""Preparing data against the usual ways, in records per CPU-second, with how the cost grows.

    make bench-peers && python -m bench.data [--quick] [--json]

Rendering and tokenizing against TRL's own preparation, near duplicates against datasketch, the novelty rule against the
loop over rouge_score, decontamination, and the whole of `tunesmith data prepare`. Rows are real ones, resampled with
edits; peers are measured as far as they come in sensible time: TRL on 100,000 rows, datasketch and exact Jaccard on
5,000, rouge_score on 1,000. Rates are per CPU-second of the process: wall time on a shared machine says little.
The last line of --json is one object.
"""

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.dedup import decontamination, dedup, novelty, resampled
from bench.prepare import prepare
from bench.workers.meter import peak_bytes
from tunesmith.data import engines
from tunesmith.data.plan import load
from tunesmith.data.preparing import prepare as run
from tunesmith.formats import named

SIZES, QUICK = (10_000, 100_000, 1_000_000), (2_500, 10_000)
NOVEL = 100_000  # instructions of the largest novelty test: the rule compares with everything kept
NANO = Path(__file__).resolve().parent.parent / "src/tunesmith/models/nano/weights"


class Silent:
    """Nobody looks on."""

    def begin(self, name: str, total: int) -> None: ...

    def advance(self, rows: int, done: int) -> None: ...

    def say(self, text: str) -> None: ...


def whole(n: int) -> dict[str, Any]:
    """The default steps over n rows, in one process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder, "rows.jsonl")
        with rows.open("w", encoding="utf-8") as handle:
            for row in resampled(n):
                handle.write(json.dumps(named("openai").write(row)) + "\n")
        return alone(measured, n, folder)


def alone(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """The work in a process of its own, with the most memory that it held: rows of the benchmark and imports too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = dict(pool.apply(work, given))
        return found | ({} if "peak_mib" in found else {"peak_mib": pool.apply(peak_bytes) >> 20})


def measured(n: int, folder: str) -> dict[str, Any]:
    rows = Path(folder, "rows.jsonl")
    start = time.process_time()
    with engines.local(1) as engine:
        report = run(load([str(rows)]), Path(folder, "out"), engine, str(NANO), Silent())
    seconds = time.process_time() - start
    return {
        "rows": n, "kept": report["rows"], "rows_per_cpu_second": n / seconds, "cpu_seconds": seconds,
    }  # fmt: skip


def exponent(few: dict[str, Any], many: dict[str, Any]) -> float:
    """k, where the cost grows as rows to the k."""
    cost = [found["rows"] / rate(found) for found in (few, many)]
    return math.log(cost[1] / cost[0]) / math.log(many["rows"] / few["rows"])


def rate(found: dict[str, Any]) -> float:
    """Our rows per CPU-second."""
    return float(found["ours"] if "ours" in found else found["rows_per_cpu_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10,000 rows at most")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    given = parser.parse_args()
    sizes = QUICK if given.quick else SIZES
    found: dict[str, list[dict[str, Any]]] = {}
    for name, work in {"prepare": prepare, "dedup": dedup, "novelty": novelty, "decontamination": decontamination,
                       "pipeline": whole}.items():  # fmt: skip
        for size in [size for size in sizes if name != "novelty" or size <= NOVEL]:
            found.setdefault(name, []).append(work(size) if work in (prepare, whole) else alone(work, size))
            print(name, json.dumps(found[name][-1]), flush=True)
    last = {name: runs[-1] for name, runs in found.items()}
    summary = {
        "prepare_ratio_trl": next((run["ratio"] for run in reversed(found["prepare"]) if run["ratio"]), None),
        "dedup_ratio_datasketch": last["dedup"]["ratio_datasketch"],
        "dedup_precision": last["dedup"]["precision"],
        "dedup_recall": last["dedup"]["recall"],
        "novelty_ratio": last["novelty"]["ratio_rouge_score"],
        "growth": {name: exponent(*runs[-2:]) for name, runs in found.items()},
        "runs": found,
    }
    if given.json:
        print(json.dumps(summary))


if __name__ == "__main__":
    main()
