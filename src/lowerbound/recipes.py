"""Named assemblies of parts, and the settings they are trained with: the one registry, for the command line and for loading.

Two networks: "strided", the default, starts at PCA's optimum; "tutorial" is the network and the training of CIS-522's
tutorial on autoencoders (Lange & Ash, https://github.com/CIS-522/course-content).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from lowerbound.autoencoder import Autoencoder
from lowerbound.backbone import ConvDecoder, ConvEncoder, LinearDecoder, PixelBias, StridedDecoder, StridedEncoder
from lowerbound.errors import InputError, nearest
from lowerbound.likelihood import Normal
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal, Point
from lowerbound.prior import StandardNormal
from lowerbound.training import Settings, one_cycle
from lowerbound.vae import VAE

__all__ = [
    "NETWORKS",
    "RECIPES",
    "Network",
    "Recipe",
    "conv",
    "linear",
    "recipe",
    "start_at_pca",
    "start_at_probabilistic_pca",
    "vae",
]

ImageShape = tuple[int, int, int]
MNIST_PIXELS = 28 * 28


@dataclass(frozen=True)
class Network:
    """A pair of mirror-image backbones.

    Attributes:
        encoder: From an image shape; has ``out_features``.
        decoder: From an image shape and K.
        starts_at_pca: Whether its weights can be set to PCA's.
    """

    encoder: Callable[[ImageShape], Any]
    decoder: Callable[[ImageShape, int], nn.Module]
    starts_at_pca: bool


NETWORKS = {
    "strided": Network(StridedEncoder, StridedDecoder, starts_at_pca=True),
    "tutorial": Network(ConvEncoder, ConvDecoder, starts_at_pca=False),
}


def linear(image_shape: ImageShape, latent_dim: int, start: PCA | None = None) -> Autoencoder:
    """One matrix to K numbers and one back, learned by gradient descent from random weights: do they find PCA?

    Of a PCA to start from only the mean image is taken, for the offsets at both ends: pixels that are not centred make
    gradient descent on colour images more than ten times as slow.

    Example:
        >>> sum(weights.numel() for weights in linear((1, 8, 8), 4).parameters())
        644
    """
    offset = PixelBias(image_shape)
    encoder = nn.Sequential(offset, nn.Flatten(), Point(math.prod(image_shape), latent_dim))
    decoder = LinearDecoder(image_shape, latent_dim)
    if start is not None:
        with torch.no_grad():
            mean = torch.from_numpy(start.mean)
            offset.bias.copy_(-mean.view(image_shape))
            decoder.layers[0].bias.copy_(mean)  # type: ignore[operator, union-attr]
    return Autoencoder(encoder, decoder, image_shape)


def conv(
    image_shape: ImageShape, latent_dim: int, network: Network = NETWORKS["strided"], start: PCA | None = None
) -> Autoencoder:
    """A convolutional autoencoder, started at a PCA with K components where one is given.

    Example:
        >>> conv((3, 7, 5), 4).decoder(torch.zeros(2, 4)).shape
        torch.Size([2, 3, 7, 5])
    """
    backbone = network.encoder(image_shape)
    encoder = nn.Sequential(backbone, Point(backbone.out_features, latent_dim))
    model = Autoencoder(encoder, network.decoder(image_shape, latent_dim), image_shape)
    if start is not None:
        start_at_pca(encoder, model.decoder, start)
    return model


def vae(
    image_shape: ImageShape, latent_dim: int, network: Network = NETWORKS["strided"], start: PCA | None = None
) -> VAE:
    """A convolutional VAE: isotropic q with K + 1 numbers, p(z) = N(0, I), Gaussian p(x|z) with one learned sigma.

    Example:
        >>> vae((1, 8, 8), 4).encoder(torch.zeros(2, 1, 8, 8)).mean.shape
        torch.Size([2, 4])
    """
    backbone = network.encoder(image_shape)
    encoder = nn.Sequential(backbone, IsotropicNormal(backbone.out_features, latent_dim))
    decoder = nn.Sequential(network.decoder(image_shape, latent_dim), Normal())
    model = VAE(encoder, decoder, StandardNormal(latent_dim), image_shape)
    if start is not None:
        start_at_probabilistic_pca(encoder, decoder, start)
    return model


def start_at_pca(encoder: nn.Sequential, decoder: nn.Module, pca: PCA) -> None:
    """Set a strided encoder and decoder to PCA: h = V'(x - mean), x' = mean + V h, with its K eigenvectors V.

    What the network adds to these lines is zero at first, so training starts with PCA's error.
    """
    _set_lines(encoder, decoder, pca, inward=pca.components, outward=pca.components.T)


def start_at_probabilistic_pca(encoder: Any, decoder: Any, pca: PCA) -> None:
    """Set a strided VAE to probabilistic PCA (Tipping & Bishop, 1999, equation 15 and section 3.2).

    E[x|z] = mean + W z and E[z|x] = (W'W + sigma^2 I)^-1 W'(x - mean), with W = V (Lambda - sigma^2 I)^(1/2), so that
    W'W + sigma^2 I = Lambda. Sigma of p(x|z) is probabilistic PCA's. Its posterior has precisions lambda_i / sigma^2; of all
    isotropic q the ELBO, K log s - s^2 sum_i lambda_i / (2 sigma^2), prefers s^2 = K / sum_i (lambda_i / sigma^2).
    """
    noise = pca.noise_variance
    variances = np.maximum(pca.scales**2, noise)
    loadings = pca.components.T * np.sqrt(variances - noise)  # W, [P, K]
    _set_lines(encoder, decoder[0], pca, inward=(loadings / variances).T, outward=loadings)
    head, likelihood = encoder[-1], decoder[-1]
    with torch.no_grad():
        head.linear.weight[-1].zero_()
        head.linear.bias[-1] = 0.5 * math.log(noise / variances.mean())
        likelihood.log_scale.fill_(0.5 * math.log(noise))


@torch.no_grad()
def _set_lines(encoder: Any, decoder: Any, pca: PCA, inward: np.ndarray, outward: np.ndarray) -> None:
    """Codes ``inward (x - mean)``, ``[K, P]``, and images ``mean + outward z``, ``[P, K]``; the rest of the networks at zero."""
    backbone, head = encoder
    k, pixels = inward.shape
    mean = torch.from_numpy(pca.mean).view(backbone.bias.bias.shape)
    backbone.bias.bias.copy_(-mean)
    head.linear.weight[:k].zero_()
    head.linear.weight[:k, -pixels:] = torch.from_numpy(inward)
    head.linear.bias.zero_()
    decoder.linear.weight.copy_(torch.from_numpy(outward))
    decoder.bias.bias.copy_(mean)
    decoder.layers[-1].weight.zero_()
    decoder.layers[-1].bias.zero_()


@dataclass(frozen=True)
class Recipe:
    """A model under the name that the command line knows.

    Attributes:
        words: What it is, in words.
        build: From an image shape, K, a network and a PCA to start from; None for PCA itself.
        settings: Training by the default network's recipe, for a number of training images and their shape.
        tutorial: Training by the tutorial's recipe.
    """

    words: str
    build: Callable[..., Autoencoder | VAE] | None = None
    settings: Callable[[int, ImageShape], Settings] = lambda images, shape: Settings(epochs=0)  # noqa: ARG005
    tutorial: Settings = field(default_factory=lambda: Settings(epochs=0))


def _one_cycle(
    batch_size: int, learning_rate: float, most_epochs: int, steps: int = 600
) -> Callable[[int, ImageShape], Settings]:
    """Training by one cycle: 6 epochs of a large data set; more of a small one, until a number of steps are taken.

    The rate is that for images up to MNIST's size. Of larger ones every code is a sum over more pixels, each of whose weights
    moves by the rate at every step: it falls with the square root of their number.
    """

    def settings(images: int, shape: ImageShape) -> Settings:
        epochs = min(max(6, round(steps / math.ceil(images / batch_size))), most_epochs)
        rate = learning_rate * min(1.0, math.sqrt(MNIST_PIXELS / math.prod(shape)))
        return Settings(epochs=epochs, batch_size=batch_size, learning_rate=rate, schedule=one_cycle)

    return settings


RECIPES = {
    "pca": Recipe("principal component analysis, and as a density probabilistic PCA"),
    "linear": Recipe(
        "linear autoencoder",
        lambda shape, k, network, start: linear(shape, k, start),  # noqa: ARG005
        _one_cycle(batch_size=250, learning_rate=1e-2, most_epochs=500, steps=3_000),
        Settings(epochs=20, batch_size=250, weight_decay=1e-5),
    ),
    "conv": Recipe(
        "convolutional autoencoder",
        conv,
        _one_cycle(batch_size=100, learning_rate=3e-3, most_epochs=40),
        Settings(epochs=20, batch_size=250, weight_decay=1e-5),
    ),
    "vae": Recipe(
        "variational autoencoder",
        vae,
        _one_cycle(batch_size=100, learning_rate=3e-3, most_epochs=40),
        Settings(epochs=10, batch_size=100, weight_decay=1e-6),
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe of a name.

    Raises:
        InputError: No recipe has this name.

    Example:
        >>> recipe("vae").words
        'variational autoencoder'
    """
    if name not in RECIPES:
        raise InputError(f'there is no model "{name}"{nearest(name, RECIPES)}; known are {", ".join(RECIPES)}')
    return RECIPES[name]
