"""What every verb prints: people read stderr, programs read one JSON object on stdout."""

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def human() -> "Console":
    """The console for logs, progress bars and tables; always stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def emit(value: dict[str, Any]) -> None:
    """Print the one JSON object of a --json run."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
