"""What training lowers: objective(model, x) -> Terms, per image.

A variational autoencoder's loss is the negative evidence lower bound (ELBO)

    -ELBO(x) = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)) = distortion + rate,    in nats per image, all constants in,

with log p(x) >= ELBO(x) (Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114; the two names after Alemi et al., 2018,
https://arxiv.org/abs/1711.00464). A plain autoencoder's loss is the mean squared error per pixel, and is called that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

__all__ = ["Elbo", "SquaredError", "Terms"]


@dataclass(frozen=True)
class Terms:
    """What an objective is made of, for each image ``[batch]``.

    Attributes:
        loss: What training lowers.
        distortion: What reconstructions cost: nats under a likelihood, mean squared error per pixel without one.
        rate: What codes cost beyond the prior, in nats; zero without a posterior.
    """

    loss: Tensor
    distortion: Tensor
    rate: Tensor


class Maps(Protocol):
    """Anything with an encoder and a decoder."""

    encoder: Any
    decoder: Any


class Generative(Maps, Protocol):
    """Anything with a prior over codes, too."""

    prior: Any


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error per pixel between an image and its reconstruction, pixels in [0, 1]."""

    def __call__(self, model: Maps, images: Tensor) -> Terms:
        """Terms for images ``[batch, C, H, W]``; the decoder returns images."""
        reconstruction = model.decoder(model.encoder(images).rsample())
        error = (images - reconstruction).square().flatten(1).mean(1)
        return Terms(loss=error, distortion=error, rate=torch.zeros_like(error))


@dataclass(frozen=True)
class Elbo:
    """The negative evidence lower bound, in nats per image with all constants.

    The expectation over q is a mean over draws, through which gradients flow (reparameterisation); the KL is exact.

    Args:
        samples: Draws from q for each image.

    Raises:
        ValueError: Fewer than one draw.
    """

    samples: int = 1

    def __post_init__(self) -> None:
        """Refuse what is no number of draws."""
        if self.samples < 1:
            raise ValueError(f"samples is {self.samples}; expected at least 1 draw from q for each image")

    def __call__(self, model: Generative, images: Tensor) -> Terms:
        """Terms for images ``[batch, C, H, W]``."""
        q: Distribution = model.encoder(images)
        z = q.rsample(torch.Size([self.samples]))  # [samples, batch, K]
        distortion = -model.decoder(z).log_prob(images).mean(0)
        rate = kl_divergence(q, model.prior())
        return Terms(loss=distortion + rate, distortion=distortion, rate=rate)
