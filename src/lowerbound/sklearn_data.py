"""Arrays as scikit-learn's users have them, as images in [0, 1], and back: layout, range and number of components.

A row of D numbers is an image of shape ``image_shape``; without one it is a square grey image where D is a square, and
otherwise one row of D pixels. Unsigned 8-bit numbers are divided by 255. Of all other numbers the least and the largest of the
training data become 0 and 1, the same two for every feature, so that features keep their weight beside each other.
"""

# ruff: noqa: N803, N806

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.moments import ImageShape

__all__ = ["USUAL_COMPONENTS", "Units", "blocks", "choose_components", "choose_shape", "flattened", "over_blocks"]

USUAL_COMPONENTS = 20
BLOCK = 500  # rows that are scaled at a time
CHANNELS = (1, 3, 4)  # of images that may have come with channels last


def flattened(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """An array ``[N, H, W]`` or ``[N, C, H, W]`` as rows ``[N, D]``, and the shape of one image; others as they are, and None.

    Raises:
        ValueError: More axes, or images whose channels come last.

    Example:
        >>> rows, shape = flattened(np.zeros((5, 3, 8, 8)))
        >>> rows.shape, shape
        ((5, 192), (3, 8, 8))
    """
    axes = getattr(X, "ndim", 2)
    if axes <= 2:
        return X, None
    X = np.asarray(X)
    shape = X.shape[1:]
    if axes > 4:
        raise ValueError(f"X has shape {list(X.shape)}; expected [N, D], [N, H, W] or [N, C, H, W]")
    if axes == 4 and shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS):
        raise ValueError(
            f"X has shape {list(X.shape)}, channels last; expected [N, C, H, W]; give np.moveaxis(X, -1, 1)"
        )
    return X.reshape(len(X), math.prod(shape)), shape


def choose_shape(image_shape: tuple[int, ...] | None, came: tuple[int, ...] | None, features: int) -> ImageShape:
    """Channels, height and width: those asked for, else those that came, else a square or a row.

    Args:
        image_shape: What the user asks for: (C, H, W), (H, W) of grey images, or None.
        came: The shape of one image of the data; None where they are rows.
        features: D.

    Raises:
        ValueError: A shape that is none, or of another number of values.

    Example:
        >>> choose_shape(None, None, 64), choose_shape(None, None, 10), choose_shape((3, 2, 2), None, 12)
        ((1, 8, 8), (1, 1, 10), (3, 2, 2))
    """
    side = math.isqrt(features)
    square = (side, side) if side * side == features else (1, features)
    shape = came or square if image_shape is None else tuple(image_shape)
    whole = all(isinstance(length, numbers.Integral) and length >= 1 for length in shape)
    if len(shape) not in (2, 3) or not whole or math.prod(shape) != features:
        raise ValueError(
            f"image_shape={image_shape}; expected (channels, height, width) with n_features={features} values in all"
        )
    if came is not None and (1, *came)[-3:] != (1, *shape)[-3:]:
        raise ValueError(f"image_shape={image_shape}, but X has images of shape {list(came)}; leave image_shape out")
    channels, height, width = (1, *map(int, shape))[-3:]
    return channels, height, width


def choose_components(asked: int | None, samples: int, features: int) -> int:
    """K: what was asked for, else 20, or as many as the data allow.

    Raises:
        ValueError: Fewer than 1, or more than samples or features.

    Example:
        >>> choose_components(None, samples=100, features=784), choose_components(None, samples=100, features=4)
        (20, 4)
    """
    most = min(samples, features)
    if asked is None:
        return min(USUAL_COMPONENTS, most)
    if not isinstance(asked, numbers.Integral) or isinstance(asked, bool) or not 1 <= asked <= most:
        raise ValueError(
            f"n_components={asked!r}; expected a whole number from 1 to "
            f"min(n_samples={samples}, n_features={features})={most}"
        )
    return int(asked)


@dataclass(frozen=True)
class Units:
    """The data's own numbers beside the models' pixels in [0, 1].

    Attributes:
        low: What becomes 0.
        range: What 1 is above it.

    Example:
        >>> units = Units.of(np.array([[-1.0, 0.0, 3.0]]))
        >>> units.inward(np.array([-1, 3])), units.outward(np.array([0.5]))
        (array([0., 1.]), array([1.]))
    """

    low: float
    range: float

    @classmethod
    def of(cls, rows: np.ndarray) -> Units:
        """Those of training data ``[N, D]``: 0 and 255 of uint8, else the least and the largest; of one number 1 apart.

        Raises:
            ValueError: Numbers so far apart that their difference is not finite.
        """
        if rows.dtype == np.uint8:
            return cls(0.0, 255.0)
        low, high = float(rows.min()), float(rows.max())
        if not math.isfinite(high - low):
            raise ValueError(f"X has values from {low:g} to {high:g}, too far apart for float64; scale them first")
        return cls(low, high - low or 1.0)

    def inward(self, rows: np.ndarray) -> np.ndarray:
        """The data's numbers as pixels, float64; those beyond the training data's lie beyond [0, 1]."""
        return (rows.astype(np.float64) - self.low) / self.range

    def outward(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels as the data's numbers, float64."""
        return pixels.astype(np.float64) * self.range + self.low


def blocks(rows: np.ndarray, units: Units) -> Iterator[np.ndarray]:
    """Rows ``[N, D]`` as pixels in [0, 1], float64 ``[B, D]``, a block at a time."""
    for start in range(0, len(rows), BLOCK):
        yield units.inward(rows[start : start + BLOCK])


def over_blocks(function: Callable[[np.ndarray], np.ndarray], rows: np.ndarray) -> np.ndarray:
    """A function over rows ``[N, ...]``, a block at a time.

    Example:
        >>> over_blocks(lambda block: block.sum(1), np.ones((1200, 2))).shape
        (1200,)
    """
    return np.concatenate([function(rows[start : start + BLOCK]) for start in range(0, len(rows), BLOCK)])
