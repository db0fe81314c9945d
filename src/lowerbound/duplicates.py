"""Images that are there more than once: exact copies, and near ones (stored anew, shifted, cut, brighter).

Exact copies have the same pixels. Near ones are looked for in three steps.

1. *Candidates.* The codes of every image, and of the image shifted and cut a little, are held against the codes of all others:
   its few nearest are its candidates.
2. *Pixels.* Each candidate pair is compared at its best shift and zoom (``alignment.py``): its residual is one minus the
   correlation there.
3. *A threshold that the images set themselves.* Two handwritten ones are alike although nobody copied them, so that no
   residual means a copy everywhere. Each pair's residual is divided by the usual one of its two images (the median over the
   candidates of the one that has more like it). The logarithms of these ratios fall off exponentially towards the low end, at
   a rate that is read off between their 20 % and 5 % quantiles. The threshold is where ``FALSE`` pairs of distinct images would
   be expected below it; it is found again without the copies it gave, until nothing changes. A copy's correlation is 0.8 at
   least.

Pairs make groups: what is a copy of a copy belongs together.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lowerbound.alignment import crop, residuals, shift
from lowerbound.errors import InputError
from lowerbound.gallery import Pixels, blocks_of
from lowerbound.images import as_floats
from lowerbound.neighbours import search
from lowerbound.progress import Progress, quiet

__all__ = ["Duplicates", "Group", "duplicates", "exact_copies"]

CANDIDATES = 5  # of each image and of each of its variants
FALSE = 0.25  # pairs of distinct images that are expected below the threshold, among all that are compared
LEAST = 0.8  # correlation
PAIRS = 256  # compared at a time
MOST_PAIRS = (
    2 * 10**10
)  # codes that are compared one by one; beyond, each image is looked for as it is, not shifted or cut
FEW = 200  # pairs, below which they do not tell how alike images are that are no copies
USUAL = 0.1  # the threshold then
MOVED = 0.07  # of a side


@dataclass(frozen=True)
class Group:
    """Images that are copies of each other.

    Attributes:
        members: Positions, rising; the first is the one to keep if only one is to be kept.
        kinds: Of each: "first", "exact" (a copy of another's pixels) or "near".
        correlations: Of each: with the member it is most like, 1 for exact copies.
    """

    members: np.ndarray
    kinds: tuple[str, ...]
    correlations: np.ndarray


@dataclass(frozen=True)
class Duplicates:
    """All groups, the largest first.

    Attributes:
        groups: Of two or more images each.
        pairs: How many pairs were compared in pixels.
        threshold: The ratio of residuals below which a pair is a copy.
    """

    groups: tuple[Group, ...]
    pairs: int
    threshold: float

    @property
    def surplus(self) -> int:
        """How many images could go if one of each group stayed."""
        return sum(len(group.members) - 1 for group in self.groups)


def duplicates(model: Any, images: Pixels, *, progress: Progress = quiet) -> Duplicates:
    """Groups of images that are copies of each other, exact or near.

    Args:
        model: Has ``transform``; its codes say which images to compare.
        images: uint8 ``[N, C, H, W]``.
        progress: Shown on the way.

    Raises:
        InputError: No images.

    Example:
        >>> from lowerbound import PCA
        >>> images = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
        >>> images[7], images[9] = images[3], np.roll(images[4], 1, axis=2)
        >>> [(group.members.tolist(), group.kinds) for group in duplicates(PCA(8).fit(images), images).groups]
        [([3, 7], ('first', 'exact')), ([4, 9], ('first', 'near'))]
    """
    if not len(images):
        raise InputError("there are no images to compare; expected at least 1")
    of = exact_copies(images, progress)
    firsts = np.unique(of)
    pairs = _candidates(model, images, firsts, progress)
    found = _compared(images, firsts, pairs, progress)
    ratios = _ratios(pairs, found, len(firsts))
    threshold = _threshold(ratios)
    near = (ratios <= threshold) & (found <= 1 - LEAST)
    return Duplicates(_groups(of, firsts, pairs[near], 1 - found[near]), len(pairs), float(np.exp(threshold)))


def exact_copies(images: Pixels, progress: Progress = quiet) -> np.ndarray:
    """For each image the position of the first with the same pixels: its own where there is none before it, ``[N]``.

    Example:
        >>> exact_copies(np.array([3, 5, 3], np.uint8).reshape(3, 1, 1, 1)).tolist()
        [0, 1, 0]
    """
    seen: dict[bytes, int] = {}
    of = np.empty(len(images), np.int64)
    with progress("looking for exact copies", len(images)) as advance:
        for place, pixels in blocks_of(images):
            for position, image in enumerate(np.ascontiguousarray(pixels), place.start):
                of[position] = seen.setdefault(hashlib.blake2b(image.data, digest_size=16).digest(), position)
            advance(len(pixels), "")
    return of


# Candidates


def _candidates(model: Any, images: Pixels, firsts: np.ndarray, progress: Progress) -> np.ndarray:
    """Pairs ``[n, 2]`` of numbers in ``firsts``, the smaller first, whose codes lie near each other."""
    count = len(firsts)
    if count < 2:
        return np.empty((0, 2), np.int64)
    codes = _codes(model, images, firsts, 0, progress)
    variants = 1 if count**2 * len(VARIANTS) > MOST_PAIRS else len(VARIANTS)
    keys = np.empty(0, np.int64)
    for variant in range(variants):
        queries = codes if variant == 0 else _codes(model, images, firsts, variant, progress)
        nearest = search(queries, codes, CANDIDATES + 1, progress=progress).positions
        mine = np.repeat(np.arange(count), nearest.shape[1])
        low, high = np.minimum(mine, nearest.ravel()), np.maximum(mine, nearest.ravel())
        keys = np.union1d(keys, (low * count + high)[low < high])
    return np.stack([keys // count, keys % count], axis=1)


VARIANTS = (
    lambda x: x,
    lambda x: shift(x, _pixels(x), 0),
    lambda x: shift(x, -_pixels(x), 0),
    lambda x: shift(x, 0, _pixels(x)),
    lambda x: shift(x, 0, -_pixels(x)),
    lambda x: crop(x, 0.86),
)


def _pixels(images: torch.Tensor) -> int:
    """How far a variant is moved."""
    return max(1, round(MOVED * max(images.shape[2:])))


def _codes(model: Any, images: Pixels, firsts: np.ndarray, variant: int, progress: Progress) -> np.ndarray:
    """Codes ``[M, K]`` of a variant of some images."""
    found = []
    with progress("encoding", len(firsts)) as advance:
        for start in range(0, len(firsts), 500):
            pixels = images[firsts[start : start + 500]]
            moved = VARIANTS[variant](torch.from_numpy(as_floats(pixels))).clamp(0, 1).numpy()
            found.append(model.transform(moved))
            advance(len(pixels), "")
    return np.concatenate(found)


# Pixels, and the threshold


def _compared(images: Pixels, firsts: np.ndarray, pairs: np.ndarray, progress: Progress) -> np.ndarray:
    """The residual of each pair ``[n]``."""
    found = np.empty(len(pairs))
    with progress("comparing pixels", len(pairs)) as advance:
        for start in range(0, len(pairs), PAIRS):
            some = firsts[pairs[start : start + PAIRS]]
            found[start : start + PAIRS] = residuals(images[some[:, 0]], images[some[:, 1]])
            advance(len(some), "")
    return np.clip(found, 1e-4, 2)  # rounding to 8 bits makes residuals below that mean nothing


def _ratios(pairs: np.ndarray, found: np.ndarray, count: int) -> np.ndarray:
    """Logarithm of each pair's residual over the usual one of its images, ``[n]``."""
    if not len(pairs):
        return np.empty(0)
    both, values = np.concatenate([pairs[:, 0], pairs[:, 1]]), np.log(np.concatenate([found, found]))
    order = np.argsort(both, kind="stable")
    begins = np.searchsorted(both[order], np.arange(count + 1))
    usual = np.full(count, np.nan)
    for image, (begin, end) in enumerate(itertools.pairwise(begins)):
        if begin < end:
            usual[image] = np.median(values[order[begin:end]])
    usual = np.maximum(usual, np.nanquantile(usual, 0.1))  # for images whose candidates are their copies, most of them
    return np.log(found) - np.minimum(usual[pairs[:, 0]], usual[pairs[:, 1]])


def _threshold(ratios: np.ndarray) -> float:
    """Below which logarithm of a ratio a pair is a copy."""
    threshold, before = float(np.log(USUAL)), np.nan
    if len(ratios) < FEW:
        return threshold
    for _ in range(10):
        distinct = ratios[ratios > threshold]
        high, low = np.quantile(distinct, [0.2, 0.05])
        tail = low - (high - low) / np.log(4) * np.log(0.05 * len(distinct) / FALSE)
        threshold, before = float(min(tail, np.log(0.5))), threshold
        if threshold == before:
            break
    return threshold


# Groups


def _groups(of: np.ndarray, firsts: np.ndarray, pairs: np.ndarray, correlations: np.ndarray) -> tuple[Group, ...]:
    """Connected images, exact copies with those they are copies of; the largest group first."""
    root = np.arange(len(of))

    def find(image: int) -> int:
        while root[image] != image:
            root[image] = root[root[image]]
            image = int(root[image])
        return image

    best = np.ones(len(of))
    best[firsts] = 0.0
    for (one, other), correlation in zip(firsts[pairs], correlations, strict=True):
        low, high = sorted((find(int(one)), find(int(other))))
        root[high] = low
        best[[one, other]] = np.maximum(best[[one, other]], correlation)
    top = np.array([find(int(image)) for image in of])
    order = np.argsort(top, kind="stable")
    ends = np.flatnonzero(np.diff(top[order])) + 1
    found = []
    for members in np.split(order, ends):
        if len(members) > 1:
            kinds = ("first", *("exact" if of[each] != each else "near" for each in members[1:]))
            alike = best[members]
            alike[0] = max(alike[0], 1.0 if (of[members[1:]] == members[0]).any() else alike[0])
            found.append(Group(members, kinds, alike))
    return tuple(sorted(found, key=lambda group: (-len(group.members), group.members[0])))
