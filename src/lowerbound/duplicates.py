"""Images that are there more than once: exact copies, and near ones (stored anew, shifted, cut, brighter).

Exact copies have the same pixels. Near ones are looked for in three steps.

1. *Candidates.* The codes of every image, and of the image shifted and cut a little, are held against the codes of all others:
   its few nearest are its candidates. A pair is suspicious by how much nearer it lies than the farthest candidate of its image.
2. *Pixels.* Pairs are compared at their best shift and zoom (``alignment.py``): the residual is one minus the correlation
   there. Of very many pairs only the most suspicious are compared, and some drawn at random, which stand for the others.
3. *A threshold that the images set themselves.* Two handwritten ones are alike although nobody copied them, so that no
   residual means a copy everywhere. Each pair's residual is divided by the usual one of its two images (the median over the
   nearest of the one that has more like it). The logarithms of these ratios fall off exponentially towards
   the low end, at a rate that is read off between their 20 % and 5 % quantiles. The threshold is where ``FALSE`` pairs of
   distinct images would be expected below it, or as many as ``SHARE`` of those that are named; it is found again without the
   copies it gave, until nothing changes. A copy's correlation is 0.8 at least.

Pairs make groups: what is a copy of a copy belongs together.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lowerbound.alignment import crop, residuals, shift
from lowerbound.distances import exact, without_itself
from lowerbound.errors import InputError
from lowerbound.gallery import Pixels, blocks_of
from lowerbound.images import as_floats
from lowerbound.progress import Progress, quiet

__all__ = ["Duplicates", "Group", "duplicates", "exact_copies"]

CANDIDATES = 5  # of each image and of each of its variants
FALSE = 0.1  # pairs of distinct images that may be expected below the threshold, among all candidates
SHARE = 0.005  # or so many of the pairs that are named
LEAST = 0.8  # correlation
PAIRS = 256  # compared at a time
MOST_COMPARED = 50_000  # pairs, and as many as there are images: the most suspicious
DRAWN = 20_000  # of the others
MOST_PAIRS = 2 * 10**11  # of codes; beyond, each image is looked for as it is, not shifted or cut
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
    pairs, suspicion, nearest = _candidates(model, images, firsts, progress)
    kept, drawn = _to_compare(suspicion, len(firsts))
    some = pairs[kept]
    found = _compared(images, firsts, some, "comparing pixels", progress)
    ratios = np.log(found) - _usual(images, firsts, some, nearest, progress)
    alike = found <= 1 - LEAST
    threshold = _threshold(ratios[alike], ratios[drawn], len(pairs))
    near = alike & (ratios <= threshold)
    return Duplicates(_groups(of, firsts, some[near], 1 - found[near]), len(some), float(np.exp(threshold)))


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


def _candidates(
    model: Any, images: Pixels, firsts: np.ndarray, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs whose codes lie near each other, as numbers in ``firsts``; how suspicious they are; the nearest of each image.

    Returns:
        Pairs ``[n, 2]``, the smaller number first; the distance of each over the usual one, ``[n]``, small where it is
        suspicious; the nearest of each image as it is, ``[M, candidates]``.
    """
    count = len(firsts)
    if count < 2:
        return np.empty((0, 2), np.int64), np.empty(0), np.empty((count, 0), np.int64)
    codes = _codes(model, images, firsts, 0, progress)
    keys, suspicion, nearest = [], [], np.empty(0)
    for variant in range(1 if count**2 * len(VARIANTS) > MOST_PAIRS else len(VARIANTS)):
        queries = codes if variant == 0 else _codes(model, images, firsts, variant, progress)
        most = min(CANDIDATES + 1, count)
        positions, far = without_itself(*exact(queries, codes, most, progress, precision=np.float32))
        nearest = positions if variant == 0 else nearest
        usual = np.maximum(far[:, -1], np.quantile(far[:, -1], 0.1))  # for images whose candidates are all their copies
        mine = np.repeat(np.arange(count), most - 1)
        keys.append(np.minimum(mine, positions.ravel()) * count + np.maximum(mine, positions.ravel()))
        suspicion.append((far / np.maximum(usual, 1e-12)[:, None]).ravel())
    everything, values = np.concatenate(keys), np.concatenate(suspicion)
    order = np.lexsort((values, everything))
    pair, place = np.unique(everything[order], return_index=True)
    return np.stack([pair // count, pair % count], axis=1), values[order][place], nearest


def _to_compare(suspicion: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pairs are compared, and which of those say how alike images are that are no copies: all, where they are few."""
    most = max(MOST_COMPARED, count)
    if len(suspicion) <= most + DRAWN:
        return np.arange(len(suspicion)), np.arange(len(suspicion))
    drawn = np.random.default_rng(0).permutation(len(suspicion))[:DRAWN]
    kept = np.union1d(drawn, np.argpartition(suspicion, most)[:most])
    return kept, np.searchsorted(kept, np.sort(drawn))


# What comes from above comes from below to another image: a shift each way is enough.
VARIANTS = (
    lambda x: x,
    lambda x: shift(x, _pixels(x), 0),
    lambda x: shift(x, 0, _pixels(x)),
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


def _compared(images: Pixels, firsts: np.ndarray, pairs: np.ndarray, task: str, progress: Progress) -> np.ndarray:
    """The residual of each pair ``[n]``."""
    found = np.empty(len(pairs))
    with progress(task, len(pairs)) as advance:
        for start in range(0, len(pairs), PAIRS):
            some = firsts[pairs[start : start + PAIRS]]
            found[start : start + PAIRS] = residuals(images[some[:, 0]], images[some[:, 1]])
            advance(len(some), "")
    return np.clip(found, 1e-4, 2)  # rounding to 8 bits makes residuals below that mean nothing


def _usual(
    images: Pixels, firsts: np.ndarray, pairs: np.ndarray, nearest: np.ndarray, progress: Progress
) -> np.ndarray:
    """Logarithm of the usual residual of each pair's images, the smaller of the two, ``[n]``."""
    if not len(pairs):
        return np.empty(0)
    asked = np.unique(pairs)
    both = np.stack([np.repeat(asked, nearest.shape[1]), nearest[asked].ravel()], axis=1)
    keys, back = np.unique(np.sort(both, axis=1) @ [len(firsts), 1], return_inverse=True)
    distinct = np.stack(np.divmod(keys, len(firsts)), axis=1)
    found = np.log(_compared(images, firsts, distinct, "what is usual", progress))
    medians = np.median(found[back].reshape(len(asked), -1), axis=1)
    usual = np.full(len(firsts), np.inf)
    usual[asked] = np.maximum(medians, np.quantile(medians, 0.1))  # for images whose nearest are their copies
    return usual[pairs].min(1)


def _threshold(ratios: np.ndarray, drawn: np.ndarray, pairs: int) -> float:
    """Below which logarithm of a ratio a pair is a copy.

    Args:
        ratios: Of the pairs that are alike enough to be copies.
        drawn: Of some of all pairs, which stand for the others.
        pairs: How many there are in all.
    """
    threshold, before = float(np.log(USUAL)), np.nan
    if len(drawn) < FEW:
        return threshold
    ordered = np.sort(ratios)
    for _ in range(10):
        distinct = drawn[drawn > threshold]
        high, low = np.quantile(distinct, [0.2, 0.05])
        decay, below = (high - low) / np.log(4), 0.05 * pairs * len(distinct) / len(drawn)
        # How many distinct pairs are expected at each ratio and below, against how many pairs would be named.
        expected = below * np.exp((ordered - low) / max(decay, 1e-12))
        fair = ordered[expected <= SHARE * np.arange(1, len(ordered) + 1)]
        tail = max(low - decay * np.log(below / FALSE), fair[-1] if len(fair) else -np.inf)
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
