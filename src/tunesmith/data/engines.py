"""Who does the files of a pass: this process, several on this machine, or Ray's on many."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from tunesmith.errors import UserError, missing_extra
from tunesmith.messages import tr

Work = Callable[[int], int]
Engine = Callable[[Callable[[Any], Work], Any, Sequence[int]], Iterator[int]]
"""(maker of a worker, its job, numbers of files) -> the result for each file, as they are done."""


@contextmanager
def local(workers: int) -> Iterator[Engine]:
    """That many processes on this machine; 0: as many as it has cores. They begin when they are first needed."""
    count = workers or os.cpu_count() or 1
    if count == 1:
        yield alone
        return
    context = get_context("spawn")  # a fork would copy threads of Arrow and torch in an unknown state
    with ProcessPoolExecutor(count, context, initializer=begin) as pool:

        def spread(make: Callable[[Any], Work], job: Any, numbers: Sequence[int]) -> Iterator[int]:
            if len(numbers) < 2:
                yield from alone(make, job, numbers)
                return
            futures = [pool.submit(do, make, job, number) for number in numbers]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BrokenProcessPool as error:
                raise UserError(
                    tr("a worker process ended suddenly, as when memory is short"),
                    tr("run the same command again with fewer --workers: what is done is kept"),
                ) from error
            finally:
                for future in futures:
                    future.cancel()

        yield spread


def alone(make: Callable[[Any], Work], job: Any, numbers: Sequence[int]) -> Iterator[int]:
    """All in this process."""
    if numbers:
        yield from map(make(job), numbers)


def begin() -> None:
    """Each worker process has one thread; together they fill the machine."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def do(make: Callable[[Any], Work], job: Any, number: int) -> int:
    """One file, by the worker of the job that this process has at hand."""
    if _at_hand.get("job") != job:
        _at_hand.clear()
        _at_hand.update(job=job, work=make(job))
    return int(_at_hand["work"](number))


_at_hand: dict[str, Any] = {}  # of this worker process: the job it works on, and its worker


@contextmanager
def ray(workers: int) -> Iterator[Engine]:
    """Ray Data: the cluster that RAY_ADDRESS names, or one on this machine; 0: as many as it has cores.

    Its machines must see the folders of sources and results under the same paths.
    """
    try:
        import ray as library
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError:
        raise missing_extra("ray", "ray", "--engine ray") from None

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unless the user wishes so
    library.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    DataContext.get_current().enable_progress_bars = False
    total = workers or int(library.cluster_resources().get("CPU", 1))

    def run(make: Callable[[Any], Work], job: Any, numbers: Sequence[int]) -> Iterator[int]:
        if not numbers:
            return
        found = library.data.from_items([{"number": number} for number in numbers], override_num_blocks=len(numbers))
        pool = ActorPoolStrategy(size=min(total, len(numbers)))
        done = found.map(OnRay, fn_constructor_args=(make, job), compute=pool)
        yield from (int(row["result"]) for row in done.iter_rows())

    try:
        yield run
    finally:
        library.shutdown()


class OnRay:
    """A worker as Ray Data calls it: a row in, a row out."""

    def __init__(self, make: Callable[[Any], Work], job: Any) -> None:
        self.work = make(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": self.work(int(row["number"]))}
