"""Images of 0 and 1 from grey ones, for Bernoulli likelihoods: a pixel becomes 1 with the probability that its grey level says.

Static: every image once, for good. Dynamic: the training images anew at every step (Burda et al., 2016,
https://arxiv.org/abs/1509.00519), which keeps a model from learning the accidents of one draw; numbers of the two are not
comparable. The test images are drawn once in both cases, by a seed, and the hash of what came out is published.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from lowerbound.images import Images, ImageSet
from lowerbound.objective import Terms

__all__ = ["Binarised", "binarised", "binarised_set"]

BLOCK = 1024  # images that are drawn at a time, each block with a seed of its own


def binarised(pixels: np.ndarray, *seed: int) -> np.ndarray:
    """Images uint8 ``[N, C, H, W]`` of 0 and 255 alone: a pixel of level v is 255 with probability v / 255, exactly.

    Example:
        >>> binarised(np.array([[[[0, 255]]]], np.uint8), 0)
        array([[[[  0, 255]]]], dtype=uint8)
    """
    drawn = np.empty_like(pixels)
    for n, start in enumerate(range(0, len(pixels), BLOCK)):
        block = pixels[start : start + BLOCK]
        levels = np.random.default_rng([*seed, n]).integers(0, 255, block.shape, dtype=np.uint8)  # 0 ... 254
        drawn[start : start + BLOCK] = np.where(levels < block, 255, 0)
    return drawn


def binarised_set(images: ImageSet, kind: Literal["static", "dynamic"], seed: int = 0) -> ImageSet:
    """A set whose test images are of 0 and 1; of kind "static" its training images, too.

    Example:
        >>> from lowerbound import sources
        >>> digits = binarised_set(sources.load("digits"), "dynamic")
        >>> np.unique(digits.test.pixels).tolist(), len(np.unique(digits.train.pixels)) > 2
        ([0, 255], True)
    """

    def drawn(part: Images, stream: int) -> Images:
        return replace(part, pixels=binarised(part.pixels, seed, stream))

    train = drawn(images.train, 0) if kind == "static" else images.train
    done = replace(images, train=train, test=drawn(images.test, 1))
    how = "once" if kind == "static" else "anew at every step of training"
    said = (
        f"binarised ({kind}): a pixel is 1 with the probability of its grey level, training images {how}, "
        f"test images once with seed {seed}; sha256 {done.sha256()}"
    )
    return replace(done, choices=(*done.choices, said))


@dataclass(frozen=True)
class Binarised:
    """An objective on images drawn anew from grey ones: dynamic binarisation.

    Args:
        objective: What is then asked of the model.

    Example:
        >>> Binarised(lambda model, images, fraction: images.unique())(None, torch.full((1, 1, 40, 40), 0.5))
        tensor([0., 1.])
    """

    objective: Callable[[Any, Tensor, float], Terms]

    @property
    def whole_batch(self) -> bool:
        """Whether the objective's loss is of the batch, not of single images."""
        return getattr(self.objective, "whole_batch", False)

    def __call__(self, model: Any, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms for a draw from grey images ``[batch, C, H, W]``."""
        return self.objective(model, (torch.rand_like(images) < images).to(images.dtype), fraction)
