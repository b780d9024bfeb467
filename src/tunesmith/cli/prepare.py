"""tunesmith data prepare|steps|diff|show: from raw data to rows of which each is accounted for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tunesmith.errors import UserError
from tunesmith.messages import tr

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from tunesmith.data.told import Told

JSON = Annotated[bool, typer.Option("--json", help=tr("Print one JSON object."))]
ENGINES = ("local", "ray")


def prepare(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE|PATH… [STEP.OPTION=VALUE]…",
            help=tr("A recipe in YAML (sources and steps), or the data itself for the default steps; and options."),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help=tr("Folder for the prepared data; must not exist yet."))],
    workers: Annotated[
        int, typer.Option("--workers", min=0, help=tr("Processes that share the work; 0: one a core."))
    ] = 0,
    engine: Annotated[
        str, typer.Option("--engine", help=tr("local: this machine; ray: Ray Data, on a cluster where there is one."))
    ] = "local",
    tokenizer: Annotated[
        str,
        typer.Option("--tokenizer", help=tr("Counts the tokens of the report: model folder, tokenizer file or nano.")),
    ] = "nano",
    json: JSON = False,
) -> None:
    from tunesmith.cli.console import emit, human
    from tunesmith.config import from_word
    from tunesmith.data import engines
    from tunesmith.data.plan import load
    from tunesmith.data.preparing import prepare as run

    if engine not in ENGINES:
        raise UserError(tr("no engine {name!r}", name=engine), tr("use one of {names}", names=", ".join(ENGINES)))
    options = [from_word(word) for word in words if is_option(word)]
    plan = load([word for word in words if not is_option(word)], options)
    console = human()
    with getattr(engines, engine)(workers) as work, progress(console) as bar:
        report = run(plan, out, work, folder_of(tokenizer), Bar(bar))
    if json:
        emit({"out": str(out)} | report)
    else:
        tell(report, out, console)


def is_option(word: str) -> bool:
    """Whether it sets an option of a step, and is no path."""
    return "=" in word and "." in word.partition("=")[0] and not Path(word).exists()


def folder_of(tokenizer: str) -> str:
    if tokenizer != "nano":
        return tokenizer
    from tunesmith.models import nano

    return str(nano.path())


def progress(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rows]:,} rows", markup=False),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


class Bar:
    """One bar for the part of the work that runs; a line for each that is done."""

    def __init__(self, bar: "Progress") -> None:
        self.bar = bar
        self.task = bar.add_task("", total=None, rows=0)
        self.rows = 0

    def begin(self, name: str, total: int) -> None:
        self.rows = 0
        self.bar.reset(self.task, description=name, total=total or None, rows=0)

    def advance(self, rows: int, done: int) -> None:
        self.rows += rows
        self.bar.update(self.task, advance=done, rows=self.rows)

    def say(self, text: str) -> None:
        self.bar.console.print(text, markup=False)


def tell(report: dict[str, Any], out: Path, console: "Console") -> None:
    """What became of the rows."""
    from rich.table import Table

    table = Table(tr("step"))
    for name in (tr("in"), tr("out"), tr("changed")):
        table.add_column(name, justify="right")
    table.add_column(tr("let go"))
    for step in report["steps"]:
        told = [f"{tr(reason)} {count:,}" for reason, count in step["reasons"].items()]
        told += [tr("passed, being no conversations: {count}", count=f"{step['apart']:,}")] if step["apart"] else []
        reasons = "\n".join(told)
        table.add_row(step["step"], f"{step['in']:,}", f"{step['out']:,}", f"{step['changed']:,}", reasons)
    console.print(table)
    languages = ", ".join(f"{name} {count:,}" for name, count in report["languages"].items())
    console.print(tr("languages: {languages}", languages=languages), markup=False)
    for warning in report["warnings"]:
        console.print(warning, markup=False, style="yellow")
    console.print(
        tr(
            "{rows} rows of {read} kept, {tokens} tokens: {out}/report.html",
            rows=f"{report['rows']:,}",
            read=f"{report['read']:,}",
            tokens=f"{report['tokens']['total']:,}",
            out=out,
        ),
        markup=False,
        style="bold",
    )


def steps(
    name: Annotated[str | None, typer.Argument(metavar="[STEP]", help=tr("Tell all about this one."))] = None,
    json: JSON = False,
) -> None:
    from tunesmith.cli.console import emit, human
    from tunesmith.data import step
    from tunesmith.data.told import told

    kinds = {one: step.kind(one) for one in ([name] if name else step.names())}
    if json:
        emit({"steps": {one: described(kind) for one, kind in kinds.items()}})
        return
    console = human()
    for one, kind in kinds.items():
        of = told(kind)
        console.print(one, style="bold", markup=False)
        console.print(f"  {tr(of.summary)}", markup=False)
        if name:
            tell_options(of, console)
            for text in of.paragraphs:
                console.print(f"  {tr(text)}", markup=False)
        if name and of.reasons:
            reasons = ", ".join(tr(reason) for reason in of.reasons)
            console.print(tr("  lets go of: {reasons}", reasons=reasons), markup=False)
        console.print(f"  - {of.example}", markup=False, style="dim")


def tell_options(of: "Told", console: "Console") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for names, text, value in of.options:
        table.add_row(Text(f"  {names}"), Text(value, style="dim"), Text(tr(text)))
    if of.options:
        console.print(table)


def described(kind: Any) -> dict[str, Any]:
    from dataclasses import MISSING, fields

    from tunesmith.data.told import told

    of = told(kind)
    return {
        "help": of.summary,
        "options": {field.name: None if field.default is MISSING else field.default for field in fields(kind)},
        "about": {names: text for names, text, _ in of.options},
        "notes": list(of.paragraphs),
        "judges": list(kind.KINDS),
        "reasons": list(of.reasons),
        "example": of.example,
    }


def show(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help=tr("A folder that data prepare made."))],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", help=tr('A condition such as "language=zh", "tokens>500" or "text~sorry"; may repeat.')
        ),
    ] = None,
    rejects: Annotated[bool, typer.Option("--rejects", help=tr("Look at the rows that were let go."))] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help=tr("Rows to show."))] = 10,
    json: JSON = False,
) -> None:
    from itertools import islice

    from tunesmith.cli.console import emit, human
    from tunesmith.data import prepared
    from tunesmith.data.passing import rejects_schema
    from tunesmith.data.show import matching

    made = prepared.open_prepared(folder)
    columns = (rejects_schema() if rejects else prepared.schema()).names
    rows = list(islice(matching(made.rejects() if rejects else made.rows(), where or [], columns), limit))
    if json:
        emit({"rows": rows})
        return
    console = human()
    for row in rows:
        tell_reject(row, console) if rejects else tell_row(row, console)
    if not rows:
        console.print(tr("no row matches"), markup=False)


def tell_row(row: dict[str, Any], console: "Console") -> None:
    from tunesmith.formats.prepared import turns

    place = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
    about = tr("{count} tokens", count=row["tokens"])
    console.rule(f"{row['id']}  {place}  {row['language']}  {about}")
    for who, message in turns(row):
        console.print(f"{who}: ", style="bold", end="", markup=False)
        console.print(message["content"], markup=False)


def tell_reject(row: dict[str, Any], console: "Console") -> None:
    from tunesmith.data.report import excerpt

    place = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
    console.rule(f"{row['id']}  {place}")
    console.print(f"{row['step']}: {tr(row['reason'])} {row['detail']}", style="yellow", markup=False)
    console.print(excerpt(row["raw"]), markup=False)


def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help=tr("A folder that data prepare made."))],
    new: Annotated[Path, typer.Argument(metavar="B", help=tr("Another."))],
    json: JSON = False,
) -> None:
    from tunesmith.cli.console import emit, human
    from tunesmith.data.diff import compare
    from tunesmith.data.prepared import open_prepared

    found = compare(open_prepared(old), open_prepared(new))
    if json:
        emit(found)
        return
    console = human()
    for line in found["settings"]:
        console.print(line, markup=False)
    for one in found["counts"]:
        console.print(f"{one['step']}: {tr(one['reason'])} {one['rows'][0]:,} → {one['rows'][1]:,}", markup=False)
    names = {
        "changed": tr("other words under the same name"),
        "removed": tr("only in the first"),
        "added": tr("only in the second"),
        "moved": tr("the same words under another name"),
    }
    console.print(tr("the same: {count}", count=f"{found['same']:,}"), markup=False)
    for key, label in names.items():
        console.print(f"{label}: {found[key]['count']:,}  {', '.join(found[key]['first'])}", markup=False)
