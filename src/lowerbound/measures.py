"""All that can be said of a fitted model in numbers: each with its unit, its standard error and how it was measured.

What a model cannot do is left out, and not filled in: a plain autoencoder has no density, and images without labels no
accuracy. ``yardsticks`` measures real images in the place of codes and of samples, to read the others by.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from lowerbound.aggregate import active_units
from lowerbound.evaluation import Estimate, Measurement, evaluate
from lowerbound.evidence import Evidence, evidence
from lowerbound.images import Images, as_floats
from lowerbound.objective import Elbo
from lowerbound.pca import PCA
from lowerbound.probes import drawn, linear_probe, nearest_neighbours
from lowerbound.progress import Progress, quiet
from lowerbound.realism import Features, frechet_distance, pixel_components, two_sample
from lowerbound.vae import VAE

__all__ = ["default_features", "expected_seconds", "measure", "measurements", "yardsticks"]

PROBED = 10_000  # training images that a probe learns from, at most
SAMPLED = 5_000  # samples that are drawn, at most
MOST_VALUES = 20_000_000  # of the images held as floats at a time, so that large images are fewer
FEWEST = 4  # samples and images that can be halved and compared
COARSE = 20  # components in which shapes show, and no blur
BLOCK = 100  # images whose evidence is estimated before it counts as done
DENSITY = "a density of real-valued pixels, so no log-likelihood of 8-bit images, and no bits per dimension"


def measure(model: Any, train: Images, test: Images, **how: Any) -> list[Measurement]:
    """All measurements of a model; words as for ``measurements``.

    Example:
        >>> from lowerbound import sources
        >>> digits = sources.load("digits")
        >>> pca = PCA(8).fit(digits.train.pixels)
        >>> found = {each.name: each for each in measure(pca, digits.train, digits.test)}
        >>> found["log p(x)"].unit, found["5-nearest-neighbour accuracy"].value > 0.9
        ('nats per image', True)
    """
    return list(measurements(model, train, test, **how))


def measurements(
    model: Any,
    train: Images,
    test: Images,
    *,
    evidence_images: int | None = 500,
    evidence_samples: int = 500,
    features: Mapping[str, Features] | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Iterator[Measurement]:
    """Measurements one after another, the costliest last; an interruption of that one gives what it has, and goes on up.

    Args:
        model: PCA, an autoencoder or a VAE, fitted.
        train: Images it was trained on: probes learn from their codes.
        test: Images it was not trained on.
        evidence_images: Test images, drawn by the seed, for the importance-weighted bound; None for all.
        evidence_samples: Draws for each of them.
        features: What Frechet distances are measured in, by name; ``default_features`` where none are given.
        seed: Fixes all draws.
        progress: Shown on the way.
    """
    yield from _reconstruction(model, test.pixels, progress)
    if isinstance(model, PCA):
        words = f"exact log p(x) of probabilistic PCA, {_of(test)}; {DENSITY}"
        yield Measurement.of("log p(x)", Estimate.of(model.score_samples(test.pixels)), "nats per image", words)
    if isinstance(model, VAE):
        yield from _bound(model, test, seed)
        yield _active(model, test, seed)
    yield from _classes(model.transform, train, test, "codes", seed)
    number = _number(test, SAMPLED)
    if hasattr(model, "sample") and number >= FEWEST:
        words = f"{number:,} decoded means of codes drawn from the prior, no pixel noise"
        yield from _realism(
            model.sample(number, seed), words, test, default_features(train) if features is None else features, seed
        )
    if isinstance(model, VAE):
        order = np.random.default_rng(seed).permutation(len(test))[:evidence_images]
        yield from _weighted(model, test.pixels[order], len(test), evidence_samples, seed, progress)


def yardsticks(
    train: Images, test: Images, *, features: Mapping[str, Features] | None = None, seed: int = 0
) -> list[Measurement]:
    """The same probes on raw pixels, and the same tests of training images in the place of samples.

    No samples can be told from test images less than training images are, but by chance.

    Example:
        >>> from lowerbound import sources
        >>> digits = sources.load("digits")
        >>> [round(each.value, 1) for each in yardsticks(digits.train, digits.test)][:2]
        [1.0, 1.0]
    """
    found = list(_classes(lambda pixels: as_floats(pixels).reshape(len(pixels), -1), train, test, "raw pixels", seed))
    chosen = train.pixels[drawn(len(train), _number(test, SAMPLED), seed)]
    if len(chosen) < FEWEST:
        return found
    words = f"{len(chosen):,} training images in the place of samples"
    return found + list(_realism(chosen, words, test, default_features(train) if features is None else features, seed))


def default_features(train: Images, number: int = 50) -> dict[str, Features]:
    """The features of the Frechet distance where the user gives none: no network, and nothing to download.

    Example:
        >>> from lowerbound import sources
        >>> list(default_features(sources.load("digits").train))
        ['pixels on 50 principal components']
    """
    pixels = train.pixels[drawn(len(train), PROBED)]
    number = min(number, pixels[0].size, len(pixels))
    return {f"pixels on {number} principal components": pixel_components(pixels, number)}


def expected_seconds(model: VAE, images: np.ndarray, samples: int) -> float:
    """How long the importance-weighted bound of images ``[N, C, H, W]`` will take, from a small piece of it."""
    few = images[:2]
    evidence(model, few, samples=10)  # the first call pays for what is only done once
    began = time.monotonic()
    evidence(model, few, samples=samples)
    return (time.monotonic() - began) / len(few) * len(images)


def _of(test: Images) -> str:
    return f"all {len(test):,} test images"


def _number(images: Images, most: int) -> int:
    """How many of these images, or of others of their size, are held at a time."""
    return min(len(images), most, max(FEWEST, MOST_VALUES // math.prod(images.image_shape)))


def _reconstruction(model: Any, pixels: np.ndarray, progress: Progress) -> Iterator[Measurement]:
    """How near reconstructions are to images."""
    found = evaluate(model, pixels, progress)
    over = f"decoded codes of all {len(pixels):,} test images, pixels in [0, 1], not clipped"
    yield Measurement.of("mean squared error", found.mse, "per pixel", over)
    yield Measurement.of("PSNR", found.psnr, "dB", f"10 log10(1 / MSE) of each image, their mean; {over}")
    yield Measurement.of("SSIM", found.ssim, "1 is identical", f"window of 11 x 11 pixels, deviation 1.5; {over}")


@torch.no_grad()
def _terms(model: VAE, pixels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Distortion and rate of each image, ``[N]``, with one draw from q."""
    weights, terms = next(model.parameters()), []
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        for start in range(0, len(pixels), 500):
            block = torch.from_numpy(as_floats(pixels[start : start + 500], model.image_shape)).to(weights)
            found = Elbo()(model, block)
            terms.append(torch.stack([found.distortion, found.rate]).double().cpu().numpy())
    distortion, rate = np.concatenate(terms, axis=1)
    return distortion, rate


def _bound(model: VAE, test: Images, seed: int) -> Iterator[Measurement]:
    """The evidence lower bound and its two parts."""
    distortion, rate = _terms(model, test.pixels, seed)
    over = f"one draw from q(z|x) for each of {_of(test)}"
    means = _meaning(model)
    yield Measurement.of("distortion", Estimate.of(distortion), "nats per image", f"-log p(x|z); {over}; {means}")
    yield Measurement.of("rate", Estimate.of(rate), "nats per image", f"KL(q(z|x) || p(z)); {over}")
    bound = Estimate.of(-distortion - rate)
    yield Measurement.of(
        "ELBO", bound, "nats per image", f"-(distortion + rate), a lower bound on log p(x); {over}; {means}"
    )


def _meaning(model: VAE) -> str:
    """What log p(x) is of."""
    if not model.discrete:
        return DENSITY
    return "log-likelihood of images of 0 and 1" if model.binary else "log-likelihood of 8-bit images"


def _active(model: VAE, test: Images, seed: int) -> Measurement:
    """How many dimensions of the code are used."""
    found = active_units(model, test.pixels)
    codes, random = model.transform(test.pixels), np.random.default_rng(seed)
    again = [(codes[random.integers(0, len(codes), len(codes))].var(0) > found.threshold).sum() for _ in range(20)]
    words = f"Var_x(E_q[z_k]) > {found.threshold:g} over {_of(test)}; error by 20 bootstrap draws"
    return Measurement("active units", found.number, float(np.std(again, ddof=1)), f"of {codes.shape[1]}", words)


def _classes(
    codes_of: Callable[[np.ndarray], np.ndarray], train: Images, test: Images, what: str, seed: int
) -> Iterator[Measurement]:
    """What can be told of the class; nothing where images have none."""
    if train.labels is None or test.labels is None:
        return
    chosen = drawn(len(train), _number(train, PROBED), seed)
    tested = drawn(len(test), _number(test, PROBED), seed)
    rows = codes_of(train.pixels[chosen]), train.labels[chosen], codes_of(test.pixels[tested]), test.labels[tested]
    over = f"learned on {what} of {len(chosen):,} training images, counted on {len(tested):,} test images"
    yield Measurement.of(
        "5-nearest-neighbour accuracy", nearest_neighbours(*rows), "of 1", f"{over}; Euclidean distance, not scaled"
    )
    yield Measurement.of(
        "linear-probe accuracy", linear_probe(*rows), "of 1", f"{over}; logistic regression, standardised, L2 penalty 1"
    )


def _realism(
    samples: np.ndarray, words: str, test: Images, features: Mapping[str, Features], seed: int
) -> Iterator[Measurement]:
    """How samples differ from images."""
    images = test.pixels[drawn(len(test), len(samples), seed)]
    for name, components in (("two-sample accuracy", 100), ("two-sample accuracy, coarse", COARSE)):
        found = two_sample(samples, images, components=components, seed=seed)
        over = (
            f"{words}; a classifier of {components} principal components at most tells them from test images, "
            f"trained on {found.trained:,} of each and counted on {found.tested:,}; 0.5 is chance"
        )
        yield Measurement.of(name, found.accuracy, "of 1", over)
        p_words = f"exact one-sided binomial test of the {name} against chance"
        yield Measurement(name.replace("accuracy", "p-value"), found.p_value, None, "probability", p_words)
    for name, function in features.items():
        distance = frechet_distance(samples, images, function, seed=seed)
        over = f"{words}, against {len(images):,} test images; 20 bootstrap draws; biased upwards, see the yardstick; no FID"
        yield Measurement.of(f"Frechet distance: {name}", distance, "squared features", over)


def _weighted(
    model: VAE, pixels: np.ndarray, total: int, samples: int, seed: int, progress: Progress
) -> Iterator[Measurement]:
    """The importance-weighted bound, of the images that are done where an interruption comes."""
    done: list[Evidence] = []
    try:
        with progress(f"importance-weighted bound, {samples:,} draws", len(pixels)) as advance:
            for start in range(0, len(pixels), BLOCK):
                block = pixels[start : start + BLOCK]
                done.append(evidence(model, block, samples=samples, seed=seed + start // BLOCK))  # draws of their own
                advance(len(block), "")
    except KeyboardInterrupt:
        if done:
            yield from _weighted_words(model, done, total, samples)
        raise
    yield from _weighted_words(model, done, total, samples)


def _weighted_words(model: VAE, done: list[Evidence], total: int, samples: int) -> Iterator[Measurement]:
    log_p = np.concatenate([each.log_p for each in done])
    reliable = np.concatenate([each.reliable for each in done])
    bound = Estimate.of(log_p)
    over = f"{samples:,} draws from q(z|x) for each of {len(log_p):,} of {total:,} test images"
    weighted = f"log of the mean importance weight, below log p(x) in expectation; {over}; {_meaning(model)}"
    yield Measurement.of("importance-weighted bound", bound, "nats per image", weighted)
    yield Measurement.of("images with 20 effective draws", Estimate.of_share(reliable), "of 1", over)
    if model.discrete and model.binary:
        negative = Estimate(-bound.mean, bound.standard_error)
        yield Measurement.of(
            "negative log-likelihood", negative, "nats per image", f"minus the importance-weighted bound; {over}"
        )
    elif model.discrete:
        unit = math.prod(model.image_shape) * math.log(2)
        bits = Estimate(-bound.mean / unit, bound.standard_error / unit)
        yield Measurement.of(
            "bits per dimension", bits, "bits", f"minus the importance-weighted bound / (values x ln 2); {over}"
        )
