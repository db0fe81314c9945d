"""Probabilistic PCA written as a VAE: linear maps, and the exact posterior for an encoder.

What holds for any VAE can be checked against it: its evidence is known in closed form, its bound has no gap.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Independent

from lowerbound.backbone import LinearDecoder
from lowerbound.likelihood import Normal
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal
from lowerbound.prior import StandardNormal
from lowerbound.vae import VAE

__all__ = ["LinearPosterior", "linear_vae"]


class LinearPosterior(nn.Module):
    """q(z|x) = N(A (x - mean), diag(s^2)): a linear map of the pixels, and the same variances for every image.

    Args:
        inward: A, ``[K, P]``.
        mean: The mean image ``[P]``.
        log_scales: log s, ``[K]``.

    Example:
        >>> head = LinearPosterior(torch.ones(1, 2), torch.zeros(2), torch.zeros(1))
        >>> head(torch.ones(3, 2)).mean.shape
        torch.Size([3, 1])
    """

    from_phi = staticmethod(DiagonalNormal.from_phi)
    phi_size = staticmethod(DiagonalNormal.phi_size)

    def __init__(self, inward: Tensor, mean: Tensor, log_scales: Tensor) -> None:
        super().__init__()
        self.latent_dim = len(inward)
        self.inward, self.mean, self.log_scales = map(nn.Parameter, (inward, mean, log_scales))

    def phi(self, features: Tensor) -> Tensor:
        """(mu, log s) of flat images ``[batch, P]``: ``[batch, 2 K]``."""
        mean = (features - self.mean) @ self.inward.T
        return torch.cat([mean, self.log_scales.expand_as(mean)], dim=-1)

    def forward(self, features: Tensor) -> Independent:
        """Map flat images ``[batch, P]`` to a distribution over codes ``[batch, K]``."""
        return self.from_phi(self.phi(features))


def linear_vae(pca: PCA, dtype: torch.dtype = torch.float32) -> VAE:
    """Probabilistic PCA as a VAE (Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196).

    p(x|z) = N(mean + W z, sigma^2 I) with W = V (Lambda - sigma^2 I)^(1/2), and the exact posterior
    p(z|x) = N(Lambda^-1 W'(x - mean), sigma^2 Lambda^-1), since W'W + sigma^2 I = Lambda is diagonal.

    Args:
        pca: Fitted.
        dtype: Of its weights.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> pca = PCA(3).fit(images)
        >>> model = linear_vae(pca, torch.float64)
        >>> bool(abs(model.score(images, samples=500) - pca.score(images)) < 0.1)
        True
    """
    pca.check_fitted()
    noise = pca.noise_variance
    variances = np.maximum(pca.scales**2, noise)
    loadings = pca.components.T * np.sqrt(variances - noise)  # W, [P, K]
    inward, mean, scales = (
        torch.tensor(array, dtype=dtype)  # a copy: training must not move the PCA
        for array in ((loadings / variances).T, pca.mean, 0.5 * np.log(noise / variances))
    )
    shape: Any = pca.image_shape
    decoder = LinearDecoder(shape, pca.latent_dim).to(dtype)
    likelihood = Normal(math.sqrt(noise)).to(dtype)
    with torch.no_grad():
        decoder.layers[0].weight.copy_(torch.from_numpy(loadings))  # type: ignore[operator, union-attr]
        decoder.layers[0].bias.copy_(mean)  # type: ignore[operator, union-attr]
        likelihood.set_scale(math.sqrt(noise))  # in this precision
    encoder = nn.Sequential(nn.Flatten(), LinearPosterior(inward, mean, scales))
    return VAE(encoder, nn.Sequential(decoder, likelihood), StandardNormal(pca.latent_dim).to(dtype), shape).eval()
