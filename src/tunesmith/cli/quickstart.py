"""tunesmith quickstart: the whole way on this machine, before and after."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tunesmith.cli.console import emit, human
from tunesmith.messages import tr

EXAMPLES = tr("Examples: tunesmith quickstart  |  tunesmith quickstart --out runs/second tune.lr=5e-4 --json")
SHOWN = 6  # questions shown before and after


def quickstart(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]…", help=tr("Settings of the recipe quickstart."))
    ] = None,
    out: Annotated[Path, typer.Option("--out", help=tr("Folder for what is made; what is there is reused."))] = Path(
        "runs/quickstart"
    ),
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.cli.words import chosen_recipe
    from tunesmith.stages.run import run

    start = time.perf_counter()
    recipe = chosen_recipe(["quickstart", *(words or [])], None)
    told = run(recipe, out, True, human())
    found = summary(told, time.perf_counter() - start)
    if json:
        emit(found)
    else:
        show(found, told)


def summary(told: dict[str, dict[str, Any]], seconds: float) -> dict[str, Any]:
    """What --json prints."""
    from tunesmith.evaluate.statistics import mcnemar

    before, after = told["before"], told["after"]
    families = {
        name: {"before": before["families"][name], "after": after["families"][name]} for name in after["families"]
    }
    pairs = zip(before["answers"], after["answers"], strict=True)
    verdicts = [(earlier["right"], later["right"]) for earlier, later in pairs]
    change = mcnemar([old for old, _ in verdicts], [new for _, new in verdicts])
    return {
        "before": {key: before[key] for key in ("exact_match", "interval")},
        "after": {key: after[key] for key in ("exact_match", "interval")},
        "change": asdict(change),
        "families": families,
        "proofs": told["sft"]["proofs"],
        "model": told["sft"]["model"],
        "seconds": round(seconds, 1),
    }


def show(found: dict[str, Any], told: dict[str, dict[str, Any]]) -> None:
    """Questions before and after, the table by family, the proofs, and what to do next."""
    from rich.console import Console

    page = Console(highlight=False)
    page.print(answers_table(told))
    page.print(families_table(found))
    for proof in found["proofs"]:
        page.print(
            f"{'✓' if proof['passed'] else '✗'} {proof['name']}  {proof['detail']}  ({proof['checked']:,})",
            markup=False,
        )
    for when, title in (("before", tr("before")), ("after", tr("after"))):
        low, high = found[when]["interval"]
        page.print(f"{title}: {found[when]['exact_match']:.1%}  [{low:.1%}, {high:.1%}]", markup=False, style="bold")
    page.print(tr("model: {model}   ({seconds} s)", model=found["model"], seconds=found["seconds"]), markup=False)
    page.print(tr("Next:"), style="bold")
    for command in next_commands(found["model"]):
        page.print(f"  {command}", markup=False)


def next_commands(model: str) -> tuple[str, str, str]:
    train = str(Path(model).parent / "practice" / "train.jsonl")
    return (
        f"tunesmith chat {model}",
        f"tunesmith render {train} --model {model} --index 3",
        f"tunesmith tune --base nano --data {train} --out runs/lora template=chatml adapter=lora tune.lr=2e-3",
    )


def answers_table(told: dict[str, dict[str, Any]]) -> Any:
    """The same questions to the base and to the tuned model."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=tr("the same held-out questions, before and after"))
    for title in (tr("question"), tr("expected"), tr("before"), tr("after")):
        table.add_column(title, max_width=40, overflow="fold")
    before = {answer["prompt"]: answer for answer in told["before"]["answers"]}
    for answer in spread(told["after"]["answers"], SHOWN):
        earlier = before[answer["prompt"]]["given"]
        cells = (answer["prompt"], answer["expected"], earlier[:60], answer["given"][:60])
        table.add_row(*(Text(cell) for cell in cells), style="" if answer["right"] else "yellow")
    return table


def spread(items: list[Any], count: int) -> list[Any]:
    """`count` items at equal distances."""
    return items[:: max(1, len(items) // count)][:count]


def families_table(found: dict[str, Any]) -> Any:
    """Exact match by family, worst first."""
    from rich.table import Table

    table = Table(title=tr("held-out exact match by family, worst first"))
    table.add_column(tr("family"))
    for title in (tr("tasks"), tr("before"), tr("after"), tr("95 % interval")):
        table.add_column(title, justify="right")
    for name, scores in sorted(found["families"].items(), key=lambda item: item[1]["after"]["share"]):
        low, high = scores["after"]["interval"]
        row = (str(scores["after"]["total"]), f"{scores['before']['share']:.0%}", f"{scores['after']['share']:.0%}")
        table.add_row(name, *row, f"{low:.0%} – {high:.0%}")
    return table


quickstart.__doc__ = tr("Tune the embedded base on this machine, and measure before and after.")
