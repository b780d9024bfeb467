"""Chance drawn from words: the same for a conversation wherever it lies, whatever lies beside it, whoever asks."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tunesmith.records import Conversation

if TYPE_CHECKING:
    from pyarrow.lib import ChunkedArray

Keys = NDArray[np.uint64]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(conversation: Conversation) -> int:
    """64 bits of what is said and by whom: the name under which a conversation draws."""
    words = "\0".join(f"{message.role}\0{message.text}" for message in conversation)
    return int.from_bytes(hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def key_column(conversations: Iterable[Conversation]) -> Keys:
    """[rows] the keys of some conversations, as a sketch keeps them."""
    return np.fromiter(map(key, conversations), np.uint64)


def column(values: "ChunkedArray") -> NDArray[Any]:
    """A column of numbers as an array."""
    return np.asarray(values.to_numpy())


def draws(keys: Keys, *seed: int) -> Keys:
    """[rows] a random number for each key, another for every seed: those of two seeds know nothing of each other."""
    salt = hashlib.blake2b(",".join(map(str, seed)).encode(), digest_size=8).digest()
    return scatter(keys ^ np.uint64(int.from_bytes(salt, "little")))


def scatter(numbers: Keys) -> Keys:
    """Every bit of the outcome hangs on every bit of the number (splitmix64; Steele et al., 2014)."""
    mixed = numbers + GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def places(groups: NDArray[np.integer], drawn: Keys) -> NDArray[np.int64]:
    """[rows] the place of each row in its own group when the group stands in order of what was drawn, from 0.

    The first n of a group are a sample of n. Groups are numbered from 0; rows that drew alike stand as they came.
    """
    order = np.lexsort((drawn, groups))
    sizes = np.bincount(groups)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    found = np.empty(len(groups), np.int64)
    found[order] = np.arange(len(groups)) - starts
    return found


def numbered(values: "ChunkedArray") -> tuple[list[str], NDArray[np.int64]]:
    """The different strings of a column, in order of name, and [rows] the number of each row's own."""
    coded = values.combine_chunks().dictionary_encode()
    names = coded.dictionary.to_pylist()
    ranked = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[ranked] = np.arange(len(names))
    return [names[index] for index in ranked], rank[np.asarray(coded.indices)]
