"""Distributions of images whose pixels are a mean plus independent noise: densities over real-valued pixels.

They say what ``torch.distributions`` would, in a fraction of its time: one noise for all pixels is taken out of the sum over
pixels, and nothing is checked that a network cannot get wrong. ``log_prob`` is the inner loop of training and of evidence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution
from torch.distributions import Laplace as LaplacePerPixel

from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE

__all__ = ["LEAST_LOG_SIGMA", "FittedNormalNoise", "LaplaceNoise", "NormalNoise", "floored", "log_sigma"]

PIXELS = (-3, -2, -1)  # the axes of an image: channels, height, width
LEAST_LOG_SIGMA = math.log(ROUNDING_SCALE)


def log_sigma(scale: float) -> float:
    """The logarithm of a sigma that the user gave, lifted to the rounding to 8 bits.

    Raises:
        InputError: Sigma is not above 0, or not finite.

    Example:
        >>> log_sigma(1.0)
        0.0
    """
    if not 0 < scale < math.inf:
        raise InputError(
            f"scale is {scale}; a standard deviation is above 0, in pixel units of [0, 1]; give one such as 0.1"
        )
    return max(math.log(scale), LEAST_LOG_SIGMA)


def floored(log_scale: Tensor) -> Tensor:
    """Sigma of a learned log sigma, never below the rounding to 8 bits.

    Example:
        >>> floored(torch.tensor([-1e6, 0.0]))
        tensor([0.0011, 1.0000])
    """
    return log_scale.clamp(min=LEAST_LOG_SIGMA).exp()


class NormalNoise(Distribution):
    """Independent N(mean, scale^2) for every pixel.

    Args:
        mean: Images ``[..., C, H, W]``.
        scale: Standard deviation: a scalar, one per pixel ``[C, H, W]``, or one for every pixel of every image.

    Example:
        >>> NormalNoise(torch.zeros(2, 1, 4, 4), torch.tensor(0.5)).log_prob(torch.zeros(2, 1, 4, 4))
        tensor([-3.6127, -3.6127])
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]
    has_rsample = True

    def __init__(self, mean: Tensor, scale: Tensor) -> None:
        self.location, self.scale = mean, scale
        super().__init__(mean.shape[:-3], mean.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The images without noise, ``[..., C, H, W]``."""
        return self.location

    @property
    def variance(self) -> Tensor:
        """Of each pixel, ``[..., C, H, W]``."""
        return self.scale.square().expand_as(self.location)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images with noise, ``[*sample_shape, ..., C, H, W]``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        noise = torch.randn(shape, dtype=self.location.dtype, device=self.location.device)
        return self.location + self.scale * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of images ``[..., C, H, W]``, nats per image."""
        error, pixels = value - self.location, self.event_shape.numel()
        if self.scale.ndim == 0:
            squares = error.square().sum(PIXELS) / self.scale.square()
            volume = pixels * self.scale.log()
        else:
            squares = (error / self.scale).square().sum(PIXELS)
            volume = self.scale.log().sum(PIXELS)
        return -0.5 * squares - (volume + pixels * (0.5 * math.log(2 * math.pi)))


class FittedNormalNoise(Distribution):
    """Independent N(mean, sigma^2), with the one sigma that makes the images it is asked about most probable.

    That is the root of the mean squared error over all of them, so with n images of P pixels their log-densities add up to
    -n P / 2 (log(2 pi mse) + 1). The gradient passes through sigma.

    Args:
        mean: Images ``[..., C, H, W]``.
        scale: Standard deviation of draws.
        least: Sigma never falls below.
        remember: Is told sigma^2 at every call of ``log_prob``.

    Example:
        >>> p = FittedNormalNoise(torch.zeros(2, 1, 4, 4), torch.tensor(1.0), least=1e-3, remember=print)
        >>> _ = p.log_prob(torch.full((2, 1, 4, 4), 0.5))
        tensor(0.2500)
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]

    def __init__(self, mean: Tensor, scale: Tensor, *, least: float, remember: Callable[[Tensor], object]) -> None:
        self.drawn, self.least, self.remember = NormalNoise(mean, scale), least, remember
        super().__init__(mean.shape[:-3], mean.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The images without noise, ``[..., C, H, W]``."""
        return self.drawn.mean

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images with the noise of ``scale``, ``[*sample_shape, ..., C, H, W]``."""
        return self.drawn.sample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of images ``[..., C, H, W]`` at the sigma that is best for all of them, nats per image."""
        variance = (value - self.mean).square().mean().clamp(min=self.least**2)
        self.remember(variance.detach())
        return NormalNoise(self.mean, variance.sqrt()).log_prob(value)


class LaplaceNoise(Distribution):
    """Independent Laplace noise of one width for every pixel: p(x) = exp(-|x - mean| / width) / (2 width).

    Args:
        mean: Images ``[..., C, H, W]``.
        width: The mean absolute error, a scalar; the standard deviation is sqrt(2) times as much.

    Example:
        >>> LaplaceNoise(torch.zeros(2, 1, 4, 4), torch.tensor(0.5)).log_prob(torch.full((2, 1, 4, 4), 0.5))
        tensor([-16., -16.])
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]
    has_rsample = True

    def __init__(self, mean: Tensor, width: Tensor) -> None:
        self.location, self.width = mean, width
        super().__init__(mean.shape[:-3], mean.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The images without noise, ``[..., C, H, W]``."""
        return self.location

    @property
    def variance(self) -> Tensor:
        """Of each pixel, ``[..., C, H, W]``."""
        return 2 * self.width.square().expand_as(self.location)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images with noise, ``[*sample_shape, ..., C, H, W]``."""
        return LaplacePerPixel(self.location, self.width, validate_args=False).rsample(torch.Size(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of images ``[..., C, H, W]``, nats per image."""
        errors = (value - self.location).abs().sum(PIXELS)
        return -errors / self.width - self.event_shape.numel() * (2 * self.width).log()
