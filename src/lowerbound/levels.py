"""The probability of 8-bit images: a logistic variable per pixel, cut off at 0 and 1 and rounded to the 256 levels k / 255.

A probability, not a density: it is never above 1, and what it costs to store an image losslessly is its negative logarithm.
Nats per image are made comparable across image sizes as bits per dimension, nats / (P ln 2) for P = C H W values; 8 bits per
dimension are the uniform distribution over levels, whatever lies below has been understood.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional

from lowerbound.errors import InputError
from lowerbound.noise import floored, log_sigma

__all__ = ["LEVELS", "DiscretizedLogistic", "RoundedLogistic", "levels"]

LEVELS = 256
HIGHEST = LEVELS - 1
NEAR = 0.01  # of a level: what counts as on it; float32 misses k / 255 by less than 0.0001
FAR = 1e12  # pixel units: the outer edges of the outermost levels. Infinity times a gradient of zero would be NaN

LOGISTIC = math.pi / math.sqrt(3)  # standard deviation of the logistic distribution of width 1
PIXELS = (-3, -2, -1)  # the axes of an image: channels, height, width


class DiscretizedLogistic(nn.Module):
    """p(x|z): the probability of 8-bit images, a logistic variable around f(z) rounded to 256 levels.

    Its nats are the cost of storing an image, and can be told as bits per dimension: nats / (P ln 2) for P values per image.

    Args:
        scale: Sigma of the logistic variable at the start, in pixel units of [0, 1]; learned.

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> DiscretizedLogistic()(torch.zeros(2, 1, 4, 4)).log_prob(torch.zeros(2, 1, 4, 4)) < 0
        tensor([True, True])
    """

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = True
    binary: ClassVar[bool] = False

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(log_sigma(scale)))

    @property
    def scale(self) -> Tensor:
        """Sigma of the logistic variable before it is cut off and rounded, in pixel units of [0, 1]; a scalar."""
        return floored(self.log_scale)

    def forward(self, images: Tensor) -> RoundedLogistic:
        """Map the decoder's images ``[..., C, H, W]``, the locations, to a distribution over 8-bit images."""
        return RoundedLogistic(images, self.scale / LOGISTIC)

    def unlink(self, images: Tensor) -> Tensor:
        """The locations ``[..., C, H, W]`` themselves: means but for what is cut off at 0 and 1."""
        return images

    def set_scale(self, scale: float) -> None:
        """Begin with this sigma."""
        self.log_scale.data.fill_(log_sigma(scale))

    def gauges(self) -> dict[str, Tensor]:
        """Sigma of the logistic variable."""
        return {"sigma": self.scale}


class RoundedLogistic(Distribution):
    """P(x = k / 255) = s((upper - m) / w) - s((lower - m) / w) for every pixel, s the logistic function.

    The edges of level k are (k -+ 1/2) / 255; levels 0 and 255 take the tails, so that all 256 add up to 1 (Salimans et al.,
    2017, PixelCNN++, https://arxiv.org/abs/1701.05517, equation 2). With a and b the two arguments,
    s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), whose logarithm never cancels: it is finite, with its gradient, at any m and w.

    Args:
        location: m, images ``[..., C, H, W]`` in pixel units of [0, 1], but free to lie beyond.
        width: w in pixel units, a scalar or ``[C, H, W]``; the logistic variable's standard deviation is w pi / sqrt(3).

    Raises:
        InputError: ``log_prob`` of pixels that lie on none of the levels.

    Example:
        >>> levels = torch.arange(256.0).view(-1, 1, 1, 1) / 255
        >>> RoundedLogistic(torch.full((1, 1, 1), 1.5), torch.tensor(0.3)).log_prob(levels).exp().sum()
        tensor(1.)
    """

    arg_constraints: ClassVar = {}  # type: ignore[assignment, override]

    def __init__(self, location: Tensor, width: Tensor) -> None:
        self.location, self.width = location, width
        super().__init__(location.shape[:-3], location.shape[-3:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        """The mean of the variable cut off at 0 and 1, before rounding, ``[..., C, H, W]``.

        It is the integral of s((m - t) / w) over t from 0 to 1, w (softplus(m / w) - softplus((m - 1) / w)). Rounding moves
        it by at most half a level, 1/510, and by less than 1e-4 once w is a level or more; the exact mean would be a sum of
        255 terms for each pixel.
        """
        near_zero = torch.where(
            self.location > 0.5, 1 - self.location, self.location
        )  # no large numbers are subtracted
        mean = self.width * (
            functional.softplus(near_zero / self.width) - functional.softplus((near_zero - 1) / self.width)
        )
        return torch.where(self.location > 0.5, 1 - mean, mean)

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Images on the 256 levels, ``[*sample_shape, ..., C, H, W]``."""
        shape = self._extended_shape(torch.Size(sample_shape))
        uniform = torch.rand(shape, dtype=self.location.dtype, device=self.location.device)
        logistic = self.location + self.width * torch.logit(uniform, eps=torch.finfo(uniform.dtype).eps)
        return (logistic.clamp(0, 1) * HIGHEST).round() / HIGHEST

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-probability of images ``[..., C, H, W]`` on the levels k / 255, nats per image."""
        level = levels(value)
        upper = torch.where(level == HIGHEST, FAR, (level + 0.5) / HIGHEST) / self.width
        lower = torch.where(level == 0, -FAR, (level - 0.5) / HIGHEST) / self.width
        inner = ((level > 0) & (level < HIGHEST)) * (-torch.expm1(-1 / (HIGHEST * self.width))).log()
        location = self.location / self.width
        sides = functional.logsigmoid(upper - location) + functional.logsigmoid(location - lower)
        return sides.sum(PIXELS) + inner.sum(PIXELS)


def levels(pixels: Tensor) -> Tensor:
    """The levels 0 ... 255 that pixels k / 255 lie on, of the same shape; what is nearer than 0.01 level is on it.

    Raises:
        InputError: A pixel lies between levels, or outside [0, 1].

    Example:
        >>> levels(torch.tensor([0.0, 1 / 255, 1.0]))
        tensor([  0.,   1., 255.])
    """
    scaled = pixels * HIGHEST
    level = scaled.round().clamp(0, HIGHEST)
    off = ~((scaled - level).abs() <= NEAR)  # also what is no number
    if off.any():
        raise InputError(
            f"pixels such as {pixels[off][0].item():.4g} lie on none of the 256 levels k/255; a discretised logistic gives "
            "probabilities of 8-bit images alone; give uint8 images, or take Normal or Laplace for real-valued pixels"
        )
    return level
