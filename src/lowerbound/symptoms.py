"""What is measured on a model before it is judged: numbers alone, each with what is needed to tell chance from effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lowerbound.evaluation import Estimate
from lowerbound.gaps import Gaps
from lowerbound.realism import TwoSample
from lowerbound.second_opinion import Trial

__all__ = ["Codes", "Density", "Pixels", "Reference", "Symptoms"]


@dataclass(frozen=True)
class Pixels:
    """The images themselves.

    Attributes:
        constant: The share of pixels that are the same in all training images.
        saturated: The share of values of the other pixels that are 0 or 255 in training images.
        varies: Whether any pixel does.
        mismatch: How well a classifier tells test images from training images; None where there are too few.
    """

    constant: float
    saturated: float
    varies: bool
    mismatch: TwoSample | None


@dataclass(frozen=True)
class Reference:
    """Principal components of the same training images.

    Attributes:
        variances: Eigenvalues of the pixels' covariance, largest first.
        explained: Share of the variance in the first 0, 1, 2 ... components.
        noise: Sigma^2 of probabilistic PCA with K components.
        errors: Of PCA with K, min(2 K, most) and half of K components, the squared error per pixel of each test image.
        shrunk: The same with K components, through the mean of probabilistic PCA's posterior, which a VAE is to be compared with.
        train_errors: Of PCA with K components on training images.
        scores: Log p(x) of probabilistic PCA with half of K and with K components, of each test image, nats.
    """

    variances: np.ndarray
    explained: np.ndarray
    noise: float
    errors: Mapping[int, np.ndarray]
    shrunk: np.ndarray
    train_errors: np.ndarray
    scores: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Codes:
    """The codes of training images.

    Attributes:
        variances: Of the mean code, of each dimension ``[K]``.
        kl: Nats of each dimension, ``[K]``; None where there is no density, or no distribution of one dimension.
        divergence: KL between normals with the moments of q(z) and of the prior, nats.
        told_apart: How often a classifier tells codes of q(z) from draws of the prior.
    """

    variances: np.ndarray
    kl: np.ndarray | None
    divergence: Estimate
    told_apart: Estimate

    @property
    def dead(self) -> np.ndarray:
        """Dimensions that say nothing: their means do not move with the image, and they cost no nats; from 1."""
        still = self.variances < 0.01 * (1.0 if self.kl is not None else 1e-6)
        return np.flatnonzero(still if self.kl is None else still & (self.kl < 0.01)) + 1


@dataclass(frozen=True)
class Density:
    """What only a model with p(x|z), q(z|x) and p(z) has.

    Attributes:
        elbo: Of each test image, nats.
        train_elbo: Of each training image, with as many draws.
        rate: KL(q(z|x) || p(z)) of test images.
        beta: Weight of the rate in the objective, at the end of training.
        sigma: Mean standard deviation of pixel noise; None for a discrete likelihood.
        at_bound: Share of the pixels whose sigma lies at the rounding to 8 bits.
        gaps: The bound taken apart on some test images; None where it cannot be.
    """

    elbo: np.ndarray
    train_elbo: np.ndarray
    rate: Estimate
    beta: float
    sigma: float | None
    at_bound: float
    gaps: Gaps | None


@dataclass(frozen=True)
class Symptoms:
    """All that is measured; ``N`` test images, ``M`` training images.

    Attributes:
        latent_dim: K.
        size: Values per image.
        errors: Squared error per pixel of each test image's reconstruction, ``[N]``.
        train_errors: Of training images, ``[M]``.
        mean_errors: Of test images against the mean training image, ``[N]``.
        varied: Variance of the reconstructions over that of the images, summed over pixels.
        pixels: The images.
        codes: The codes.
        reference: PCA; None where there are fewer images than K.
        fresh_errors: Of test images, decoded from the same codes by a decoder fitted anew, ``[N]``.
        own_errors: By the model's own decoder, from the same codes, ``[N]``.
        trial: What training on changes.
        density: None for a model without one.
        history: Loss of each batch of the training; empty where none was kept.
        pictures: Some test images, their reconstructions, and samples.
        skipped: What was not measured, and why.
    """

    latent_dim: int
    size: int
    errors: np.ndarray
    train_errors: np.ndarray
    mean_errors: np.ndarray
    varied: float
    pixels: Pixels
    codes: Codes
    reference: Reference | None = None
    fresh_errors: np.ndarray | None = None
    own_errors: np.ndarray | None = None
    trial: Trial | None = None
    density: Density | None = None
    history: Mapping[str, np.ndarray] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
