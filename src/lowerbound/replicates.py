"""The same model trained with several seeds: its numbers averaged, and models held against each other image by image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowerbound.evaluation import Estimate
from lowerbound.pairing import Contender, Difference, paired, verdict

__all__ = ["averaged", "differences", "sentences"]

Row = dict[str, Any]
SENTENCE = {
    "pca": "probabilistic PCA",
    "linear": "the linear autoencoder",
    "conv": "the convolutional autoencoder",
    "vae": "the VAE",
}


def averaged(metrics: Sequence[Row]) -> list[Row]:
    """One row for each model and K: of several seeds the mean, with the standard error over seeds and test images.

    Var(mean) = Var(seed means) / S + the mean squared standard error over the images, which every seed meets anew: a little
    high, as in ``pairing``.

    Example:
        >>> one = {"model": "vae", "k": 2, "seconds": 1.0, "mse": {"mean": 1.0, "standard_error": 0.0}}
        >>> two = {"model": "vae", "k": 2, "seconds": 3.0, "mse": {"mean": 3.0, "standard_error": 0.0}}
        >>> averaged([one, two])
        [{'model': 'vae', 'k': 2, 'seconds': 2.0, 'mse': {'mean': 2.0, 'standard_error': 1.0}, 'seeds': 2}]
    """
    groups: dict[tuple[str, int], list[Row]] = {}
    for row in metrics:
        groups.setdefault((row["model"], row["k"]), []).append(row)
    return [{**rows[0], **_mean(rows), "seeds": len(rows)} for rows in groups.values()]


def _mean(rows: Sequence[Row]) -> Row:
    """The mean of every number, and of every estimate with its error."""
    if len(rows) == 1:
        return {}
    found: Row = {}
    for name, value in rows[0].items():
        if name != "told" and isinstance(value, dict) and "standard_error" in value:
            means = np.array([row[name]["mean"] for row in rows])
            errors = [row[name]["standard_error"] for row in rows]
            over_images = None if None in errors else float(np.mean(np.square(np.array(errors, float))))
            error = None if over_images is None else math.sqrt(means.var(ddof=1) / len(rows) + over_images)
            found[name] = {"mean": float(means.mean()), "standard_error": error}
        elif name in ("seconds", "sigma") and value is not None:
            found[name] = float(np.mean([row[name] for row in rows]))
    return found


def differences(values: Mapping[str, np.ndarray]) -> dict[tuple[str, str], Difference]:
    """Every two models' paired difference, the second's less the first's.

    Args:
        values: Of each model, one number per test image under each seed, ``[S, N]``. A model without seeds, ``[1, N]``, is held
            against each seed of the others.

    Example:
        >>> values = {"pca": np.zeros((1, 3)), "vae": np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])}
        >>> differences(values)["pca", "vae"].mean
        2.5
    """
    found = {}
    for (name, one), (other, two) in itertools.combinations(values.items(), 2):
        seeds = max(len(one), len(two))
        found[name, other] = paired(_for_seeds(two, seeds), _for_seeds(one, seeds))
    return found


def _for_seeds(values: np.ndarray, seeds: int) -> np.ndarray:
    return np.broadcast_to(values, (seeds, values.shape[1])) if len(values) == 1 else values


def sentences(k: int, errors: Mapping[str, np.ndarray], told: Mapping[str, Estimate]) -> list[str]:
    """The verdict in two sentences, where a VAE and a plain autoencoder are there: what it pays, and what that buys.

    Args:
        k: Numbers per image.
        errors: Of each model, squared error per pixel of each test image under each seed, ``[S, N]``.
        told: Of each model that samples, how often a classifier tells its samples from test images.

    Example:
        >>> sentences(2, {"pca": np.zeros((1, 3))}, {})
        []
    """
    if not {"conv", "vae"} <= set(errors):
        return []
    seeds = max(len(values) for values in errors.values())

    def contender(name: str) -> Contender:
        return Contender(SENTENCE[name], _for_seeds(errors[name], seeds), told.get(name))

    return verdict(k, contender("vae"), contender("conv"), contender("pca") if "pca" in errors else None)
