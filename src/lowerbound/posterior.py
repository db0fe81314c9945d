"""From features to q(z|x), the approximate posterior over codes. A head is a module that returns a distribution.

phi are the numbers that fix q: the network puts them out, ``from_phi`` turns them into the distribution, exactly.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, Independent, Normal, constraints
from torch.nn import functional

__all__ = ["IsotropicNormal", "Point", "PointMass"]

LOG_SCALE_RANGE = (-7.0, 3.0)  # codes live on the prior's scale of 1: beyond, only overflow waits


def softly_bounded(value: Tensor, low: float, high: float) -> Tensor:
    """The identity well inside ``[low, high]``, flattening out beyond its ends, so that exp never overflows.

    Example:
        >>> softly_bounded(torch.tensor([-100.0, -2.0, 100.0]), -7.0, 3.0).round(decimals=3)
        tensor([-7., -2.,  3.])
    """
    return low + functional.softplus(value - low) - functional.softplus(value - high)


class PointMass(Distribution):
    """All probability on one code: q of a plain autoencoder. It has no density.

    Args:
        code: Codes ``[batch, K]``.

    Example:
        >>> PointMass(torch.ones(3, 2)).rsample((5,)).shape
        torch.Size([5, 3, 2])
    """

    arg_constraints: ClassVar = {"code": constraints.real}  # type: ignore[assignment, override]
    has_rsample = True

    def __init__(self, code: Tensor, validate_args: bool | None = None) -> None:  # noqa: FBT001
        self.code = code
        super().__init__(code.shape[:-1], code.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The code itself, ``[batch, K]``."""
        return self.code

    @property
    def variance(self) -> Tensor:
        """Zero."""
        return torch.zeros_like(self.code)

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """The code, again and again: ``[*sample_shape, batch, K]``."""
        return self.code.expand(*sample_shape, *self.code.shape)


class Point(nn.Module):
    """One code per image and no uncertainty (a plain autoencoder's h).

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.

    Example:
        >>> Point(10, latent_dim=2)(torch.zeros(4, 10)).mean.shape
        torch.Size([4, 2])
    """

    def __init__(self, in_features: int, latent_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, latent_dim)

    def forward(self, features: Tensor) -> PointMass:
        """Map features ``[batch, in_features]`` to a point mass over codes ``[batch, K]``."""
        return PointMass(self.linear(features))


class IsotropicNormal(nn.Module):
    """q(z|x) = N(mu(x), sigma(x)^2 I): K means and one log standard deviation, K + 1 numbers.

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.

    Example:
        >>> IsotropicNormal(10, latent_dim=2)(torch.zeros(4, 10)).rsample().shape
        torch.Size([4, 2])
    """

    def __init__(self, in_features: int, latent_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, latent_dim + 1)

    def forward(self, features: Tensor) -> Independent:
        """Map features ``[batch, in_features]`` to a distribution over codes ``[batch, K]``."""
        mean, log_scale = self.linear(features).tensor_split([-1], dim=-1)
        return self.from_phi(torch.cat([mean, softly_bounded(log_scale, *LOG_SCALE_RANGE)], dim=-1))

    @staticmethod
    def from_phi(phi: Tensor) -> Independent:
        """The distribution whose parameters are phi = (mu_1 ... mu_K, log sigma), ``[batch, K + 1]``.

        Example:
            >>> IsotropicNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0]])).stddev
            tensor([[1., 1.]])
        """
        mean, log_scale = phi[..., :-1], phi[..., -1:]
        return Independent(Normal(mean, log_scale.exp().expand_as(mean)), 1)
