"""Walk through a recipe: carry out its stages in order, reusing what is already there and unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.recipe import Practice, Pretrain, Recipe, Score, Stage, Tune

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.tune.watch import Live


def run(recipe: Recipe, out: Path, resume: bool, console: "Console") -> dict[str, dict[str, Any]]:
    """Carry out every stage; returns what each one has to say, by stage name.

    A recipe of one stage writes `out` itself; one of several writes a folder for each below it, and a
    stage whose folder is complete and made with the same settings from the same inputs is not done again.
    """
    single = len(recipe.stages) == 1
    told: dict[str, dict[str, Any]] = {}
    for number, (name, stage) in enumerate(recipe.stages, start=1):
        folder = out if single else out / name
        ready = linked(stage, out, dict(recipe.stages))
        if not single:
            title = tr("{number}/{total}  {name}", number=number, total=len(recipe.stages), name=name)
            console.print(title, style="bold", markup=False)
        told[name] = carry_out(ready, folder, resume or not single, console)
    return told


def linked(stage: Stage, out: Path, stages: dict[str, Stage]) -> Stage:
    """The stage with every "@name" replaced by the folder of that stage."""

    def folder(text: str) -> str:
        if not text.startswith("@"):
            return text
        if text[1:] not in stages:
            raise UserError(tr("no stage {name!r}", name=text[1:]), tr("use one of {names}", names=", ".join(stages)))
        return str(out / text[1:])

    if isinstance(stage, Tune):
        return replace(stage, base=folder(stage.base), data=tuple(folder(path) for path in stage.data))
    if isinstance(stage, Score):
        return replace(stage, model=folder(stage.model), tasks=folder(stage.tasks))
    return stage


def carry_out(stage: Stage, out: Path, resume: bool, console: "Console") -> dict[str, Any]:
    """One stage of any kind."""
    with watching(console) as watch:
        if isinstance(stage, Tune):
            from tunesmith.stages import sft
            from tunesmith.tune.parallel import joined

            with joined():
                return sft.run(stage, out, resume, watch).summary
        if isinstance(stage, Practice):
            from tunesmith.stages import practice

            return practice.run(stage, out, resume, watch)
        if isinstance(stage, Score):
            from tunesmith.stages import score

            return score.run(stage, out, resume, watch)
        if isinstance(stage, Pretrain):
            from tunesmith.stages import pretrain

            return pretrain.run(stage, out, watch)
    raise UserError(tr("a recipe cannot hold a {kind}", kind=type(stage).__name__))


@contextmanager
def watching(console: "Console") -> Iterator["Live"]:
    """Progress on stderr while a stage runs."""
    from tunesmith.tune.watch import Live

    with Live(console) as watch:
        yield watch
