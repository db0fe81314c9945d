"""KL(q || p) between densities of codes: in closed form where there is one, from draws where there is none.

Both are kept, since each checks the other: over draws their means must agree.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal, kl_divergence

from lowerbound.errors import InputError

__all__ = ["analytic_kl", "draw", "is_factorised", "kl_per_dimension", "name_of", "sampled_kl"]


def is_factorised(distribution: Distribution) -> bool:
    """Whether a distribution over codes ``[K]`` is a product of K normals, one for each dimension.

    Example:
        >>> is_factorised(Independent(Normal(torch.zeros(5, 2), 1.0), 1)), is_factorised(Normal(torch.zeros(5), 1.0))
        (True, False)
    """
    return (
        isinstance(distribution, Independent)
        and distribution.reinterpreted_batch_ndims == 1
        and isinstance(distribution.base_dist, Normal)
    )


def kl_per_dimension(q: Distribution, p: Distribution) -> Tensor:
    """KL(q(z_j|x) || p(z_j)) of each dimension of the code, nats, ``[batch, K]``: it sums to the rate.

    Raises:
        InputError: q or p is no product of normals, so the rate is no sum.

    Example:
        >>> q = Independent(Normal(torch.tensor([[0.0, 2.0]]), 1.0), 1)
        >>> kl_per_dimension(q, Independent(Normal(torch.zeros(2), 1.0), 1))
        tensor([[0., 2.]])
    """
    if not (is_factorised(q) and is_factorised(p)):
        raise InputError(
            f"q is {name_of(q)} and the prior {name_of(p)}; a KL is a sum over dimensions where both are products of normals: "
            "take IsotropicNormal or DiagonalNormal and StandardNormal"
        )
    return kl_divergence(q.base_dist, p.base_dist)  # type: ignore[attr-defined]


def analytic_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) in nats where it has a closed form, ``[batch]``; None where it has none.

    Closed are pairs of normals, factorised or not, and what else torch knows of.

    Example:
        >>> q = MultivariateNormal(torch.zeros(5, 2), torch.eye(2))
        >>> analytic_kl(q, Independent(Normal(torch.ones(2), 1.0), 1))
        tensor([1., 1., 1., 1., 1.])
    """
    if isinstance(q, MultivariateNormal) and is_factorised(p):
        return _full_to_factorised(q, p.base_dist)  # type: ignore[attr-defined]
    if is_factorised(q) and isinstance(p, MultivariateNormal):
        q = MultivariateNormal(q.mean, scale_tril=torch.diag_embed(q.stddev), validate_args=False)
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        return None


def _full_to_factorised(q: MultivariateNormal, p: Normal) -> Tensor:
    """KL(N(mu, L L') || N(m, diag s^2)) = 0.5 sum_j (((L L')_jj + (mu_j - m_j)^2) / s_j^2 - 1 + 2 log s_j - 2 log L_jj)."""
    factor = q.scale_tril
    spread = factor.square().sum(-1) + (q.loc - p.loc).square()
    logs = p.scale.log() - factor.diagonal(dim1=-2, dim2=-1).log()
    return (0.5 * (spread / p.scale.square() - 1) + logs).sum(-1)


def sampled_kl(q: Distribution, p: Distribution, z: Tensor) -> Tensor:
    """The mean of log q(z|x) - log p(z) over draws z from q, ``[samples, batch, K]``: an estimate of KL(q || p), ``[batch]``.

    Right on average, unlike the KL sometimes below 0, and for every q and p with a density.

    Example:
        >>> q = p = Independent(Normal(torch.zeros(4, 2), 1.0), 1)
        >>> sampled_kl(q, p, q.rsample((3,)))
        tensor([0., 0., 0., 0.])
    """
    return (q.log_prob(z) - p.log_prob(z)).mean(0)


def draw(q: Distribution, samples: int) -> tuple[Tensor, Tensor]:
    """Codes ``[samples, batch, K]`` from q, through which gradients flow, and their log q(z|x), ``[samples, batch]``.

    A flow knows the density of its own draws from drawing them; asked for it afterwards it would have to go all the way back.

    Example:
        >>> z, log_q = draw(Independent(Normal(torch.zeros(5, 2), 1.0), 1), samples=3)
        >>> z.shape, log_q.shape
        (torch.Size([3, 5, 2]), torch.Size([3, 5]))
    """
    both: Any = getattr(q, "rsample_and_log_prob", None)
    if both is not None:
        return both(torch.Size([samples]))
    z = q.rsample(torch.Size([samples]))
    return z, q.log_prob(z)


def name_of(thing: object) -> str:
    """The name of something's class, with that of the distribution within."""
    inner = f"({type(thing.base_dist).__name__})" if isinstance(thing, Independent) else ""
    return type(thing).__name__ + inner
