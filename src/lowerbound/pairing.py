"""Is one model better than another? The same images through both, and the differences image by image.

Two models find the same images hard, so their difference is known far better than either error: what varies is the
difference of each image, not the error of each image. Images are one source of chance; the seed of the training is another,
and with one seed nothing can be said of it. With S seeds and N images the differences are a table d[s, i],

    d[s, i] = mean + seed_s + image_i + rest,        Var(mean of d) = Var(seed) / S + Var(image) / N + Var(rest) / (S N),

two factors that are crossed, since every seed meets the same images. The variance of the grand mean is estimated, a little
high, by that of the S seed means over S plus that of the N image means over N; the interval is Student's, with the degrees of
freedom of the sum of two estimated variances (Satterthwaite, 1946, https://doi.org/10.2307/3002019). Where seeds decide, that
is the t interval of S - 1 degrees of freedom, wide for few seeds; where images decide, that of N - 1. Why seeds must count:
Bouthillier et al., 2021, https://arxiv.org/abs/2103.03098.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate

__all__ = ["Contender", "Difference", "paired", "verdict"]


@dataclass(frozen=True)
class Difference:
    """How much more one model has than another, over the same images.

    Attributes:
        mean: The mean difference, first minus second.
        standard_error: Its standard error, over images and, with two seeds or more, over seeds.
        low: Lower end of the interval.
        high: Upper end of the interval.
        confidence: How often such an interval holds the true difference.
        images: N.
        seeds: S; with 1 the interval is of these two trained models, and not of another training.
        by_seed: The mean difference under each seed, ``[S]``.
    """

    mean: float
    standard_error: float
    low: float
    high: float
    confidence: float
    images: int
    seeds: int
    by_seed: tuple[float, ...]

    @property
    def certain(self) -> bool:
        """Whether the interval leaves zero out, so that the sign is known."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        """The numbers as JSON holds them: null for what is not known of a single image."""
        known = {
            name: value if math.isfinite(value) else None for name, value in vars(self).items() if name != "by_seed"
        }
        return {**known, "by_seed": list(self.by_seed)}


def paired(first: np.ndarray, second: np.ndarray, *, confidence: float = 0.95) -> Difference:
    """The mean difference between two models over the same images, ``first - second``, with an interval.

    Args:
        first: One value per image of one model, ``[N]``; or under each of S seeds of its training, ``[S, N]``.
        second: The other model's, of the same images in the same order and of the same shape.
        confidence: How often the interval should hold the true difference.

    Raises:
        InputError: Arrays that are not of one shape, hold no images, or numbers that are not finite.

    Example:
        >>> hard = np.arange(100.0)  # the images' own hardness cancels
        >>> found = paired(hard + np.tile([1.0, 3.0], 50), hard)
        >>> found.mean, round(found.low, 2), round(found.high, 2)
        (2.0, 1.8, 2.2)
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim not in (1, 2) or not first.size:
        raise InputError(
            f"values have shapes {list(first.shape)} and {list(second.shape)}; expected both [N], one per image, "
            "or both [seeds, N], of the same images in the same order"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError("values hold numbers that are not finite; expected one finite number per image")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; expected a number between 0 and 1, as 0.95")
    differences = np.atleast_2d(first - second)
    seeds, images = differences.shape
    mean, by_seed = float(differences.mean()), tuple(map(float, differences.mean(1)))
    error, reach = _spread(differences, confidence) if images > 1 else (math.nan, math.nan)
    return Difference(mean, error, mean - reach, mean + reach, confidence, images, seeds, by_seed)


def _spread(differences: np.ndarray, confidence: float) -> tuple[float, float]:
    """The standard error of the mean of ``[S, N]``, and half the interval: Student's, with Satterthwaite's freedom."""
    from scipy.stats import t

    means = [differences.mean(axis) for axis in (1, 0) if differences.shape[1 - axis] > 1]  # of seeds, of images
    variances = [float(values.var(ddof=1)) / len(values) for values in means]
    total = sum(variances)
    if total == 0:
        return 0.0, 0.0
    shares = [variance / total for variance in variances]
    freedom = 1 / sum(share**2 / (len(values) - 1) for share, values in zip(shares, means, strict=True))
    error = math.sqrt(total)
    return error, error * float(t.ppf(0.5 + confidence / 2, freedom))


@dataclass(frozen=True)
class Contender:
    """What a verdict must know of a model.

    Attributes:
        name: As a sentence has it, with its article: "the VAE".
        errors: Mean squared error per pixel of each test image, ``[N]`` or under S seeds ``[S, N]``.
        told: How often a classifier tells its samples from real images (``realism.two_sample``), chance is 0.5; None
            where it has none.
    """

    name: str
    errors: np.ndarray
    told: Estimate | None = None


def verdict(k: int, model: Contender, rival: Contender, yardstick: Contender | None = None) -> list[str]:
    """Two sentences on what a model that can sample costs, and what it buys.

    Args:
        k: Numbers per image.
        model: The model that can sample, as a VAE.
        rival: The model whose errors it is held against, as a plain autoencoder, over the same images.
        yardstick: A model whose samples the model's are held against; else the rival's, where it has any.

    Example:
        >>> errors = np.random.default_rng(0).random(500) / 50
        >>> vae = Contender("the VAE", 1.2 * errors, told=Estimate(0.85, 0.005))
        >>> pca = Contender("probabilistic PCA", 2 * errors, told=Estimate(0.99, 0.002))
        >>> for sentence in verdict(20, vae, Contender("the autoencoder", errors), pca):
        ...     print(sentence)
        At K = 20 the VAE pays 0.002123 more squared error per pixel than the autoencoder, 20 % more
        (95 % interval 0.002022 to 0.002224 over 500 images, 1 seed).
        It buys samples that a classifier tells from real images 85.0 ± 0.5 % of the time, against 99.0 ± 0.2 % for
        probabilistic PCA (50 % is chance).
    """
    difference = paired(model.errors, rival.errors)
    pays = difference.certain and difference.mean > 0
    if yardstick is None and rival.told is not None:
        yardstick = rival
    return [_price(k, model, rival, difference), _purchase(model, yardstick, pays=pays)]


def _price(k: int, model: Contender, rival: Contender, found: Difference) -> str:
    """What is paid in error, with its interval."""
    basis = f"{found.images:,} image{'s' * (found.images > 1)}, {found.seeds} seed{'s' * (found.seeds > 1)}"
    percent = f"{100 * found.confidence:g} %"
    if math.isnan(found.low):
        return f"At K = {k} nothing is sure of {model.name} and {rival.name}: no interval comes of {basis}."
    if not found.certain:
        interval = f"{percent} interval {found.low:+.6f} to {found.high:+.6f} over {basis}"
        return f"At K = {k} {model.name} and {rival.name} do not surely differ in squared error per pixel ({interval})."
    verb, word = ("pays", "more") if found.mean > 0 else ("has", "less")
    least, most = sorted((abs(found.low), abs(found.high)))
    base = float(np.mean(rival.errors))
    share = f", {100 * abs(found.mean) / base:.0f} % {word}" if base > 0 else ""
    return (
        f"At K = {k} {model.name} {verb} {abs(found.mean):.6f} {word} squared error per pixel than {rival.name}{share} "
        f"({percent} interval {least:.6f} to {most:.6f} over {basis})."
    )


def _purchase(model: Contender, yardstick: Contender | None, *, pays: bool) -> str:
    """What its samples are worth."""
    if model.told is None:
        return "How its samples compare with real images was not measured."
    against = (
        ""
        if yardstick is None or yardstick.told is None
        else f", against {_often(yardstick.told)} for {yardstick.name}"
    )
    often = f"from real images {_often(model.told)} of the time{against} (50 % is chance)."
    return f"It buys samples that a classifier tells {often}" if pays else f"A classifier tells its samples {often}"


def _often(accuracy: Estimate) -> str:
    """An accuracy in per cent with its standard error."""
    error = "" if math.isnan(accuracy.standard_error) else f" ± {100 * accuracy.standard_error:.1f}"
    return f"{100 * accuracy.mean:.1f}{error} %"
