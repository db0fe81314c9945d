"""Which images are unlike those that a model has learned from, with p-values that mean what they say.

Every image gets a score, high where it is strange: the error of its reconstruction, or minus (a bound on) its log-likelihood.
Held-out images, which are taken to be in order, say how high a score may be: ``conformal.py`` makes p-values of that. A better
model makes the p-values of outliers smaller; it is not needed for those of the others to be right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lowerbound.conformal import benjamini_hochberg, joint_p_values, p_values
from lowerbound.errors import InputError, nearest
from lowerbound.evaluation import Compressor, Generator, squared_errors
from lowerbound.gallery import Pixels, blocks_of
from lowerbound.order import seed_of
from lowerbound.progress import Progress, quiet

__all__ = ["MEASURES", "Outliers", "choose_measure", "outliers", "strangeness"]

MEASURES = ("error", "likelihood", "both")
DRAWS = 10  # codes per image for the bound on log p(x)


@dataclass(frozen=True)
class Outliers:
    """How strange each of N images is.

    Attributes:
        scores: Of each measure: the mean squared error per pixel, or minus the bound on log p(x) in nats, ``[N]``.
        p_values: Of each measure, and of "both" where there are two, ``[N]``.
        by: The measure that ranks and is tested.
        order: Positions of the images, the strangest first.
        found: Whether each is among those that ``fdr`` tells to look at, ``[N]``.
        fdr: The share of images in order among those found that is allowed, on average.
        calibration: How many held-out images each was held against.
    """

    scores: dict[str, np.ndarray]
    p_values: dict[str, np.ndarray]
    by: str
    order: np.ndarray
    found: np.ndarray
    fdr: float
    calibration: int

    @property
    def least(self) -> int:
        """How many images have to stand out together before any can be found: p cannot be below 1 / (n + 1).

        Example:
            >>> nothing = np.ones(1000)
            >>> Outliers({}, {}, "error", np.arange(1000), nothing > 1, 0.05, 4999).least
            4
        """
        return max(1, int(np.ceil(len(self.order) / (self.fdr * (self.calibration + 1)) - 1e-9)))

    @property
    def words(self) -> str:
        """How many images to look at, and what keeps it from being more."""
        count = int(self.found.sum())
        if count:
            images = "1 image" if count == 1 else f"{count:,} images"
            return f"{images} to look at: on average at most {self.fdr:.0%} of such are false alarms"
        said = f"no image stands out so clearly that at most {self.fdr:.0%} of such would be false alarms"
        if self.least > 1:
            said += (
                f"; with {self.calibration:,} test images p is never below {1 / (self.calibration + 1):.1g}, so that at least "
                f"{self.least:,} of {len(self.order):,} would have to stand out together. The ranks hold all the same"
            )
        return said


def outliers(
    model: Compressor,
    images: Pixels,
    reference: Pixels | None = None,
    *,
    by: str | None = None,
    fdr: float = 0.05,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = quiet,
) -> Outliers:
    """Which of some images are unlike a reference, or unlike the rest of them, as a model sees them.

    Without a reference one half of the images calibrates the other, and the other way round; no image is held against itself.
    Within a half everything is as exact as with a reference; of both halves together, the share of false alarms is ``fdr`` in
    practice, without a proof.

    Args:
        model: PCA, an autoencoder or a VAE.
        images: uint8 ``[N, C, H, W]``; not among those that the model has learned from, to which it is too kind.
        reference: Held-out images that are in order, of the same size, none of them among ``images``.
        by: "error", "likelihood" or "both"; by default both, or the error of a model without a density.
        fdr: The share of false alarms among those found that is allowed (Benjamini & Hochberg, 1995).
        draws: Codes per image for a VAE's bound on log p(x).
        seed: Fixes them, and the halves.
        progress: Shown on the way.

    Raises:
        InputError: No images, a single one without a reference, or a measure that the model does not have.

    Example:
        >>> from lowerbound import PCA
        >>> rng = np.random.default_rng(0)
        >>> plain = (rng.random((400, 1, 1, 1)) * 200 + rng.random((400, 1, 4, 4)) * 20).astype(np.uint8)
        >>> pca, strange = PCA(2).fit(plain[:200]), rng.integers(0, 256, (30, 1, 4, 4)).astype(np.uint8)
        >>> found = outliers(pca, np.concatenate([plain[200:210], strange]), plain[210:])
        >>> bool(found.found[10:].all()), set(found.order[:30]) == set(range(10, 40))
        (True, True)
        >>> int(outliers(pca, plain[200:]).found.sum())
        0
    """
    by = choose_measure(model, by)
    if reference is None and len(images) < 2:
        raise InputError(
            f"{len(images)} image cannot calibrate itself; expected at least 2, one half to calibrate the other"
        )
    if reference is not None and not (len(images) and len(reference)):
        raise InputError(f"{len(images)} images and {len(reference)} to calibrate with; expected at least 1 of each")
    how = {"by": by, "draws": draws, "progress": progress}
    everything = np.arange(len(images))
    if reference is None:
        calibration = scores = strangeness(model, images, seed=seed_of(seed, 0), **how)
        mixed = np.random.default_rng(seed).permutation(everything)
        halves = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
        turns, count = [halves, halves[::-1]], len(halves[0])
    else:
        calibration = strangeness(model, reference, seed=seed_of(seed, 0), task="scoring held-out images", **how)
        scores = strangeness(model, images, seed=seed_of(seed, 1), **how)
        turns, count = [(everything, np.arange(len(reference)))], len(reference)
    found: dict[str, np.ndarray] = {}
    for mine, others in turns:
        held_out, ours = (
            {name: values[part] for name, values in each.items()}
            for each, part in ((calibration, others), (scores, mine))
        )
        for name, values in _all_p_values(held_out, ours, progress).items():
            found.setdefault(name, np.empty(len(images)))[mine] = values
    return _ranked(scores, found, calibration, by, fdr, count)


def choose_measure(model: Any, by: str | None) -> str:
    """The measure that was asked for, or the best that a model has.

    Raises:
        InputError: No such measure, or a likelihood of a model without a density.

    Example:
        >>> from lowerbound import PCA
        >>> choose_measure(PCA(2), None)
        'both'
    """
    dense = isinstance(model, Generator)
    if by is None:
        return "both" if dense else "error"
    if by not in MEASURES:
        raise InputError(f'no measure is called "{by}"{nearest(by, MEASURES)}; expected one of {", ".join(MEASURES)}')
    if by != "error" and not dense:
        raise InputError(
            f"--by {by} needs a likelihood, which a plain autoencoder has not; give --by error, or --model vae"
        )
    return by


def strangeness(
    model: Any,
    images: Pixels,
    *,
    by: str = "both",
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress = quiet,
    task: str = "scoring images",
) -> dict[str, np.ndarray]:
    """Scores of images, a block at a time; the higher, the stranger.

    The likelihood of PCA is that of probabilistic PCA, exact; that of a VAE the importance-weighted bound (Burda et al., 2016).

    Args:
        model: PCA, an autoencoder or a VAE.
        images: uint8 ``[N, C, H, W]``.
        by: Which scores are wanted.
        draws: Codes per image for the bound.
        seed: Fixes them.
        progress: Shown on the way.
        task: What the progress is called.

    Returns:
        "error", the mean squared error per pixel, and "likelihood", minus (the bound on) log p(x) in nats: ``[N]`` each.

    Example:
        >>> from lowerbound import PCA
        >>> noise = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> sorted(strangeness(PCA(2).fit(noise), noise))
        ['error', 'likelihood']
    """
    wanted = {"both": ("error", "likelihood")}.get(by, (by,))
    found: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    with progress(task, len(images)) as advance:
        for place, pixels in blocks_of(images):
            if "error" in found:
                found["error"].append(squared_errors(model, pixels))
            if "likelihood" in found:
                found["likelihood"].append(-_log_likelihood(model, pixels, draws, seed_of(seed, place.start)))
            advance(len(pixels), "")
    return {name: np.concatenate(values) for name, values in found.items()}


def _log_likelihood(model: Any, pixels: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """log p(x) of images, or a bound on it, nats ``[n]``."""
    if not hasattr(model, "prior"):
        return model.score_samples(pixels)
    from lowerbound.evidence import importance_weighted_bound

    return importance_weighted_bound(model, pixels, samples=draws, repeats=1, seed=seed).value


def _all_p_values(
    calibration: dict[str, np.ndarray], scores: dict[str, np.ndarray], progress: Progress
) -> dict[str, np.ndarray]:
    """By each measure, and by both where there are two."""
    found = {name: p_values(calibration[name], scores[name]) for name in scores}
    if len(scores) > 1:
        held_out, ours = (np.stack(list(each.values()), axis=1) for each in (calibration, scores))
        found["both"] = joint_p_values(held_out, ours, progress)
    return found


def _ranked(
    scores: dict[str, np.ndarray],
    found: dict[str, np.ndarray],
    calibration: dict[str, np.ndarray],
    by: str,
    fdr: float,
    count: int,
) -> Outliers:
    """The strangest first: by p, and where p is the same by how far the scores lie from those held out."""
    far = np.zeros(len(found[by]))
    for name, values in scores.items():
        low, middle, high = np.quantile(calibration[name], [0.25, 0.5, 0.75])
        far = np.maximum(far, (values - middle) / max(high - low, 1e-12))
    order = np.lexsort((-far, found[by]))
    return Outliers(scores, found, by, order, benjamini_hochberg(found[by], fdr), fdr, count)
