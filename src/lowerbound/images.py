"""Images as every model here sees them: 8-bit pixels, ``[N, C, H, W]``, with or without labels, split in train and test."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowerbound.errors import InputError

__all__ = ["ROUNDING_SCALE", "ImageSet", "Images", "as_floats", "on_disk"]

ROUNDING_SCALE = 1 / (255 * math.sqrt(12))
"""Standard deviation of the rounding to 8 bits, in pixel units of [0, 1]: noise below it means nothing."""


@dataclass(frozen=True)
class Images:
    """A stack of images of one size.

    Args:
        pixels: 8-bit pixels, uint8 ``[N, C, H, W]`` with ``C`` 1 or 3; may be memory-mapped.
        labels: Class of each image, integers ``[N]``, or None.
        names: Name of each image (its path within a folder), or None.

    Raises:
        InputError: Pixels or labels of another type or shape.

    Example:
        >>> Images(np.zeros((3, 1, 8, 8), np.uint8)).image_shape
        (1, 8, 8)
    """

    pixels: np.ndarray
    labels: np.ndarray | None = None
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could read."""
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
            raise InputError(
                f"pixels are {pixels.dtype} {list(pixels.shape)}; expected uint8 [N, C, H, W] with 1 or 3 channels"
            )
        if self.labels is not None and self.labels.shape != pixels.shape[:1]:
            raise InputError(f"labels have shape {list(self.labels.shape)}; expected [{len(pixels)}], one per image")
        if self.names is not None and len(self.names) != len(pixels):
            raise InputError(f"{len(self.names)} names came for {len(pixels)} images; expected one per image")

    def __len__(self) -> int:
        """Number of images."""
        return len(self.pixels)

    def __getitem__(self, index: slice | np.ndarray) -> Images:
        """The images at a slice or at an array of positions."""
        labels = None if self.labels is None else self.labels[index]
        names = self.names
        if names is not None and isinstance(index, slice):
            names = names[index]  # names on disk stay there
        elif names is not None:
            names = tuple(str(names[place]) for place in np.arange(len(names))[index])
        return Images(self.pixels[index], labels, names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width


@dataclass(frozen=True)
class ImageSet:
    """Train and test images of one source, and every choice that was made for the user.

    Args:
        name: Short name, fit for a folder name.
        train: Images to learn from.
        test: Images kept apart, of the same size.
        class_names: What label 0, 1, ... means; empty without labels.
        choices: One sentence for each choice made for the user (split, sizes, scaling), to print and to store.
        skipped: ``(file, reason)`` of what could not be read.
        source: What the user typed: a known name, or a path as given.

    Raises:
        InputError: Train and test differ in image size.

    Example:
        >>> images = Images(np.zeros((3, 1, 8, 8), np.uint8))
        >>> ImageSet("blank", images, images[:1]).image_shape
        (1, 8, 8)
    """

    name: str
    train: Images
    test: Images
    class_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Hold train and test to one image size."""
        if self.train.image_shape != self.test.image_shape:
            raise InputError(
                f"train images are {self.train.image_shape} and test images {self.test.image_shape}; expected one size"
            )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.train.image_shape

    def sha256(self) -> str:
        """Hash of all pixels, train then test, in order: the same data give the same hash anywhere."""
        digest = hashlib.sha256()
        for images in (self.train, self.test):
            digest.update(repr(images.pixels.shape).encode())
            for start in range(0, len(images), 4096):  # in blocks: a memory-mapped set is never read whole
                digest.update(np.ascontiguousarray(images.pixels[start : start + 4096]).data)
        return digest.hexdigest()


def on_disk(pixels: np.ndarray) -> bool:
    """Whether pixels lie in a memory-mapped file, of which memory holds only what is being looked at.

    Example:
        >>> on_disk(np.zeros((1, 1, 2, 2), np.uint8))
        False
    """
    return isinstance(pixels, np.memmap)


def as_floats(pixels: np.ndarray, image_shape: tuple[int, int, int] | None = None) -> np.ndarray:
    """Pixels as models see them: float32 in [0, 1], ``[N, C, H, W]``; 8-bit pixels are divided by 255.

    Raises:
        InputError: Images of another shape than ``image_shape``, or integers of another type than uint8.

    Example:
        >>> as_floats(np.full((2, 1, 4, 4), 255, np.uint8)).max()
        np.float32(1.0)
    """
    if pixels.ndim != 4 or (image_shape is not None and pixels.shape[1:] != tuple(image_shape)):
        size = "C, H, W" if image_shape is None else ", ".join(map(str, image_shape))
        raise InputError(f"images have shape {list(pixels.shape)}; expected [N, {size}], as the model was made for")
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    if not np.issubdtype(pixels.dtype, np.floating):
        raise InputError(f"pixels are {pixels.dtype}; expected uint8, or floats in [0, 1]")
    return pixels.astype(np.float32, copy=False)
