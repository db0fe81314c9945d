"""Objectives about all codes together: q(z), the average of q(z|x) over images, against the prior.

The decoder of a generative model is asked about draws from p(z), while it learned from draws from q(z). Two ways to watch over
that: the maximum mean discrepancy between codes and draws from the prior, and the split of the rate into what codes know of
their image, how much their dimensions depend on each other, and how far each is from the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.divergence import analytic_kl, draw, is_factorised
from lowerbound.errors import InputError
from lowerbound.objective import (
    Generative,
    Maps,
    Schedule,
    Terms,
    check_weight,
    image_density,
    posterior_and_prior,
    squared_error,
    value_at,
)

__all__ = ["MatchedCodes", "MaximumMeanDiscrepancy", "TotalCorrelation", "mean_discrepancy", "split_rate"]

KERNEL_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the squared distance at which a kernel has fallen to one half


def mean_discrepancy(codes: Tensor, others: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of two samples ``[n, K]`` and ``[m, K]``, without unit, a scalar.

    A mean over all pairs within each sample, no code with itself, less twice that across: right on average, so around 0, and
    sometimes below, where both come from one distribution (Gretton et al., 2012,
    https://jmlr.org/papers/v13/gretton12a.html). The kernel is c / (c + distance^2), summed over seven c around 2K, the
    squared distance of two draws from N(0, I); its long tails still pull on codes that are far away (Tolstikhin et al., 2018,
    https://arxiv.org/abs/1711.01558). One code alone has no pairs: they count as 0.

    Example:
        >>> z = torch.randn(200, 2)
        >>> bool(mean_discrepancy(z, torch.randn(200, 2)) < 0.1 < mean_discrepancy(z, 2 + torch.randn(200, 2)))
        True
    """
    across = _kernel(codes, others).mean()
    return _mean_of_pairs(_kernel(codes, codes)) + _mean_of_pairs(_kernel(others, others)) - 2 * across


def _kernel(codes: Tensor, others: Tensor) -> Tensor:
    """Likeness of every pair, ``[n, m]``: the sum of inverse multi-quadratics over the scales."""
    distances = codes.square().sum(-1).unsqueeze(-1) + others.square().sum(-1) - 2 * codes @ others.T
    distances = distances.clamp(min=0)  # rounding
    kernel = torch.zeros_like(distances)
    for scale in KERNEL_SCALES:
        half = 2 * codes.shape[-1] * scale
        kernel = kernel + half / (half + distances)
    return kernel


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """The mean of a square matrix ``[n, n]`` off its diagonal."""
    itself = torch.eye(len(kernel), dtype=torch.bool, device=kernel.device)
    return kernel.masked_fill(itself, 0).sum() / max(len(kernel) * (len(kernel) - 1), 1)


@dataclass(frozen=True)
class MaximumMeanDiscrepancy:
    """An ELBO whose rate counts less, with the codes of the batch held to the prior together: nats per image.

    What training lowers is distortion + rate_weight * rate + weight * MMD^2(q(z), p(z)), the InfoVAE of Zhao et al. (2019,
    https://arxiv.org/abs/1706.02262) with rate_weight = 1 - alpha and weight = alpha + lambda - 1. Without the rate nothing
    keeps codes from knowing their image; together they still are to look like draws from the prior. A learned prior whose
    draws have no gradient, such as a mixture, learns through the rate alone.

    Args:
        weight: Nats per unit of MMD^2: a number or a schedule.
        rate_weight: Weight of the rate: a number or a schedule.

    Raises:
        InputError: A weight below 0.

    Example:
        >>> from lowerbound import recipes
        >>> terms = MaximumMeanDiscrepancy(weight=100.0)(recipes.vae((1, 8, 8), 2), torch.rand(5, 1, 8, 8))
        >>> terms.loss.shape
        torch.Size([5])
    """

    whole_batch: ClassVar[bool] = True  # its loss is of the batch, not of single images
    weight: float | Schedule = 1000.0
    rate_weight: float | Schedule = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        check_weight("weight", self.weight)
        check_weight("rate_weight", self.rate_weight)

    def __call__(self, model: Generative, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms for images ``[batch, C, H, W]``; the discrepancy is one number of the batch, in each image's loss.

        Raises:
            InputError: The model's parts do not make a bound: q has no density, the decoder returns plain images ...
        """
        q, p = posterior_and_prior(model, images)
        kl = analytic_kl(q, p)
        if kl is None:
            z, log_q = draw(q, 1)
            kl = (log_q - p.log_prob(z))[0]
        else:
            z = q.rsample(torch.Size([1]))
        distortion = -image_density(model.decoder, z).log_prob(images)[0]
        discrepancy = mean_discrepancy(z[0], _draws(p, len(images)))
        loss = distortion + value_at(self.rate_weight, fraction) * kl + value_at(self.weight, fraction) * discrepancy
        return Terms(loss=loss, distortion=distortion, rate=kl)


@dataclass(frozen=True)
class MatchedCodes:
    """A plain autoencoder's squared error, with its codes held to a prior, so that draws from it can be decoded.

    What training lowers is the mean squared error per pixel + weight * MMD^2(codes, p(z)): the Wasserstein autoencoder of
    Tolstikhin et al. (2018, https://arxiv.org/abs/1711.01558), whose lambda, for the sum over C*H*W pixels, is C*H*W times
    this weight.

    Args:
        weight: Squared error per unit of MMD^2: a number or a schedule.
        prior: What returns p(z), which stays as it is; by default N(0, I).

    Raises:
        InputError: A weight below 0.

    Example:
        >>> from lowerbound import recipes
        >>> MatchedCodes()(recipes.conv((1, 8, 8), 2), torch.rand(5, 1, 8, 8)).loss.shape
        torch.Size([5])
    """

    whole_batch: ClassVar[bool] = True  # its loss is of the batch, not of single images
    weight: float | Schedule = 0.01
    prior: Callable[[], Distribution] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        check_weight("weight", self.weight)

    def __call__(self, model: Maps, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms for images ``[batch, C, H, W]``; the discrepancy is one number of the batch, in each image's loss.

        Raises:
            InputError: The decoder returns a distribution.
        """
        z = model.encoder(images).rsample()
        error = squared_error(images, model.decoder(z))
        others = torch.randn_like(z) if self.prior is None else _draws(self.prior(), len(z))
        loss = error + value_at(self.weight, fraction) * mean_discrepancy(z, others)
        return Terms(loss=loss, distortion=error, rate=torch.zeros_like(error))


def _draws(p: Distribution, number: int) -> Tensor:
    """Codes ``[number, K]`` from the prior, through which gradients flow where they can."""
    shape = torch.Size([number])
    return p.rsample(shape) if p.has_rsample else p.sample(shape)


def split_rate(q: Distribution, p: Distribution, z: Tensor, images: int) -> tuple[Tensor, Tensor, Tensor]:
    """The rate's three parts for one draw from q of each image: mutual information, total correlation, dimension-wise KL.

        log q(z|x) - log p(z) = [log q(z|x) - log q(z)] + [log q(z) - sum_j log q(z_j)] + [sum_j log q(z_j) - log p(z)]

    (Chen et al., 2018, https://arxiv.org/abs/1802.04942). q(z) and its margins are averages over all training images, of
    which the batch is a random part: a code's own image counts 1 / N, and each of the other B - 1 counts
    (N - 1) / (N (B - 1)). It is the paper's stratified sampling with the remainder shared by all others, right on average
    for q(z), and exact where the batch is the whole set.

    Args:
        q: q(z|x), a product of normals, batch ``[batch]``.
        p: p(z).
        z: One code of each image, ``[batch, K]``.
        images: N, the number of training images; a larger batch counts as the whole set.

    Returns:
        The three parts of each image, ``[batch]``, nats.

    Raises:
        InputError: q is no product of normals.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> p = Independent(Normal(torch.zeros(2), 1.0), 1)
        >>> q = p.expand(torch.Size([5]))
        >>> [part.abs().max().round(decimals=4).item() for part in split_rate(q, p, q.sample(), images=5)]
        [0.0, 0.0, 0.0]
    """
    if not is_factorised(q):
        raise InputError(
            "q does not factorise over the dimensions of the code, so a total correlation has no margins to compare with; "
            "expected a product of normals; take IsotropicNormal or DiagonalNormal"
        )
    batch = len(z)
    whole = max(images, batch)
    shares = z.new_full((batch, batch), math.log(max(whole - 1, 1) / (whole * max(batch - 1, 1))))
    shares = shares.fill_diagonal_(-math.log(whole))
    each = q.base_dist.log_prob(z.unsqueeze(1))  # type: ignore[attr-defined]  # [code, image, K]
    log_joint = (each.sum(-1) + shares).logsumexp(1)
    log_margins = (each + shares.unsqueeze(-1)).logsumexp(1).sum(-1)
    own = each.diagonal(dim1=0, dim2=1).sum(0)
    return own - log_joint, log_joint - log_margins, log_margins - p.log_prob(z)


@dataclass(frozen=True)
class TotalCorrelation:
    """An ELBO whose rate is split in three with a weight on each: nats per image.

    What training lowers is distortion + mutual * I(x; z) + beta * TC(z) + dimension * sum_j KL(q(z_j) || p(z_j)), the
    beta-TC-VAE of Chen et al. (2018, https://arxiv.org/abs/1802.04942), with one draw from q. All weights 1 make it an
    estimate of -ELBO. Only the total correlation, what dimensions of the code know of each other, is charged more, in the
    hope of dimensions that mean something alone. The rate is from the same draw, so that it is the sum of the three.

    Args:
        images: N, the number of training images.
        beta: Weight of the total correlation: a number or a schedule.
        mutual: Weight of the mutual information between image and code: a number or a schedule.
        dimension: Weight of the dimension-wise KL: a number or a schedule.

    Raises:
        InputError: No images, or a weight below 0.

    Example:
        >>> from lowerbound import recipes
        >>> model = recipes.vae((1, 8, 8), 2)
        >>> terms = TotalCorrelation(images=1000, beta=1.0)(model, torch.rand(5, 1, 8, 8))
        >>> bool(torch.allclose(terms.loss, terms.distortion + terms.rate, rtol=1e-3))
        True
    """

    whole_batch: ClassVar[bool] = True
    images: int
    beta: float | Schedule = 6.0
    mutual: float | Schedule = 1.0
    dimension: float | Schedule = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no weight and no number of images."""
        if self.images < 1:
            raise InputError(f"images is {self.images}; expected the number of training images, at least 1")
        for name in ("beta", "mutual", "dimension"):
            check_weight(name, getattr(self, name))

    def __call__(self, model: Generative, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms for images ``[batch, C, H, W]``, a random part of the training images.

        Raises:
            InputError: q is no product of normals, or the model's parts do not make a bound.
        """
        q, p = posterior_and_prior(model, images)
        z = q.rsample()  # [batch, K]
        parts = split_rate(q, p, z, self.images)
        weights = [value_at(weight, fraction) for weight in (self.mutual, self.beta, self.dimension)]
        distortion = -image_density(model.decoder, z).log_prob(images)
        weighted = sum((weight * part for weight, part in zip(weights, parts, strict=True)), start=distortion)
        return Terms(loss=weighted, distortion=distortion, rate=q.log_prob(z) - p.log_prob(z))
