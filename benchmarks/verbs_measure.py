"""What every part of the benchmark of verbs has: a run with its images and models, and a mean with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lowerbound import PCA, Images, ImageSet
from lowerbound.comparison import images_of
from lowerbound.evaluation import Estimate
from lowerbound.storage import Run
from lowerbound.stored import StoredModel

__all__ = ["Measured", "Rows", "labels_of", "opened", "share", "some", "told"]

LEARNED = 20_000  # training images that PCA sees

Rows = dict[str, dict[str, list[float | None]]]
"""Of each method and column a mean and its standard error, None where there is none."""


@dataclass(frozen=True)
class Measured:
    """A run, its images, and its models.

    Attributes:
        source: The images' name.
        images: All of them.
        pca: Of as many components as the VAE's codes have numbers, of some of the training images.
        vae: The run's, with its weights.
        stored: What it is.
    """

    source: str
    images: ImageSet
    pca: PCA
    vae: Any
    stored: StoredModel


def opened(path: Path) -> Measured:
    """A run that has a VAE."""
    run = Run.open(path)
    stored, images = run.choose("vae"), images_of(run)
    pca = PCA(stored.latent_dim).fit(some(images.train, LEARNED, 1).pixels)
    return Measured(run.about["source"]["name"], images, pca, run.load(stored), stored)


def some(images: Images, number: int, seed: int) -> Images:
    """So many images, drawn by a seed."""
    return images[np.random.default_rng(seed).permutation(len(images))[:number]]


def labels_of(images: Images) -> np.ndarray:
    """Classes; an error where there are none."""
    if images.labels is None:
        raise ValueError("these images have no classes")
    return images.labels


def told(values: np.ndarray) -> list[float | None]:
    """Mean and standard error of one value an image, or a class."""
    estimate = Estimate.of(values)
    return [round(estimate.mean, 6), round(estimate.standard_error, 6)]


def share(right: np.ndarray) -> list[float | None]:
    """How often something holds, and the standard error of that."""
    estimate = Estimate.of_share(right)
    return [round(estimate.mean, 4), round(estimate.standard_error, 4)]
