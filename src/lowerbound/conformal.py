"""p-values by counting: how many held-out images are at least as strange as this one.

With n held-out images,

    p = (1 + #{held-out scores >= score}) / (n + 1)

is uniform or larger for any image drawn as they were, whatever the score is worth (conformal p-values: Vovk, Gammerman & Shafer,
2005, https://doi.org/10.1007/b106715; for outliers: Bates et al., 2023, https://doi.org/10.1214/22-AOS2244).

Two scores are joined by calibrating the joined score again: of the held-out images and the one in question, each has a rank by
either score, its strangeness is the better of its ranks, and p is the rank of that. All n + 1 are treated alike, so that p is as
exact as before. Twice the smaller of the two p-values (Bonferroni) would be valid as well, and is never smaller: at most R images
are of rank R or better by either score, so at most 2 R by one or the other, fewer where the scores agree, as ours mostly do.
"""

from __future__ import annotations

import numpy as np

from lowerbound.errors import InputError
from lowerbound.progress import Progress, quiet

__all__ = ["benjamini_hochberg", "joint_p_values", "p_values"]

PAIRS = 2**22  # held-out images times images that are compared at a time


def p_values(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Conformal p-values ``[N]`` of scores ``[N]`` among held-out scores ``[n]``: (1 + #{held out >= score}) / (n + 1).

    Example:
        >>> p_values(np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, 9.0]))
        array([1.  , 0.75, 0.25])
    """
    ordered = np.sort(calibration)
    above = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return (1 + above) / (len(ordered) + 1)


def joint_p_values(calibration: np.ndarray, scores: np.ndarray, progress: Progress = quiet) -> np.ndarray:
    """Conformal p-values of images with M scores each, whose strangeness is the best of their ranks.

    Args:
        calibration: Scores of held-out images, ``[n, M]``.
        scores: Scores of images, ``[N, M]``.
        progress: Shown on the way.

    Returns:
        Exact p-values ``[N]``: each image is ranked among the held-out ones, of which each is ranked by its scores among the same
        n + 1.

    Example:
        >>> held_out = np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 7.0]])
        >>> joint_p_values(held_out, np.array([[1.5, 7.5], [9.0, 0.0]]))
        array([1. , 0.5])
    """
    count, found = len(calibration), np.empty(len(scores))
    above = np.stack([count - np.searchsorted(np.sort(each), each, side="left") for each in calibration.T])  # [M, n]
    own = np.stack(
        [np.rint(p_values(each, mine) * (count + 1)) for each, mine in zip(calibration.T, scores.T, strict=True)]
    )
    best = own.min(0)  # of each image: its rank among the n + 1 by the score that makes it strangest
    size = max(1, PAIRS // count)
    with progress("calibrating", len(scores)) as advance:
        for start in range(0, len(scores), size):
            block = slice(start, start + size)
            theirs = np.full((len(best[block]), count), np.inf)
            for rank, held_out, mine in zip(above, calibration.T, scores[block].T, strict=True):
                np.minimum(theirs, rank + (mine[:, None] >= held_out), out=theirs)
            found[block] = (1 + (theirs <= best[block, None]).sum(1)) / (count + 1)
            advance(len(theirs), "")
    return found


def benjamini_hochberg(p: np.ndarray, fdr: float) -> np.ndarray:
    """Which hypotheses ``[N]`` are rejected: at most a share ``fdr`` of them falsely, on average.

    Benjamini & Hochberg, 1995, https://doi.org/10.1111/j.2517-6161.1995.tb02031.x.

    Raises:
        InputError: A share that is not between 0 and 1.

    Example:
        >>> benjamini_hochberg(np.array([0.01, 0.9, 0.02, 0.3]), 0.05)
        array([ True, False,  True, False])
    """
    if not 0 < fdr < 1:
        raise InputError(f"fdr is {fdr}; expected a share between 0 and 1, such as 0.05")
    ordered = np.sort(p)
    below = np.flatnonzero(ordered <= fdr * np.arange(1, len(p) + 1) / len(p))
    return p <= ordered[below[-1]] if len(below) else np.zeros(len(p), bool)
