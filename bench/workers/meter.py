"""What a contender is given and what it reports. Peers run it where there is no Tunesmith."""

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Meter:
    """CPU-seconds and loss of each optimizer step."""

    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    started: float = 0.0

    def begin(self) -> None:
        self.started = time.process_time()

    def end(self) -> None:
        self.seconds.append(time.process_time() - self.started)

    def report(self, supervised: list[int], tokens: list[int]) -> None:
        """Print one JSON line. The first step warms up and is left out of the rates."""
        counted = range(1, min(len(self.seconds), len(tokens)))
        packages = {}
        for name in ("torch", "transformers", "trl", "llamafactory"):
            try:
                packages[name] = version(name)
            except PackageNotFoundError:
                continue
        found = {
            "rate": statistics.median([tokens[step] / self.seconds[step] for step in counted] or [0.0]),
            "supervised_rate": statistics.median([supervised[step] / self.seconds[step] for step in counted] or [0.0]),
            "steps": len(self.seconds),
            "losses": self.losses,
            "peak_bytes": peak_bytes(),
            "versions": packages,
        }
        print("RESULT " + json.dumps(found), flush=True)


def peak_bytes() -> int:
    """Resident memory of this process at its highest. ru_maxrss would begin with what the parent process held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def given() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(settings, rows) from the folder named on the command line; a row is {"ids": […], "read": tokens not learnt}."""
    folder = Path(sys.argv[1])
    settings = json.loads((folder / sys.argv[2]).read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    return settings, rows[: settings["steps"] * settings["batch"]]


def sizes(rows: list[dict[str, Any]], batch: int) -> tuple[list[int], list[int]]:
    """(supervised tokens, tokens) of each step of `batch` rows."""
    steps = [rows[start : start + batch] for start in range(0, len(rows), batch)]
    supervised = [sum(len(row["ids"]) - row["read"] for row in step) for step in steps]
    return supervised, [sum(len(row["ids"]) for row in step) for step in steps]
