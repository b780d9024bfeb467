"""Start several processes of one command on this machine, as torchrun does."""

import logging
import os
import sys
import uuid
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tunesmith.tune import orphans


def launch(processes: int, words: Sequence[str]) -> int:
    """Run `tunesmith WORDS` in that many processes that know of each other; the exit code of the first to fail, or 0.

    They share the cores of the machine evenly, and speak for themselves.
    """
    silence()
    orphans.mark()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "tunesmith", *words)
    except ChildFailedError as error:
        first = min(error.failures.values(), key=lambda failure: failure.timestamp)
        return first.exitcode if first.exitcode > 0 else 1
    except (SignalException, KeyboardInterrupt):
        return 130
    return 0


def silence() -> None:
    """The workers say what happened; the levels of torch's loggers are each set apart."""
    logger = logging.getLogger("torch.distributed.elastic")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
