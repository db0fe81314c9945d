"""The images of a lesson: a source by its name or a folder, and how much of it is used where there is little time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from lowerbound.images import Images, ImageSet

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["batches", "brief", "floats", "fraction_of", "load_images", "suggested_k", "track"]

FAST_TRAIN, FAST_TEST = 10_000, 2_000  # images
Item = TypeVar("Item")


def brief() -> bool:
    """Whether lessons are only tried, not learned from: ``LOWERBOUND_COURSE=brief``."""
    return os.environ.get("LOWERBOUND_COURSE") == "brief"


def load_images(data: str) -> ImageSet:
    """The images of a source, or of a folder; ``LOWERBOUND_COURSE_DATA`` names another one for all lessons.

    Raises:
        InputError: No such source.
    """
    from lowerbound.progress import terminal
    from lowerbound.sources import load

    return load(os.environ.get("LOWERBOUND_COURSE_DATA") or data, progress=terminal)


def fraction_of(images: Images, most: int) -> Images:
    """At most so many of some images, the same ones each time, from all over the set and in an order that mixes classes.

    Example:
        >>> len(fraction_of(Images(np.zeros((30, 1, 2, 2), np.uint8)), 10))
        10
    """
    if len(images) <= most:
        return images
    return images[np.random.default_rng(0).permutation(len(images))[:most]]


def suggested_k(image_shape: tuple[int, int, int]) -> int:
    """Numbers per image to begin with: 20 for digits of 28 x 28, 64 for small photographs, fewer for tiny images.

    Example:
        >>> suggested_k((1, 28, 28)), suggested_k((3, 32, 32)), suggested_k((1, 8, 8))
        (20, 64, 8)
    """
    channels, height, width = image_shape
    fitting = 64 if channels == 3 else 20
    return max(1, min(fitting, channels * height * width // 8))


def floats(pixels: np.ndarray) -> Tensor:
    """All images as a tensor, float ``[N, C, H, W]`` in [0, 1], of pixels uint8 ``[N, C, H, W]``.

    Example:
        >>> floats(np.full((2, 1, 3, 3), 255, np.uint8)).max()
        tensor(1.)
    """
    import torch

    return torch.from_numpy(np.array(pixels)).float().div_(255)


def batches(pixels: np.ndarray, batch_size: int, seed: int = 0) -> Iterator[Tensor]:
    """Every image once, in an order that the seed fixes, so many at a time; the last batch takes what is left.

    Args:
        pixels: uint8 ``[N, C, H, W]``.
        batch_size: Images in a batch.
        seed: Of the order.

    Returns:
        Float tensors ``[batch, C, H, W]`` in [0, 1].

    Example:
        >>> [len(batch) for batch in batches(np.zeros((5, 1, 2, 2), np.uint8), 2)]
        [2, 2, 1]
    """
    order = np.random.default_rng(seed).permutation(len(pixels))
    for first in range(0, len(order), batch_size):
        yield floats(np.take(pixels, order[first : first + batch_size], axis=0))


def track(items: Iterable[Item], task: str, total: int | None = None) -> Iterator[Item]:
    """The items, one after another, while a line says how far they are and how long the rest will take.

    Args:
        items: What is gone through.
        task: What is done, such as "training".
        total: How many there are, where they cannot be counted beforehand.

    Example:
        >>> sum(track([1, 2, 3], "adding"))
        6
    """
    sized: Any = items
    total = len(sized) if total is None and hasattr(items, "__len__") else total
    began = said = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - said > max(1.0, (now - began) / 10):  # a saved notebook keeps every line
            left = f", {(now - began) / done * (total - done):.0f} s left" if total else ""
            print(f"\r{task}: {done:,}{f' of {total:,}' if total else ''}{left}    ", end="", flush=True)
            said = now
        yield item
    if said > began:
        print(f"\r{task}: done in {time.monotonic() - began:.0f} s        ")
