"""log q(z) of many codes at once, where q(z) is the mixture of q(z|x) over all images: every code under every image's q.

With N images and as many codes that is N^2 densities of K dimensions. Those of normals are matrix products, and a block of codes
is done with before the next one is begun, so that memory does not grow with N^2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from lowerbound.progress import Progress, quiet

__all__ = ["log_aggregate", "marginals_of"]

HELD = 2**22  # log densities held at a time: 32 MiB


def log_aggregate(
    qs: list[Distribution], z: Tensor, *, marginals: bool, progress: Progress = quiet
) -> tuple[Tensor, Tensor]:
    """log q(z) ``[draws]`` and, if asked, log q(z_k) ``[draws, K]`` of codes ``[draws, K]``; nats.

    Args:
        qs: q(z|x) of all images, in blocks of any sizes; ``[N, K]`` together.
        z: Codes.
        marginals: Whether each dimension is asked for, too; what comes in its place otherwise means nothing.
        progress: Shown meanwhile.

    Example:
        >>> q = Independent(Normal(torch.zeros(4, 2), torch.ones(4, 2)), 1)
        >>> log_aggregate([q], torch.zeros(3, 2), marginals=False)[0]
        tensor([-1.8379, -1.8379, -1.8379])
    """
    sizes = [q.batch_shape[0] for q in qs]
    joints = [_joint_densities(q) for q in qs]
    each = [_marginal_densities(marginals_of(q)) for q in qs] if marginals else []
    rows = max(1, HELD // (max(sizes) * max(z.shape[1], 16)))
    joint, marginal = [], []
    with progress("comparing codes", len(z)) as advance:
        for block in z.split(rows):
            joint.append(_log_sum(density(block) for density in joints))
            marginal.append(_log_sum(density(block) for density in each).T if marginals else block)
            advance(len(block), "")
    return torch.cat(joint) - math.log(sum(sizes)), torch.cat(marginal) - math.log(sum(sizes))


def _log_sum(blocks: Iterator[Tensor]) -> Tensor:
    """log sum exp over the last axis of all blocks together."""
    total = next(blocks).logsumexp(-1)
    for block in blocks:
        total = torch.logaddexp(total, block.logsumexp(-1))
    return total


def _joint_densities(q: Distribution) -> Callable[[Tensor], Tensor]:
    """From codes ``[n, K]`` to log q(z|x) under every one of the images, ``[n, N]``.

    A normal's (z - m)'P(z - m) = z'Pz - 2 z'Pm + m'Pm for all pairs at once is two matrix products.
    """
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        precision = q.base_dist.scale.reciprocal().square()
        squares, line = precision, precision * q.mean
        log_scales = q.base_dist.scale.log().sum(-1)
    elif isinstance(q, MultivariateNormal):
        precision = torch.cholesky_inverse(q.scale_tril)
        squares, line = precision.flatten(1), (precision @ q.mean.unsqueeze(-1)).squeeze(-1)
        log_scales = q.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    else:
        return lambda z: q.log_prob(z.unsqueeze(1))
    constant = -(line * q.mean).sum(-1) / 2 - log_scales - q.mean.shape[-1] / 2 * math.log(2 * math.pi)

    def densities(z: Tensor) -> Tensor:
        products = z.square() if squares.shape == line.shape else (z.unsqueeze(2) * z.unsqueeze(1)).flatten(1)
        return z @ line.T - products @ squares.T / 2 + constant

    return densities


def _marginal_densities(q: Any) -> Callable[[Tensor], Tensor]:
    """From codes ``[n, K]`` to log q(z_k|x) of every dimension under every one of the images, ``[K, n, N]``."""
    if not isinstance(q, Normal):
        return lambda z: q.log_prob(z.unsqueeze(1)).permute(2, 0, 1)
    precision = q.scale.reciprocal().square()
    constant = -precision * q.mean.square() / 2 - q.scale.log() - math.log(2 * math.pi) / 2
    coefficients = torch.stack([-precision / 2, precision * q.mean, constant]).permute(2, 0, 1)  # [K, 3, N]
    return lambda z: torch.stack([z.square(), z, torch.ones_like(z)]).permute(2, 1, 0) @ coefficients


def marginals_of(q: Distribution) -> Any:
    """q(z_k|x) of each dimension, batch ``[N, K]``; None where they are not known.

    Example:
        >>> marginals_of(MultivariateNormal(torch.zeros(4, 2), torch.eye(2))).stddev[0]
        tensor([1., 1.])
    """
    if isinstance(q, Independent) and q.reinterpreted_batch_ndims == 1:
        return q.base_dist
    return Normal(q.mean, q.variance.sqrt()) if isinstance(q, MultivariateNormal) else None
