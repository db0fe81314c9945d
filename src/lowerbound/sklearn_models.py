"""The models behind the scikit-learn estimators, where pixels are any real numbers: in double precision, without 8-bit rounding.

What a row gives must not depend on the rows beside it, to the seventh digit: that is scikit-learn's contract. In single
precision a matrix product of one row and one of many differ more than that.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lowerbound.divergence import analytic_kl
from lowerbound.eigen import LEADING, Spectrum, block_krylov, eigenpairs
from lowerbound.moments import MOST_EXACT, ImageShape, RealMoments
from lowerbound.objective import image_density, posterior_and_prior
from lowerbound.pca import PCA

__all__ = ["InDouble", "RealPCA", "noise_of", "real_spectrum", "unbiased"]

ROUNDING = float(np.finfo(np.float64).eps)

Blocks = Callable[[], Iterable[np.ndarray]]
"""Begins a pass over all rows: float64 ``[B, P]``, block by block."""


class RealPCA(PCA):
    """PCA of real numbers: float64 throughout, and a noise variance that no rounding to 8 bits holds up.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 6))
        >>> pca = RealPCA(2).fit_spectrum(real_spectrum(lambda: [rows], (1, 2, 3), at_least=2))
        >>> codes = pca.transform(rows.reshape(50, 1, 2, 3))
        >>> codes.dtype, bool(np.allclose(codes.std(0), 1))
        (dtype('float64'), True)
    """

    @property
    def noise_variance(self) -> float:
        """Sigma^2 of probabilistic PCA: the mean of the variances left out, not below what float64 can tell from 0."""
        left = len(self.mean) - self.latent_dim
        mean_left = (self.total_variance - float(self.variances[: self.latent_dim].sum())) / left if left else 0.0
        return max(mean_left, ROUNDING * float(self.variances[0]), ROUNDING**2)

    def _centred(self, images: np.ndarray) -> np.ndarray:
        self.check_fitted()
        pixels = images / 255 if images.dtype == np.uint8 else images.astype(np.float64)
        return pixels.reshape(len(images), len(self.mean)) - self.mean

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``, whitened; 0 where the images do not vary."""
        scales = self.scales
        inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > ROUNDING * max(scales[0], ROUNDING))
        return self._centred(images) @ (self.components.T * inverse)

    def inverse_transform(self, codes: np.ndarray) -> np.ndarray:
        """Images ``[N, C, H, W]`` of codes ``[N, K]``."""
        self.check_fitted()
        flat = (codes * self.scales) @ self.components + self.mean
        return flat.reshape(len(codes), *self.image_shape)  # type: ignore[misc]


def real_spectrum(rows: Blocks, image_shape: ImageShape, at_least: int) -> Spectrum:
    """The leading eigenpairs of the covariance of rows of real numbers: formed up to 5,000 values, only multiplied with beyond.

    Args:
        rows: Begins a pass over them.
        image_shape: Channels, height, width; P values in a row.
        at_least: K, the components wanted.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(50, 6))
        >>> real_spectrum(lambda: [rows[:20], rows[20:]], (1, 2, 3), at_least=2).values.shape
        (6,)
    """
    values = int(np.prod(image_shape))
    if values > MOST_EXACT:
        return _randomised(rows, image_shape, at_least)
    moments = RealMoments(values)
    for block in rows():
        moments.add(block)
    pairs = eigenpairs(moments.covariance, at_least)
    return Spectrum(image_shape, moments.count, moments.mean, *pairs, moments.total_variance)


def _randomised(rows: Blocks, image_shape: ImageShape, at_least: int) -> Spectrum:
    """The same by ``eigen.block_krylov``, whose memory is P x K, with residuals that bound every eigenvalue."""
    count = sum(len(block) for block in rows())
    mean: Any = sum(block.sum(0) for block in rows()) / count
    total = sum(float(np.square(block - mean).sum()) for block in rows()) / count

    def times(columns: np.ndarray) -> np.ndarray:
        whole: Any = sum((block - mean).T @ ((block - mean) @ columns) for block in rows())
        return whole / count

    number = min(max(at_least, LEADING), count, len(mean))
    basis = block_krylov(times, len(mean), number)
    values, within = eigenpairs(basis.T @ times(basis), number)
    values, vectors = values[:number], within[:number] @ basis.T
    residuals = np.linalg.norm(times(vectors.T) - vectors.T * values, axis=0)
    return Spectrum(image_shape, count, mean, values, vectors, total, residuals)


def unbiased(spectrum: Spectrum) -> Spectrum:
    """Variances divided by N - 1, as scikit-learn's PCA has them, in place of N.

    Example:
        >>> rows = np.array([[0.0], [2.0]])
        >>> unbiased(real_spectrum(lambda: [rows], (1, 1, 1), at_least=1)).values
        array([2.])
    """
    more = spectrum.count / (spectrum.count - 1)
    residuals = None if spectrum.residuals is None else spectrum.residuals * more
    values, total = spectrum.values * more, spectrum.total_variance * more
    return replace(spectrum, values=values, total_variance=total, residuals=residuals)


def noise_of(rows: np.ndarray, latent_dim: int, seed: int) -> np.ndarray:
    """Standard normal draws ``[N, K]``, those of a row fixed by its own bytes and the seed, wherever it stands.

    Example:
        >>> rows = np.arange(6.0).reshape(3, 2)
        >>> bool((noise_of(rows, 4, seed=0)[1:2] == noise_of(rows[1:2], 4, seed=0)).all())
        True
    """
    noise = np.empty((len(rows), latent_dim))
    for place, row in enumerate(np.ascontiguousarray(rows)):
        digest = hashlib.blake2b(row.data, digest_size=16, key=seed.to_bytes(8, "little")).digest()
        noise[place] = np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(latent_dim)
    return noise


class InDouble:
    """A trained autoencoder or VAE in double precision; the model itself stays as it is.

    Args:
        model: An ``Autoencoder``, or a ``VAE`` whose q is a product of normals.

    Example:
        >>> from lowerbound import recipes
        >>> model = InDouble(recipes.vae((1, 8, 8), latent_dim=2))
        >>> model.transform(np.zeros((5, 1, 8, 8))).dtype, model.score_samples(np.zeros((5, 1, 8, 8)), seed=0).shape
        (dtype('float64'), (5,))
    """

    def __init__(self, model: Any) -> None:
        self.model = copy.deepcopy(model).double().eval()

    @torch.no_grad()
    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]``, the mean of q, of images ``[N, C, H, W]``."""
        return self.model.encoder(torch.from_numpy(images)).mean.numpy()

    @torch.no_grad()
    def score_samples(self, images: np.ndarray, seed: int) -> np.ndarray:
        """The ELBO of images ``[N, C, H, W]``, nats ``[N]``: one draw from q for each, its noise fixed by the image itself."""
        x = torch.from_numpy(images)
        q, p = posterior_and_prior(self.model, x)
        noise = noise_of(images, q.event_shape[0], seed)
        log_likelihood = image_density(self.model.decoder, q.mean + q.stddev * torch.from_numpy(noise)).log_prob(x)
        rate: Any = analytic_kl(q, p)
        return (log_likelihood - rate).numpy()
