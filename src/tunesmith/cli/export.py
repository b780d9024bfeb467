"""tunesmith export: a tuned model in a form that people run, verified against the model that it was made of."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.export.choosing import summaries
from tunesmith.messages import tr

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.proof import Proof

REFUSED = 3  # exit code
EXAMPLES = tr(
    "Examples: tunesmith export my-adapter --to merged --out my-merged dtype=bf16  |  "
    "tunesmith export my-model --to gguf --out my-gguf --data rows.json limits.mean_kl=0.1"
)


def export(
    model: Annotated[str, typer.Argument(help=tr("A model folder, an adapter folder, or a hub id."))],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORM",
            help=tr("One of:") + " " + "; ".join(f"{name}: {text}" for name, text in summaries().items()),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help=tr("Folder for the export; must not exist yet."))],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]…",
            help=tr("Options of the form, base=full|dequantised for QLoRA, held_out=…, limits.mean_kl=…"),
        ),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            help=tr("Conversations to calibrate and verify with (default: those that it was tuned on); may repeat."),
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.cli.words import settings_alone
    from tunesmith.export.exporting import export as run

    console = human()
    made = run(model, to, out, tuple(data or ()), settings_alone(words or []), Telling(console))
    tell(made.proofs, console)
    if made.passed:
        console.print(tr("saved {model}", model=made.out), markup=False, style="bold")
    else:
        console.print(tr("refused; set aside as {path}", path=made.out), markup=False, style="bold red")
    if json:
        emit(made.to_json())
    if not made.passed:
        raise typer.Exit(REFUSED)


class Telling:
    """What goes on, on stderr."""

    def __init__(self, console: "Console") -> None:
        self.console = console

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    @contextmanager
    def counting(self, title: str) -> Iterator[Callable[[int, int], None]]:
        from tunesmith.stages.score import counting

        with counting(self.console, title) as count:
            yield count


def tell(proofs: "Sequence[Proof]", console: "Console") -> None:
    """A line for each proof; of one that failed also its limit."""
    for proof in proofs:
        mark = "✓" if proof.passed else "✗"
        limit = "" if proof.passed or proof.limit is None else "  " + tr("limit {limit}", limit=f"{proof.limit:g}")
        style = None if proof.passed else "red"
        console.print(f"  {mark} {proof.name}  {proof.detail}{limit}", markup=False, style=style)


export.__doc__ = tr("Write a tuned model in another form, and verify it against the model that it was made of.")
