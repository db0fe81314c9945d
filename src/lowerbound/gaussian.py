"""Priors that a mean and a covariance fix, or a few of each; and a prior moved to where codes are, z = mean + L y.

With y from a density p(y) and L lower triangular, log p(z) = log p(y) - sum of log L_kk. If the covariance of the codes is
L L', then y has the identity as its own: what a learned prior starts from. The numbers come from ``fitted.py``.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, MultivariateNormal, constraints

from lowerbound.prior import MixtureDistribution

__all__ = ["GaussianMixture", "MovedDistribution", "MultivariateGaussian", "Whitened"]


class MovedDistribution(Distribution):
    """The distribution of z = loc + L y, where y is drawn from a distribution over K numbers.

    Args:
        base: Over one y ``[K]``.
        loc: ``[K]``.
        scale_tril: L, lower triangular with a positive diagonal: ``[K, K]``.

    Example:
        >>> base = MultivariateNormal(torch.zeros(2), torch.eye(2))
        >>> MovedDistribution(base, torch.ones(2), 3 * torch.eye(2)).sample((5,)).shape
        torch.Size([5, 2])
    """

    arg_constraints: ClassVar = {  # type: ignore[assignment, override]
        "loc": constraints.real_vector,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector  # type: ignore[assignment]

    def __init__(
        self,
        base: Distribution,
        loc: Tensor,
        scale_tril: Tensor,
        validate_args: bool | None = None,  # noqa: FBT001
    ) -> None:
        self.base, self.loc, self.scale_tril = base, loc, scale_tril
        super().__init__(Size(), loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """What the base calls its mean, moved: ``[K]``."""
        return self.loc + self.scale_tril @ self.base.mean

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Codes ``[*sample_shape, K]``."""
        return self.loc + self.base.sample(Size(sample_shape)) @ self.scale_tril.mT

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of codes ``[..., K]``, nats: ``[...]``."""
        if self._validate_args:
            self._validate_sample(value)
        rows = (value - self.loc).reshape(-1, self.loc.shape[0])
        still = torch.linalg.solve_triangular(self.scale_tril, rows.mT, upper=False).mT.reshape(value.shape)
        return self.base.log_prob(still) - self.scale_tril.diagonal().log().sum()


class Whitened(nn.Module):
    """A prior that sees codes without mean and correlation, in units of their spread; its densities are of the codes.

    Args:
        prior: Over whitened codes.
        loc: Mean of the codes, ``[K]``.
        scale_tril: Cholesky factor of their covariance, ``[K, K]``.

    Example:
        >>> from lowerbound.prior import StandardNormal
        >>> Whitened(StandardNormal(2), torch.zeros(2), torch.eye(2))().log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    loc: Tensor
    scale_tril: Tensor

    def __init__(self, prior: nn.Module, loc: Tensor, scale_tril: Tensor) -> None:
        super().__init__()
        self.prior, self.latent_dim = prior, len(loc)
        self.register_buffer("loc", loc)
        self.register_buffer("scale_tril", scale_tril)

    def forward(self) -> MovedDistribution:
        """The distribution over one code ``[K]``."""
        return MovedDistribution(self.prior(), self.loc, self.scale_tril)


class MultivariateGaussian(nn.Module):
    """p(z) = N(mean, L L'), with nothing to learn.

    Args:
        loc: Mean, ``[K]``.
        scale_tril: L, lower triangular: ``[K, K]``.

    Example:
        >>> MultivariateGaussian(torch.zeros(2), torch.eye(2))().sample((5,)).shape
        torch.Size([5, 2])
    """

    loc: Tensor
    scale_tril: Tensor

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        super().__init__()
        self.latent_dim = len(loc)
        self.register_buffer("loc", loc)
        self.register_buffer("scale_tril", scale_tril)

    def forward(self) -> MultivariateNormal:
        """The distribution over one code ``[K]``."""
        return MultivariateNormal(self.loc, scale_tril=self.scale_tril)


class GaussianMixture(nn.Module):
    """A mixture of J normals with full covariances, with nothing to learn.

    Args:
        weights: ``[J]``, positive, of sum 1.
        means: ``[J, K]``.
        scale_trils: Cholesky factors of the covariances, ``[J, K, K]``.

    Example:
        >>> p = GaussianMixture(torch.ones(1), torch.zeros(1, 2), torch.eye(2)[None])()
        >>> p.sample((5,)).shape
        torch.Size([5, 2])
    """

    weights: Tensor
    means: Tensor
    scale_trils: Tensor

    def __init__(self, weights: Tensor, means: Tensor, scale_trils: Tensor) -> None:
        super().__init__()
        self.latent_dim = means.shape[1]
        self.register_buffer("weights", weights)
        self.register_buffer("means", means)
        self.register_buffer("scale_trils", scale_trils)

    def forward(self) -> MixtureDistribution:
        """The distribution over one code ``[K]``."""
        components = MultivariateNormal(self.means, scale_tril=self.scale_trils)
        return MixtureDistribution(self.weights.log(), components)
