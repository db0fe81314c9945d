"""Likelihoods of images of 0 and 1, and the one that belongs to what lies between.

The cross-entropy that many take as the loss of grey images is a log-probability only of images of 0 and 1. On grey pixels
the same formula adds up to no distribution; divided by what it does add up to it is the continuous Bernoulli.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional

from lowerbound.errors import InputError

__all__ = ["Bernoulli", "BernoulliPixels", "ContinuousBernoulli", "ContinuousBernoulliPixels"]

PIXELS = (-3, -2, -1)  # the axes of an image: channels, height, width
MARGIN = 0.01  # networks do not start nearer to certainty than this
SMALL = 0.2  # of half a logit: below, differences cancel and the first terms of a series are exact


class Bernoulli(nn.Module):
    """p(x|z): every pixel is 1 with probability sigmoid(f(z)), otherwise 0. A probability of binary images.

    There is nothing to learn in it, and no pixel noise: images must be binarised.

    Example:
        >>> Bernoulli()(torch.zeros(2, 1, 2, 2)).log_prob(torch.ones(2, 1, 2, 2))
        tensor([-2.7726, -2.7726])
    """

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = True
    binary: ClassVar[bool] = True

    def forward(self, logits: Tensor) -> BernoulliPixels:
        """Map the backbone's ``[..., C, H, W]``, log-odds, to a distribution over images of 0 and 1."""
        return BernoulliPixels(logits)

    def unlink(self, images: Tensor) -> Tensor:
        """The log-odds of means ``[..., C, H, W]``, those nearer to 0 or 1 than 0.01 drawn in."""
        return torch.logit(images.clamp(MARGIN, 1 - MARGIN))

    def set_scale(self, scale: float) -> None:
        """Nothing: the mean of a pixel fixes its variance."""

    def gauges(self) -> dict[str, Tensor]:
        """None: there is no pixel noise."""
        return {}


class BernoulliPixels(Distribution):
    """Independent pixels of 0 and 1.

    Args:
        logits: Log-odds of 1, ``[..., C, H, W]``.

    Raises:
        InputError: ``log_prob`` of pixels other than 0 and 1.

    Example:
        >>> BernoulliPixels(torch.zeros(1, 1, 1)).log_prob(torch.full((1, 1, 1), 0.5))
        Traceback (most recent call last):
        lowerbound.errors.InputError: pixels such as 0.5 came; ...
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-3], logits.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The probability of 1 for every pixel, ``[..., C, H, W]``."""
        return self.logits.sigmoid()

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images of 0 and 1, ``[*sample_shape, ..., C, H, W]``."""
        return torch.bernoulli(self.mean.expand(self._extended_shape(torch.Size(sample_shape))))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of images of 0 and 1, ``[..., C, H, W]``, nats per image: log sigmoid(+- logit), added up."""
        grey = (value != 0) & (value != 1)
        if grey.any():
            raise InputError(
                f"pixels such as {value[grey][0].item():.3g} came; a Bernoulli likelihood gives probabilities of images of 0 "
                "and 1 alone; binarise the images (--binarise dynamic), or take ContinuousBernoulli or DiscretizedLogistic"
            )
        return functional.logsigmoid((2 * value - 1) * self.logits).sum(PIXELS)


class ContinuousBernoulli(nn.Module):
    """p(x|z) proportional to p^x (1 - p)^(1 - x) on [0, 1], with p = sigmoid(f(z)): a density over grey pixels.

    Loaiza-Ganem & Cunningham, 2019, https://arxiv.org/abs/1907.06845. Its mean is not p, but nearer to 1/2.

    Example:
        >>> ContinuousBernoulli()(torch.zeros(2, 1, 2, 2)).log_prob(torch.rand(2, 1, 2, 2))
        tensor([0., 0.])
    """

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False

    def forward(self, logits: Tensor) -> ContinuousBernoulliPixels:
        """Map the backbone's ``[..., C, H, W]`` to a distribution over images in [0, 1]."""
        return ContinuousBernoulliPixels(logits)

    def unlink(self, images: Tensor) -> Tensor:
        """The parameters whose means are ``[..., C, H, W]``, those nearer to 0 or 1 than 0.01 drawn in; by bisection."""
        means = images.clamp(MARGIN, 1 - MARGIN)
        low = torch.full_like(means, -2 / MARGIN)  # beyond, the mean is |1 / logit| from its end
        high = -low
        for _ in range(50):
            middle = (low + high) / 2
            below = _mean(middle) < means
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high) / 2

    def set_scale(self, scale: float) -> None:
        """Nothing: the mean of a pixel fixes its variance."""

    def gauges(self) -> dict[str, Tensor]:
        """None: there is no pixel noise."""
        return {}


class ContinuousBernoulliPixels(Distribution):
    """Independent pixels with the density e^(l x) l / (e^l - 1) on [0, 1].

    Written in the logit l, which is the natural parameter, and not in sigmoid(l), which a float32 rounds to 1 from l = 17 on:
    torch's own ContinuousBernoulli then adds up to 0.8 at l = 20, and its mean never passes 0.94.

    Args:
        logits: l, ``[..., C, H, W]``.

    Example:
        >>> ContinuousBernoulliPixels(torch.full((1, 1, 1), 100.0)).log_prob(torch.ones(1, 1, 1))
        tensor(4.6052)
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[:-3], logits.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Of every pixel, ``[..., C, H, W]``: 1 / (1 - e^-l) - 1 / l."""
        return _mean(self.logits)

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images in [0, 1], ``[*sample_shape, ..., C, H, W]``: the inverse of the distribution function, at uniform numbers."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        slope = self.logits.abs().clamp(min=1e-4)
        falling = (-torch.log1p(uniform * torch.expm1(-slope)) / slope).clamp(max=1)  # draws for the logit -|l|
        return torch.where(self.logits > 0, 1 - falling, falling)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of images ``[..., C, H, W]`` in [0, 1], nats per image."""
        return ((value - 0.5) * self.logits - _log_sinhc(self.logits / 2)).sum(PIXELS)


def _log_sinhc(half: Tensor) -> Tensor:
    """log(sinh(u) / u); its series near 0, and u + log(1 - e^(-2u)) - log(2u) elsewhere, of which nothing overflows."""
    square = half.square().clamp(max=SMALL**2)
    near = square * (1 / 6 - square * (1 / 180 - square * (1 / 2835 - square / 37800)))
    size = half.abs().clamp(min=SMALL)
    return torch.where(half.abs() < SMALL, near, size + torch.log1p(-torch.exp(-2 * size)) - torch.log(2 * size))


def _mean(logits: Tensor) -> Tensor:
    """(1 + coth(u) - 1 / u) / 2 with u = l / 2: the Langevin function between 0 and 1, near 0 by its series."""
    half = logits / 2
    small = half.clamp(-SMALL, SMALL)
    square = small.square()
    near = small * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square / 4725)))
    large = torch.where(half.abs() < SMALL, torch.full_like(half, SMALL), half)  # keeps 1 / 0 out of the gradient
    return 0.5 + 0.5 * torch.where(half.abs() < SMALL, near, 1 / torch.tanh(large) - 1 / large)
