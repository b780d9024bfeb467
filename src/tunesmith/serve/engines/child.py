"""A server of somebody else's as a child process: started, waited for, and ended with all that it started."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkstemp

import httpx

from tunesmith.errors import UserError
from tunesmith.messages import tr

LINES = 20  # of what it printed are shown when it dies
LOADING = 1800.0  # seconds that it may take to load a model
ENDING = 20.0  # seconds from when it is told to end until it is killed


def executable(command: str) -> str | None:
    """A program beside this interpreter, else on the PATH: it may live in an environment of its own."""
    return shutil.which(command, path=str(Path(sys.executable).parent)) or shutil.which(command)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        return int(opened.getsockname()[1])


@dataclass(slots=True)
class Child:
    """A running process in a group of its own, so that Ctrl-C in the terminal reaches only us.

    log  what it prints
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path
    closing: threading.Event = field(default_factory=threading.Event)

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait(self, url: str, patience: float = LOADING) -> None:
        """Return when `url` answers with 200. Raises UserError where the process ends before, or takes too long."""
        end = time.monotonic() + patience
        while not healthy(url):
            if not self.alive():
                raise UserError(self.last_words(), tr("its whole log is {path}", path=self.log))
            if time.monotonic() > end:
                raise UserError(
                    tr("{name} did not answer within {seconds} s", name=self.name, seconds=int(patience)),
                    tr("its whole log is {path}", path=self.log),
                )
            time.sleep(0.1)

    def watch(self, say: Callable[[str], None]) -> None:
        """Say what it printed last, should it end by itself from now on."""

        def watching() -> None:
            self.process.wait()
            if not self.closing.is_set():
                say(self.last_words())

        threading.Thread(target=watching, name=f"{self.name} watch", daemon=True).start()

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        said = "\n".join(f"  {line}" for line in lines)
        return tr(
            "{name} ended with code {code}; its last words:\n{lines}",
            name=self.name,
            code=self.process.poll(),
            lines=said,
        )

    def close(self) -> None:
        """End it and its own children; kill them where they do not."""
        if self.closing.is_set():
            return
        self.closing.set()
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING)
        self._signal(signal.SIGKILL)
        self.process.wait()
        atexit.unregister(self.close)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)


def start(name: str, command: Sequence[str], settings: Mapping[str, str]) -> Child:
    """Start a program with these environment variables; it is ended with this process at the latest."""
    leave_properly()
    handle, log = mkstemp(prefix=f"tunesmith-{Path(command[0]).stem}-", suffix=".log")
    with open(handle, "wb") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
            env=os.environ | settings,
            start_new_session=True,
        )
    child = Child(name, process, Path(log))
    atexit.register(child.close)
    return child


def leave_properly() -> None:
    """Let SIGTERM end this process as Python ends: by default it would leave its children behind, and the GPU taken."""
    here = threading.current_thread() is threading.main_thread()
    if here and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def healthy(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False
