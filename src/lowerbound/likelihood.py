"""From a decoder's image to p(x|z), a distribution over images. A head is a module that returns a distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Independent
from torch.distributions import Normal as NormalDistribution

from lowerbound.images import ROUNDING_SCALE

__all__ = ["Normal"]


class Normal(nn.Module):
    """p(x|z) = N(f(z), sigma^2 I) with one sigma for all pixels, learned with the rest.

    A density over real-valued pixels, not a probability of 8-bit images: fine to train and to compare models of the same
    images with, and never "the log-likelihood of the data". Sigma stays above the rounding to 8 bits, else an image set with
    constant pixels would drive the density to infinity.

    Args:
        scale: Sigma at the start, in pixel units of [0, 1].

    Example:
        >>> Normal(scale=0.5)(torch.zeros(2, 1, 4, 4)).log_prob(torch.zeros(2, 1, 4, 4)).shape
        torch.Size([2])
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)))

    @property
    def scale(self) -> Tensor:
        """Sigma, in pixel units of [0, 1]; a scalar."""
        return self.log_scale.clamp(min=math.log(ROUNDING_SCALE)).exp()

    def forward(self, images: Tensor) -> Independent:
        """Map the decoder's images ``[..., C, H, W]``, the means, to a distribution over images."""
        return Independent(NormalDistribution(images, self.scale), 3)
