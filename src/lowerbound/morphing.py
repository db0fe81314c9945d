"""Ways through codes: from one image to another, and along the directions in which codes vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.errors import InputError, nearest
from lowerbound.pca import PCA

__all__ = ["ALONG", "WAYS", "Traversal", "arc", "morph", "straight", "traverse"]

REACH = 3.0  # standard deviations to both sides


def straight(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The straight line between two codes ``[K]``, at each t from 0 to 1: ``[T, K]``.

    Example:
        >>> straight(np.array([2.0, 0.0]), np.array([0.0, 2.0]), np.array([0, 0.5, 1])).tolist()
        [[2.0, 0.0], [1.0, 1.0], [0.0, 2.0]]
    """
    return np.outer(1 - t, first) + np.outer(t, last)


def arc(first: np.ndarray, last: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The way between two codes that turns about the origin and keeps their length, which goes evenly from one to the other.

    Nearly all of N(0, I) in K dimensions lies about sqrt(K) from the origin, and half way along a straight line codes are
    shorter than that. The direction follows the great circle (Shoemake, 1985, https://doi.org/10.1145/325334.325242; for codes:
    White, 2016, https://arxiv.org/abs/1609.04468). Where there is no one great circle, the way is the straight line.

    Args:
        first: Code ``[K]``.
        last: Code ``[K]``.
        t: From 0 to 1, ``[T]``.

    Returns:
        Codes ``[T, K]``.

    Example:
        >>> arc(np.array([2.0, 0.0]), np.array([0.0, 2.0]), np.array([0, 0.5, 1])).round(3).tolist()
        [[2.0, 0.0], [1.414, 1.414], [0.0, 2.0]]
    """
    lengths = np.array([np.linalg.norm(first), np.linalg.norm(last)], np.float64)
    if lengths.min() < 1e-9:
        return straight(first, last, t)
    one, other = first / lengths[0], last / lengths[1]
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if np.sin(angle) < 1e-4:  # one direction, or opposite ones
        return straight(first, last, t)
    turned = np.outer(np.sin((1 - t) * angle), one) + np.outer(np.sin(t * angle), other)
    return turned / np.sin(angle) * ((1 - t) * lengths[0] + t * lengths[1])[:, None]


WAYS = {"straight": straight, "arc": arc}


def morph(model: Any, first: np.ndarray, last: np.ndarray, steps: int = 31, way: str = "straight") -> np.ndarray:
    """Images on the way between two, through a model's codes: the first and the last are these two's reconstructions.

    Args:
        model: Fitted.
        first: Image ``[C, H, W]``, 8-bit or float in [0, 1].
        last: Likewise.
        steps: Images, both ends included.
        way: "straight", or "arc" (see ``arc``).

    Returns:
        ``[steps, C, H, W]``, float32 in pixel units, not clipped.

    Raises:
        InputError: Fewer than two steps, another way, or images of another size than the model's.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> morph(PCA(3).fit(images), images[0], images[1], steps=5).shape
        (5, 1, 4, 4)
    """
    if way not in WAYS:
        raise InputError(f'there is no way "{way}"{nearest(way, WAYS)}; expected one of {", ".join(WAYS)}')
    if steps < 2:
        raise InputError(f"{steps} steps came; expected at least 2, the two ends")
    ends = model.transform(np.stack([first, last])).astype(np.float64)
    return model.inverse_transform(WAYS[way](ends[0], ends[1], np.linspace(0, 1, steps)).astype(np.float32))


@dataclass(frozen=True)
class Traversal:
    """What a decoder makes of one code moved along some directions, those first that change the image most.

    Attributes:
        names: "z3" for the third number of a code, or "axis 3" for the third principal axis; counted from 1.
        images: ``[directions, steps, C, H, W]``, float32 in pixel units, not clipped.
        positions: At each step, in standard deviations of the codes along the direction, ``[steps]``.
    """

    names: tuple[str, ...]
    images: np.ndarray
    positions: np.ndarray


ALONG = ("numbers", "axes")


def traverse(
    model: Any,
    codes: np.ndarray,
    centre: np.ndarray | None = None,
    *,
    along: str = "numbers",
    number: int = 8,
    steps: int = 13,
) -> Traversal:
    """Move one code along each number of the codes, or along each of their principal axes, from -3 to 3 standard deviations.

    Args:
        model: Fitted.
        codes: Of many images ``[N, K]``: their standard deviations are the unit.
        centre: The code to move ``[K]``; by default the mean of all. Where it is not at 0 of a direction, it is put there.
        along: "numbers" or "axes". The numbers of PCA's codes are along its principal axes already.
        number: Directions that are shown: those along which one standard deviation changes the image most.
        steps: From one end to the other.

    Raises:
        InputError: Fewer than two codes or steps, or another word for ``along``.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> pca = PCA(3).fit(images)
        >>> found = traverse(pca, pca.transform(images), number=2)
        >>> found.names, found.images.shape, found.positions[[0, 6, 12]].tolist()
        (('z1', 'z2'), (2, 13, 1, 4, 4), [-3.0, 0.0, 3.0])
    """
    if along not in ALONG:
        raise InputError(f'cannot go along "{along}"{nearest(along, ALONG)}; expected one of {", ".join(ALONG)}')
    if len(codes) < 2 or steps < 2:
        raise InputError(f"{len(codes)} codes and {steps} steps came; expected at least 2 of each")
    mean = codes.mean(0, dtype=np.float64)
    axes, names = np.eye(codes.shape[1]), "z{}"
    if along == "axes" and not isinstance(model, PCA):
        axes, names = np.linalg.svd(codes - mean, full_matrices=True)[2], "axis {}"
        axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1))  # one sign, always the same
    deviations = ((codes - mean) @ axes.T).std(0)
    centre = mean if centre is None else np.asarray(centre, np.float64)
    ends = [model.inverse_transform((centre + s * deviations[:, None] * axes).astype(np.float32)) for s in (-1, 1)]
    effect = np.square(ends[1] - ends[0]).sum((1, 2, 3))
    chosen = np.argsort(-effect, kind="stable")[:number]
    positions = np.linspace(-REACH, REACH, steps)
    images = []
    for axis, deviation in zip(axes[chosen], deviations[chosen], strict=True):
        base = centre - axis * (axis @ (centre - mean))  # at 0 of this direction
        images.append(model.inverse_transform((base + np.outer(positions * deviation, axis)).astype(np.float32)))
    return Traversal(tuple(names.format(place + 1) for place in chosen), np.stack(images), positions)
