"""From features to q(z|x), the approximate posterior over codes. A head is a module that returns a distribution.

phi are the numbers that fix q of one image. ``phi(features)`` reads them off a network's features, with log-scales bounded
softly there; ``from_phi(phi)`` turns them into the distribution, exactly as they are. So q of one image can be had without
any network, by moving phi itself. phi = 0 is N(0, I) in every family.

    IsotropicNormal   N(mu, s^2 I)           phi = mu_1 ... mu_K, log s                             K + 1 numbers
    DiagonalNormal    N(mu, diag(s^2))       phi = mu_1 ... mu_K, log s_1 ... log s_K               2 K
    FullNormal        N(mu, L L')            phi = mu, log s, rows of M below 1s: L = diag(s) M     2 K + K (K - 1) / 2
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, constraints

from lowerbound.bounding import softly_bounded

__all__ = ["DiagonalNormal", "FullNormal", "IsotropicNormal", "Point", "PointMass"]

LOG_SCALE_RANGE = (-7.0, 3.0)  # codes live on the prior's scale of 1: beyond, only overflow waits


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
        return self.from_phi(self.phi(features))

    def phi(self, features: Tensor) -> Tensor:
        """The code itself, ``[batch, K]``."""
        return self.linear(features)

    @staticmethod
    def phi_size(latent_dim: int) -> int:
        """K."""
        return latent_dim

    @staticmethod
    def from_phi(phi: Tensor) -> PointMass:
        """All probability on phi, ``[batch, K]``."""
        return PointMass(phi)


class _NormalHead(nn.Module):
    """What the normal families share: one linear map to the numbers of phi, and phi to the distribution."""

    def __init__(self, in_features: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.linear = nn.Linear(in_features, self.phi_size(latent_dim))

    def forward(self, features: Tensor) -> Distribution:
        """Map features ``[batch, in_features]`` to a distribution over codes ``[batch, K]``."""
        return self.from_phi(self.phi(features))

    def phi(self, features: Tensor) -> Tensor:
        """(mu, log sigma) of features, ``[batch, phi_size(K)]``, log sigma bounded softly."""
        return _bounded(self.linear(features), self.latent_dim)

    @staticmethod
    def phi_size(latent_dim: int) -> int:
        """Numbers that fix q of one image."""
        raise NotImplementedError

    @staticmethod
    def from_phi(phi: Tensor) -> Distribution:
        """The distribution whose parameters are phi."""
        raise NotImplementedError


class IsotropicNormal(_NormalHead):
    """q(z|x) = N(mu(x), sigma(x)^2 I): K means and one log standard deviation, K + 1 numbers.

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.

    Example:
        >>> IsotropicNormal(10, latent_dim=2)(torch.zeros(4, 10)).rsample().shape
        torch.Size([4, 2])
    """

    @staticmethod
    def phi_size(latent_dim: int) -> int:
        """K + 1."""
        return latent_dim + 1

    @staticmethod
    def from_phi(phi: Tensor) -> Independent:
        """The distribution whose parameters are phi = (mu_1 ... mu_K, log sigma), ``[batch, K + 1]``.

        Example:
            >>> IsotropicNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0]])).stddev
            tensor([[1., 1.]])
        """
        mean, log_scale = phi[..., :-1], phi[..., -1:]
        return Independent(Normal(mean, log_scale.exp().expand_as(mean)), 1)


class DiagonalNormal(_NormalHead):
    """q(z|x) = N(mu(x), diag(sigma_1(x)^2 ... sigma_K(x)^2)): K means and K log standard deviations.

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.

    Example:
        >>> DiagonalNormal(10, latent_dim=2)(torch.zeros(4, 10)).rsample().shape
        torch.Size([4, 2])
    """

    @staticmethod
    def phi_size(latent_dim: int) -> int:
        """2 K."""
        return 2 * latent_dim

    @staticmethod
    def from_phi(phi: Tensor) -> Independent:
        """The distribution whose parameters are phi = (mu_1 ... mu_K, log sigma_1 ... log sigma_K), ``[batch, 2 K]``.

        Example:
            >>> DiagonalNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0, 0.0]])).mean
            tensor([[1., 2.]])
        """
        mean, log_scale = phi.tensor_split(2, dim=-1)
        return Independent(Normal(mean, log_scale.exp()), 1)


class FullNormal(_NormalHead):
    """q(z|x) = N(mu(x), L(x) L(x)') with L lower triangular: any covariance, K (K + 3) / 2 numbers.

    L = diag(s) M, where M has ones on its diagonal: the numbers below it are on the scale of 1 however narrow q is, else a
    step that is small for them would be huge beside a small s and leave L all but singular.

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.

    Example:
        >>> FullNormal(10, latent_dim=3)(torch.zeros(4, 10)).covariance_matrix.shape
        torch.Size([4, 3, 3])
    """

    def phi(self, features: Tensor) -> Tensor:
        """(mu, log s, M below its diagonal) of features, ``[batch, K (K + 3) / 2]``; the logs are bounded softly."""
        raw, k = self.linear(features), self.latent_dim
        return torch.cat([_bounded(raw[..., : 2 * k], k), raw[..., 2 * k :]], dim=-1)

    @staticmethod
    def phi_size(latent_dim: int) -> int:
        """K (K + 3) / 2."""
        return latent_dim * (latent_dim + 3) // 2

    @staticmethod
    def from_phi(phi: Tensor) -> MultivariateNormal:
        """The distribution whose parameters are phi: mu, log s, the rows of M below its diagonal.

        Example:
            >>> FullNormal.from_phi(torch.tensor([0.0, 0.0, 0.0, math.log(2), 2.0])).scale_tril
            tensor([[1., 0.],
                    [4., 2.]])
        """
        k = (math.isqrt(9 + 8 * phi.shape[-1]) - 3) // 2
        mean, log_scale, below = phi.tensor_split([k, 2 * k], dim=-1)
        row, column = torch.tril_indices(k, k, offset=-1, device=phi.device)
        unit = torch.diag_embed(torch.ones_like(mean))
        unit[..., row, column] = below
        return MultivariateNormal(mean, scale_tril=log_scale.exp().unsqueeze(-1) * unit)


def _bounded(phi: Tensor, latent_dim: int) -> Tensor:
    """phi with all that follows the K means bounded softly."""
    mean, log_scale = phi[..., :latent_dim], phi[..., latent_dim:]
    return torch.cat([mean, softly_bounded(log_scale, *LOG_SCALE_RANGE)], dim=-1)
