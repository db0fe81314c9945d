"""Named assemblies of parts, and the settings they are trained with: the one registry, for the command line and for loading.

Four networks: "patched", the default, starts at PCA's optimum and is fast; so does "strided", the default of before, whose
runs it can still load; "tutorial" is the network and the training of CIS-522's
tutorial on autoencoders (Lange & Ash, https://github.com/CIS-522/course-content); "dense" has two hidden layers of 200 units
(Burda et al., 2016, https://arxiv.org/abs/1509.00519).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from lowerbound.autoencoder import Autoencoder
from lowerbound.backbone import (
    ConvDecoder,
    ConvEncoder,
    DenseDecoder,
    DenseEncoder,
    LinearDecoder,
    PixelBias,
    StridedDecoder,
    StridedEncoder,
)
from lowerbound.errors import InputError, nearest
from lowerbound.likelihood import Normal
from lowerbound.objective import Terms
from lowerbound.parts import Parts
from lowerbound.patched import PatchedDecoder, PatchedEncoder
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal, Point
from lowerbound.prior import StandardNormal
from lowerbound.settings import Settings, one_cycle
from lowerbound.start import has_head, has_line, start_at_mean, start_at_pca, start_at_probabilistic_pca
from lowerbound.vae import VAE

__all__ = [
    "DEFAULT",
    "NETWORKS",
    "RECIPES",
    "Network",
    "Recipe",
    "conv",
    "linear",
    "recipe",
    "vae",
]

ImageShape = tuple[int, int, int]
MNIST_PIXELS = 28 * 28
DEFAULT = "patched"  # of the networks


@dataclass(frozen=True)
class Network:
    """A pair of mirror-image backbones.

    Attributes:
        encoder: From an image shape; has ``out_features``.
        decoder: From an image shape and K.
        starts_at_pca: Whether its weights can be set to PCA's.
        starts_at_mean: Whether its offsets can be set to the mean image.
        rate: Its part of the learning rate, which is that of the default network.
    """

    encoder: Callable[[ImageShape], Any]
    decoder: Callable[[ImageShape, int], nn.Module]
    starts_at_pca: bool = False
    starts_at_mean: bool = False
    rate: float = 1.0


NETWORKS = {
    "patched": Network(PatchedEncoder, PatchedDecoder, starts_at_pca=True, starts_at_mean=True),
    "strided": Network(StridedEncoder, StridedDecoder, starts_at_pca=True, starts_at_mean=True, rate=3 / 8),
    "tutorial": Network(ConvEncoder, ConvDecoder),
    "dense": Network(DenseEncoder, DenseDecoder, starts_at_mean=True, rate=3 / 8),
}


def linear(
    image_shape: ImageShape,
    latent_dim: int,
    start: PCA | None = None,
    *,
    objective: Callable[..., Terms] | None = None,
) -> Autoencoder:
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
    return Autoencoder(encoder, decoder, image_shape, objective)


def conv(
    image_shape: ImageShape,
    latent_dim: int,
    network: Network = NETWORKS[DEFAULT],
    start: PCA | None = None,
    *,
    objective: Callable[..., Terms] | None = None,
) -> Autoencoder:
    """A convolutional autoencoder, started at a PCA with K components where one is given.

    Example:
        >>> conv((3, 7, 5), 4).decoder(torch.zeros(2, 4)).shape
        torch.Size([2, 3, 7, 5])
    """
    backbone = network.encoder(image_shape)
    encoder = nn.Sequential(backbone, Point(backbone.out_features, latent_dim))
    model = Autoencoder(encoder, network.decoder(image_shape, latent_dim), image_shape, objective)
    if start is not None and network.starts_at_pca:
        start_at_pca(encoder, model.decoder, start)
    return model


def vae(
    image_shape: ImageShape,
    latent_dim: int,
    network: Network = NETWORKS[DEFAULT],
    start: PCA | None = None,
    *,
    posterior: Callable[[int, int], Any] = IsotropicNormal,
    likelihood: Any = None,
    prior: nn.Module | Callable[[nn.Module], nn.Module] | None = None,
    objective: Callable[..., Terms] | None = None,
) -> VAE:
    """A variational autoencoder from parts; by default with an isotropic posterior and one learned sigma.

    Args:
        image_shape: Channels, height, width.
        latent_dim: K.
        network: The two backbones.
        start: A PCA with K components. The VAE starts at probabilistic PCA where network and likelihood allow it, else
            with the mean image where they allow that.
        posterior: From the number of features and K to a posterior head.
        likelihood: A likelihood head; by default ``Normal()``.
        prior: A prior, or what makes one from the encoder (a VampPrior); by default N(0, I).
        objective: What is lowered; by default the negative ELBO.

    Example:
        >>> from lowerbound.likelihood import Laplace
        >>> from lowerbound.posterior import DiagonalNormal
        >>> model = vae((3, 7, 5), 4, posterior=DiagonalNormal, likelihood=Laplace())
        >>> model.decoder(torch.zeros(2, 4)).mean.shape
        torch.Size([2, 3, 7, 5])
    """
    likelihood = Normal() if likelihood is None else likelihood
    channels, height, width = image_shape
    planes = getattr(likelihood, "numbers", 1) * channels  # what a head does not say of itself is as for most
    backbone = network.encoder(image_shape)
    encoder = nn.Sequential(backbone, posterior(backbone.out_features, latent_dim))
    decoder = nn.Sequential(network.decoder((planes, height, width), latent_dim), likelihood)
    lines = network.starts_at_pca and has_line(likelihood) and has_head(encoder[-1], latent_dim)
    if start is not None and lines:
        start_at_probabilistic_pca(encoder, decoder, start)
    elif start is not None and network.starts_at_mean and hasattr(likelihood, "unlink"):
        start_at_mean(encoder, decoder, start)
    if prior is None:
        prior = StandardNormal(latent_dim)
    made = prior if isinstance(prior, nn.Module) else prior(encoder)
    return VAE(encoder, decoder, made, image_shape, objective)


PLAIN = Parts("point", "none", "none", "squared")


@dataclass(frozen=True)
class Recipe:
    """A model under the name that the command line knows.

    Attributes:
        words: What it is, in words.
        build: From an image shape, K, a network, a PCA to start from (or None), parts, and the number of training images;
            None for PCA itself.
        parts: What it is assembled from when nothing else is asked for.
        settings: Training by the default network's recipe, for a number of training images and their shape.
        tutorial: Training by the tutorial's recipe.
    """

    words: str
    build: Callable[..., Autoencoder | VAE] | None = None
    parts: Parts = PLAIN
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


def _linear(  # a network has no say in it
    shape: ImageShape, k: int, _: Network, start: PCA | None = None, parts: Parts = PLAIN, images: int = 0
) -> Autoencoder:
    return linear(shape, k, start, objective=parts.make_objective(images))


def _conv(
    shape: ImageShape, k: int, network: Network, start: PCA | None = None, parts: Parts = PLAIN, images: int = 0
) -> Autoencoder:
    return conv(shape, k, network, start, objective=parts.make_objective(images))


def _vae(
    shape: ImageShape, k: int, network: Network, start: PCA | None = None, parts: Parts | None = None, images: int = 0
) -> VAE:
    parts = Parts() if parts is None else parts
    return vae(
        shape,
        k,
        network,
        start,
        posterior=parts.make_head,
        likelihood=parts.make_likelihood(shape),
        prior=lambda encoder: parts.make_prior(encoder, shape, k, None if start is None else start.sample),
        objective=parts.make_objective(images),
    )


RECIPES = {
    "pca": Recipe("principal component analysis, and as a density probabilistic PCA"),
    "linear": Recipe(
        "linear autoencoder",
        _linear,
        PLAIN,
        _one_cycle(batch_size=250, learning_rate=1e-2, most_epochs=500, steps=3_000),
        Settings(epochs=20, batch_size=250, weight_decay=1e-5),
    ),
    "conv": Recipe(
        "convolutional autoencoder",
        _conv,
        PLAIN,
        _one_cycle(batch_size=100, learning_rate=8e-3, most_epochs=40),
        Settings(epochs=20, batch_size=250, weight_decay=1e-5),
    ),
    "vae": Recipe(
        "variational autoencoder",
        _vae,
        Parts(),
        _one_cycle(batch_size=100, learning_rate=8e-3, most_epochs=40),
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
