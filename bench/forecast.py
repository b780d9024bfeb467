"""What `tune --plan` foretells against what the run then takes: seconds of training, and peak memory.

    python -m bench.forecast [--rounds 5] [--json]

The embedded base and a Llama of 41 million matrix weights on generated instructions, with held-out evaluations, sample
answers and checkpoints, in processes of their own, a forecast right before each run; a ratio of 1 is a forecast that
came true. Seconds are those that the run reports, of the wall clock: what else the machine does meanwhile is in them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from bench.work import llama, tokenizer
from tunesmith.models.nano.families import generate

SEED = 7
ROWS = {"nano": 4000, "llama": 600}
SETTINGS = (
    "template=chatml", "tune.epochs=1", "tune.lr=1e-3", "tune.precision=fp32", "tune.max_length=256",
    "tune.eval_share=0.05", "tune.eval_every=20", "tune.checkpoint_every=15",
)  # fmt: skip


def rows(folder: Path, count: int) -> Path:
    """A file of instructions and answers."""
    path = folder / f"rows-{count}.jsonl"
    tasks = generate("train", count, SEED)
    lines = [{"instruction": task.instruction, "input": task.input, "output": task.answer} for task in tasks]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def bases(folder: Path) -> dict[str, str]:
    """The embedded base, and a larger one with random weights."""
    torch.manual_seed(0)
    made = folder / "llama"
    llama().save_pretrained(made)
    asked = generate("train", max(ROWS.values()), SEED)
    words = tokenizer([text for task in asked for text in (task.instruction, task.input, task.answer)])
    words.save_pretrained(made)
    return {"nano": "nano", "llama": str(made)}


def tune(base: str, *words: str) -> dict[str, Any]:
    """What `tunesmith tune --json` prints."""
    command = [sys.executable, "-m", "tunesmith", "tune", "--base", base, "--json", *SETTINGS, *words]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def round_of(folder: Path, base: str, data: Path) -> dict[str, float]:
    """Forecast and run, one after the other, and foretold over taken."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        foretold = tune(base, "--data", str(data), "--plan")
        took = tune(base, "--data", str(data), "--out", f"{out}/model")
    return {
        "steps": took["metrics"]["steps"],
        "seconds_foretold": round(foretold["seconds"], 1),
        "seconds_taken": took["seconds"],
        "seconds_ratio": round(foretold["seconds"] / took["seconds"], 3),
        "memory_ratio": round(foretold["peak_memory_bytes"] / took["metrics"]["peak_memory_bytes"], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = bases(folder)
        for _ in range(options.rounds):
            for model, base in models.items():
                rounds[model].append(round_of(folder, base, rows(folder, ROWS[model])))
                facts = "  ".join(f"{key} {value}" for key, value in rounds[model][-1].items())
                print(model, facts, file=sys.stderr, flush=True)
    medians = {
        f"{model}_{key}": statistics.median(each[key] for each in found)
        for model, found in rounds.items()
        for key in ("seconds_ratio", "memory_ratio")
    }
    told = {**medians, "rounds": rounds}
    print(json.dumps(told) if options.json else "\n".join(f"median {key:20} {value}" for key, value in medians.items()))


if __name__ == "__main__":
    main()
