"""The command `tunesmith`: one verb a file, errors without tracebacks, exit codes that mean something.

0 done, 1 our fault, 2 the user's input, 3 a proof or gate refused, 130 interrupted.
"""

import os
import sys
import time
from typing import Annotated

import typer

from tunesmith import __version__
from tunesmith.cli import chat, data, doctor, export, quickstart, recipes, render, run, serve, tune, verify
from tunesmith.cli.console import apart, emit, leads
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.tune.orphans import end_with_launcher

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=tr("Turn a base language model into one that follows instructions, and prove each step."),
    epilog=tr("Begin with: tunesmith quickstart"),
)
app.command(epilog=quickstart.EXAMPLES)(quickstart.quickstart)
app.command(epilog=tune.EXAMPLES)(tune.tune)
app.command(epilog=tr('Example: tunesmith chat my-model --once "Sort these words: pear, fig, apple"'))(chat.chat)
app.command(epilog=serve.EXAMPLES)(serve.serve)
app.command(epilog=render.EXAMPLES)(render.render)
app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=verify.EXAMPLES)(verify.verify)
app.command(epilog=doctor.EXAMPLES)(doctor.doctor)
app.add_typer(data.app, name="data")
app.add_typer(recipes.app, name="recipes")

HEAD_START = 15  # seconds: on a busy machine processes reach the same point that far apart


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help=tr("Print the version."))
    ] = False,
) -> None: ...


def main() -> None:
    """Entry point of the console script."""
    end_with_launcher()
    share_the_cores()
    try:
        with apart():
            app()
    except UserError as error:
        fail(error)
    except KeyboardInterrupt as stop:
        if leads():
            print(str(stop) or tr("interrupted"), file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)


def share_the_cores() -> None:
    """Let threads that wait for work sleep: where other programs run too, spinning takes the core from the others.

    Read by OpenMP as torch loads, so it must be said before. Beside two other busy processes on two cores a short
    tuning takes 0.6 of the time and 0.5 of the CPU; alone, the same.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def fail(error: UserError) -> None:
    """Tell the error on stderr (and as the JSON object of a --json run), and end with its code.

    Of several processes the first tells what all have met, and ends the others; what only another has met, that tells.
    """
    if not leads():
        time.sleep(HEAD_START)
    if "--json" in sys.argv:
        emit({"error": error.message, "cure": error.cure})
    print(f"{tr('error')}: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
