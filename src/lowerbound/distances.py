"""The nearest of many points, by comparing every pair, a block at a time and in bounded memory.

|a - b|^2 = |a|^2 + |b|^2 - 2 a.b, of centred rows, is one matrix product for a block of pairs. Where the points are many, each
block leaves behind the smallest of every ``GROUP`` points alone: the nearest n points lie in the n groups whose smallest are
smallest, and only those are looked at again. What is returned is measured without the rounding of a difference of squares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lowerbound.progress import Progress, quiet

__all__ = ["distances_to", "exact", "in_order", "without_itself"]

BLOCK = 2**21  # distances that are held at a time
ACROSS = 2**13  # points that are compared at a time
GROUP = 32  # points of which only the smallest distance is kept
KEPT = 2**24  # numbers in points of which a second form is held, too


def exact(
    queries: np.ndarray,
    points: np.ndarray,
    number: int,
    progress: Progress = quiet,
    *,
    precision: type[np.floating] = np.float64,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and distances ``[Q, number]`` of the nearest points, by comparing every pair.

    Args:
        queries: ``[Q, D]``.
        points: ``[N, D]``.
        number: Of nearest points, at most N.
        progress: Shown on the way.
        precision: Of the first look; in float32 it takes half the time, and points that are nearly as far may change places.

    Example:
        >>> exact(np.array([[0.0]]), np.array([[3.0], [1.0]]), 1)
        (array([[1]]), array([[1.]]))
    """
    count, centre = len(points), points.mean(0, dtype=np.float64)
    group = GROUP if number * GROUP * 8 <= count else 1
    across = min(ACROSS, -(-count // group) * group)
    step, blocks = across // group, -(-count // across)
    down = max(1, min(BLOCK // across, BLOCK // (step * blocks)))
    positions = np.empty((len(queries), number), np.int64)
    kept = list(_blocks(points, centre, across, precision)) if points.size <= KEPT else None
    with progress("searching", len(queries) * count) as advance:
        for top in range(0, len(queries), down):
            rows = np.ones((len(queries[top : top + down]), points.shape[1] + 1), precision)
            rows[:, :-1] = -2 * (queries[top : top + down] - centre)
            least = np.empty((len(rows), blocks * step), precision)
            for n, block in enumerate(kept or _blocks(points, centre, across, precision)):
                # The points of a group lie ``step`` apart, so that a minimum runs along whole rows of memory.
                np.min((rows @ block).reshape(-1, group, step), axis=1, out=least[:, n * step : (n + 1) * step])
                advance(len(rows) * min(across, count - n * across), "")
            best = np.argpartition(least, number - 1, axis=1)[:, :number]
            some = (best + best // step * (across - step))[:, :, None] + np.arange(group) * step
            positions[top : top + down] = _nearest(
                queries[top : top + down], points, some.reshape(len(rows), -1), number
            )
    return in_order(positions, distances_to(queries, points, positions))


def _blocks(points: np.ndarray, centre: np.ndarray, across: int, precision: type[np.floating]) -> Iterator[np.ndarray]:
    """Points as columns ``[D + 1, across]``, squared lengths last; what is missing of the last block is infinitely far."""
    for start in range(0, len(points), across):
        some = points[start : start + across] - centre
        block = np.zeros((some.shape[1] + 1, across), precision)
        block[:-1, : len(some)] = some.T
        block[-1] = np.inf
        block[-1, : len(some)] = (some**2).sum(1)
        yield block


def _nearest(queries: np.ndarray, points: np.ndarray, some: np.ndarray, number: int) -> np.ndarray:
    """Positions ``[Q, number]`` of the nearest of some points ``[Q, n]`` of each query; positions beyond the last are none."""
    if some.shape[1] == number:
        return some
    far = distances_to(queries, points, np.minimum(some, len(points) - 1), points.dtype)
    far[some >= len(points)] = np.inf
    return np.take_along_axis(some, np.argpartition(far, number - 1, axis=1)[:, :number], 1)


def distances_to(
    queries: np.ndarray, points: np.ndarray, positions: np.ndarray, precision: Any = np.float64
) -> np.ndarray:
    """From each query to its neighbours, without the rounding of a difference of squares."""
    found = np.empty(positions.shape)
    size = max(1, BLOCK // (positions.shape[1] * points.shape[1]))
    for start in range(0, len(queries), size):
        place = slice(start, start + size)
        apart = points[positions[place]].astype(precision, copy=False)
        apart -= queries[place, None]
        found[place] = np.sqrt(np.einsum("qnd,qnd->qn", apart, apart))
    return found


def in_order(positions: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest first; of equals the one that comes first."""
    order = np.lexsort((positions, distances), axis=1)
    return np.take_along_axis(positions, order, 1), np.take_along_axis(distances, order, 1)


def without_itself(positions: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row without its own position, or without its last where an equal has taken its place."""
    own = positions == np.arange(len(positions))[:, None]
    own[~own.any(1), -1] = True
    shape = (len(positions), positions.shape[1] - 1)
    return positions[~own].reshape(shape), distances[~own].reshape(shape)
