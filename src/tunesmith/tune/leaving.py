"""Being asked to leave: what a cluster sends before it takes a machine back (SIGTERM)."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tunesmith.tune.parallel import agreed


class Left(KeyboardInterrupt):
    """The run was asked to leave, and has kept where it stood."""


@contextmanager
def heeded() -> Iterator[Callable[[], bool]]:
    """Within, SIGTERM is only remembered; gives what tells whether any process of the run has had one.

    All processes ask together, between steps. Python gives signals to the main thread alone: in another, nobody asks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    before = signal.signal(signal.SIGTERM, remember)
    try:
        yield lambda: agreed(asked) > 0
    finally:
        signal.signal(signal.SIGTERM, before)
