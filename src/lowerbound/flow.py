"""Normalising flows: densities of any shape, from noise eps ~ N(0, I) by an invertible map that is learned.

    z = mean + scale * T(eps),        log p(z) = log N(eps; 0, I) - log |det dT/d eps| - sum of log scale

After Rezende & Mohamed (2015, https://arxiv.org/abs/1505.05770). T is a chain of affine couplings (Dinh et al., 2017, Real NVP,
https://arxiv.org/abs/1605.08803): each stretches and shifts every other number by amounts that a small network reads from
the numbers between, so both directions, and the determinant, take one pass. A single number has no number beside it:
for K = 1, T is one monotone rational-quadratic spline on [-5, 5] (Durkan et al., 2019, https://arxiv.org/abs/1906.04032),
the identity outside. T starts close to the identity. The couplings and the spline are zuko's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, constraints

from lowerbound.bounding import softly_bounded
from lowerbound.posterior import LOG_SCALE_RANGE

__all__ = ["FlowDistribution", "FlowNormal", "coupling", "import_zuko"]

BINS = 8  # of the spline
SMALLEST_SLOPE = (
    0.1  # of one coupling or spline; the largest is its inverse. Roots and chains of them stay far from overflow
)
START = 0.05  # how much of their usual size the last weights have at the start: near the identity, with gradients everywhere


def import_zuko() -> ModuleType:
    """zuko, with torch's checks of distributions as they were: importing it switches them off for the whole process.

    Example:
        >>> before = Distribution._validate_args
        >>> import_zuko().__name__, Distribution._validate_args == before
        ('zuko', True)
    """
    checked = Distribution._validate_args
    import zuko

    Distribution.set_default_validate_args(checked)
    return zuko


def coupling(latent_dim: int, *, context: int = 0, transforms: int, hidden: Sequence[int]) -> nn.Module:
    """The map from T(eps) back to eps, as a zuko lazy transform: called with a context it gives a torch ``Transform``.

    Args:
        latent_dim: K, numbers per code.
        context: Numbers that the map depends on besides; 0 for none.
        transforms: Couplings, odd and even numbers in turn; for K = 1 there is one spline whatever is asked.
        hidden: Widths of the hidden layers of each coupling's network.

    Example:
        >>> map = coupling(3, transforms=2, hidden=[8])()
        >>> z = torch.randn(5, 3)
        >>> bool(torch.isclose(map.inv(map(z)), z, atol=1e-5).all())
        True
    """
    zuko = import_zuko()
    how: dict[str, Any] = {"context": context, "hidden_features": tuple(hidden), "activation": nn.Tanh}
    if latent_dim == 1:  # tanh: a bounded network cannot throw far codes further
        chain = [zuko.flows.gaussianization.ElementWiseTransform(1, **how, **_spline(zuko))]
    else:
        affine = partial(zuko.transforms.MonotonicAffineTransform, slope=SMALLEST_SLOPE)
        masks = [torch.arange(latent_dim) % 2 == n % 2 for n in range(transforms)]
        layer = zuko.flows.coupling.GeneralCouplingTransform
        chain = [layer(latent_dim, mask=mask, univariate=affine, **how) for mask in masks]
    with torch.no_grad():
        for each in chain:
            last = [each.hyper[-1].weight, each.hyper[-1].bias] if hasattr(each, "hyper") else each.parameters()
            for weights in last:
                weights.mul_(START)
    return zuko.lazy.LazyComposedTransform(*chain)


def _spline(zuko: ModuleType) -> dict[str, Any]:
    univariate = partial(zuko.transforms.MonotonicRQSTransform, slope=SMALLEST_SLOPE)
    return {"univariate": univariate, "shapes": [(BINS,), (BINS,), (BINS - 1,)]}


class FlowDistribution(Distribution):
    """The distribution of z = mean + scale * T(eps), eps ~ N(0, I) over K numbers.

    Args:
        loc: Where T(eps) = 0 goes, ``[*batch, K]``.
        scale: What T(eps) is multiplied with, ``[*batch, K]``, positive.
        transform: From T(eps) back to eps.

    Example:
        >>> map = coupling(2, transforms=2, hidden=[8])()
        >>> p = FlowDistribution(torch.zeros(3, 2), torch.ones(3, 2), map)
        >>> p.log_prob(p.rsample((5,))).shape
        torch.Size([5, 3])
    """

    arg_constraints: ClassVar = {  # type: ignore[assignment, override]
        "loc": constraints.real_vector,
        "scale": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector  # type: ignore[assignment]
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor,
        transform: Any,
        validate_args: bool | None = None,  # noqa: FBT001
    ) -> None:
        self.loc, self.scale, self.transform = loc, scale, transform
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The image of eps = 0, ``[*batch, K]``: the mean while T is linear, and for K = 1 always the median.

        The exact mean of a flow has no closed form. This one is the same at every call, costs one pass, and is a code that q
        finds likely, which a mean between two modes would not be.
        """
        return self._push(torch.zeros_like(self.loc))

    def rsample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Codes ``[*sample_shape, *batch, K]``, through which gradients flow to loc, scale and T."""
        shape = self._extended_shape(Size(sample_shape))
        return self._push(torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of codes ``[..., *batch, K]``, nats: ``[..., *batch]``."""
        if self._validate_args:
            self._validate_sample(value)
        noise, log_determinant = self.transform.call_and_ladj((value - self.loc) / self.scale)
        normal = -0.5 * (noise.square().sum(-1) + noise.shape[-1] * math.log(2 * math.pi))
        return normal + log_determinant - self.scale.log().sum(-1)

    def _push(self, noise: Tensor) -> Tensor:
        return self.loc + self.scale * self.transform.inv(noise)


class FlowNormal(nn.Module):
    """q(z|x): a diagonal normal moved by a flow that depends on x through C context numbers, 2 K + C numbers in all.

    phi = (mu_1 ... mu_K, log sigma_1 ... log sigma_K, c_1 ... c_C): z = mu + sigma * T(eps; c). The weights of T belong to the
    head, so ``from_phi`` is a method of an instance. It starts as nearly the diagonal normal N(mu, sigma^2).

    Args:
        in_features: Size of the backbone's features.
        latent_dim: K, numbers per image.
        context: C.
        transforms: Couplings.
        hidden: Widths of the hidden layers of each coupling's network.

    Example:
        >>> q = FlowNormal(10, latent_dim=2)(torch.zeros(4, 10))
        >>> q.log_prob(q.rsample((7,))).shape
        torch.Size([7, 4])
    """

    def __init__(
        self,
        in_features: int,
        latent_dim: int,
        *,
        context: int = 16,
        transforms: int = 2,
        hidden: Sequence[int] = (64,),
    ) -> None:
        super().__init__()
        self.latent_dim, self.context = latent_dim, context
        self.linear = nn.Linear(in_features, self.phi_size(latent_dim))
        self.transform = coupling(latent_dim, context=context, transforms=transforms, hidden=hidden)

    def phi_size(self, latent_dim: int) -> int:
        """Numbers that fix q of one image: 2 K + C."""
        return 2 * latent_dim + self.context

    def phi(self, features: Tensor) -> Tensor:
        """Features ``[..., in_features]`` to phi ``[..., 2 K + C]``, log-scales softly bounded."""
        mean, log_scale, context = self._split(self.linear(features))
        return torch.cat([mean, softly_bounded(log_scale, *LOG_SCALE_RANGE), context], dim=-1)

    def from_phi(self, phi: Tensor) -> FlowDistribution:
        """The distribution over codes ``[..., K]`` whose parameters are phi ``[..., 2 K + C]``, exactly."""
        mean, log_scale, context = self._split(phi)
        return FlowDistribution(mean, log_scale.exp(), self.transform(context))

    def forward(self, features: Tensor) -> FlowDistribution:
        """Map features ``[..., in_features]`` to a distribution over codes ``[..., K]``."""
        return self.from_phi(self.phi(features))

    def _split(self, phi: Tensor) -> tuple[Tensor, ...]:
        return phi.split([self.latent_dim, self.latent_dim, self.context], dim=-1)
