"""How alike two images are after the best small shift and zoom.

The middle of one image is laid on the other at every shift of a few pixels, and the correlation of their pixels is taken; then a
piece of either image, made larger, takes its place. The highest correlation counts. It knows nothing of brightness and contrast,
is 1 for an image and its shifted copy, and falls as details differ.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lowerbound.images import as_floats

__all__ = ["crop", "residuals", "shift"]

KEPT = (1.0, 0.9, 0.8)  # of either side of an image, when a piece of it is looked at
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
    best = _best_shift(a, b)
    for kept in KEPT[1:]:
        best = torch.maximum(best, _best_shift(crop(a, kept), b))
        best = torch.maximum(best, _best_shift(a, crop(b, kept)))
    return 1 - best.double().numpy()


def _best_shift(x: Tensor, y: Tensor) -> Tensor:
    """The highest correlation of the middle of x with as large a part of y, ``[n]``."""
    count, _, height, width = x.shape
    down, right = (min(max(1, math.ceil(REACH * side)), (side - 1) // 2) for side in (height, width))
    middle = x[:, :, down : height - down, right : width - right]
    windows = y.unfold(2, middle.shape[2], 1).unfold(3, middle.shape[3], 1)  # [n, C, shifts, shifts, h, w]
    windows = windows.permute(0, 2, 3, 1, 4, 5).reshape(count, -1, middle[0].numel())
    middle = middle.reshape(count, -1, 1)
    windows, middle = windows - windows.mean(2, keepdim=True), middle - middle.mean(1, keepdim=True)
    noise = NOISE**2 * middle.shape[1]
    lengths = ((windows.square().sum(2) + noise) * (middle.square().sum(1) + noise)).sqrt()
    return ((windows @ middle)[..., 0] / lengths).amax(1)


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
    return functional.interpolate(piece, [height, width], mode="bicubic", align_corners=False)


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
