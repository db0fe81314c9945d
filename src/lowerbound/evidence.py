"""log p(x) by importance sampling: the number that the ELBO bounds from below.

With draws z_1 ... z_S from q(z|x) and weights w_s = p(x|z_s) p(z_s) / q(z_s|x),

    E[w] = p(x),    log p(x) ~ log (w_1 + ... + w_S) / S,

which in expectation stays below log p(x) and rises to it with S (Burda, Grosse & Salakhutdinov, 2016,
https://arxiv.org/abs/1509.00519); with S = 1 its expectation is the ELBO. The mean of log w is the ELBO for any S, so that
one set of draws gives both.

Draws are made for all images of a group at once and decoded in blocks; of the weights only running sums are kept. So memory
does not grow with draws, and does with images by some numbers for each.
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
from lowerbound.progress import Advance, Progress, quiet
from lowerbound.training import seed_of

__all__ = ["Bound", "Evidence", "block_for", "evidence", "images_of", "importance_weighted_bound"]

GROUP = 500  # images that are encoded at a time
DRAWS = 5_000  # codes that one seed stands for: fixed, so that results do not depend on how many are decoded at a time
RELIABLE = 20  # effective draws below which the standard error is itself a guess


class Density(Protocol):
    """Anything with the three parts of a variational autoencoder."""

    encoder: Any
    decoder: Any
    prior: Any


@dataclass(frozen=True)
class Evidence:
    """log p(x) of each image, from weights whose mean is p(x).

    The standard error is that of the logarithm of a mean of S weights to first order (the delta method), sd(w) / mean(w) /
    sqrt(S). It is a function of the effective number of draws and cannot pass 1 nat: where few draws carry the sum, the true
    error is larger, and log_p too low. ``reliable`` tells which images have at least 20 effective draws, or half
    of the draws where they are few.

    Attributes:
        log_p: Nats with all constants, ``[N]``; in expectation a lower bound on log p(x).
        standard_error: Of each, over draws, nats ``[N]``.
        effective_samples: 1 / sum of squared normalised weights, between 1 and S, ``[N]`` (Kong, 1992).
        elbo: The mean of log w of the same draws, ``[N]``: the ELBO of the distribution that was drawn from.
        elbo_error: Its standard error over draws, ``[N]``.
        gap_error: Standard error of ``log_p - elbo``, ``[N]``: both come from the same draws.
        samples: S, weights per image.
        method: How they were drawn.
    """

    log_p: np.ndarray
    standard_error: np.ndarray
    effective_samples: np.ndarray
    elbo: np.ndarray
    elbo_error: np.ndarray
    gap_error: np.ndarray
    samples: int
    method: str

    @property
    def reliable(self) -> np.ndarray:
        """Which images have enough effective draws for the standard error to mean something, bool ``[N]``."""
        return self.effective_samples >= min(RELIABLE, self.samples / 2)

    @property
    def estimate(self) -> Estimate:
        """Mean over images, and its standard error as of a sample of images.

        The values differ because images do and because draws do, so their spread holds both errors already.
        """
        return Estimate.of(self.log_p)

    @property
    def monte_carlo_error(self) -> float:
        """The part of the mean's error that more draws would remove: the standard error for these very images."""
        return float(np.sqrt(np.square(self.standard_error).sum()) / len(self.log_p))

    def to_json(self) -> dict[str, Any]:
        """What the estimate is, how it was made, and the numbers of each image, as JSON holds them."""
        estimate = self.estimate
        return {
            "unit": "nats per image",
            "method": self.method,
            "samples": self.samples,
            "images": len(self.log_p),
            "mean": estimate.mean,
            "standard_error": None if math.isnan(estimate.standard_error) else estimate.standard_error,
            "monte_carlo_error": self.monte_carlo_error,
            "reliable": int(self.reliable.sum()),
            "per_image": {
                name: np.round(getattr(self, name), 4).tolist()
                for name in ("log_p", "standard_error", "effective_samples", "elbo")
            },
        }


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


class Sums:
    """Running sums of weights, in logarithms and float64: all that is kept of any number of draws.

    Args:
        images: N.
        samples: Weights in one mean.
        repeats: Means that are kept apart.

    Example:
        >>> sums = Sums(images=1, samples=2)
        >>> sums.add(slice(0, 1), 0, np.log([[1.0], [3.0]]))
        >>> round(float(np.exp(sums.log_means[0, 0])), 6)
        2.0
    """

    def __init__(self, images: int, samples: int, repeats: int = 1) -> None:
        self.samples, self.repeats = samples, repeats
        self.log_sums = np.full((repeats, images), -np.inf)
        self.top = np.full(images, -np.inf)  # the largest log weight; what follows is in units of its weight
        self.weighted = np.zeros((3, images))  # sums of w, w^2 and w log(w / w_top)
        self.count = np.zeros(images)
        self.mean = np.zeros(images)  # of log w
        self.spread = np.zeros(images)  # sum of squares of log w about its mean

    def add(self, place: slice, first: int, log_weights: np.ndarray) -> None:
        """Take in ``[draws, images]`` of the images at ``place``: draws ``first``, ``first + 1`` ... of each."""
        draws, images = log_weights.shape
        repeat = (first + np.arange(draws)) // self.samples
        columns = np.arange(images) + place.start
        np.logaddexp.at(self.log_sums, (repeat[:, None], columns[None]), log_weights)
        self._raise_top(place, log_weights.max(0))
        logs = log_weights - self.top[place]
        weights = np.exp(logs)
        self.weighted[:, place] += np.stack([weights.sum(0), np.square(weights).sum(0), (weights * logs).sum(0)])
        self._add_moments(place, log_weights)

    def _raise_top(self, place: slice, top: np.ndarray) -> None:
        """Turn sums to the unit of a larger weight, so that none overflows."""
        before = self.top[place].copy()
        self.top[place] = np.maximum(before, top)
        fall = np.where(np.isfinite(before), before - self.top[place], 0.0)  # nothing was summed before the first
        ones, squares, logs = self.weighted[:, place]
        unit = np.exp(fall)
        self.weighted[:, place] = np.stack([ones * unit, squares * unit**2, (logs + ones * fall) * unit])

    def _add_moments(self, place: slice, values: np.ndarray) -> None:
        """Mean and spread of what came before and of these values (Chan, Golub & LeVeque, 1983)."""
        mean, before, here = values.mean(0), self.count[place], len(values)
        step = mean - self.mean[place]
        self.spread[place] += np.square(values - mean).sum(0) + step**2 * before * here / (before + here)
        self.mean[place] += step * here / (before + here)
        self.count[place] += here

    @property
    def log_means(self) -> np.ndarray:
        """Of each repeat and image the log of the mean weight, ``[repeats, N]``."""
        return self.log_sums - math.log(self.samples)

    def evidence(self, method: str) -> Evidence:
        """What the weights say of log p(x), all repeats taken together."""
        total = self.samples * self.repeats
        ones, squares, logs = self.weighted
        log_sum = self.top + np.log(ones)
        effective = np.clip(ones**2 / squares, 1, total)
        bessel = total / (total - 1) if total > 1 else math.nan
        relative = np.maximum(1 / effective - 1 / total, 0) * bessel  # variance of mean(w) / E[w]
        of_mean = self.spread / total**2 * bessel  # variance of mean(log w)
        covariance = (self.top + logs / ones - self.mean) / total * bessel
        return Evidence(
            log_p=log_sum - math.log(total),
            standard_error=np.sqrt(relative),
            effective_samples=effective,
            elbo=self.mean,
            elbo_error=np.sqrt(of_mean),
            gap_error=np.sqrt(np.maximum(relative + of_mean - 2 * covariance, 0)),
            samples=total,
            method=method,
        )


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
        >>> found = evidence(recipes.vae((1, 8, 8), latent_dim=2), images, samples=100)
        >>> found.log_p.shape, bool((found.log_p >= found.elbo).all())
        ((3,), True)
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
                beyond = prior.log_prob(z) - log_q
                log_weights = log_likelihood(model.decoder, z, x[place], block, advance).double() + beyond.double()
                sums.add(place, first, log_weights.numpy())
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


def block_for(images: np.ndarray) -> int:
    """Codes to decode at a time: 256 of MNIST's size, fewer of larger images.

    Example:
        >>> block_for(np.zeros((9, 1, 28, 28))), block_for(np.zeros((9, 3, 64, 64)))
        (256, 21)
    """
    return max(1, min(256, 256 * 1024 // math.prod(images.shape[1:])))


@torch.no_grad()
def log_likelihood(decoder: Any, z: Tensor, x: Tensor, block: int, advance: Advance) -> Tensor:
    """log p(x|z) of codes ``[draws, N, K]`` and images ``[N, C, H, W]``, a block of codes at a time: ``[draws, N]``."""
    found = torch.empty(z.shape[:2], dtype=x.dtype)
    for rows, columns in blocks(len(z), len(x), block):
        found[rows, columns] = decoder(z[rows, columns]).log_prob(x[columns])
        advance(found[rows, columns].numel(), "")
    return found


def blocks(draws: int, images: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Cut ``draws x images`` in parts of at most ``size``: all images where they fit, and some draws of each.

    Example:
        >>> list(blocks(3, 2, size=4))
        [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 3, None), slice(0, 2, None))]
    """
    wide = min(images, size)
    high = max(1, size // wide)
    for left in range(0, images, wide):
        for low in range(0, draws, high):
            yield slice(low, min(low + high, draws)), slice(left, min(left + wide, images))


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
