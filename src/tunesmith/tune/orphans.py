"""Workers that --processes started end with it, also where it is killed and can tell them nothing.

Otherwise they would train on, unseen, and hold their GPUs and the lock of OUT. Those of torchrun are its own affair.
"""

import ctypes
import os
import signal
import sys

LAUNCHER = "TUNESMITH_LAUNCHER"  # the process id of --processes, for its workers alone
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def mark() -> None:
    """Let the processes that this one starts know who started them."""
    os.environ[LAUNCHER] = str(os.getpid())


def end_with_launcher() -> None:
    """In a worker, before anything else: have the system kill it when its launcher is gone (on Linux)."""
    launcher = os.environ.pop(LAUNCHER, None)  # what the worker starts is not the launcher's
    if launcher is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(launcher):  # gone before the system was asked
        sys.exit(1)
