"""The command `tunesmith`: one verb a file, errors without tracebacks, exit codes that mean something.

0 done, 1 our fault, 2 the user's input, 3 a proof or gate refused, 130 interrupted.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tunesmith import __version__
from tunesmith.cli import chat, data, doctor, export, quickstart, recipes, render, run, serve, tune, verify
from tunesmith.cli.console import apart, emit, leads
from tunesmith.errors import UserError
from tunesmith.messages import tr
from tunesmith.tune.orphans import end_with_launcher

HEAD_START = 15  # seconds: on a busy machine processes reach the same point that far apart
INTERRUPTED = 130  # exit code
AT_ONCE = 5.0  # seconds within which a second SIGTERM is the same one: a launcher hands on what its group has had


class Ended(SystemExit):
    """Told to end by SIGTERM; unwinds as an error does, so that what is temporary is removed. Nobody catches it."""


class Interrupted(BaseException):
    """Ctrl-C, or asked to leave, on its way through typer, which would end the command without a word."""


class Verbs(TyperGroup):
    """All verbs of the command."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Interrupted(str(stop)) from stop


app = typer.Typer(
    cls=Verbs,
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
    with sigterm_heeded():
        try:
            with apart():
                app()
        except UserError as error:
            fail(error)
        except (Interrupted, KeyboardInterrupt) as stop:
            say_interrupted(str(stop))
        except Ended:
            say_interrupted()
        except BrokenPipeError:
            sys.exit(1)


def share_the_cores() -> None:
    """Let threads that wait for work sleep: where other programs run too, spinning takes the core from the others.

    Read by OpenMP as torch loads, so it must be said before. Beside two other busy processes on two cores a short
    tuning takes 0.6 of the time and 0.5 of the CPU; alone, the same.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@contextmanager
def sigterm_heeded() -> Iterator[None]:
    """Within, SIGTERM raises Ended, where a verb has no way of its own to heed it; a child of ours dies of it.

    Who started us may want it ignored.
    """
    aside = threading.current_thread() is not threading.main_thread()  # Python lets the main thread alone choose
    if aside or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    ours = os.getpid()
    last: float | None = None

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last
        if os.getpid() != ours:  # forked: what is temporary here is its parent's to remove
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        before, last = last, time.monotonic()
        if before is None or last - before >= AT_ONCE:
            raise Ended(INTERRUPTED)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if last is None:  # else what it began may not be over: Python still ends threads and programs that it started
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def say_interrupted(text: str = "") -> None:
    """One line on stderr, by the process that speaks; `text` says where it stands."""
    if leads():
        print(text or tr("interrupted"), file=sys.stderr)
    sys.exit(INTERRUPTED)


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
