"""What `tune --plan` foretells against what the run then takes: seconds of all steps, and peak memory.

    python -m bench.forecast [--rounds 5] [--json]

The embedded base on generated instructions, in processes of their own, a forecast right before each run; a ratio of 1
is a forecast that came true.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tunesmith.models.nano.families import generate

ROWS, SEED = 2000, 7
SETTINGS = ("template=chatml", "tune.epochs=1", "tune.lr=1e-3", "tune.precision=fp32", "tune.max_length=256")


def rows(folder: Path) -> Path:
    """A file of instructions and answers."""
    path = folder / "rows.jsonl"
    tasks = generate("train", ROWS, SEED)
    lines = [{"instruction": task.instruction, "input": task.input, "output": task.answer} for task in tasks]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def tune(*words: str) -> dict[str, Any]:
    """What `tunesmith tune --json` prints."""
    command = [sys.executable, "-m", "tunesmith", "tune", "--base", "nano", "--json", *SETTINGS, *words]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def round_of(folder: Path, data: str, number: int) -> dict[str, float]:
    """Forecast and run, one after the other, and foretold over taken."""
    out = folder / f"out-{number}"
    foretold = tune("--data", data, "--plan")
    took = tune("--data", data, "--out", str(out))
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    seconds = sum(line["seconds"] for line in log)
    return {
        "steps": len(log),
        "seconds_foretold": round(foretold["seconds"], 1),
        "seconds_taken": round(seconds, 1),
        "seconds_ratio": round(foretold["seconds"] / seconds, 3),
        "memory_ratio": round(foretold["peak_memory_bytes"] / took["metrics"]["peak_memory_bytes"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = str(rows(folder))
        rounds = []
        for number in range(options.rounds):
            rounds.append(round_of(folder, data, number))
            print("  ".join(f"{key} {value}" for key, value in rounds[-1].items()), file=sys.stderr, flush=True)
    medians = {key: statistics.median(each[key] for each in rounds) for key in ("seconds_ratio", "memory_ratio")}
    told = {**medians, "rounds": rounds}
    print(json.dumps(told) if options.json else "\n".join(f"median {key:14} {value}" for key, value in medians.items()))


if __name__ == "__main__":
    main()
