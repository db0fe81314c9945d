"""From a decoder's image to p(x|z), a distribution over images. A head is a module that returns a distribution.

A head reads ``numbers`` values for every value of an image, ``[..., numbers * C, H, W]``, and returns a distribution over images
``[C, H, W]``. It is ``discrete`` where it gives probabilities, ``binary`` where it gives them to images of 0 and 1 alone; all
others are densities over real-valued pixels, which compare models of the same images and are never "the log-likelihood of the
data". ``unlink`` is what the backbone must put out for p(x|z) to have a given mean, and ``set_scale`` sets the pixel noise to
begin with. Pixel noise is always told as sigma, its standard deviation in pixel units of [0, 1].

Sigma stays above the rounding to 8 bits, else an image set with constant pixels would drive a density to infinity.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from lowerbound.binary import Bernoulli, ContinuousBernoulli
from lowerbound.bounding import softly_bounded, softly_unbounded
from lowerbound.images import ROUNDING_SCALE
from lowerbound.levels import DiscretizedLogistic
from lowerbound.noise import LEAST_LOG_SIGMA, FittedNormalNoise, LaplaceNoise, NormalNoise, floored, log_sigma

__all__ = [
    "Bernoulli",
    "ContinuousBernoulli",
    "DecodedNormal",
    "DiscretizedLogistic",
    "Laplace",
    "Normal",
    "OptimalNormal",
    "PixelNormal",
]


class _OneSigma(nn.Module):
    """What heads with one sigma for all pixels share: its logarithm, learned or stored as it is."""

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    log_scale: Tensor

    def __init__(self, scale: float = 1.0, *, learned: bool = True) -> None:
        super().__init__()
        log_scale = torch.tensor(log_sigma(scale))
        if learned:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def scale(self) -> Tensor:
        """Sigma, in pixel units of [0, 1]; a scalar."""
        return floored(self.log_scale)

    def unlink(self, images: Tensor) -> Tensor:
        """The means themselves, ``[..., C, H, W]``."""
        return images

    def set_scale(self, scale: float) -> None:
        """Begin with this sigma; a fixed one stays what it is."""
        if isinstance(self.log_scale, nn.Parameter):
            self.log_scale.data.fill_(log_sigma(scale))

    def gauges(self) -> dict[str, Tensor]:
        """Sigma."""
        return {"sigma": self.scale}


class Normal(_OneSigma):
    """p(x|z) = N(f(z), sigma^2 I) with one sigma for all pixels, learned with the rest or fixed.

    Args:
        scale: Sigma at the start, in pixel units of [0, 1].
        learned: Whether sigma is a parameter; a fixed one is stored with the weights all the same.

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> Normal(scale=0.5)(torch.zeros(2, 1, 4, 4)).log_prob(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2])
    """

    def forward(self, images: Tensor) -> NormalNoise:
        """Map the decoder's images ``[..., C, H, W]``, the means, to a distribution over images."""
        return NormalNoise(images, self.scale)


class PixelNormal(nn.Module):
    """p(x|z) with one learned sigma for every value of an image, the same in all images.

    sigma^2 = e^(2 log_scale) + the variance of rounding to 8 bits: a pixel that was constant for long can still leave the floor,
    which it could not if its sigma were cut off there.

    Args:
        image_shape: Channels, height, width.
        scale: Every sigma at the start, in pixel units of [0, 1].

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> PixelNormal((1, 4, 4), scale=0.5).scale.shape
        torch.Size([1, 4, 4])
    """

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False

    def __init__(self, image_shape: tuple[int, int, int], scale: float = 1.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.empty(image_shape))
        self.set_scale(scale)

    @property
    def scale(self) -> Tensor:
        """Sigma of every value, in pixel units of [0, 1]: ``[C, H, W]``."""
        variance = 2 * self.log_scale
        return (0.5 * torch.logaddexp(variance, torch.full_like(variance, 2 * LEAST_LOG_SIGMA))).exp()

    def forward(self, images: Tensor) -> NormalNoise:
        """Map the decoder's images ``[..., C, H, W]``, the means, to a distribution over images."""
        return NormalNoise(images, self.scale)

    def unlink(self, images: Tensor) -> Tensor:
        """The means themselves, ``[..., C, H, W]``."""
        return images

    def set_scale(self, scale: float) -> None:
        """Begin with this sigma for every value."""
        beyond = math.expm1(2 * (log_sigma(scale) - LEAST_LOG_SIGMA))  # variance above that of rounding, in units of it
        self.log_scale.data.fill_(LEAST_LOG_SIGMA + 0.5 * math.log(max(beyond, 1e-6)))

    def gauges(self) -> dict[str, Tensor]:
        """The mean of all sigmas."""
        return {"sigma": self.scale.mean()}


class DecodedNormal(nn.Module):
    """p(x|z) = N(f(z), sigma(z)^2): the decoder puts out a mean and a log sigma for every value.

    Log sigma is bounded softly, between the rounding to 8 bits and 1, more than pixels in [0, 1] can vary by.

    Args:
        scale: Sigma where the backbone's number is 0, in pixel units of [0, 1].

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> DecodedNormal(scale=0.2)(torch.zeros(3, 2, 4, 4)).stddev[0, 0, 0]
        tensor([0.2000, 0.2000, 0.2000, 0.2000])
    """

    numbers: ClassVar[int] = 2
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    start: Tensor

    def __init__(self, scale: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("start", torch.zeros(()))
        self.set_scale(scale)

    def forward(self, outputs: Tensor) -> NormalNoise:
        """Map the backbone's ``[..., 2 C, H, W]``, means and then log sigmas, to a distribution over images."""
        mean, log_scale = outputs.chunk(2, dim=-3)
        return NormalNoise(mean, softly_bounded(self.start + log_scale, LEAST_LOG_SIGMA, 0.0).exp())

    def unlink(self, images: Tensor) -> Tensor:
        """The means ``[..., C, H, W]`` and zeros, at which sigma is what it was set to: ``[..., 2 C, H, W]``."""
        return torch.cat([images, torch.zeros_like(images)], dim=-3)

    def set_scale(self, scale: float) -> None:
        """Make this the sigma where the backbone's number is 0."""
        log_scale = min(max(log_sigma(scale), LEAST_LOG_SIGMA + 1e-3), -1e-3)  # the bounds themselves are never reached
        self.start.fill_(softly_unbounded(log_scale, LEAST_LOG_SIGMA, 0.0))

    def gauges(self) -> dict[str, Tensor]:
        """None: sigma differs from image to image."""
        return {}


class OptimalNormal(nn.Module):
    """p(x|z) = N(f(z), sigma^2 I) with the one sigma that makes the batch most probable (Rybkin, Daniilidis & Levine, 2021).

    In training, sigma is the root mean squared error of the batch, in closed form: the loss is then P / 2 log of the mean squared
    error and a constant, and no step is spent on learning sigma (https://arxiv.org/abs/2006.13202, equation 5). Gradients pass
    through it; for a mean over the batch they are the same as if they did not, for sigma is at its optimum.

    Afterwards (in ``eval`` mode, or without gradients) sigma is the one remembered, a running average of the variance over about
    the last 20 batches. So the density of an image never depends on that image.

    Args:
        scale: Sigma until the first batch is seen, in pixel units of [0, 1].

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> head = OptimalNormal()
        >>> _ = head(torch.zeros(2, 1, 4, 4)).log_prob(torch.full((2, 1, 4, 4), 0.3))
        >>> head.scale
        tensor(0.3000)
    """

    numbers: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    binary: ClassVar[bool] = False
    whole_batch: ClassVar[bool] = True  # sigma is of the batch, not of single images
    variance: Tensor
    batches: Tensor

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("variance", torch.ones(()))
        self.register_buffer("batches", torch.zeros(()))
        self.set_scale(scale)

    @property
    def scale(self) -> Tensor:
        """Sigma as remembered, in pixel units of [0, 1]; a scalar."""
        return self.variance.sqrt()

    def forward(self, images: Tensor) -> NormalNoise | FittedNormalNoise:
        """Map the decoder's images ``[..., C, H, W]``, the means, to a distribution over images."""
        if self.training and torch.is_grad_enabled():
            return FittedNormalNoise(images, self.scale, least=ROUNDING_SCALE, remember=self._remember)
        return NormalNoise(images, self.scale)

    @torch.no_grad()
    def _remember(self, variance: Tensor) -> None:
        self.batches += 1
        self.variance.lerp_(variance.to(self.variance), (1 / self.batches).clamp(min=0.05))

    def unlink(self, images: Tensor) -> Tensor:
        """The means themselves, ``[..., C, H, W]``."""
        return images

    def set_scale(self, scale: float) -> None:
        """Begin with this sigma; the first batch replaces it."""
        self.variance.fill_(math.exp(2 * log_sigma(scale)))
        self.batches.zero_()

    def gauges(self) -> dict[str, Tensor]:
        """Sigma as remembered."""
        return {"sigma": self.scale}


class Laplace(_OneSigma):
    """p(x|z): independent Laplace noise around f(z), one sigma for all pixels. It counts absolute errors, not squares.

    Args:
        scale: Sigma at the start, in pixel units of [0, 1]: the standard deviation, sqrt(2) times the mean absolute error.
        learned: Whether sigma is a parameter; a fixed one is stored with the weights all the same.

    Raises:
        InputError: A scale that is not above 0.

    Example:
        >>> Laplace(scale=0.5)(torch.zeros(2, 1, 4, 4)).log_prob(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2])
    """

    def forward(self, images: Tensor) -> LaplaceNoise:
        """Map the decoder's images ``[..., C, H, W]``, the means, to a distribution over images."""
        return LaplaceNoise(images, self.scale / math.sqrt(2))
