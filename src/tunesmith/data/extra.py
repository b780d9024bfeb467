"""Packages that only some steps need."""

from functools import cache
from importlib import import_module
from typing import Any

from tunesmith.errors import missing_extra


@cache
def extra(module: str, package: str, purpose: str) -> Any:
    """A module of the extra "data"; raises UserError where its package is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise missing_extra(package, "data", purpose) from None
