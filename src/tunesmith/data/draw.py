"""Chance that follows from words: the same words draw the same, on every machine and in every order."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def drawn(*words: str) -> int:
    """A number of 64 bits; name first what it is drawn for, so that two draws from one text do not agree."""
    return int.from_bytes(blake2b("\0".join(words).encode(), digest_size=8).digest(), "big")


def fraction(*words: str) -> float:
    """A number from 0 to below 1."""
    return (drawn(*words) >> 11) / 2**53


def pick(items: Sequence[T], *words: str) -> T:
    """One of the items."""
    return items[drawn(*words) % len(items)]
