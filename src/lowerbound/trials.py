"""What parts are tried in and on: the smallest models, little images, and what is expected of tensors and distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.autoencoder import Autoencoder
from lowerbound.backbone import DenseDecoder, DenseEncoder
from lowerbound.contract import expect, finite
from lowerbound.likelihood import Normal
from lowerbound.objective import Elbo
from lowerbound.posterior import DiagonalNormal, Point
from lowerbound.prior import StandardNormal
from lowerbound.vae import VAE

__all__ = [
    "FEATURES",
    "SHAPE",
    "Clause",
    "K",
    "Make",
    "blobs",
    "doubled",
    "held_to",
    "of_shape",
    "shaken",
    "tiny_autoencoder",
    "tiny_vae",
    "trains",
]

Make = Callable[..., Any]
"""What makes a part: its class, or a function."""
Clause = Callable[[Make], "bool | None"]
"""Raises where a part breaks it; returns False where there is nothing to hold the part to."""

FEATURES = 11
SHAPE = (1, 6, 6)
K = 3


def tiny_vae(
    *, posterior: Make = DiagonalNormal, prior: Make = StandardNormal, likelihood: Make | None = None,
    encoder: Make = DenseEncoder, decoder: Make = DenseDecoder, objective: Any = None,
) -> VAE:  # fmt: skip
    """The smallest VAE that a part can be tried in, for images of ``SHAPE``.

    Example:
        >>> tiny_vae().sample(2).shape
        (2, 1, 6, 6)
    """
    head = Normal() if likelihood is None else likelihood(SHAPE)
    planes = (SHAPE[0] * getattr(head, "numbers", 1), *SHAPE[1:])
    backbone = encoder(SHAPE)
    recognition = nn.Sequential(backbone, posterior(backbone.out_features, K))
    return VAE(recognition, nn.Sequential(decoder(planes, K), head), prior(K), SHAPE, objective or Elbo())


def tiny_autoencoder(*, posterior: Make = Point, objective: Any = None) -> Autoencoder:
    """The smallest plain autoencoder, likewise.

    Example:
        >>> tiny_autoencoder().decoder(torch.zeros(2, 3)).shape
        torch.Size([2, 1, 6, 6])
    """
    backbone = DenseEncoder(SHAPE)
    recognition = nn.Sequential(backbone, posterior(backbone.out_features, K))
    return Autoencoder(recognition, DenseDecoder(SHAPE, K), SHAPE, objective)


def blobs(images: int = 64) -> Tensor:
    """Random images of 0 and 1 that two numbers each explain: every likelihood takes them, and there is much to learn."""
    return ((torch.randn(images, 2) @ torch.randn(2, math.prod(SHAPE))) > 0).float().view(images, *SHAPE)


def trains(model: Any) -> None:
    """A model's loss falls within 30 steps."""
    images = blobs()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = model.loss(images).loss.mean()
        finite(loss, "a loss while training")
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    first, last = sum(losses[:5]) / 5, sum(losses[-5:]) / 5
    expect(last < first, f"a loss that went from {first:.4g} to {last:.4g} in 30 steps", "one that falls")


def shaken(part: Any) -> Any:
    """A part with all its weights moved a little."""
    expect(isinstance(part, nn.Module), f"a {type(part).__name__}", "a torch.nn.Module")
    with torch.no_grad():
        for value in part.parameters():
            value.add_(0.1 * torch.randn_like(value))
    return part


def held_to(distribution: Any, batch: tuple[int, ...], event: tuple[int, ...]) -> None:
    """A distribution, of a batch and an event shape."""
    expect(
        isinstance(distribution, Distribution), f"a {type(distribution).__name__}", "a torch.distributions.Distribution"
    )
    came = (tuple(distribution.batch_shape), tuple(distribution.event_shape))
    words = "a batch shape of {0} and an event shape of {1}"
    expect(came == (batch, event), words.format(*map(list, came)), words.format(list(batch), list(event)))


def of_shape(values: Tensor, shape: tuple[int, ...], name: str) -> None:
    """A tensor of a shape."""
    came = list(values.shape) if isinstance(values, Tensor) else f"a {type(values).__name__}"
    expect(came == list(shape), f"{name} of {came}", str(list(shape)))


def doubled(values: dict[str, Tensor]) -> None:
    """All float64."""
    for name, value in values.items():
        expect(value.dtype == torch.float64, f"{name} of {value.dtype} from a part in float64", "torch.float64")
