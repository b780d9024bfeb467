"""tunesmith recipes: what is shipped, what a recipe sets, and how two differ."""

from typing import Annotated

import typer

from tunesmith.cli.console import emit
from tunesmith.messages import tr

app = typer.Typer(no_args_is_help=True, help=tr("List, print and compare recipes."))
Json = Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))]


@app.command("list", help=tr("The shipped recipes."), epilog="tunesmith recipes list")
def list_(json: Json = False) -> None:
    from tunesmith import recipes

    found = {name: recipes.load(name).summary for name in recipes.names()}
    if json:
        emit({"recipes": found})
        return
    for name, summary in found.items():
        typer.echo(f"{name:14} {summary}")


@app.command(
    help=tr("Every setting of a recipe, and where it is written."), epilog="tunesmith recipes show alpaca tune.lr=1e-5"
)
def show(words: Annotated[list[str], typer.Argument(metavar="RECIPE [KEY=VALUE]…")], json: Json = False) -> None:
    from tunesmith import config, recipes
    from tunesmith.cli.words import chosen_recipe

    recipe = chosen_recipe(words, None)
    places = {"recipe": recipes.source(recipe.name)} if recipe.name in recipes.names() else {}
    places |= {name: recipes.settings_source(stage) for name, stage in recipe.stages}
    if json:
        emit(config.to_json(recipe) | {"sources": places})
        return
    typer.echo(f"{recipe.name}: {recipe.summary}")
    for name, place in places.items():
        typer.echo(f"  # {name}: {place}")
    for key, value in config.leaves(recipe).items():
        typer.echo(f"{key} = {value}")


@app.command(help=tr("The settings in which two recipes differ."), epilog="tunesmith recipes diff alpaca belle_sft")
def diff(old: str, new: str, json: Json = False) -> None:
    from tunesmith import config
    from tunesmith.cli.words import chosen_recipe

    lines = config.diff(chosen_recipe([old], None), chosen_recipe([new], None))
    if json:
        emit({"differences": lines})
    else:
        typer.echo("\n".join(lines))
