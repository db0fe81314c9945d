"""What codes know of the classes they were never told: two classifiers that read them, and nothing but them.

Neighbours in code space ask whether images of a class lie together; a linear probe asks whether a plane divides them (Alain &
Bengio, 2017, https://arxiv.org/abs/1610.01644). Both learn from training codes and are counted on test codes. Neither
accuracy is what a model was trained for: read them beside the same two on raw pixels.
"""

from __future__ import annotations

import warnings

import numpy as np

from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate

__all__ = ["drawn", "linear_probe", "nearest_neighbours"]

MOST_ROUNDS = 100  # of the linear probe's optimiser: codes need a few tens, and pixels gain nothing after


def drawn(count: int, most: int, seed: int = 0) -> np.ndarray:
    """Positions of at most so many of ``count`` images, drawn without replacement, in rising order.

    Example:
        >>> drawn(3, 10), len(drawn(100, 10))
        (array([0, 1, 2]), 10)
    """
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def nearest_neighbours(
    codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray, *, neighbours: int = 5
) -> Estimate:
    """How often the commonest class among the nearest training codes is the test image's, with the binomial's error.

    Distances are Euclidean, on codes as they are: a dimension counts by its variance.

    Args:
        codes: Training codes ``[N, K]``, or any rows of numbers, one per image.
        labels: Their classes ``[N]``.
        test_codes: Test codes ``[M, K]``.
        test_labels: Their classes ``[M]``.
        neighbours: How many training codes vote; all of them where there are fewer.

    Raises:
        InputError: Codes and labels that do not go together.

    Example:
        >>> codes, labels = np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])
        >>> nearest_neighbours(codes, labels, codes + 0.01, labels, neighbours=1).mean
        1.0
    """
    from sklearn.neighbors import KNeighborsClassifier

    _check(codes, labels, test_codes, test_labels)
    if neighbours < 1:
        raise InputError(f"neighbours is {neighbours}; expected at least 1")
    # Brute force is one matrix product: trees lose to it from some 15 dimensions on.
    voters = KNeighborsClassifier(min(neighbours, len(codes)), algorithm="brute").fit(codes, labels)
    return Estimate.of_share(voters.predict(test_codes) == test_labels)


def linear_probe(
    codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray, *, strength: float = 1.0
) -> Estimate:
    """How often multinomial logistic regression on codes names the test image's class, with the binomial's error.

    Codes are standardised by the training codes' mean and deviation; scikit-learn's L2 penalty of ``1 / strength``.

    Args:
        codes: Training codes ``[N, K]``, or any rows of numbers, one per image.
        labels: Their classes ``[N]``.
        test_codes: Test codes ``[M, K]``.
        test_labels: Their classes ``[M]``.
        strength: Inverse of the penalty.

    Raises:
        InputError: Codes and labels that do not go together.

    Example:
        >>> codes = np.linspace(-1, 1, 50)[:, None]
        >>> linear_probe(codes, codes[:, 0] > 0, codes, codes[:, 0] > 0).mean
        1.0
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    _check(codes, labels, test_codes, test_labels)
    if len(np.unique(labels)) == 1:
        return Estimate.of_share(test_labels == labels[0])
    scaler = StandardScaler().fit(codes.astype(np.float64))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe = LogisticRegression(C=strength, max_iter=MOST_ROUNDS).fit(scaler.transform(codes), labels)
    return Estimate.of_share(probe.predict(scaler.transform(test_codes)) == test_labels)


def _check(codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray) -> None:
    for name, rows, classes in (("training", codes, labels), ("test", test_codes, test_labels)):
        if rows.ndim != 2 or not len(rows) or classes.shape != rows.shape[:1]:
            raise InputError(
                f"{name} codes are {list(rows.shape)} with labels {list(classes.shape)}; expected [N, K] and [N], N of at least 1"
            )
    if codes.shape[1] != test_codes.shape[1]:
        raise InputError(
            f"training codes have {codes.shape[1]} numbers and test codes {test_codes.shape[1]}; expected as many"
        )
