"""Shared fixtures. One thread: two busy threads on a small shared machine can be far slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["LC_ALL"] = "C.UTF-8"  # the tests read English messages

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a busy machine is no fault
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def caches() -> Iterator[Path]:
    """Where caches go: never into the user's home. Commands that tests start inherit it."""
    folder = Path(tempfile.mkdtemp(prefix="tunesmith-caches-"))
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    os.environ.setdefault("MPLCONFIGDIR", f"{own}/matplotlib")  # its list of fonts takes seconds to make
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data, beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real test data (../shared/data beside the checkout) is not on this machine")
    return SHARED
