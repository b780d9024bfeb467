"""tunesmith tune: base and data in, a model that follows instructions out."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.errors import UserError
from tunesmith.messages import tr

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
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.cli.words import chosen_recipe
    from tunesmith.recipe import Tune
    from tunesmith.stages.run import run
    from tunesmith.stages.sft import with_inputs

    recipe = chosen_recipe(words or [], "sft")
    if out is None:
        raise UserError(tr("no output folder given"), tr("add --out FOLDER"))
    if len(recipe.stages) != 1 or not isinstance(recipe.stages[0][1], Tune):
        raise UserError(
            tr("recipe {name} is not a single tuning", name=recipe.name),
            tr("use: tunesmith run {name} --out FOLDER", name=recipe.name),
        )
    ((name, stage),) = recipe.stages
    assert isinstance(stage, Tune)
    recipe = replace(recipe, stages=((name, with_inputs(stage, base, tuple(data or ()))),))
    summary = run(recipe, out, resume, human())[name]
    if json:
        emit({"recipe": recipe.name, **summary})
    else:
        tell(summary)


def tell(summary: dict[str, object]) -> None:
    """What was made, and what to do with it."""
    console = human()
    metrics = summary["metrics"]
    assert isinstance(metrics, dict)
    losses = {key: f"{metrics[f'{key}_loss']:.3f}" for key in ("first", "last")}
    console.print(tr("loss {first} → {last} in {seconds} s", **losses, seconds=summary["seconds"]), markup=False)
    console.print(tr("saved {model}", model=summary["model"]), markup=False, style="bold")
    console.print(f"  tunesmith chat {summary['model']}", markup=False)


tune.__doc__ = tr("Tune a base model on conversations, and prove each step.")
