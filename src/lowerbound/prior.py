"""p(z), what is believed of a code before any image is seen. A prior is a module that returns a distribution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal

__all__ = ["StandardNormal"]


class StandardNormal(nn.Module):
    """p(z) = N(0, I) over K numbers.

    Args:
        latent_dim: K, numbers per image.

    Example:
        >>> StandardNormal(3)().sample((5,)).shape
        torch.Size([5, 3])
    """

    zeros: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)  # follows the model to its device

    def forward(self) -> Independent:
        """The distribution over one code ``[K]``."""
        return Independent(Normal(self.zeros, torch.ones_like(self.zeros)), 1)
