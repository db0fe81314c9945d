"""Principal component analysis of images, and its probabilistic reading; its components are found in ``eigen``."""

from __future__ import annotations

import math

import numpy as np

from lowerbound.eigen import Spectrum, principal
from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.moments import BLOCK, ImageShape
from lowerbound.progress import Progress, quiet

__all__ = ["PCA"]


class PCA:
    """PCA with K components, codes on the scale of a standard normal, and as a density: probabilistic PCA.

    Probabilistic PCA (Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196) is the linear case of all models here:
    p(z) = N(0, I), p(x|z) = N(mean + W z, sigma^2 I), with W W' + sigma^2 I equal to the covariance on the leading K
    eigenvectors and sigma^2 the mean of the other eigenvalues. Its likelihood is exact, and so is its posterior.

    Args:
        latent_dim: K, the numbers kept of an image.

    Attributes:
        mean: The mean image ``[P]``.
        components: As rows ``[K, P]``.
        variances: All eigenvalues that were found, largest first ``[M]``; M is at least K.
        total_variance: The sum of all P eigenvalues.
        residuals: How near each of ``variances`` is to an eigenvalue ``[M]``; None where they are exact to rounding.

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
        self.residuals: np.ndarray | None = None

    def fit(self, images: np.ndarray, progress: Progress = quiet) -> PCA:
        """Find the components of images uint8 ``[N, C, H, W]``.

        Raises:
            InputError: More components than pixels, than images or than fit in memory, or images that are not 8-bit
                ``[N, C, H, W]``.
        """
        if images.ndim == 4:
            self._check_enough(math.prod(images.shape[1:]), len(images))
        return self.fit_spectrum(principal(images, self.latent_dim, progress))

    def fit_spectrum(self, spectrum: Spectrum) -> PCA:
        """Take the components from a spectrum found before, which may be that of several processes' images.

        Raises:
            InputError: More components than pixels, than images, or than eigenpairs that were found.
        """
        self._check_enough(len(spectrum.mean), spectrum.count)
        if self.latent_dim > len(spectrum.values):
            raise InputError(
                f"k is {self.latent_dim}, but {len(spectrum.values)} components were found; find more, or give a smaller k"
            )
        self.image_shape = spectrum.image_shape
        self.mean = spectrum.mean
        self.variances = spectrum.values
        self.components = spectrum.vectors[: self.latent_dim]
        self.total_variance = spectrum.total_variance
        self.residuals = spectrum.residuals
        return self

    def _check_enough(self, pixels: int, count: int) -> None:
        """Refuse more components than there are pixels or images."""
        if self.latent_dim > min(pixels, count):
            raise InputError(
                f"k is {self.latent_dim}, but there are {pixels} values per image and {count} images; "
                f"give a k of at most {min(pixels, count)}"
            )

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
        bounds = {} if self.residuals is None else {"residuals": self.residuals}
        return {
            "mean": self.mean,
            "components": self.components,
            "variances": self.variances,
            "total_variance": np.array([self.total_variance]),
            **bounds,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray], image_shape: ImageShape) -> PCA:
        """The PCA that ``tensors`` came from."""
        pca = cls(len(tensors["components"]))
        pca.image_shape = image_shape
        pca.mean, pca.components, pca.variances = tensors["mean"], tensors["components"], tensors["variances"]
        pca.total_variance = float(tensors["total_variance"][0])
        pca.residuals = tensors.get("residuals")
        return pca
