"""Altered copies of images, as they turn up in folders: stored anew, moved, cut, darker."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

__all__ = ["COPIES", "as_photo", "as_pixels"]


def stored_anew(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """As JPEG of quality 50."""
    content = io.BytesIO()
    as_photo(image).save(content, "JPEG", quality=50)
    return as_pixels(Image.open(content).convert("L" if len(image) == 1 else "RGB"))


def moved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """By one or two pixels along both sides."""
    moves = zip(image.shape[1:], rng.choice([-2, -1, 1, 2], 2), strict=True)
    rows, columns = (np.clip(np.arange(side) - by, 0, side - 1) for side, by in moves)
    return image[:, rows][:, :, columns]


def cut(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of 80 to 95 % of either side, anywhere, brought back to size."""
    height, width = image.shape[1:]
    down, right = (round(rng.uniform(0.8, 0.95) * side) for side in (height, width))
    top, left = rng.integers(height - down + 1), rng.integers(width - right + 1)
    piece = as_photo(image[:, top : top + down, left : left + right])
    return as_pixels(piece.resize((width, height), Image.Resampling.LANCZOS))


def darker(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # noqa: ARG001
    """With 0.8 of the brightness."""
    return np.rint(image * 0.8).astype(np.uint8)


COPIES: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "stored anew": stored_anew,
    "moved": moved,
    "cut": cut,
    "darker": darker,
}


def as_photo(image: np.ndarray) -> Image.Image:
    """Pixels uint8 ``[C, H, W]`` as a picture."""
    return Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))


def as_pixels(photo: Image.Image) -> np.ndarray:
    """A picture as pixels uint8 ``[C, H, W]``."""
    pixels = np.asarray(photo)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
