"""Where training begins: networks set to what PCA already knows, so that they can only improve on it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal

SLOW = 0.1  # of the learning rate, for layers that begin at their optimum: a full one would shake them out of it

__all__ = ["start_at_mean", "start_at_pca", "start_at_probabilistic_pca"]


def start_at_pca(encoder: nn.Sequential, decoder: nn.Module, pca: PCA) -> None:
    """Set a patched or strided encoder and decoder to PCA: h = V'(x - mean), x' = mean + V h, with its K eigenvectors V.

    What the network adds to these lines is zero at first, so training starts with PCA's error. The head and the line learn at
    a tenth of the rate from then on.
    """
    _set_lines(encoder, decoder, pca, inward=pca.components, outward=pca.components.T)


def start_at_probabilistic_pca(encoder: Any, decoder: Any, pca: PCA) -> None:
    """Set a patched or strided VAE to probabilistic PCA (Tipping & Bishop, 1999, equation 15 and section 3.2).

    E[x|z] = mean + W z and E[z|x] = (W'W + sigma^2 I)^-1 W'(x - mean), with W = V (Lambda - sigma^2 I)^(1/2), so that
    W'W + sigma^2 I = Lambda. Sigma of p(x|z) is probabilistic PCA's. Its posterior has precisions lambda_i / sigma^2, and so
    has a q with a variance for each dimension; of all isotropic q the ELBO, K log s - s^2 sum_i lambda_i / (2 sigma^2), prefers
    s^2 = K / sum_i (lambda_i / sigma^2).

    Args:
        encoder: A ``PatchedEncoder`` (or ``StridedEncoder``) and a posterior head.
        decoder: A ``PatchedDecoder`` (or ``StridedDecoder``) and a likelihood head whose mean is the decoder's image.
        pca: Fitted, with K components.
    """
    noise = pca.noise_variance
    variances = np.maximum(pca.scales**2, noise)
    loadings = pca.components.T * np.sqrt(variances - noise)  # W, [P, K]
    _set_lines(encoder, decoder[0], pca, inward=(loadings / variances).T, outward=loadings)
    head, k = encoder[-1], pca.latent_dim
    of_each = np.full(1, variances.mean()) if isinstance(head, IsotropicNormal) else variances
    with torch.no_grad():
        head.linear.weight[k:].zero_()
        head.linear.bias[k : k + len(of_each)] = 0.5 * torch.from_numpy(np.log(noise / of_each))
    decoder[-1].set_scale(math.sqrt(noise))


@torch.no_grad()
def start_at_mean(encoder: Any, decoder: Any, pca: PCA) -> None:
    """Set the offsets of a VAE's networks so that p(x|z) begins at the mean image, whatever its likelihood."""
    mean = _mean_image(pca)
    encoder[0].bias.bias.copy_(-mean)
    decoder[0].bias.bias.copy_(decoder[-1].unlink(mean))


def has_head(posterior: Any, latent_dim: int) -> bool:
    """Whether a posterior head is one linear layer that puts out K means first and log-scales next, as those here do.

    Of a head of the user's own that is a guess; where it is wrong, training starts elsewhere and learns the rest.
    """
    linear = getattr(posterior, "linear", None)
    enough = isinstance(posterior, IsotropicNormal) or getattr(linear, "out_features", 0) >= 2 * latent_dim
    return isinstance(linear, nn.Linear) and enough and linear.bias is not None


def has_line(likelihood: Any) -> bool:
    """Whether the mean of p(x|z) is the decoder's image itself, so that probabilistic PCA is among its models."""
    if not (hasattr(likelihood, "unlink") and hasattr(likelihood, "set_scale")):
        return False  # a head of the user's own, that says nothing of the kind
    levels = torch.linspace(0, 1, 5).view(1, 1, 5)
    return bool(torch.equal(likelihood.unlink(levels)[:1], levels))


def _mean_image(pca: PCA) -> Tensor:
    return torch.from_numpy(pca.mean).float().view(pca.image_shape or ())


@torch.no_grad()
def _set_lines(encoder: Any, decoder: Any, pca: PCA, inward: np.ndarray, outward: np.ndarray) -> None:
    """Codes ``inward (x - mean)``, ``[K, P]``, and images ``mean + outward z``, ``[P, K]``; the rest of the networks at zero."""
    backbone, head = encoder
    k, pixels = inward.shape
    mean = _mean_image(pca)
    backbone.bias.bias.copy_(-mean)
    head.linear.weight[:k].zero_()
    head.linear.weight[:k, -pixels:] = torch.from_numpy(inward)
    head.linear.bias.zero_()
    decoder.linear.weight.zero_()  # a decoder that puts out scales, too, has more rows than pixels
    decoder.linear.weight[:pixels] = torch.from_numpy(outward)
    decoder.bias.bias.zero_()
    decoder.bias.bias[: len(mean)] = mean
    decoder.layers[-1].weight.zero_()
    decoder.layers[-1].bias.zero_()
    head.rate = decoder.linear.rate = SLOW
