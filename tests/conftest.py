"""Shared fixtures. One thread: two busy threads on a small shared machine can be far slower than one."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["LC_ALL"] = "C.UTF-8"  # the tests read English messages

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data, beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real test data (../shared/data beside the checkout) is not on this machine")
    return SHARED
