"""What the C library keeps of memory that was freed."""

import ctypes
import sys


def give_back() -> None:
    """Return to the system what lies free in the heap: holes between what stays, into which nothing large fits."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # of glibc alone
        trim(0)
