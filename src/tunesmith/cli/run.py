"""tunesmith run: carry out a recipe of any number of stages."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.errors import UserError
from tunesmith.messages import tr

EXAMPLES = tr(
    "Examples: tunesmith run mine.yaml --out runs/mine tune.lr=1e-4  |  tunesmith run nano_base --out my-nano"
)


def run(
    words: Annotated[
        list[str],
        typer.Argument(metavar="RECIPE [KEY=VALUE]…", help=tr("A recipe, YAML file or Python file, and settings.")),
    ],
    out: Annotated[Path | None, typer.Option("--out", help=tr("Folder for what the recipe makes."))] = None,
    resume: Annotated[bool, typer.Option("--resume", help=tr("Go on from the last checkpoint in --out."))] = False,
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.cli.words import chosen_recipe
    from tunesmith.stages.run import run as carry_out

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # as torchrun says
        raise UserError(tr("a recipe of several stages runs in one process"), tr("use torchrun with tunesmith tune"))
    recipe = chosen_recipe(words, None)
    if out is None:
        raise UserError(tr("no output folder given"), tr("add --out FOLDER"))
    told = carry_out(recipe, out, resume, human())
    if json:
        emit({"recipe": recipe.name, "out": str(out), "stages": told})
    else:
        human().print(tr("done: {path}", path=out), markup=False, style="bold")


run.__doc__ = tr("Carry out a recipe: every stage in order, each proven.")
