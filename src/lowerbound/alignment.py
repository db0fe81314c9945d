"""How alike two images are after the best small shift and zoom.

The middle of one image is laid on the other at every shift of a few pixels, and the correlation of their pixels is taken; then a
piece of either image, made larger, takes its place. The highest correlation counts. It knows nothing of brightness and contrast,
is 1 for an image and its shifted copy, and falls as details differ.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lowerbound.images import as_floats

__all__ = ["crop", "residuals", "shift"]

KEPT = (0.95, 0.9, 0.85, 0.8)  # of either side of an image, when a piece of it is looked at
LONGEST = 32  # pixels of the longer side on which images are compared
REACH = 0.1  # of a side: how far one image may lie from the other
NOISE = 1 / 255  # a standard deviation below it is rounding


@torch.no_grad()
def residuals(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One minus the correlation of pairs of images at their best shift and zoom: 0 for copies, about 1 for strangers.

    Args:
        first: ``[n, C, H, W]``, 8-bit or float in [0, 1].
        second: What they are compared with, one by one.

    Returns:
        Numbers from 0 to 2, ``[n]``.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 1, 16, 16)).astype(np.uint8)
        >>> moved = np.roll(images, 1, axis=3)
        >>> bool(residuals(images, moved).max() < 0.01), bool(residuals(images, moved[::-1]).min() > 0.5)
        (True, True)
    """
    a, b = (_small(torch.from_numpy(as_floats(each))) for each in (first, second))
    middles, wholes = _Middle.of(a), _Whole.of(b)
    best = _best_shift(middles, wholes)
    for kept in KEPT:
        best = torch.maximum(best, _best_shift(_Middle.of(crop(a, kept)), wholes))
        best = torch.maximum(best, _best_shift(middles, _Whole.of(crop(b, kept))))
    return 1 - best.double().numpy()


class _Middle(NamedTuple):
    """The middles of some images, which are laid on others.

    Attributes:
        spectrum: The conjugate spectrum of the middles, less their mean, at the top left, ``[n, C, H, W // 2 + 1]``.
        length: Of the middles, ``[n]``.
    """

    spectrum: Tensor
    length: Tensor

    @classmethod
    def of(cls, images: Tensor) -> _Middle:
        """Those of images ``[n, C, H, W]``."""
        height, width = images.shape[2:]
        down, right = _reach(height), _reach(width)
        middle = images[:, :, down : height - down, right : width - right]
        middle = middle - middle.mean((1, 2, 3), keepdim=True)
        length = (middle.square().sum((1, 2, 3)) + NOISE**2 * middle[0].numel()).sqrt()
        return cls(torch.fft.rfft2(middle, s=(height, width)).conj(), length)


class _Whole(NamedTuple):
    """Images on which the middles of others are laid.

    Attributes:
        spectrum: Of the images, ``[n, C, H, W // 2 + 1]``.
        lengths: Of every part of the size of a middle, less its mean, ``[n, shifts, shifts]``.
        size: H and W.
    """

    spectrum: Tensor
    lengths: Tensor
    size: tuple[int, int]

    @classmethod
    def of(cls, images: Tensor) -> _Whole:
        """Those of images ``[n, C, H, W]``."""
        size = (images.shape[2], images.shape[3])
        rows, columns = map(_sums, size)
        values = int(rows[0].sum() * columns[0].sum()) * images.shape[1]
        sums, squares = (rows @ each.sum(1) @ columns.T for each in (images, images.square()))
        lengths = ((squares - sums.square() / values).clamp(min=0) + NOISE**2 * values).sqrt()
        return cls(torch.fft.rfft2(images), lengths, size)


def _best_shift(x: _Middle, y: _Whole) -> Tensor:
    """The highest correlation of the middles of some images with as large a part of others, ``[n]``."""
    products = torch.fft.irfft2((y.spectrum * x.spectrum).sum(1), s=y.size)
    _, down, right = y.lengths.shape
    return (products[:, :down, :right] / (x.length[:, None, None] * y.lengths)).amax((1, 2))


def _reach(side: int) -> int:
    """How many pixels one image may lie from the other along a side."""
    return min(max(1, math.ceil(REACH * side)), (side - 1) // 2)


@functools.cache
def _sums(side: int) -> Tensor:
    """What sums the pixels of a side that a middle covers at every shift, ``[shifts, side]``: a sum is a product."""
    shifts = 2 * _reach(side) + 1
    return torch.stack([((torch.arange(side) - n) % side < side - shifts + 1).float() for n in range(shifts)])


def _small(images: Tensor) -> Tensor:
    """Images whose longer side has at most so many pixels."""
    height, width = images.shape[2:]
    ratio = max(height, width) / LONGEST
    if ratio <= 1:
        return images
    size = [max(1, round(height / ratio)), max(1, round(width / ratio))]
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def crop(images: Tensor, kept: float, corner: tuple[float, float] = (0.5, 0.5)) -> Tensor:
    """A piece of each image, brought back to its size.

    Args:
        images: ``[n, C, H, W]``.
        kept: Share of either side.
        corner: Where the piece lies: (0, 0) at the top left, (0.5, 0.5) in the middle.

    Example:
        >>> crop(torch.ones(1, 1, 8, 8), 0.75).shape
        torch.Size([1, 1, 8, 8])
    """
    height, width = images.shape[2:]
    down, right = max(1, round(kept * height)), max(1, round(kept * width))
    if (down, right) == (height, width):
        return images
    top, left = round(corner[0] * (height - down)), round(corner[1] * (width - right))
    piece = images[:, :, top : top + down, left : left + right]
    return _enlarging(down, height).to(images) @ piece @ _enlarging(right, width).to(images).T


@functools.cache
def _enlarging(short: int, long: int) -> Tensor:
    """What makes so many rows of so few, bicubically, ``[long, short]``: two products are ten times as fast as a filter."""
    rows = torch.eye(short)[None, None]
    return functional.interpolate(rows, [long, short], mode="bicubic", align_corners=False)[0, 0]


def shift(images: Tensor, down: int, right: int) -> Tensor:
    """Images moved by whole pixels; what comes in at a border repeats it.

    Example:
        >>> shift(torch.tensor([[[[1.0, 2.0, 3.0]]]]), 0, 1)
        tensor([[[[1., 1., 2.]]]])
    """
    height, width = images.shape[2:]
    rows = (torch.arange(height) - down).clamp(0, height - 1)
    columns = (torch.arange(width) - right).clamp(0, width - 1)
    return images[:, :, rows][:, :, :, columns]
