"""Images without their noise: the posterior mean of the clean image, given the noisy one.

A noisy image is y = x + n, with n ~ N(0, sigma^2) on every pixel, and p(x|z) = N(f(z), s^2). So p(y|z) = N(f(z), s^2 + sigma^2),
and given y and z, of what is left over of y beside f(z) the part s^2 / (s^2 + sigma^2) belongs to x:

    E[x|y] = E_p(z|y)[ f(z) + s^2 / (s^2 + sigma^2) (y - f(z)) ].

For probabilistic PCA that is the Wiener filter, exactly. For a VAE q(z) stands for p(z|y), found by ascent on phi with the noise
in place: its encoder has never seen noise. The second part keeps what K numbers cannot: with little noise, most of y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.noise import LaplaceNoise, NormalNoise
from lowerbound.observed import around, mirrored, q_given
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal
from lowerbound.progress import Progress, quiet
from lowerbound.vae import VAE

__all__ = ["Denoised", "denoise", "noise_level"]

BLOCK = 500  # images at a time
DRAWS = 16  # from q, for the mean of what they decode to
MEDIAN = 0.6744897501960817  # of the absolute value of a standard normal


@dataclass(frozen=True)
class Denoised:
    """Images without their noise.

    Attributes:
        images: float32 ``[N, C, H, W]`` in pixel units, not clipped.
        sigma: Standard deviation of the noise that was taken out, in pixel units of [0, 1].
        estimated: Whether it was estimated from the images.
    """

    images: np.ndarray
    sigma: float
    estimated: bool


def denoise(
    model: Any,
    images: np.ndarray,
    sigma: float | None = None,
    *,
    steps: int = 40,
    samples: int = 2,
    seed: int = 0,
    progress: Progress = quiet,
) -> Denoised:
    """Take normal noise out of images: E[x|y] under a fitted model.

    Args:
        model: A VAE, or PCA as probabilistic PCA, where it is exact. A plain autoencoder has no density to weigh noise by: it
            gives its reconstruction.
        images: With noise, ``[N, C, H, W]``, 8-bit or float (which may lie beyond [0, 1]).
        sigma: Of the noise, in pixel units of [0, 1]; by default as ``noise_level`` estimates it, one for all images.
        steps: Of the ascent on phi from the encoder's start, at most.
        samples: Draws from q in each step.
        seed: Fixes the draws.
        progress: Shown on the way.

    Raises:
        InputError: No images, images of another size, or a sigma that is below 0 or not finite.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> found = denoise(PCA(3).fit(images), images, sigma=0.2)
        >>> found.images.shape, found.sigma
        ((50, 1, 4, 4), 0.2)
    """
    if not len(images):
        raise InputError("no images came; expected [N, C, H, W] with N of at least 1")
    noisy = as_floats(images, model.image_shape)
    estimated = sigma is None
    sigma = noise_level(noisy) if sigma is None else float(sigma)
    if not 0 <= sigma < math.inf:
        raise InputError(f"sigma is {sigma:g}; expected the noise of the pixels, 0 or more in pixel units of [0, 1]")
    if sigma == 0:
        clean = noisy
    elif isinstance(model, PCA):
        clean = _wiener(model, noisy, sigma)
    elif isinstance(model, VAE):
        clean = _posterior_mean(model, noisy, sigma, steps, samples, seed, progress)
    else:
        clean = model.inverse_transform(model.transform(noisy))
    return Denoised(clean, sigma, estimated)


def noise_level(images: np.ndarray) -> float:
    """Standard deviation of normal noise on images, estimated from their finest diagonal detail.

    Of every block of 2 x 2 pixels (a - b - c + d) / 2 is noise of the same sigma, and next to nothing of most images. The median
    of its absolute value, over 0.6745, is sigma whatever a few edges add (Donoho & Johnstone, 1994,
    https://doi.org/10.1093/biomet/81.3.425). One number for all images. Noise that was cut off at black or white, as in files of
    8 bits, is told as less than was put on: that much of it is left.

    Args:
        images: ``[N, C, H, W]``, 8-bit or float.

    Raises:
        InputError: Images of a single row or column.

    Example:
        >>> noise = np.random.default_rng(0).normal(0.5, 0.1, (20, 1, 16, 16))
        >>> round(noise_level(noise), 2)
        0.1
    """
    x = as_floats(images)
    height, width = (size // 2 * 2 for size in x.shape[2:])
    if not height or not width:
        raise InputError(f"images of {x.shape[3]} x {x.shape[2]} pixels have no 2 x 2 blocks; give sigma")
    a, b, c, d = (x[:, :, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1))
    return float(np.median(np.abs(a - b - c + d)) / 2 / MEDIAN)


def _wiener(pca: PCA, noisy: np.ndarray, sigma: float) -> np.ndarray:
    """E[x|y] of probabilistic PCA: along every direction the part of the variance that is not noise."""
    own = pca.noise_variance
    kept = np.maximum(pca.scales**2, own)
    kept, left = kept / (kept + sigma**2), own / (own + sigma**2)
    centred = noisy.reshape(len(noisy), -1).astype(np.float64) - pca.mean
    along = centred @ pca.components.T
    clean = pca.mean + left * centred + ((kept - left) * along) @ pca.components
    return clean.astype(np.float32).reshape(noisy.shape)


def _posterior_mean(
    model: VAE, noisy: np.ndarray, sigma: float, steps: int, samples: int, seed: int, progress: Progress
) -> np.ndarray:
    """E[x|y] of a VAE, the mean over draws from q."""
    density = _Noisy(model.decoder, sigma)
    weight = next(model.parameters())
    with torch.no_grad():
        prior = model.prior()
        y = torch.from_numpy(noisy).to(weight)
        phi = torch.cat([around(model.encoder(x), DiagonalNormal) for x in y.split(BLOCK)])
    q = q_given(
        density, prior, y, phi, DiagonalNormal, samples=samples, steps=steps, seed=seed, progress=progress, task="denoising"
    )  # fmt: skip
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        z = mirrored(q, DRAWS)
        means = [density.clean(z[:, i : i + 64], y[i : i + 64]) for i in range(0, len(y), 64)]
    return torch.cat(means).float().numpy()


class _Noisy(nn.Module):
    """p(y|z): a decoder's images with the noise of the decoder and that of the camera."""

    def __init__(self, decoder: nn.Module, sigma: float) -> None:
        super().__init__()
        self.decoder, self.variance = decoder, max(sigma, ROUNDING_SCALE) ** 2  # less means nothing, and overflows

    def forward(self, codes: Tensor) -> NormalNoise:
        p = self.decoder(codes)
        return NormalNoise(p.mean, (_own_variance(p) + self.variance).sqrt())

    def clean(self, codes: Tensor, noisy: Tensor) -> Tensor:
        """The mean over codes ``[samples, batch, K]`` of E[x|y, z], ``[batch, C, H, W]``."""
        p = self.decoder(codes)
        own = _own_variance(p)
        kept = own / (own + self.variance)
        return (p.mean + kept * (noisy - p.mean)).mean(0)


def _own_variance(p: Any) -> Tensor:
    """s^2 of p(x|z) on every pixel; 0 where it is no noise around a mean, as of images of 0 and 1."""
    if isinstance(p, NormalNoise):
        return p.scale.square()
    return 2 * p.width.square() if isinstance(p, LaplaceNoise) else torch.zeros(())
