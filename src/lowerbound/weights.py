"""Importance weights, summed as they come, and what their sums say of log p(x).

Of any number of weights only running sums are kept, in logarithms and float64; codes are decoded in blocks. So memory does not
grow with draws, and does with images by some numbers for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.evaluation import Estimate

__all__ = ["Evidence", "Sums", "block_for", "blocks"]

RELIABLE = 20  # effective draws below which the standard error is itself a guess
UNRELIABLE = (
    "few draws carry the sum for the images that are not reliable: their log p(x) is too low, perhaps by tens of nats, and by "
    "more than the standard error says"
)


@dataclass(frozen=True)
class Evidence:
    """log p(x) of each image, from weights whose mean is p(x).

    Weights of draws from an encoder's q can be so uneven on a Gaussian likelihood that one or two draws carry the sum: log_p is
    then tens of nats too low, whatever the standard error says. ``effective_samples`` and ``reliable`` show it, and a better
    proposal helps (see ``evidence``).

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
            "median_effective_samples": float(np.median(self.effective_samples)),
            "note": None if self.reliable.all() else UNRELIABLE,
            "per_image": {
                name: np.round(getattr(self, name), 4).tolist()
                for name in ("log_p", "standard_error", "effective_samples", "elbo")
            },
        }


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


def block_for(images: np.ndarray) -> int:
    """Codes to decode at a time: 128 of MNIST's size, fewer of larger images; what a network makes of more fits no cache.

    Example:
        >>> block_for(np.zeros((9, 1, 28, 28))), block_for(np.zeros((9, 3, 64, 64)))
        (128, 8)
    """
    return max(1, min(128, 128 * 784 // math.prod(images.shape[1:])))


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
