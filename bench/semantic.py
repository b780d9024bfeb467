"""What semantic_duplicates misses by looking in lists only, and how its time grows.

    python -m bench.semantic 20000 40000 80000

Alpaca's rows resampled with edits, the encoder that needs no model; CPU-seconds of the decision alone.
"""

import itertools
import math
import sys
import time
from typing import Any
from unittest.mock import patch

from bench.dedup import Memory, resampled
from tunesmith.data.steps import semantic_duplicates
from tunesmith.data.steps.semantic_duplicates import SemanticDuplicates

EXACT = 80_000  # more rows are not compared all with all: it would take an hour


def decided(step: SemanticDuplicates, rows: Memory, run: int) -> tuple[float, set[int]]:
    """(CPU-seconds, the rows let go) where runs of so many rows are compared all with all."""
    start = time.process_time()
    with patch.object(semantic_duplicates, "RUN", run):
        copies = step.decide(rows).copies
    return time.process_time() - start, {row for row, kept in enumerate(copies) if not kept}


def measured(count: int, threshold: float = 0.9) -> dict[str, Any]:
    step = SemanticDuplicates(threshold)
    rows = Memory(step, resampled(count))
    seconds, found = decided(step, rows, semantic_duplicates.RUN)
    result = {"rows": count, "seconds": round(seconds, 1), "found": len(found)}
    if count <= EXACT:
        seconds_all, all_pairs = decided(step, rows, count)
        result |= {"seconds_all": round(seconds_all, 1), "recall": len(found & all_pairs) / len(all_pairs)}
        result |= {"precision": len(found & all_pairs) / len(found)}
    return result


def main() -> None:
    runs = []
    for count in map(int, sys.argv[1:]):
        runs.append(measured(count))
        print(runs[-1], flush=True)
    for few, many in itertools.pairwise(runs):
        for key in ("seconds", "seconds_all"):
            if key in many:
                power = math.log(many[key] / few[key]) / math.log(many["rows"] / few["rows"])
                print(f"{few['rows']} → {many['rows']}: {key} grow with the power {power:.2f}")


if __name__ == "__main__":
    main()
