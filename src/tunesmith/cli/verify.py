"""tunesmith verify: are the files of an export those that were verified, and does it still answer as it did?"""

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.cli.console import emit, human
from tunesmith.cli.export import REFUSED, Telling, tell
from tunesmith.messages import tr

EXAMPLES = tr("Example: tunesmith verify my-merged")


def verify(
    path: Annotated[Path, typer.Argument(metavar="FILE|FOLDER", help=tr("An export, or the model file in it."))],
    json: Annotated[bool, typer.Option("--json", help=tr("Print one JSON object on stdout."))] = False,
) -> None:
    from tunesmith.export.checking import check

    console = human()
    found = check(path, Telling(console))
    tell(found.proofs, console)
    console.print(tr("as it was verified") if found.passed else tr("not as it was verified"), style="bold")
    if json:
        emit(found.to_json())
    if not found.passed:
        raise typer.Exit(REFUSED)


verify.__doc__ = tr("Compare an export with its manifest, and ask its golden prompts again.")
