"""What every verb prints: people read stderr, programs read one JSON object on stdout."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def leads() -> bool:
    """Whether this process speaks: of those that torchrun starts (it numbers them), the first."""
    return os.environ.get("RANK", "0") == "0"


def human() -> "Console":
    """The console for logs, progress bars and tables; always stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty(), quiet=not leads())


def emit(value: dict[str, Any]) -> None:
    """Print the one JSON object of a --json run."""
    if not leads():
        return
    out = _stdout[-1] if _stdout else sys.stdout
    out.write(json.dumps(value, ensure_ascii=False) + "\n")
    out.flush()


@contextmanager
def apart() -> Iterator[None]:
    """In a --json run, whatever a library prints goes to stderr: stdout has the one object alone."""
    if "--json" not in sys.argv:
        yield
        return
    _stdout.append(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _stdout.pop()


_stdout: list[TextIO] = []  # where the object goes while stdout is kept apart
