"""Carry out a Practice stage: write instructions to tune on, and held-out tasks to score with."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.artifact import whole_folder
from tunesmith.messages import tr
from tunesmith.recipe import Practice
from tunesmith.stages import reuse

if TYPE_CHECKING:
    from tunesmith.models.nano.families.family import Task
    from tunesmith.tune.watch import Watcher

TRAIN, HELDOUT = "train.jsonl", "heldout.tasks"  # the second is no data file: the folder is read as training data
KEYS = ("family", "language", "instruction", "input")


def run(stage: Practice, out: Path, again: bool, watch: "Watcher") -> dict[str, Any]:
    """Write both parts into `out`, the training part as alpaca rows that any tool reads."""
    from tunesmith.models.nano import families

    done = reuse.known(out, stage, {}, again)
    if done is None:
        with whole_folder(out) as folder:
            write_lines(folder / TRAIN, families.generate("train", stage.train, stage.seed))
            write_lines(folder / HELDOUT, families.generate("heldout", stage.heldout, stage.seed))
            done = reuse.manifest(stage, {}, families=list(families.NAMES), licence="Apache-2.0")
            reuse.write_manifest(folder, done)
    count = len(done["families"])
    watch.say(
        tr(
            "{train} instructions to tune on, {heldout} held-out tasks, {count} families",
            train=f"{stage.train:,}",
            heldout=f"{stage.heldout:,}",
            count=count,
        )
    )
    return {"path": str(out), "train": stage.train, "heldout": stage.heldout, "families": done["families"]}


def write_lines(file: Path, tasks: Iterable["Task"]) -> None:
    """One task a line: instruction, input and output as in Alpaca, with family and language."""
    with file.open("w", encoding="utf-8") as handle:
        for task in tasks:
            row = {key: getattr(task, key) for key in KEYS} | {"output": task.answer}
            row |= {"licence": "Apache-2.0", "generator": "tunesmith practice"}
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_tasks(folder: Path) -> list["Task"]:
    """The held-out tasks of a practice folder."""
    from tunesmith.models.nano.families.family import Task

    rows = (json.loads(line) for line in (folder / HELDOUT).read_text(encoding="utf-8").splitlines())
    return [Task(**{key: row[key] for key in KEYS}, answer=row["output"]) for row in rows]
