"""Carry out a Score stage: exact match of greedy answers on held-out practice tasks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.artifact import hash_file, whole_folder
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Score
from tunesmith.stages import reuse
from tunesmith.stages.practice import HELDOUT, read_tasks

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.models.nano.families.family import Task
    from tunesmith.tune.watch import Live


def run(stage: Score, out: Path, again: bool, watch: "Live") -> dict[str, Any]:
    """Score `stage.model` and keep the scores, with every answer, in `out`."""
    from tunesmith.models.load import content_hash

    tasks = Path(stage.tasks)
    if not (tasks / HELDOUT).is_file():
        raise UserError(
            tr("{path} holds no held-out tasks", path=tasks), tr("give a folder that a practice stage made")
        )
    inputs = {"model": content_hash(stage.model), "tasks": hash_file(tasks / HELDOUT)}
    done = reuse.known(out, stage, inputs, again)
    if done is None:
        with whole_folder(out) as folder:
            done = reuse.manifest(stage, inputs, **measure(stage, read_tasks(tasks), watch))
            reuse.write_manifest(folder, done)
    low, high = done["scores"]["interval"]
    watch.say(
        tr(
            "exact match {share}, 95 % interval {low} to {high}",
            share=f"{done['scores']['exact_match']:.1%}",
            low=f"{low:.1%}",
            high=f"{high:.1%}",
        )
    )
    return {"path": str(out), **done["scores"], "answers": done["answers"], "seconds": done["seconds"]}


def measure(stage: Score, tasks: list["Task"], watch: "Live") -> dict[str, Any]:
    """Scores over all tasks and by family, and every answer given."""
    from tunesmith.evaluate.practice import score
    from tunesmith.models.load import load_model, load_tokenizer
    from tunesmith.records import text_message
    from tunesmith.stages.examples import choose_template
    from tunesmith.text.render import Renderer

    start = time.perf_counter()
    tokenizer = load_tokenizer(stage.model)
    renderer = Renderer(choose_template(stage.template, tokenizer), tokenizer)
    model = load_model(stage.model)

    def prompt(task: "Task") -> list[int]:
        return renderer.prompt([text_message("user", task.instruction, *([task.input] if task.input else []))])

    with counting(watch.console, tr("answering")) as count:
        scores = score(model, tokenizer, prompt, renderer.stop_ids, tasks, count)
    answers = [sample.to_json() for sample in scores.samples]
    return {"scores": scores.to_json(), "answers": answers, "seconds": round(time.perf_counter() - start, 1)}


@contextmanager
def counting(console: "Console", title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar, as a function of what is done and what is to do."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
