"""log p(x) by importance sampling: the number that the ELBO bounds from below.

With draws z_1 ... z_S from q(z|x) and weights w_s = p(x|z_s) p(z_s) / q(z_s|x),

    E[w] = p(x),    log p(x) ~ log (w_1 + ... + w_S) / S,

which in expectation stays below log p(x) and rises to it with S (Burda, Grosse & Salakhutdinov, 2016,
https://arxiv.org/abs/1509.00519); with S = 1 its expectation is the ELBO. The mean of log w is the ELBO for any S, so that
one set of draws gives both. How the weights are summed: ``weights.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.divergence import draw
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import as_floats
from lowerbound.importance import log_weights
from lowerbound.order import seed_of
from lowerbound.progress import Progress, quiet
from lowerbound.weights import Evidence, Sums, block_for, blocks

__all__ = ["Bound", "Evidence", "evidence", "images_of", "importance_weighted_bound"]

GROUP = 500  # images that are encoded at a time
DRAWS = 5_000  # codes that one seed stands for: fixed, so that results do not depend on how many are decoded at a time


class Density(Protocol):
    """Anything with the three parts of a variational autoencoder."""

    encoder: Any
    decoder: Any
    prior: Any


@dataclass(frozen=True)
class Bound:
    """A lower bound on log p(x) for each image, averaged over repeats.

    Attributes:
        value: Nats with all constants, ``[N]``.
        standard_error: Of each, over repeats, ``[N]``; not a number with a single repeat.
        samples: k, the draws within one repeat.
        repeats: How many bounds were averaged.
    """

    value: np.ndarray
    standard_error: np.ndarray
    samples: int
    repeats: int

    @property
    def estimate(self) -> Estimate:
        """Mean over images, and its standard error as of a sample of images."""
        return Estimate.of(self.value)


def evidence(
    model: Density,
    images: np.ndarray,
    *,
    samples: int = 500,
    seed: int = 0,
    proposal: Distribution | None = None,
    block: int | None = None,
    progress: Progress = quiet,
) -> Evidence:
    """log p(x) of each image by importance sampling, with its standard error and effective number of draws.

    Look at ``reliable`` before the numbers: from an encoder's q, under a Gaussian likelihood, one or two of thousands of draws
    can carry the sum, and log p(x) then comes out low by tens of nats. What helps is a proposal that was found for each image,
    as in the second example; gradient ascent costs on MNIST as much as some 10,000 draws for each image.

    Results are a function of images, samples and seed; the block changes them by rounding alone.

    Args:
        model: Has ``encoder``, ``decoder`` and ``prior``; in float32 or float64.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        samples: Draws for each image.
        seed: Fixes the draws.
        proposal: What to draw codes from: a distribution with batch shape ``[N]``; by default the encoder's q(z|x). One that
            is nearer to the posterior (``infer`` finds it) needs fewer draws; one that is narrower than the posterior has
            weights without a variance, and no error can be stated.
        block: Codes decoded at a time, which bounds memory.
        progress: Shown on the way.

    Raises:
        InputError: No images, images of another size, fewer than one draw, or a q without a density.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> model = recipes.vae((1, 8, 8), latent_dim=2)
        >>> found = evidence(model, images, samples=100)
        >>> found.log_p.shape, bool((found.log_p >= found.elbo).all())
        ((3,), True)

        With the best full normal of each image for a proposal:

        >>> from lowerbound.amortisation import infer_for
        >>> from lowerbound.posterior import FullNormal
        >>> best = infer_for(model, images, family=FullNormal).found.q()
        >>> better = evidence(model, images, samples=100, proposal=best)
        >>> bool((better.effective_samples > found.effective_samples).all())
        True
    """
    sums = _weigh(model, images, (samples, 1), seed=seed, proposal=proposal, block=block, progress=progress)
    drawn = "the encoder's q(z|x)" if proposal is None else "a given proposal"
    return sums.evidence(f"importance sampling, {samples:,} draws from {drawn}")


def importance_weighted_bound(
    model: Density,
    images: np.ndarray,
    *,
    samples: int = 50,
    repeats: int = 10,
    seed: int = 0,
    proposal: Distribution | None = None,
    block: int | None = None,
    progress: Progress = quiet,
) -> Bound:
    """The importance-weighted bound E[log (w_1 + ... + w_k) / k] of each image (Burda et al., 2016, equation 8).

    With k = 1 it is the ELBO; it rises with k and never passes log p(x).

    Args:
        model: Has ``encoder``, ``decoder`` and ``prior``.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        samples: k, draws within the logarithm.
        repeats: Independent bounds that are averaged.
        seed: Fixes the draws.
        proposal: As in ``evidence``.
        block: Codes decoded at a time, which bounds memory.
        progress: Shown on the way.

    Raises:
        InputError: As ``evidence`` does.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> model = recipes.vae((1, 8, 8), latent_dim=2)
        >>> one, many = (importance_weighted_bound(model, images, samples=k).estimate.mean for k in (1, 50))
        >>> one < many
        True
    """
    sums = _weigh(model, images, (samples, repeats), seed=seed, proposal=proposal, block=block, progress=progress)
    each = sums.log_means
    error = each.std(0, ddof=1) / math.sqrt(repeats) if repeats > 1 else np.full(len(images), math.nan)
    return Bound(each.mean(0), error, samples, repeats)


@torch.no_grad()
def _weigh(
    model: Density,
    images: np.ndarray,
    shape: tuple[int, int],
    *,
    seed: int,
    proposal: Distribution | None,
    block: int | None,
    progress: Progress,
) -> Sums:
    """Log weights of ``samples x repeats`` draws for each image, taken into running sums."""
    samples, repeats = shape
    if samples < 1 or repeats < 1:
        raise InputError(f"samples is {samples} and repeats {repeats}; expected at least 1 of each")
    x = images_of(model, images)
    block = block_for(images) if block is None else block
    sums, total = Sums(len(x), samples, repeats), samples * repeats
    with torch.random.fork_rng([]), progress("evidence: codes decoded", total * len(x)) as advance:
        prior = model.prior()  # once: behind some priors stands a whole network
        for place, q in _proposals(model, x, proposal):
            chunk = max(1, DRAWS // (place.stop - place.start))
            for first in range(0, total, chunk):
                torch.manual_seed(seed_of(seed, place.start, first))
                z, log_q = draw(q, min(chunk, total - first))  # [draws, images, K]
                log_w = torch.empty(log_q.shape, dtype=x.dtype)
                for some, of in blocks(len(z), len(x[place]), block):  # some draws of some images
                    log_w[some, of] = log_weights(q, z[some, of], model.decoder, prior, x[place][of], log_q[some, of])
                    advance(log_w[some, of].numel(), "")
                sums.add(place, first, log_w.double().numpy())
    return sums


def images_of(model: Any, images: np.ndarray) -> Tensor:
    """Images as a tensor in the model's precision, for a model that has a density.

    Raises:
        InputError: No images, images of another size than the model's, or a model without a density.
    """
    if not hasattr(model, "prior"):
        raise InputError(f"{type(model).__name__} has no p(z), so images have no log p(x) under it; give a VAE")
    if not len(images):
        raise InputError("no images came; expected at least 1")
    parameter = next(model.parameters(), None) if hasattr(model, "parameters") else None
    x = torch.from_numpy(as_floats(images, getattr(model, "image_shape", None)))
    return x if parameter is None else x.to(parameter.dtype)


def _proposals(model: Density, x: Tensor, proposal: Distribution | None) -> Iterator[tuple[slice, Distribution]]:
    """Which images, and what to draw their codes from."""
    if proposal is not None:
        if proposal.batch_shape != x.shape[:1]:
            raise InputError(
                f"the proposal has batch shape {list(proposal.batch_shape)}; expected [{len(x)}], as images"
            )
        yield slice(0, len(x)), _with_density(proposal)
        return
    for start in range(0, len(x), GROUP):
        place = slice(start, min(start + GROUP, len(x)))
        yield place, _with_density(model.encoder(x[place]))


def _with_density(q: Distribution) -> Distribution:
    """The distribution itself, unless it is a single point."""
    if type(q).log_prob is Distribution.log_prob:
        raise InputError(f"q(z|x) is a {type(q).__name__} and has no density; log p(x) needs a VAE, not an autoencoder")
    return q
