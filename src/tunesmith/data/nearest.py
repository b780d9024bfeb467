"""The nearest of many vectors, found in the lists around the centres that are nearest (an inverted file).

Rows are clustered by k-means and every row stands in the list of its own centre, as SemDeDup has it (Abbas et al.,
2023). A row looks for its like in PROBES lists instead of one, or it would miss those on the other side of a border.
Centres grow with the root of the rows, so that time grows with their power of 1.5. What is missed is measured by
bench.semantic.
"""

import math
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pyarrow.lib import ChunkedArray

Vectors = NDArray[np.float32]

PROBES = 16  # lists that a row is looked for in
LEARNT = 64  # rows for each centre that k-means looks at
ROUNDS = 8  # of k-means
CHUNK = 4096  # rows compared with all centres at once


def vectors(column: "ChunkedArray", start: int, count: int) -> Vectors:
    """[count, width] of the rows from `start` on; fewer at the end."""
    part = column.slice(start, count).combine_chunks()
    return np.asarray(part.flatten().to_numpy().astype(np.float32).reshape(len(part), -1))


class Lists:
    """All rows in the lists of their nearest centres, on disk: [rows, width] at half precision, list after list.

    order   [rows]: the row at each place, ascending within a list
    starts  [centres + 1]: where each list starts
    probes  [rows, PROBES]: the nearest centres of each row, the nearest first
    """

    def __init__(self, column: "ChunkedArray") -> None:
        self.column = column
        centres = kmeans(sample(column, LEARNT * round(2 * math.sqrt(len(column)))), round(2 * math.sqrt(len(column))))
        self.probes = np.concatenate([nearest(part, centres, PROBES) for _, part in chunks(column)])
        home = self.probes[:, 0]
        self.order = np.argsort(home, kind="stable")
        self.starts = np.searchsorted(home[self.order], np.arange(len(centres) + 1))
        place = np.empty(len(column), np.int64)
        place[self.order] = np.arange(len(column))
        self.stored = on_disk((len(column), centres.shape[1]))
        for start, part in chunks(column):
            self.stored[place[start : start + len(part)]] = part

    def closest(
        self, start: int, count: int, allowed: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]]
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """For `count` rows from `start` on: the highest cosine with a row before `start`, and which that is.

        Only pairs are looked at that `allowed` ([rows], [others] -> [rows, others]) lets pass; −1 where there is none.
        """
        own = vectors(self.column, start, count)
        best, at = np.full(len(own), -1, np.float32), np.zeros(len(own), np.int64)
        probes = self.probes[start : start + len(own)].ravel()
        by_list = np.argsort(probes, kind="stable")
        edges = np.searchsorted(probes[by_list], np.arange(len(self.starts)))
        for number in np.flatnonzero(np.diff(edges)).tolist():
            asking = by_list[edges[number] : edges[number + 1]] // self.probes.shape[1]
            first, last = self.starts[number : number + 2]
            others = self.order[first : first + np.searchsorted(self.order[first:last], start)]
            if not len(others):
                continue
            cosines = own[asking] @ self.stored[first : first + len(others)].astype(np.float32).T
            cosines[~allowed(asking + start, others)] = -1
            closest = cosines.argmax(1)
            found = cosines[np.arange(len(asking)), closest]
            better = found > best[asking]
            best[asking[better]], at[asking[better]] = found[better], others[closest[better]]
        return best, at


def chunks(column: "ChunkedArray") -> Iterator[tuple[int, Vectors]]:
    """(number of the first row, [CHUNK, width])"""
    return ((start, vectors(column, start, CHUNK)) for start in range(0, len(column), CHUNK))


def sample(column: "ChunkedArray", most: int) -> Vectors:
    """Rows evenly over all; as few as `most`."""
    step = max(1, len(column) // most)
    return np.concatenate([part[-start % step :: step] for start, part in chunks(column)])


def kmeans(points: Vectors, count: int) -> Vectors:
    """[count, width] centres of length 1 (spherical k-means; Dhillon and Modha, 2001), from points evenly over all."""
    centres = points[np.linspace(0, len(points) - 1, count).astype(np.int64)]
    for _ in range(ROUNDS):
        home = np.concatenate([nearest(points[at : at + CHUNK], centres, 1) for at in range(0, len(points), CHUNK)])
        order = np.argsort(home[:, 0], kind="stable")
        taken, first = np.unique(home[order, 0], return_index=True)
        centres = centres.copy()
        centres[taken] = np.add.reduceat(points[order], first)
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return centres


def nearest(points: Vectors, centres: Vectors, count: int) -> NDArray[np.int32]:
    """[points, count] the numbers of the nearest centres, the nearest first."""
    cosines = points @ centres.T
    if count == 1:
        return np.asarray(cosines.argmax(1)[:, None], np.int32)
    some = np.argpartition(-cosines, min(count, len(centres)) - 1, axis=1)[:, :count]
    ranks = np.argsort(-np.take_along_axis(cosines, some, 1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(some, ranks, 1), np.int32)


def on_disk(shape: tuple[int, int]) -> NDArray[np.float16]:
    """An array in a file that is gone with it; a full disk is told here, not by a crash when it is written."""
    with tempfile.TemporaryFile() as file:
        os.posix_fallocate(file.fileno(), 0, shape[0] * shape[1] * np.dtype(np.float16).itemsize)
        return np.memmap(file, np.float16, "r+", shape=shape)
