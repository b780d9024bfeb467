"""Workers do not outlive the launcher that started them."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tunesmith.tune.locking import locked
from tunesmith.tune.orphans import LAUNCHER, end_with_launcher

PR_GET_PDEATHSIG = 2
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the signal at a parent's death is Linux's")


def wait_for(what: Callable[[], object], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.1)


def told_at_death(launcher: int | None) -> int:
    """In a forked process that this launcher is said to have started: the signal it gets at its parent's death.

    -1 where it ended.
    """
    child = os.fork()
    if child == 0:
        found = -1
        try:
            if launcher is not None:
                os.environ[LAUNCHER] = str(launcher)
            end_with_launcher()
            assert LAUNCHER not in os.environ
            held = ctypes.c_int()
            ctypes.CDLL(None).prctl(PR_GET_PDEATHSIG, ctypes.byref(held))
            found = held.value
        finally:
            os._exit(found & 0xFF)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return -1 if code == 0xFF else code


def test_a_worker_of_our_launcher_dies_with_it_and_others_are_left_alone() -> None:
    assert told_at_death(os.getpid()) == signal.SIGKILL
    assert told_at_death(os.getppid()) == -1  # its launcher is gone: another is its parent
    assert told_at_death(None) == 0  # torchrun's, or the user's


def test_killing_the_launcher_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([{"instruction": "Say ab.", "input": "", "output": "ab"}] * 8))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tunesmith", "tune", "--base", "nano", "--data", str(tmp_path / "rows.json")]
    command += ["--processes", "2", "template=chatml", "tune.epochs=1000", "--out", str(out)]
    launcher = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / ".out.partial" / "log.jsonl").exists)  # in training nothing else would end them
    workers = psutil.Process(launcher.pid).children()
    assert len(workers) == 2
    launcher.kill()
    launcher.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    for worker in alive:
        worker.kill()
    assert not alive
    with locked(out):
        pass
