"""Do samples look like images? Two answers that need no trained eye, and what each of them cannot see.

A classifier is trained to tell samples from held-out images: where it does no better than chance on others of both, it has
found no difference (Lopez-Paz & Oquab, 2017, https://arxiv.org/abs/1610.06545). It is as blind as the classifier is.

The Frechet distance compares means and covariances of features alone (Heusel et al., 2017, https://arxiv.org/abs/1706.08500):
of whatever features it is given. Only with those of one Inception network is it called FID, and here it is not.

Both see images as a screen shows them: clipped to [0, 1] and rounded to 8 bits, else an even background, where the images have
exactly 0 and the decoder almost, would give every sample away.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.images import as_floats
from lowerbound.pca import PCA

__all__ = ["Features", "TwoSample", "frechet", "frechet_distance", "pixel_components", "to_bytes", "two_sample"]

Features = Callable[[np.ndarray], np.ndarray]
BLOCK = 500  # images whose features are asked for at a time


def to_bytes(images: np.ndarray) -> np.ndarray:
    """Images ``[N, C, H, W]`` as a screen shows them, uint8: clipped to [0, 1] and rounded.

    Example:
        >>> to_bytes(np.array([[[[-0.2, 0.5, 1.7]]]])).tolist()
        [[[[0, 128, 255]]]]
    """
    if images.dtype == np.uint8:
        return images
    return np.rint(np.clip(as_floats(images), 0, 1) * 255).astype(np.uint8)


@dataclass(frozen=True)
class TwoSample:
    """What the classifier could tell.

    Attributes:
        accuracy: On images and samples that it was not trained on; 0.5 is chance. Its standard error is the binomial's.
        p_value: How often chance alone would name as many (exact binomial, one-sided).
        trained: Images, and as many samples, that it was trained on.
        tested: Images, and as many samples, that it was counted on.
    """

    accuracy: Estimate
    p_value: float
    trained: int
    tested: int


def two_sample(
    samples: np.ndarray, images: np.ndarray, *, components: int = 100, most: int = 5_000, seed: int = 0
) -> TwoSample:
    """Classifier two-sample test: can a classifier tell samples from images that the model was not trained on?

    As many of each are drawn, and halved: on one half the classifier learns, on the other it is counted. It sees the pixels'
    whitened principal components, found on its half, and their squares. Whitening makes fine components as large as coarse
    ones and squares tell of their variance, so that a blur stands out, which lacks the fine ones. A logistic regression, best
    with few images, and a perceptron of 100 hidden units, best with many, vote with their probabilities.

    Args:
        samples: Of the model, ``[N, C, H, W]``, 8-bit or float.
        images: Real ones, ``[M, C, H, W]``, held out.
        components: How many are seen at most: with 100 all but the finest detail, with 20 the shapes and no blur.
        most: How many of each at most.
        seed: Fixes the draw, the halves and the perceptron.

    Raises:
        InputError: Fewer than 4 of either, or different shapes.

    Example:
        >>> random = np.random.default_rng(0)
        >>> images = random.integers(0, 256, (400, 1, 4, 4)).astype(np.uint8)
        >>> two_sample(images // 2, images).accuracy.mean > 0.9
        True
    """
    from scipy.stats import binomtest
    from sklearn.exceptions import ConvergenceWarning

    count = min(len(samples), len(images), most) // 2 * 2
    if count < 4 or samples.shape[1:] != images.shape[1:]:
        raise InputError(
            f"samples are {list(samples.shape)} and images {list(images.shape)}; expected at least 4 of each, of one size"
        )
    random = np.random.default_rng(seed)
    half = count // 2
    rows = [to_bytes(each[random.permutation(len(each))[:count]]).reshape(count, -1) for each in (samples, images)]
    train, test = (
        np.concatenate([each[part] for each in rows]) / np.float32(255) for part in (slice(half), slice(half, count))
    )
    made = np.repeat([True, False], half)
    classifier = _classifier(len(train), min(components, train.shape[1], len(train) // 2), seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(train, made)
    right = classifier.predict(test) == made
    p_value = float(binomtest(int(right.sum()), len(right), 0.5, alternative="greater").pvalue)
    return TwoSample(Estimate.of_share(right), p_value, half, half)


def _classifier(images: int, components: int, seed: int) -> Any:
    """Whitened principal components and their squares, on which a logistic regression and a perceptron vote."""
    from sklearn import decomposition
    from sklearn.ensemble import VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    state = seed % 2**32  # as far as scikit-learn's seeds go
    stop = images >= 200  # where a tenth of its images is enough to say when
    perceptron = MLPClassifier((100,), alpha=1e-2, early_stopping=stop, max_iter=50, random_state=state)
    line = LogisticRegression(C=0.1, max_iter=300)
    return make_pipeline(
        decomposition.PCA(components, whiten=True, random_state=state),
        FunctionTransformer(_and_squares),
        StandardScaler(),
        VotingClassifier([("line", line), ("perceptron", perceptron)], voting="soft"),
    )


def _and_squares(rows: np.ndarray) -> np.ndarray:
    return np.hstack([rows, rows**2])


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of the normal distributions fitted to two sets of features ``[N, D]`` and ``[M, D]``.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): the squared 2-Wasserstein distance of the two (Dowson & Landau, 1982,
    https://doi.org/10.1016/0047-259X(82)90077-X), in squared units of the features. The trace of the root is the sum of the
    singular values of C1^(1/2) C2^(1/2), both roots symmetric, which stays exact where covariances are singular.

    Biased upwards: of two finite sets from one distribution it is above zero, for white features by about
    D (D + 5) / (2 N) of N each.

    Example:
        >>> random = np.random.default_rng(0)
        >>> features = random.standard_normal((1000, 3))
        >>> round(frechet(features, features + [1, 2, 2]), 6)
        9.0
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise InputError(
            f"features have shapes {list(first.shape)} and {list(second.shape)}; expected [N, D] and [M, D], two rows at least"
        )
    apart = np.square(first.mean(0) - second.mean(0)).sum()
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (first, second)]
    roots = [_root(covariance) for covariance in covariances]
    common = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    return float(max(0.0, apart + sum(np.trace(covariance) for covariance in covariances) - 2 * common))


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def frechet_distance(
    samples: np.ndarray, images: np.ndarray, features: Features, *, resamples: int = 20, seed: int = 0
) -> Estimate:
    """Frechet distance between samples and images in any features, with a bootstrap standard error.

    The error is the standard deviation over sets drawn anew, with replacement, from both. It leaves the bias out (see
    ``frechet``): compare distances from equal numbers of images, and with that between two sets of real ones.

    Args:
        samples: ``[N, C, H, W]``, 8-bit or float.
        images: ``[M, C, H, W]``.
        features: From images float32 ``[n, C, H, W]`` in [0, 1] to features ``[n, D]``.
        resamples: Sets drawn anew.
        seed: Fixes them.

    Raises:
        InputError: Features that are not finite numbers ``[n, D]``.

    Example:
        >>> random = np.random.default_rng(0)
        >>> images = random.integers(0, 256, (300, 1, 4, 4)).astype(np.uint8)
        >>> brightness = lambda x: x.mean((1, 2, 3))[:, None]
        >>> found = frechet_distance(images[:150], images[150:], brightness)
        >>> found.mean < 0.001 < frechet_distance(images // 2, images, brightness).mean
        True
    """
    first, second = (_features(each, features) for each in (samples, images))
    random = np.random.default_rng(seed)

    def again(rows: np.ndarray) -> np.ndarray:
        return rows[random.integers(0, len(rows), len(rows))]

    repeated = [frechet(again(first), again(second)) for _ in range(resamples)]
    return Estimate(frechet(first, second), float(np.std(repeated, ddof=1)) if resamples > 1 else math.nan)


def _features(images: np.ndarray, features: Features) -> np.ndarray:
    """Features ``[N, D]``, a block of images at a time."""
    blocks = []
    for start in range(0, max(1, len(images)), BLOCK):
        block = as_floats(to_bytes(images[start : start + BLOCK]))
        found = np.asarray(features(block))
        if found.ndim != 2 or len(found) != len(block) or not np.issubdtype(found.dtype, np.number):
            raise InputError(
                f"the feature function gave {found.dtype} {list(found.shape)} for {len(block)} images; "
                f"expected numbers [{len(block)}, D]"
            )
        if not np.isfinite(found).all():
            raise InputError("the feature function gave numbers that are not finite; expected finite features")
        blocks.append(found)
    return np.concatenate(blocks)


def pixel_components(images: np.ndarray, number: int = 50) -> Features:
    """Features that need no download: pixels projected on the first principal components of some images, not whitened.

    Args:
        images: That the components are found on, uint8 ``[N, C, H, W]``: training images.
        number: How many components; as many as there are, where there are fewer.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4)).astype(np.uint8)
        >>> pixel_components(images, 5)(as_floats(images)).shape
        (60, 5)
    """
    pca = PCA(min(number, images[0].size, len(images))).fit(images)
    return lambda block: pca.transform(block) * pca.scales
