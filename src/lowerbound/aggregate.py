"""The aggregate posterior q(z), all images' codes together, and what the ELBO's rate is made of.

Over N images q(z) = 1/N sum_n q(z|x_n), and the mean rate splits into two terms, the second of them into two more:

    E_x KL(q(z|x) || p(z)) = I(x; z)  +  KL(q(z) || p(z))
                             KL(q(z) || p(z)) = KL(q(z) || prod_k q(z_k))  +  sum_k KL(q(z_k) || p(z_k))

I(x; z) is the mutual information, what a code says about which image it came from (Hoffman & Johnson, 2016,
http://approximateinference.org/accepted/HoffmanJohnson2016.pdf; Makhzani & Frey, 2017, https://arxiv.org/abs/1706.00531).
KL(q(z) || p(z)) is what spoils samples: the decoder learned on codes of q(z), and is fed codes of p(z). Its two terms are
the total correlation between the dimensions and the dimension-wise KL (Chen et al., 2018, https://arxiv.org/abs/1802.04942);
they need a prior whose dimensions are independent.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Size, Tensor
from torch.distributions import Distribution, Independent, kl_divergence

from lowerbound.densities import log_aggregate, marginals_of
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import as_floats
from lowerbound.progress import Progress, quiet

__all__ = ["ActiveUnits", "Aggregate", "active_units", "decompose", "per_dimension_kl"]

BLOCK = 500  # images that are encoded at a time
NEAR = 1.0  # nats below log N from which on the mutual information says more about N than about the model


@dataclass(frozen=True)
class Aggregate:
    """The rate and its terms, nats per image, each with its standard error over the images.

    For the same draws rate = mutual_information + divergence and divergence = total_correlation + dimension_wise_kl,
    to rounding.

    Attributes:
        images: N, the images whose equal mixture q(z) is.
        samples: Draws from q(z|x) for each image.
        rate: E_x KL(q(z|x) || p(z)).
        mutual_information: I(x; z), at most log N.
        divergence: KL(q(z) || p(z)).
        total_correlation: KL(q(z) || prod_k q(z_k)); None where ``reason`` says why.
        dimension_wise_kl: sum_k KL(q(z_k) || p(z_k)); None likewise.
        dimensions: KL(q(z_k) || p(z_k)) of each dimension, ``[K]``; None likewise.
        reason: Why the second split is not there; empty where it is.
    """

    images: int
    samples: int
    rate: Estimate
    mutual_information: Estimate
    divergence: Estimate
    total_correlation: Estimate | None = None
    dimension_wise_kl: Estimate | None = None
    dimensions: np.ndarray | None = None
    reason: str = ""

    @property
    def limit(self) -> float:
        """log N: the most that a code can say about which of N images it came from, in nats."""
        return math.log(self.images)

    @property
    def warning(self) -> str:
        """What to beware of when the mutual information is within a nat of its limit; else empty.

        Example:
            >>> near = Aggregate(1000, 1, *(Estimate(value, 0.1) for value in (25.0, 6.9, 18.1)))
            >>> near.warning
            'mutual information is 6.90 nats of at most log 1000 = 6.91: of more images it would be more, and ...'
        """
        mean = self.mutual_information.mean
        if mean < self.limit - NEAR:
            return ""
        return (
            f"mutual information is {mean:.2f} nats of at most log {self.images} = {self.limit:.2f}: "
            "of more images it would be more, and KL(q(z) || p(z)) less by as much"
        )


@dataclass(frozen=True)
class ActiveUnits:
    """Which dimensions of the code move with the image.

    Attributes:
        variances: Var_x(E_q[z_k]), ``[K]``.
        threshold: Above it a dimension counts as active.
    """

    variances: np.ndarray
    threshold: float = 0.01

    @property
    def mask(self) -> np.ndarray:
        """Whether each dimension is active: bool ``[K]``."""
        return self.variances > self.threshold

    @property
    def number(self) -> int:
        """How many are active.

        Example:
            >>> ActiveUnits(np.array([0.9, 1e-4, 0.5])).number
            2
        """
        return int(self.mask.sum())


def decompose(
    model: Any, images: np.ndarray, *, number: int = 2000, samples: int = 1, seed: int = 0, progress: Progress = quiet
) -> Aggregate:
    """Split the rate into mutual information, total correlation and dimension-wise KL.

    log q(z) is exact for the images taken: the logarithm of the mean of q(z|x_n) over all N of them, at codes drawn from
    their q(z|x). That is N x N x K work: 2,000 images take about a second, 10,000 half a minute with normal q.

    Args:
        model: Has an encoder to distributions over codes and a prior.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        number: Images to take, chosen at random where there are more.
        samples: Draws from q(z|x) for each of them.
        seed: Fixes the choice and the draws; torch's own random state is left as it was.
        progress: Shown on the way.

    Raises:
        InputError: Fewer than two images, no draw, or a model without a density over codes.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> split = decompose(recipes.vae((1, 8, 8), latent_dim=2), images)
        >>> abs(split.rate.mean - split.mutual_information.mean - split.divergence.mean) < 1e-9
        True
    """
    if samples < 1 or min(number, len(images)) < 2:
        raise InputError(
            f"{min(number, len(images))} images and {samples} draws for each; expected 2 images or more, and 1 draw or more"
        )
    if len(images) > number:
        images = images[np.sort(np.random.default_rng(seed).permutation(len(images))[:number])]
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        qs, prior = _distributions(model, images)
        z = torch.cat([q.sample(Size([samples])) for q in qs], 1)  # [samples, N, K]
        own = torch.cat([q.log_prob(block) for q, block in zip(qs, z.split(BLOCK, 1), strict=True)], 1)
        log_p = prior.log_prob(z)
        factors, reason = _factors(qs, prior)
        joint, marginal = log_aggregate(qs, z.flatten(0, 1), marginals=factors is not None, progress=progress)
        joint = joint.view_as(own)
        split: dict[str, Any] = {"reason": reason}
        if factors is not None:
            marginal = marginal.view_as(z)
            each = marginal - factors.log_prob(z)
            split |= {
                "total_correlation": _estimate(joint - marginal.sum(-1)),
                "dimension_wise_kl": _estimate(each.sum(-1)),
                "dimensions": each.mean((0, 1)).numpy(),
            }
    rate, information, divergence = (_estimate(term) for term in (own - log_p, own - joint, joint - log_p))
    return Aggregate(len(images), samples, rate, information, divergence, **split)


def per_dimension_kl(model: Any, images: np.ndarray, *, samples: int = 16, seed: int = 0) -> np.ndarray | None:
    """E_x KL(q(z_k|x) || p(z_k)) of each dimension, in nats: ``[K]``; a collapsed dimension has none.

    Exact where torch knows the divergence (a normal q and the standard normal prior), else a mean over draws. It sums to the
    rate where q's dimensions are independent; of a full normal each dimension's own q(z_k|x) is taken.

    Args:
        model: Has an encoder to distributions over codes and a prior.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        samples: Draws for each image where there is no closed form.
        seed: Fixes these draws.

    Returns:
        ``[K]``, or None where q or the prior has no known distribution of one dimension (a flow, a mixture).

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> per_dimension_kl(recipes.vae((1, 8, 8), latent_dim=2), images).shape
        (2,)
    """
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        qs, prior = _distributions(model, images)
        factors, _ = _factors(qs, prior)
        if factors is None:
            return None
        total = sum(_divergence(marginals_of(q), factors, samples).sum(0) for q in qs)
    return (total / len(images)).numpy()  # type: ignore[union-attr, operator]


def active_units(model: Any, images: np.ndarray, threshold: float = 0.01) -> ActiveUnits:
    """Which dimensions of the code move with the image: Var_x(E_q[z_k]) above a threshold.

    Burda, Grosse & Salakhutdinov, 2016, https://arxiv.org/abs/1509.00519, with their threshold.

    Args:
        model: Its ``transform`` gives codes, the means of q(z|x).
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        threshold: In squared units of the code; the prior's variance is 1.

    Raises:
        InputError: Fewer than two images.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> active_units(recipes.vae((1, 8, 8), latent_dim=2), images).mask.shape
        (2,)
    """
    if len(images) < 2:
        raise InputError(f"{len(images)} images have no variance; expected 2 or more")
    return ActiveUnits(model.transform(images).astype(np.float64).var(0, ddof=1), threshold)


def _distributions(model: Any, images: np.ndarray) -> tuple[list[Distribution], Distribution]:
    """q(z|x) of blocks of images, and p(z); in float64, since all that follows are differences of logarithms."""
    if not hasattr(model, "prior"):
        raise InputError(f"a {type(model).__name__} has no prior over codes; expected a model such as VAE")
    model = copy.deepcopy(model).double()  # whole: a prior may be made of the encoder
    blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
    qs = [model.encoder(torch.from_numpy(as_floats(block, model.image_shape)).double()) for block in blocks]
    if type(qs[0]).log_prob is Distribution.log_prob:
        raise InputError("q(z|x) has no density over codes; expected another posterior than a point")
    return qs, model.prior()


def _estimate(values: Tensor) -> Estimate:
    """The mean over images, and its standard error, of values ``[samples, N]``."""
    return Estimate.of(values.mean(0).numpy())


def _factors(qs: list[Distribution], prior: Distribution) -> tuple[Any, str]:
    """p(z_k) of each dimension, batch ``[K]``; or None and the reason why there is no second split."""
    if not (isinstance(prior, Independent) and prior.reinterpreted_batch_ndims == 1):
        return None, "the dimensions of the prior are not independent"
    if marginals_of(qs[0]) is None:
        return None, "of this q(z|x) the distribution of one dimension is not known"
    return prior.base_dist, ""


def _divergence(q: Any, p: Any, samples: int) -> Tensor:
    """KL of univariate distributions ``[N, K]``, exact or by draws."""
    try:
        return kl_divergence(q, p)
    except NotImplementedError:
        z = q.sample(Size([samples]))
        return (q.log_prob(z) - p.log_prob(z)).mean(0)
