"""Three small models, trained for a moment, that say what is wrong with a large one.

Whether a decoder shows what the codes hold is seen from another decoder fitted to the same codes; whether training is over, from
training on for a moment; whether codes look like the prior's, from a classifier that tries to tell them apart. Each of these is
a test by doing: it needs no threshold on a loss curve, and holds for any network, posterior, likelihood and schedule.
"""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lowerbound.blockwise import batched
from lowerbound.evaluation import Estimate, squared_errors
from lowerbound.images import as_floats
from lowerbound.settings import Settings, one_cycle
from lowerbound.state import State
from lowerbound.training import run

__all__ = ["Trial", "fresh_decoder", "gaussian_divergence", "told_apart", "train_on"]

FEATURES = 300  # random ones of the fresh decoder, besides the codes themselves
RIDGES = np.logspace(-4, 2, 7)  # strengths that it chooses from, relative to the mean eigenvalue of its features
BATCH = 100


@dataclass(frozen=True)
class Trial:
    """What some more steps of training change.

    Attributes:
        steps: Steps taken.
        loss: By how much the loss of each test image fell ``[N]``, nats or squared error per pixel; the draws are the same.
        error: By how much the squared error per pixel of each test image fell ``[N]``.
    """

    steps: int
    loss: np.ndarray
    error: np.ndarray


def train_on(
    model: Any, train: np.ndarray, test: np.ndarray, *, steps: int = 100, learning_rate: float = 1e-3, seed: int = 0
) -> Trial:
    """Train a copy of a model for some more steps, the rate rising and falling once, and see what test images gain.

    A finished model gains nothing, an over-fitted one loses. The loss is the model's own objective, as at the end of training.

    Args:
        model: Has ``loss`` and ``gauges`` (a trained autoencoder or VAE); it is left as it was.
        train: uint8 ``[N, C, H, W]``; as many are drawn as the steps can see.
        test: uint8 ``[M, C, H, W]``, measured before and after.
        steps: To take.
        learning_rate: The highest.
        seed: Fixes images, their order, and all draws.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
        >>> bool(train_on(recipes.vae((1, 8, 8), 2), images, images, steps=3).loss.mean() > 0)
        True
    """
    after = copy.deepcopy(model)
    some = train[np.random.default_rng(seed).permutation(len(train))[: steps * BATCH]]
    of_epoch = math.ceil(len(some) / BATCH)
    epochs = max(1, round(steps / of_epoch))
    # as if one epoch had been: an objective whose weights change on the way is past that
    how = Settings(1 + epochs, BATCH, learning_rate, schedule=one_cycle, seed=seed, begin=1)
    run(after, some, how, state=State(step=of_epoch), device=torch.device("cpu"))
    before = _losses(model, test, seed)
    return Trial(
        epochs * of_epoch,
        before - _losses(after, test, seed),
        squared_errors(model, test) - squared_errors(after, test),
    )


def _losses(model: Any, images: np.ndarray, seed: int) -> np.ndarray:
    """The objective of each image, ``[N]``, a mean over four draws."""

    def losses(x: Tensor) -> Tensor:
        return torch.stack([model.loss(x, 1.0).loss for _ in range(4)]).mean(0)

    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        found = batched(losses, images, lambda block: as_floats(block, model.image_shape))
    return found.astype(np.float64)


def fresh_decoder(
    codes: np.ndarray, images: np.ndarray, new_codes: np.ndarray, new_images: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Squared error per pixel of new images, decoded by a ridge regression on the codes and on random cosines of them.

    The cosines make it a smooth nonlinear map (Rahimi & Recht, 2007, random features); the ridge is chosen on a fifth of the
    images. A decoder that does clearly worse shows less than the codes hold.

    Args:
        codes: ``[N, K]``, to learn from.
        images: Theirs, ``[N, C, H, W]``.
        new_codes: ``[M, K]``, to be decoded.
        new_images: Theirs, ``[M, C, H, W]``.
        seed: Fixes the cosines.

    Returns:
        ``[M]``.

    Example:
        >>> codes = np.random.default_rng(0).standard_normal((300, 2))
        >>> images = (128 + 60 * np.sin(codes)).clip(0, 255).astype(np.uint8).reshape(300, 1, 1, 2)
        >>> bool(fresh_decoder(codes[:200], images[:200], codes[200:], images[200:]).max() < 0.01)
        True
    """
    random = np.random.default_rng(seed)
    centre, scale = codes.mean(0), np.maximum(codes.std(0), 1e-6)
    width = math.sqrt(2 * codes.shape[1])  # the typical distance of two codes
    directions = random.standard_normal((codes.shape[1], FEATURES)) / width
    phases = random.uniform(0, 2 * math.pi, FEATURES)

    def features(z: np.ndarray) -> np.ndarray:
        z = (np.asarray(z, np.float64) - centre) / scale
        return np.hstack([z, np.cos(z @ directions + phases)])

    flat, truth = (as_floats(each).reshape(len(each), -1).astype(np.float64) for each in (images, new_images))
    known, new = features(codes), features(new_codes)
    held = max(1, len(known) // 5)
    tried = [np.square(flat[:held] - guess).mean() for guess in _ridges(known[held:], flat[held:], known[:held])]
    ridge = RIDGES[[int(np.argmin(tried))]]
    return np.square(truth - next(_ridges(known, flat, new, ridge))).mean(1)


def _ridges(known: np.ndarray, flat: np.ndarray, new: np.ndarray, ridges: np.ndarray = RIDGES) -> Any:
    """Predictions ``[M, P]`` of a ridge regression, for one strength after another."""
    centre, mean = known.mean(0), flat.mean(0)
    values, vectors = np.linalg.eigh((known - centre).T @ (known - centre))
    inward = vectors.T @ ((known - centre).T @ (flat - mean))
    for ridge in ridges * values.mean():
        yield mean + ((new - centre) @ vectors / (np.maximum(values, 0) + ridge)) @ inward


def told_apart(codes: np.ndarray, others: np.ndarray, seed: int = 0) -> Estimate:
    """How often a classifier tells codes from others it has not seen: 0.5 is chance, accuracy a means total variation >= 2 a - 1.

    A perceptron on the codes and their squares learns on one half of both, and is counted on the other (Lopez-Paz & Oquab,
    2017, https://arxiv.org/abs/1610.06545).

    Args:
        codes: ``[N, K]``.
        others: ``[M, K]``.
        seed: Fixes halves and perceptron.

    Example:
        >>> random = np.random.default_rng(0)
        >>> told_apart(random.standard_normal((400, 2)), 3 + random.standard_normal((400, 2))).mean > 0.9
        True
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    count = min(len(codes), len(others)) // 2 * 2
    random = np.random.default_rng(seed)
    rows = [each[random.permutation(len(each))[:count]] for each in (codes, others)]
    rows = [np.hstack([each, np.square(each)]) for each in rows]
    half = count // 2
    train, test = (np.concatenate([each[part] for each in rows]) for part in (slice(half), slice(half, count)))
    which = np.repeat([True, False], half)
    perceptron = MLPClassifier((50,), alpha=0.1, early_stopping=True, max_iter=60, random_state=seed % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        right = make_pipeline(StandardScaler(), perceptron).fit(train, which).predict(test) == which
    return Estimate.of_share(right)


def gaussian_divergence(codes: np.ndarray, others: np.ndarray, *, resamples: int = 20, seed: int = 0) -> Estimate:
    """KL of the normal with the codes' mean and covariance from that of other draws, in nats, with a bootstrap error.

    Of equal distributions its expectation is K (K + 3) / 4 (1 / N + 1 / M), which is taken off.

    Args:
        codes: ``[N, K]``.
        others: ``[M, K]``.
        resamples: Sets drawn anew for the standard error.
        seed: Fixes them.

    Example:
        >>> random = np.random.default_rng(0)
        >>> found = gaussian_divergence(random.standard_normal((5000, 2)) + [1, 0], random.standard_normal((5000, 2)))
        >>> abs(found.mean - 0.5) < 0.05
        True
    """
    random = np.random.default_rng(seed)
    mean, covariance = others.mean(0), np.atleast_2d(np.cov(others, rowvar=False)) + 1e-9 * np.eye(codes.shape[1])

    def divergence(rows: np.ndarray) -> float:
        own = np.atleast_2d(np.cov(rows, rowvar=False)) + 1e-9 * np.eye(rows.shape[1])
        away = rows.mean(0) - mean
        ratio = np.linalg.solve(covariance, own)
        logs = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(own)[1]
        return float(0.5 * (np.trace(ratio) - len(away) + away @ np.linalg.solve(covariance, away) + logs))

    found = [divergence(codes[random.integers(0, len(codes), len(codes))]) for _ in range(resamples)]
    k = codes.shape[1]
    bias = k * (k + 3) / 4 * (1 / len(codes) + 1 / len(others))
    return Estimate(divergence(codes) - bias, float(np.std(found, ddof=1)))
