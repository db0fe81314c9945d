"""Groups of like images: a mixture of normal distributions over their codes, with a number of them that held-out codes choose.

Mixtures of 1, 2, 3, ... full normals are fitted to a part of the codes by expectation maximisation (scikit-learn's
``GaussianMixture``), and each is scored by its log-density of the other part, in nats per image. The number chosen is the
smallest whose score is within one standard error (of the difference, image by image) of the best. The Bayesian information
criterion is given beside it (Schwarz, 1978, https://doi.org/10.1214/aos/1176344136).

A mixture describes a density. Where codes lie in one bent heap, many normals describe it better than one, and none of them need
be a kind of image: ``Choice.words`` says which of these it looks like.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.progress import Progress, quiet

__all__ = ["Choice", "Clusters", "choose_number", "clusters"]

MOST_FITTED = 10_000  # codes that a number is chosen by: more move the choice little
NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20)
STARTS = 2  # of which the better is kept, for each number
LEAST = 10  # codes for each normal
RIDGE = 1e-4  # of the mean variance, added to every variance: so that no normal shrinks on a point
FAINT = 0.9  # an image belongs somewhere with at least this probability


@dataclass(frozen=True)
class Choice:
    """How well mixtures of several sizes describe codes that they were not fitted to.

    Attributes:
        numbers: Of normals, rising.
        held_out: Log-density of held-out codes, nats per image, of each number.
        errors: Standard errors of the differences to the best, over images.
        bic: Bayesian information criterion per fitted image (lower is better), of each number.
        chosen: The number that is chosen.
        given: Whether it was given by the user.
        clear: Share of all images that belong to one cluster with a probability of 0.9 or more.
    """

    numbers: tuple[int, ...]
    held_out: np.ndarray
    errors: np.ndarray
    bic: np.ndarray
    chosen: int
    given: bool = False
    clear: float = 1.0

    @property
    def words(self) -> str:
        """Why this number, and how far to trust it."""
        if self.given:
            return f"{self.chosen} clusters, as you asked; no other number was tried"
        if len(self.numbers) == 1:
            return "1 cluster: there are too few images to tell more apart"
        gain = self.held_out.max() - self.held_out[0]
        best = self.numbers[int(np.argmax(self.held_out))]
        if self.chosen == 1:
            return (
                "1 cluster: no mixture describes held-out images better than a single heap, so there are no groups to "
                "tell apart in these codes"
            )
        said = (
            f"{self.chosen} clusters: they describe held-out images better than one heap by "
            f"{self.held_out[self.numbers.index(self.chosen)] - self.held_out[0]:.2f} nats per image, "
            f"and more clusters bring nothing that is sure"
        )
        if self.chosen >= self.numbers[-2] or best == self.numbers[-1]:
            said = (
                f"{self.chosen} clusters: the most that were tried ({self.numbers[-1]}) still describe held-out images best "
                f"(by {gain:.2f} nats per image against one heap). The images have no natural number of groups: "
                "take these as regions of one landscape, and ask for fewer with -n if you like"
            )
        if self.clear < 0.75:
            said += f". Only {self.clear:.0%} of the images clearly belong to one cluster: the borders are soft"
        return said


@dataclass(frozen=True)
class Clusters:
    """Which cluster each of N images belongs to.

    Attributes:
        labels: The likeliest cluster of each image, from 0; the largest cluster is 0. Integers ``[N]``.
        probabilities: Of each image and cluster, ``[N, M]``.
        nearness: Log-density of each image under its own cluster, nats: the highest is the most typical. ``[N]``
        choice: How the number was chosen.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    nearness: np.ndarray
    choice: Choice

    def members(self, cluster: int) -> np.ndarray:
        """Positions of the images of a cluster, the most typical first."""
        mine = np.flatnonzero(self.labels == cluster)
        return mine[np.argsort(-self.nearness[mine], kind="stable")]


def clusters(
    codes: np.ndarray, number: int | None = None, *, most: int = NUMBERS[-1], seed: int = 0, progress: Progress = quiet
) -> Clusters:
    """Group images by their codes.

    Args:
        codes: ``[N, K]``, as a model's ``transform`` gives them.
        number: Of clusters; chosen by held-out codes when None.
        most: The largest number to try.
        seed: Fixes which codes are held out, and where the fits start.
        progress: Shown on the way.

    Raises:
        InputError: No codes, codes that are not finite, or more clusters than codes.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> codes = np.concatenate([rng.standard_normal((100, 2)), rng.standard_normal((200, 2)) + 9])
        >>> found = clusters(codes)
        >>> found.choice.chosen, np.bincount(found.labels).tolist()
        (2, [200, 100])
    """
    if codes.ndim != 2 or not len(codes) or not np.isfinite(codes).all():
        raise InputError(f"codes have shape {list(codes.shape)}; expected finite numbers [N, K] of at least 1 image")
    if number is not None and not 1 <= number <= len(codes):
        raise InputError(f"{number} clusters of {len(codes):,} images were asked for; expected 1 to {len(codes):,}")
    scaled = _scaled(codes)
    if number is None:
        choice = choose_number(scaled, most=most, seed=seed, progress=progress)
    else:
        nothing = np.full(1, np.nan)
        choice = Choice((number,), nothing, nothing, nothing, number, given=True)
    some = np.random.default_rng(seed).permutation(len(scaled))[: max(4 * MOST_FITTED, choice.chosen)]
    with progress("fitting the clusters", 1) as advance:
        mixture = _fit(scaled[some], choice.chosen, seed)
        advance(1, "")
    probabilities = mixture.predict_proba(scaled)
    order = np.argsort(-np.bincount(probabilities.argmax(1), minlength=choice.chosen), kind="stable")
    probabilities = probabilities[:, order]
    labels = probabilities.argmax(1)
    own = mixture.score_samples(scaled) + np.log(np.maximum(probabilities.max(1), 1e-300))
    clear = float((probabilities.max(1) >= FAINT).mean())
    nearness = own - np.log(np.maximum(mixture.weights_[order][labels], 1e-300))
    return Clusters(labels, probabilities, nearness, Choice(**{**vars(choice), "clear": clear}))


def choose_number(codes: np.ndarray, *, most: int = NUMBERS[-1], seed: int = 0, progress: Progress = quiet) -> Choice:
    """How many normals describe held-out codes best: the smallest number within one standard error of the best.

    Args:
        codes: ``[N, K]``, of unit variance.
        most: The largest number to try; fewer where there are not enough codes.
        seed: Fixes which codes are held out, and where the fits start.
        progress: Shown on the way.

    Example:
        >>> choose_number(np.random.default_rng(0).standard_normal((300, 2))).chosen
        1
    """
    order = np.random.default_rng(seed).permutation(len(codes))[: 2 * MOST_FITTED]
    fitted, held_out = codes[order[: (len(order) + 1) // 2]], codes[order[(len(order) + 1) // 2 :]]
    numbers = tuple(number for number in NUMBERS if number <= most and number * LEAST <= len(fitted)) or (1,)
    if not len(held_out):
        return Choice((1,), np.zeros(1), np.zeros(1), np.zeros(1), 1)
    scores, bic = [], []
    with progress("choosing the number", sum(numbers)) as advance:
        for number in numbers:
            mixture = _fit(fitted, number, seed)
            scores.append(mixture.score_samples(held_out))
            bic.append(mixture.bic(fitted) / len(fitted))
            advance(number, f"{number} clusters")
    means = np.mean(scores, axis=1)
    best = int(np.argmax(means))
    errors = np.array([_error(scores[best] - each) for each in scores])
    chosen = next(place for place in range(best + 1) if means[best] - means[place] <= errors[place])
    return Choice(numbers, means, errors, np.array(bic), numbers[chosen])


def _fit(codes: np.ndarray, number: int, seed: int) -> Any:
    """A mixture of so many normals."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(number, n_init=1 if number == 1 else STARTS, reg_covar=RIDGE, random_state=seed, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its last step is good enough to be scored as any other
        return mixture.fit(codes if len(codes) > 1 else np.repeat(codes, 2, axis=0))


def _scaled(codes: np.ndarray) -> np.ndarray:
    """Codes of mean 0 and variance 1 in each number; one that never changes stays 0."""
    codes = codes.astype(np.float64)
    scale = codes.std(0)
    return (codes - codes.mean(0)) / np.where(scale > 1e-9, scale, 1.0)


def _error(differences: np.ndarray) -> float:
    """Standard error of a mean difference."""
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0
