"""tunesmith tune: base and data in, a model that follows instructions out."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import emit, human, leads
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Tune

EXAMPLES = tr(
    "Examples: tunesmith tune --base nano --data rows.json --out my-model template=chatml tune.epochs=2  |  "
    "tunesmith tune belle_sft --base LLAMA --data belle.json --out my-belle adapter=lora"
)


def tune(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] [KEY=VALUE]…", help=tr("A recipe, YAML file or Python file (default: sft), and settings.")
        ),
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help=tr("Model folder, hub id, or nano."))] = None,
    data: Annotated[
        list[str] | None, typer.Option("--data", help=tr("File, folder or dataset id; may be repeated."))
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help=tr("Folder for the tuned model; must not exist yet."))
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help=tr("Go on from the last checkpoint in --out."))] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help=tr("Take a few steps, tell what the whole run would take, and stop."))
    ] = False,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help=tr("Processes on this machine that share the work, one a GPU."))
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    if processes > 1 and not started_with_others():
        from tunesmith.tune.launch import launch

        raise typer.Exit(launch(processes, sys.argv[1:]))
    from tunesmith.cli.words import chosen_recipe
    from tunesmith.stages.run import run
    from tunesmith.stages.sft import with_inputs

    recipe = chosen_recipe(words or [], "sft")
    if out is None and not plan:
        raise UserError(tr("no output folder given"), tr("add --out FOLDER"))
    if len(recipe.stages) != 1 or not isinstance(recipe.stages[0][1], Tune):
        raise UserError(
            tr("recipe {name} is not a single tuning", name=recipe.name),
            tr("use: tunesmith run {name} --out FOLDER", name=recipe.name),
        )
    ((name, stage),) = recipe.stages
    assert isinstance(stage, Tune)
    stage = with_inputs(stage, base, tuple(data or ()))
    if out is None or plan:
        tell_plan(stage, json)
        return
    recipe = replace(recipe, stages=((name, stage),))
    summary = run(recipe, out, resume, human())[name]
    if json:
        emit({"recipe": recipe.name, **summary})
    else:
        tell(summary)


def started_with_others() -> bool:
    """Whether torchrun, or --processes itself, started this process."""
    return "WORLD_SIZE" in os.environ


def tell_plan(stage: Tune, json: bool) -> None:
    """The forecast of a run."""
    from tunesmith.stages.run import watching
    from tunesmith.stages.sft import plan
    from tunesmith.tune.parallel import joined

    console = human()
    with joined(), watching(console) as watch:
        found = plan(stage, watch)
    if json:
        emit(found)
        return
    console.print(
        tr(
            "{steps} steps over {tokens} tokens: {minutes} minutes at {speed} tokens/s, {memory} GB of memory, "
            "{disk} GB for a checkpoint",
            steps=f"{found['steps']:,}",
            tokens=f"{found['tokens']:,}",
            minutes=f"{found['seconds'] / 60:.1f}",
            speed=f"{found['tokens_per_second']:,.0f}",
            memory=f"{found['peak_memory_bytes'] / 1e9:.1f}",
            disk=f"{found['checkpoint_bytes'] / 1e9:.2f}",
        ),
        markup=False,
        style="bold",
    )


def tell(summary: dict[str, object]) -> None:
    """What was made, and what to do with it."""
    if not leads():
        return
    console = human()
    metrics = summary["metrics"]
    assert isinstance(metrics, dict)
    losses = {key: f"{metrics[f'{key}_loss']:.3f}" for key in ("first", "last")}
    console.print(tr("loss {first} → {last} in {seconds} s", **losses, seconds=summary["seconds"]), markup=False)
    console.print(tr("saved {model}", model=summary["model"]), markup=False, style="bold")
    console.print(f"  tunesmith chat {summary['model']}", markup=False)


tune.__doc__ = tr("Tune a base model on conversations, and prove each step.")
