"""Principal component analysis of images, from exact sums, and its probabilistic reading.

Pixels are integers: less 128, they and all sums of products of up to 1,024 of them fit a float32 without rounding
(128^2 * 1,024 = 2^24), so a float32 matrix product over such blocks is exact, and so are the mean and the covariance: the
same to the last bit for any order and chunking of the images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.progress import Progress, quiet

__all__ = ["MOST_PIXELS", "PCA", "PixelMoments"]

BLOCK = 1024  # images whose products a float32 still adds without rounding
WHOLE_SPECTRUM = 3500  # pixels up to which all eigenvalues are found; beyond, the largest 200 or so
MOST_PIXELS = 16_384  # a covariance of 2 GB

ImageShape = tuple[int, int, int]


@dataclass
class PixelMoments:
    """Exact sums of pixels and of their products over any number of images.

    Args:
        image_shape: Channels, height, width; P = C * H * W values.

    Raises:
        InputError: Images so large that their covariance fits no memory.

    Example:
        >>> moments = PixelMoments((1, 1, 2)).add(np.array([[[[0, 255]]], [[[0, 0]]]], np.uint8))
        >>> moments.count, moments.mean
        (2, array([0. , 0.5]))
    """

    image_shape: ImageShape
    count: int = 0

    def __post_init__(self) -> None:
        """Start from no images."""
        pixels = math.prod(self.image_shape)
        if pixels > MOST_PIXELS:
            raise InputError(
                f"images have {pixels:,} values each; expected at most {MOST_PIXELS:,}; give --size 64 or smaller"
            )
        self.sums = np.zeros(pixels)  # float64 adds integers exactly up to 2^53: half a trillion images
        self.products = np.zeros((pixels, pixels))

    def add(self, images: np.ndarray, progress: Progress = quiet) -> PixelMoments:
        """Take in images uint8 ``[N, C, H, W]``; memory does not grow with N. Gives itself back."""
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise InputError(
                f"images are {images.dtype} {list(images.shape)}; expected uint8 {['N', *self.image_shape]}"
            )
        with progress("PCA: pixel moments", len(images)) as advance:
            for start in range(0, len(images), BLOCK):
                shifted = images[start : start + BLOCK].reshape(-1, len(self.sums)).astype(np.float32)
                shifted -= 128
                self.sums += shifted.sum(0, dtype=np.float64)
                self.products += shifted.T @ shifted
                self.count += len(shifted)
                advance(len(shifted), "")
        return self

    @property
    def mean(self) -> np.ndarray:
        """The mean image, float64 ``[P]``, pixels in [0, 1]."""
        return (self.sums / self.count + 128) / 255

    @property
    def covariance(self) -> np.ndarray:
        """The covariance of pixels in [0, 1], float64 ``[P, P]``, divided by N (maximum likelihood)."""
        mean = self.sums / self.count
        covariance = self.products / self.count
        covariance -= np.outer(mean, mean)
        covariance /= 255**2
        return covariance


def eigenpairs(covariance: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, largest first, and eigenvectors as rows: all of them, or of a large matrix the leading ones.

    The sign of each vector makes its largest entry positive, so that the same images give the same codes anywhere.

    Example:
        >>> eigenpairs(np.diag([1.0, 3.0]), at_least=1)[0]
        array([3., 1.])
    """
    pixels = len(covariance)
    if pixels <= WHOLE_SPECTRUM or at_least >= pixels:
        values, vectors = np.linalg.eigh(covariance)
    else:
        values, vectors = _leading_eigenpairs(covariance, min(max(200, at_least), pixels - 1))
    order = np.argsort(values)[::-1]
    rows = vectors.T[order]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], axis=1)
    return np.maximum(values[order], 0), rows * np.where(largest < 0, -1.0, 1.0)


def _leading_eigenpairs(covariance: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenvalues of a large matrix, and eigenvectors as columns."""
    from scipy.sparse.linalg import eigsh

    random = np.random.default_rng(0)
    within = np.linalg.qr(covariance @ random.standard_normal((len(covariance), number)))[0]
    inner = within.T @ covariance @ within
    if np.trace(inner) >= (1 - 1e-10) * np.trace(covariance):
        values, vectors = np.linalg.eigh(inner)  # few images or equal ones: among zeros ARPACK searches for minutes
        return values, within @ vectors
    start = random.standard_normal(len(covariance))  # else ARPACK begins at random
    values, vectors = eigsh(covariance, k=number, v0=start, which="LM")
    return values, vectors


class PCA:
    """PCA with K components, codes on the scale of a standard normal, and as a density: probabilistic PCA.

    Probabilistic PCA (Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196) is the linear case of all models here:
    p(z) = N(0, I), p(x|z) = N(mean + W z, sigma^2 I), with W W' + sigma^2 I equal to the covariance on the leading K
    eigenvectors and sigma^2 the mean of the other eigenvalues. Its likelihood is exact, and so is its posterior.

    Args:
        latent_dim: K, the numbers kept of an image.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> pca = PCA(latent_dim=3).fit(images)
        >>> codes = pca.transform(images)
        >>> codes.shape, pca.inverse_transform(codes).shape
        ((50, 3), (50, 1, 4, 4))
    """

    def __init__(self, latent_dim: int) -> None:
        if latent_dim < 1:
            raise InputError(f"k is {latent_dim}; a model keeps at least 1 number per image; give 1 or more")
        self.latent_dim = latent_dim
        self.image_shape: ImageShape | None = None

    def fit(self, images: np.ndarray, progress: Progress = quiet) -> PCA:
        """Find the components of images uint8 ``[N, C, H, W]``.

        Raises:
            InputError: More components than pixels or than images, or images that are not 8-bit ``[N, C, H, W]``.
        """
        if images.ndim != 4:
            raise InputError(f"images have shape {list(images.shape)}; expected [N, C, H, W]")
        channels, height, width = images.shape[1:]
        moments = PixelMoments((channels, height, width)).add(images, progress)
        return self.fit_moments(moments)

    def fit_moments(self, moments: PixelMoments, spectrum: tuple[np.ndarray, np.ndarray] | None = None) -> PCA:
        """Find the components from sums taken before, and from their ``eigenpairs`` where these are known already."""
        most = min(len(moments.sums), moments.count)
        if self.latent_dim > most:
            raise InputError(
                f"k is {self.latent_dim}, but there are {len(moments.sums)} values per image and {moments.count} images; "
                f"give a k of at most {most}"
            )
        covariance = moments.covariance
        values, vectors = eigenpairs(covariance, self.latent_dim) if spectrum is None else spectrum
        self.image_shape = moments.image_shape
        self.mean = moments.mean
        self.variances = values
        self.components = vectors[: self.latent_dim]
        self.total_variance = float(np.trace(covariance))
        return self

    @property
    def explained(self) -> np.ndarray:
        """The fraction of all variance in the first 0, 1, 2 ... components, cumulative; 0 where images do not vary."""
        total = self.total_variance if self.total_variance > 0 else 1.0
        return np.minimum(np.concatenate([[0.0], np.cumsum(self.variances)]) / total, 1.0)

    @property
    def noise_variance(self) -> float:
        """Sigma^2 of probabilistic PCA in pixel units: the mean of the variances left out, not below the 8-bit rounding."""
        left = len(self.mean) - self.latent_dim
        kept = float(self.variances[: self.latent_dim].sum())
        mean_left = (self.total_variance - kept) / left if left else 0.0
        return max(mean_left, ROUNDING_SCALE**2)

    @property
    def scales(self) -> np.ndarray:
        """Standard deviation of the images along each component ``[K]``."""
        return np.sqrt(self.variances[: self.latent_dim])

    def _centred(self, images: np.ndarray) -> np.ndarray:
        """Images as rows of float64, less the mean."""
        self.check_fitted()
        return as_floats(images, self.image_shape).reshape(len(images), len(self.mean)).astype(np.float64) - self.mean

    def check_fitted(self) -> None:
        """Refuse a PCA that has seen no images.

        Raises:
            InputError: ``fit`` was not called.
        """
        if self.image_shape is None:
            raise InputError("this PCA has not seen images yet; call fit(images) first")

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``, whitened: on the training images of mean 0 and variance 1."""
        self.check_fitted()
        scales = self.scales
        inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 1e-9)  # where nothing varies: code 0
        blocks = [
            self._centred(images[start : start + BLOCK]) @ (self.components.T * inverse)
            for start in range(0, max(1, len(images)), BLOCK)
        ]
        return np.concatenate(blocks).astype(np.float32)

    def inverse_transform(self, codes: np.ndarray) -> np.ndarray:
        """Images ``[N, C, H, W]``, float32 in pixel units (not clipped), of codes ``[N, K]``."""
        self.check_fitted()
        if codes.ndim != 2 or codes.shape[1] != self.latent_dim:
            raise InputError(f"codes have shape {list(codes.shape)}; expected [N, {self.latent_dim}]")
        flat = (codes.astype(np.float64) * self.scales) @ self.components + self.mean
        return flat.astype(np.float32).reshape(len(codes), *self.image_shape)  # type: ignore[misc]

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        """Images ``[number, C, H, W]`` decoded from codes drawn from N(0, I), without pixel noise."""
        return self.inverse_transform(np.random.default_rng(seed).standard_normal((number, self.latent_dim)))

    def score_samples(self, images: np.ndarray) -> np.ndarray:
        """log p(x) of probabilistic PCA, nats per image with all constants, exact: ``[N]``."""
        noise = self.noise_variance
        variances = np.maximum(self.scales**2, noise)  # W W' + sigma^2 I along the components
        constant = len(self.mean) * math.log(2 * math.pi) + np.log(variances).sum()
        constant += (len(self.mean) - self.latent_dim) * math.log(noise)
        scores = []
        for start in range(0, max(1, len(images)), BLOCK):
            centred = self._centred(images[start : start + BLOCK])
            along = centred @ self.components.T
            beside = (centred**2).sum(1) - (along**2).sum(1)
            scores.append(-0.5 * (constant + (along**2 / variances).sum(1) + beside / noise))
        return np.concatenate(scores)

    def score(self, images: np.ndarray) -> float:
        """Mean of ``score_samples``, nats per image."""
        return float(self.score_samples(images).mean())

    def tensors(self) -> dict[str, np.ndarray]:
        """All that was learned, by name."""
        return {
            "mean": self.mean,
            "components": self.components,
            "variances": self.variances,
            "total_variance": np.array([self.total_variance]),
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray], image_shape: ImageShape) -> PCA:
        """The PCA that ``tensors`` came from."""
        pca = cls(len(tensors["components"]))
        pca.image_shape = image_shape
        pca.mean, pca.components, pca.variances = tensors["mean"], tensors["components"], tensors["variances"]
        pca.total_variance = float(tensors["total_variance"][0])
        return pca
