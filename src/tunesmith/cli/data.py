"""tunesmith data: look at data, and prepare it, before anything is trained on it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli import prepare
from tunesmith.messages import tr

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tunesmith.formats.inspect import Inspection
    from tunesmith.formats.source import Source

SHOWN = 20  # refusals printed; the rejects file and --json have them all

app = typer.Typer(no_args_is_help=True, help=tr("Look at data, and prepare it."))


@app.callback()
def data() -> None: ...


@app.command(
    help=tr("Print format, counts, lengths, languages, duplicates and every refusal; reads everything once."),
    epilog=tr("Example: tunesmith data inspect alpaca.json chats/ --rejects refused.jsonl"),
)
def inspect(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH…",
            help=tr(
                "Files, folders, hub ids (owner/name), a dataset_info.json or one of its sets: dataset_info.json#name"
            ),
        ),
    ],
    format: Annotated[
        str, typer.Option("--format", help=tr("How records are stored, if it is not told rightly from their content."))
    ] = "auto",
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", metavar="FILE", help=tr("Write the refused records here, as JSON lines.")),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object."))] = False,
) -> None:
    from tunesmith.cli.console import emit, human

    console = human()
    found = inspected(paths, format, rejects, console)
    if json:
        emit(found.to_json())
    else:
        show(found, rejects, console)
    if not found.kept:
        raise typer.Exit(2)


app.command(
    help=tr("Clean, deduplicate, select and mix data; every row is accounted for, and a killed run goes on."),
    epilog=tr("Example: tunesmith data prepare alpaca.json belle/ --out data/mine --workers 2 lengths.answer=2"),
)(prepare.prepare)
app.command(
    help=tr("List the steps that a recipe can name, with an example of each."),
    epilog=tr("Example: tunesmith data steps near_duplicates"),
)(prepare.steps)
app.command(
    help=tr("Look at prepared rows, or at those that were let go."),
    epilog=tr('Example: tunesmith data show data/mine --where "language=zh" --where "tokens>500"'),
)(prepare.show)
app.command(
    help=tr("Compare two prepared sets: rows, settings, and why rows were let go."),
    epilog=tr("Example: tunesmith data diff data/old data/new"),
)(prepare.diff)


def inspected(paths: list[str], format: str, rejects: Path | None, console: "Console") -> "Inspection":
    """Read everything, with a live count."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from tunesmith.formats.inspect import inspect as look
    from tunesmith.formats.rejects import rejects_file

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f}"), TextColumn("{task.description}", markup=False))
    with (
        rejects_file(rejects, paths) as reject,
        Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress,
    ):
        task = progress.add_task("", total=None)

        def seen(source: "Source", count: int) -> None:
            if count % 1000 == 1:
                progress.update(task, completed=count, description=f"{source.name} ({source.format})")

        return look(paths, format, reject, seen)


def show(found: "Inspection", rejects: Path | None, console: "Console") -> None:
    """The report for people."""
    counts = {"read": found.kept + found.refused, "kept": found.kept, "refused": found.refused}
    console.print(files_table(found))
    if found.kept:
        console.print(lengths_table(found))
        languages = ", ".join(f"{name} {count:,}" for name, count in found.languages.most_common())
        console.print(tr("languages: {languages}", languages=languages), markup=False)
        console.print(tr("exact duplicates: {count}", count=f"{found.duplicates():,}"), markup=False)
    for refusal in found.refusals[:SHOWN]:
        console.print(str(refusal), markup=False, style="yellow")
    if len(found.refusals) > SHOWN:
        more = len(found.refusals) - SHOWN
        console.print(tr("… and {count} more: --rejects FILE or --json lists all", count=more), markup=False)
    if rejects and found.refusals:
        console.print(tr("refused records written to {path}", path=rejects), markup=False)
    console.print(tr("{read} read, {kept} kept, {refused} refused", **counts), markup=False, style="bold")


def files_table(found: "Inspection") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(tr("file"), tr("format"))
    for name in (tr("kept"), tr("refused")):
        table.add_column(name, justify="right")
    for file in found.files:
        table.add_row(Text(file.file, overflow="fold"), file.format, f"{file.kept:,}", f"{file.refused:,}")
    return table


def lengths_table(found: "Inspection") -> "Table":
    from rich.table import Table

    names = {
        "characters": tr("characters"),
        "answers": tr("… in answers"),
        "messages": tr("messages"),
    }
    table = Table("")
    lengths = found.lengths()
    for statistic in lengths["characters"]:
        table.add_column(statistic, justify="right")
    for key, values in lengths.items():
        table.add_row(names[key], *(f"{value:,}" for value in values.values()))
    return table
