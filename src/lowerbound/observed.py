"""q(z | what is seen of an image), where the image is seen through noise, or in part.

An encoder was trained on whole, clean images. Of others it guesses, and the guess is where the ascent on phi begins:
phi moves until q(z; phi) is near p(z | what is seen), under the density of what is seen given z. See ``climbing``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.amortisation import moments
from lowerbound.climbing import How, ascend, seeded
from lowerbound.divergence import analytic_kl
from lowerbound.progress import Progress, quiet

__all__ = ["around", "mirrored", "q_given"]

VALUES = 128 * 784  # pixel values decoded at a time, as in ``inference``
RATE, TOLERANCE = 0.06, 0.02  # of the ascent, as in ``inference``


def around(q: Distribution, family: Any) -> Tensor:
    """phi of a normal with the means and the standard deviations of q, ``[N, P]``.

    Args:
        q: Codes of N images, batch ``[N]``.
        family: ``DiagonalNormal`` or ``FullNormal``.

    Example:
        >>> from lowerbound.posterior import FullNormal, IsotropicNormal
        >>> around(IsotropicNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0]])), FullNormal)
        tensor([[1., 2., 0., 0., 0.]])
    """
    mean, scale = map(torch.from_numpy, moments(q))
    k = mean.shape[1]
    return torch.cat([mean, scale.log(), mean.new_zeros(len(mean), family.phi_size(k) - 2 * k)], dim=1)


def q_given(
    density: Callable[[Tensor], Distribution],
    prior: Distribution,
    seen: Tensor,
    phi: Tensor,
    family: Any,
    *,
    samples: int,
    steps: int,
    seed: int = 0,
    progress: Progress = quiet,
    task: str = "looking for codes",
) -> Distribution:
    """The q of a family that raises the ELBO of what is seen, found from phi on, many images at once.

    Args:
        density: From codes ``[..., K]`` to a distribution of what is seen.
        prior: p(z).
        seen: Of N images, ``[N, ...]`` as the density takes it.
        phi: Where to start, ``[N, P]``.
        family: Turns phi into q.
        samples: Draws from q for each image and step.
        steps: At most so many; an image that has converged takes no more.
        seed: Fixes the draws.
        progress: Shown on the way.
        task: What it is called there.

    Returns:
        q, batch ``[N]``.

    Example:
        >>> from lowerbound.noise import NormalNoise
        >>> from lowerbound.posterior import DiagonalNormal
        >>> from lowerbound.prior import StandardNormal
        >>> density = lambda z: NormalNoise(z[..., None, None], torch.tensor(1.0))  # an image of one pixel, z itself
        >>> q = q_given(density, StandardNormal(1)(), torch.full((1, 1, 1, 1), 2.0), torch.zeros(1, 2), DiagonalNormal,
        ...     samples=16, steps=400)
        >>> bool((q.mean - 1).abs() < 0.05), bool((q.variance - 0.5).abs() < 0.05)  # p(z|x) = N(x / 2, 1 / 2)
        (True, True)
    """
    closed = analytic_kl(family.from_phi(phi[:1]), prior) is not None
    how = How(density, prior, family, samples, steps, RATE, TOLERANCE, closed)
    block = max(1, VALUES // (samples * math.prod(seen.shape[1:])))
    with seeded(seed), progress(task, len(seen) * steps) as advance:
        best = [
            ascend(how, seen[first : first + block], phi[first : first + block], advance)[0]
            for first in range(0, len(seen), block)
        ]
    return family.from_phi(torch.cat(best))


def mirrored(q: Distribution, number: int) -> Tensor:
    """Draws from a normal q in pairs about its mean, ``[number, N, K]``: their mean is q's own, exactly for an even number.

    Example:
        >>> from lowerbound.posterior import DiagonalNormal
        >>> q = DiagonalNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0, 0.0]]))
        >>> mirrored(q, 4).mean(0).round(decimals=3)
        tensor([[1., 2.]])
    """
    half = q.sample(torch.Size([(number + 1) // 2]))
    return torch.cat([half, 2 * q.mean - half])[:number]
