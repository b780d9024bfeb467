"""A command that is told to end says so, leaves nothing that is temporary, and ends with 130."""

import os
import signal
import subprocess
import sys
import time

import pytest

TUNESMITH = [sys.executable, "-m", "tunesmith"]
SLOW_EXPORT = """
import sys, time
from tunesmith.cli.main import main
from tunesmith.export import exporting

def write(order, folder):
    (folder / "weights").touch()
    (folder.parent / "written").touch()
    time.sleep(120)

exporting.place = lambda *_: None
exporting.make_whole = write
sys.argv[1:] = ["export", "model", "--to", "merged", "--out", sys.argv[1] + "/exported"]
main()
"""


def told_to_end(command, number, when):
    """Start it in a session of its own, and send it the signal when that file is there; code and stderr."""
    env = os.environ | {"LANG": "C"}
    env.pop("LC_ALL", None)
    started = subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True, env=env, start_new_session=True)
    until = time.monotonic() + 120
    while not when.exists() and started.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    in_time = when.exists()
    started.send_signal(number)
    _, told = started.communicate(timeout=60)
    assert in_time, told
    return started.returncode, told


@pytest.mark.parametrize(
    ("processes", "number", "said"),
    [(1, signal.SIGTERM, "asked to leave after step"), (2, signal.SIGINT, "interrupted")],
)
def test_a_run_that_is_told_to_end_says_where_it_stands(processes, number, said, base, rows, tmp_path):
    out = tmp_path / "out"
    command = [*TUNESMITH, "tune", "--base", base, "--data", rows, "--out", out, "--processes", processes]
    command += ["template=chatml", "tune.epochs=1000", "tune.checkpoint_every=100000", "tune.eval_share=0"]
    code, told = told_to_end(command, number, tmp_path / ".out.partial" / "log.jsonl")
    assert code == 130, told
    assert told.strip().split("\n")[-1].startswith(said)
    assert told.count(said) == 1
    assert "Traceback" not in told
    kept = {"rows.jsonl", "out"} if number == signal.SIGTERM else {"rows.jsonl"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_an_export_that_is_told_to_end_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", SLOW_EXPORT, tmp_path]
    code, told = told_to_end(command, signal.SIGTERM, tmp_path / "written")
    assert code == 130, told
    assert told.strip().split("\n")[-1] == "interrupted"
    assert "Traceback" not in told
    assert {path.name for path in tmp_path.iterdir()} == {"written"}


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_sigterm_does_what_it_did_once_the_command_has_ended(tunesmith, before):
    others = signal.signal(signal.SIGTERM, before)  # other tests' libraries may have set their own
    try:
        assert tunesmith("--version").code == 0
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, others)
