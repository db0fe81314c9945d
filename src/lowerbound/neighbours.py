"""Look-alikes of an image: those nearest to it in codes or in pixels.

Every pair is compared (``distances.py``). Where the pairs are more than some 10^10 (a hundred thousand images against
themselves), an approximate index is used in its place (HNSW: Malkov & Yashunin, 2018,
https://doi.org/10.1109/TPAMI.2018.2889473, as faiss has it).

Codes are the means of q(z|x). Distances between them depend on how they are scaled: ``METRICS`` says which ways there are, and
``benchmarks/verbs.py`` which of them agreed best with the classes of training images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lowerbound.distances import distances_to, exact, in_order, without_itself
from lowerbound.errors import InputError, nearest
from lowerbound.gallery import Pixels, blocks_of
from lowerbound.images import as_floats
from lowerbound.progress import Progress, quiet

__all__ = [
    "METRICS",
    "Neighbours",
    "Scaling",
    "codes_of",
    "exact",
    "neighbours",
    "pixels_of",
    "search",
    "without_itself",
]

METRICS = ("plain", "whitened", "cosine", "decoded")
DEFAULT = "cosine"  # agreed best with classes of training images, in four models taken together: benchmarks/verbs.py
MOST_PAIRS = 10**10  # that are compared one by one
WAYS = ("auto", "exact", "approximate")


@dataclass(frozen=True)
class Neighbours:
    """The nearest images of each of Q images.

    Attributes:
        positions: Of the nearest among those searched, the nearest first, integers ``[Q, n]``.
        distances: How far they are, ``[Q, n]``.
        approximate: Whether an index may have missed some.
    """

    positions: np.ndarray
    distances: np.ndarray
    approximate: bool = False


def neighbours(
    model: Any,
    queries: Pixels,
    images: Pixels,
    number: int = 10,
    *,
    by: str = "codes",
    metric: str = DEFAULT,
    within: bool = False,
    way: str = "auto",
    progress: Progress = quiet,
) -> Neighbours:
    """The images that are most like each query.

    Args:
        model: Has ``transform`` (and ``inverse_transform`` for the metric "decoded").
        queries: uint8 ``[Q, C, H, W]``.
        images: To search, uint8 ``[N, C, H, W]``.
        number: How many for each query; fewer where there are not so many.
        by: "codes" or "pixels".
        metric: Of codes: "plain", "whitened" (each number divided by its standard deviation over the images), "cosine" (of the
            angle seen from their mean), "decoded" (between the images that the codes are decoded to).
        within: Whether the queries are the images themselves, so that each is no neighbour of its own.
        way: "exact", "approximate", or by the number of pairs.
        progress: Shown on the way.

    Returns:
        Distances by pixels or decoded images are root mean squared differences per pixel; others as the metric has it.

    Raises:
        InputError: No image to search, unknown words, or no index where one is needed.

    Example:
        >>> from lowerbound import PCA
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> neighbours(PCA(3).fit(images), images[7:8], images, 1).positions
        array([[7]])
    """
    for word, known, what in ((by, ("codes", "pixels"), "by"), (metric, METRICS, "metric"), (way, WAYS, "way")):
        if word not in known:
            raise InputError(f'{what} is "{word}"{nearest(word, known)}; expected one of {", ".join(known)}')
    if number < 1 or len(images) - within < 1 or not len(queries):
        raise InputError(
            f"{number} neighbours of {len(queries)} images among {len(images) - within} cannot be; expected 1 or more of each"
        )
    if by == "pixels":
        points = pixels_of(images)
        rows = points if within else pixels_of(queries)
    else:
        codes = codes_of(model, images, progress)
        scaling = Scaling.of(codes, metric, model)
        points = scaling(codes)
        rows = points if within else scaling(codes_of(model, queries, progress))
    return search(rows, points, number, within=within, way=way, progress=progress)


def without(found: Neighbours, position: int) -> Neighbours:
    """The neighbours of one image, less the image itself: it is no neighbour of its own.

    Example:
        >>> without(Neighbours(np.array([[7, 2, 5]]), np.array([[0.0, 1.0, 3.0]])), 7).positions
        array([[2, 5]])
    """
    rest = np.flatnonzero(found.positions[0] != position)[: max(1, found.positions.shape[1] - 1)]
    return replace(found, positions=found.positions[:, rest], distances=found.distances[:, rest])


def codes_of(model: Any, images: Pixels, progress: Progress = quiet) -> np.ndarray:
    """Codes float32 ``[N, K]``, a block of images at a time."""
    found = []
    with progress("encoding", len(images)) as advance:
        for _, pixels in blocks_of(images):
            found.append(model.transform(pixels))
            advance(len(pixels), "")
    return np.concatenate(found)


def pixels_of(images: Pixels) -> np.ndarray:
    """Pixels as rows float32 ``[N, P]`` whose distances are root mean squared differences per pixel."""
    count, values = len(images), images[np.arange(1)].size
    rows = np.empty((count, values), np.float32)
    for place, pixels in blocks_of(images):
        rows[place] = as_floats(pixels).reshape(len(pixels), -1) / np.sqrt(values)
    return rows


@dataclass(frozen=True)
class Scaling:
    """How codes become points whose Euclidean distances are those of a metric.

    Attributes:
        metric: Its name in ``METRICS``.
        mean: Of the codes searched, ``[K]``.
        scale: Their standard deviations, ``[K]``.
        model: What decodes them.
    """

    metric: str
    mean: np.ndarray
    scale: np.ndarray
    model: Any

    @classmethod
    def of(cls, codes: np.ndarray, metric: str, model: Any) -> Scaling:
        """That of the codes ``[N, K]`` that are searched.

        Example:
            >>> Scaling.of(np.array([[1.0, 0.0], [3.0, 0.0]]), "whitened", None)(np.array([[1.0, 0.0]]))
            array([[-1.,  0.]])
        """
        mean, scale = codes.mean(0, dtype=np.float64), codes.std(0, dtype=np.float64)
        return cls(metric, mean, np.where(scale > 1e-9, scale, 1.0), model)

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Points ``[N, D]`` of codes ``[N, K]``."""
        if self.metric == "plain":
            return codes
        if self.metric == "whitened":
            return (codes - self.mean) / self.scale
        if self.metric == "cosine":
            centred = codes - self.mean
            return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
        found = []
        for start in range(0, len(codes), 500):
            images = self.model.inverse_transform(codes[start : start + 500])
            found.append(images.reshape(len(images), -1) / np.float32(np.sqrt(images[0].size)))
        return np.concatenate(found)


def search(
    queries: np.ndarray,
    points: np.ndarray,
    number: int,
    *,
    within: bool = False,
    way: str = "auto",
    progress: Progress = quiet,
) -> Neighbours:
    """The nearest points ``[N, D]`` of each query ``[Q, D]``: exact, or by an index where there are too many pairs.

    Raises:
        InputError: An index is needed and the library for it is not there.

    Example:
        >>> search(np.array([[0.0], [9.0]]), np.array([[1.0], [5.0], [8.0]]), 2).positions.tolist()
        [[0, 1], [2, 1]]
    """
    number = min(number, len(points) - within)
    approximate = way == "approximate" or (way == "auto" and len(queries) * len(points) > MOST_PAIRS)
    find = _by_index if approximate else exact
    positions, distances = find(queries, points, number + within, progress)
    if within:
        positions, distances = without_itself(positions, distances)
    return Neighbours(positions, distances, approximate)


def _by_index(
    queries: np.ndarray, points: np.ndarray, number: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and distances of nearly always the nearest points, by a graph of neighbours."""
    try:
        import faiss
    except ImportError as missing:
        raise InputError(
            f"{len(queries):,} x {len(points):,} pairs take an index, which the extra has: pip install 'lowerbound[search]'; "
            "or say --way exact, and wait"
        ) from missing
    faiss.omp_set_num_threads(1)  # the graph depends on who comes first
    rows, columns = (np.ascontiguousarray(each, np.float32) for each in (queries, points))
    index = faiss.IndexHNSWFlat(columns.shape[1], 32)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, max(64, 2 * number)
    with progress("building the index", len(columns)) as advance:
        for start in range(0, len(columns), 1000):
            index.add(columns[start : start + 1000])
            advance(len(columns[start : start + 1000]), "")
    found = np.empty((len(rows), number), np.int64)
    with progress("searching", len(rows)) as advance:
        for start in range(0, len(rows), 1000):
            found[start : start + 1000] = index.search(rows[start : start + 1000], number)[1]
            advance(len(rows[start : start + 1000]), "")
    found = np.where(found < 0, found[:, :1], found)  # a graph in pieces gives fewer than there are
    return in_order(found, distances_to(queries, points, found))
