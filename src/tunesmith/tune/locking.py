"""One run at a time in an OUT.

The lock is the system's, on a file beside OUT: OUT itself appears under its name only while the run goes on. It ends
with the process that holds it, however that ends, so a file that a killed run left behind locks nobody out.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tunesmith.errors import UserError
from tunesmith.messages import tr

UNKNOWN = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)  # of file systems that have no locks
CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)
TAKEN = (errno.EWOULDBLOCK, errno.EACCES)  # the latter on some network file systems


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Within, no other run writes `out`. Raises UserError where one does, OSError where no file can be made beside it.

    The file is gone afterwards.
    """
    path = lock_file(out)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = take(path, out)
    except OSError as error:
        if error.errno not in CLOSED or not out.is_dir():
            raise
        handle = None  # to go on in an OUT that is there nothing beside it is needed
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.unlink()  # before it is let go: afterwards it may be another's
            os.close(handle)


def refuse_locked(out: Path) -> None:
    """Raise UserError where another run writes `out`; makes no file."""
    if lock_file(out).exists():
        with suppress(OSError), locked(out):
            pass


def lock_file(out: Path) -> Path:
    """One for all names of a folder."""
    real = Path(os.path.realpath(out))
    return real.with_name(f".{real.name}.lock")


def take(path: Path, out: Path) -> int:
    """An open file that holds the lock; where its holder removed it meanwhile, the next."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock(handle, out)
            if same(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def lock(handle: int, out: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in UNKNOWN:
            return
        if error.errno not in TAKEN:
            raise
        raise UserError(
            tr("another run is writing {path}", path=out),
            tr("wait until it has ended, or end it, or choose another --out"),
        ) from error


def same(handle: int, path: Path) -> bool:
    """Whether `path` still names the file that is open."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
