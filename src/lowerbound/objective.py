"""What training lowers: objective(model, x, fraction) -> Terms, per image.

A variational autoencoder's loss is the negative evidence lower bound (ELBO)

    -ELBO(x) = E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)) = distortion + rate,    in nats per image, all constants in,

with log p(x) >= ELBO(x) (Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114; the two names after Alemi et al., 2018,
https://arxiv.org/abs/1711.00464). Other objectives weigh the two, or more; distortion and rate are always reported as they
are, so that the ELBO can be read whatever the weights. A plain autoencoder's loss is the mean squared error per pixel, and is
called that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.divergence import analytic_kl, draw, is_factorised, kl_per_dimension, name_of
from lowerbound.errors import InputError

__all__ = [
    "Denoising",
    "Elbo",
    "Schedule",
    "SquaredError",
    "Terms",
    "check_weight",
    "image_density",
    "posterior_and_prior",
    "squared_error",
    "value_at",
]

Schedule = Callable[[float], float]
"""From the fraction of the training that is done to a weight."""


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

    def __call__(self, model: Maps, images: Tensor, fraction: float = 1.0) -> Terms:  # noqa: ARG002
        """Terms for images ``[batch, C, H, W]``; the decoder returns images.

        Raises:
            InputError: The decoder returns a distribution.
        """
        return _reconstructed(model, images, images)


@dataclass(frozen=True)
class Denoising:
    """The squared error of a clean image's reconstruction from a spoilt one (Vincent et al., 2008).

    What is in the code then has to be told by pixels together, for each of them alone may lie
    (https://doi.org/10.1145/1390156.1390294). The loss is always that of spoilt images; how well clean ones are kept is what
    ``evaluation.evaluate`` measures.

    Args:
        noise: Standard deviation of Gaussian noise on every pixel, pixels in [0, 1].
        masked: Part of an image's places that are set to 0 in all channels, after the noise.

    Raises:
        InputError: Noise below 0, or a part that is none.

    Example:
        >>> Denoising(noise=0.0, masked=1.0).spoilt(torch.ones(2, 1, 4, 4)).abs().sum()
        tensor(0.)
    """

    noise: float = 0.3
    masked: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what spoils nothing one could name."""
        if not (0 <= self.noise < math.inf and 0 <= self.masked <= 1):
            raise InputError(
                f"noise is {self.noise:g}, masked {self.masked:g}; expected noise >= 0 and a part in [0, 1]"
            )

    def spoilt(self, images: Tensor) -> Tensor:
        """Images ``[batch, C, H, W]`` with noise and holes; not clipped."""
        if self.noise:
            images = images + self.noise * torch.randn_like(images)
        if self.masked:
            images = images * (torch.rand_like(images[:, :1]) >= self.masked)
        return images

    def __call__(self, model: Maps, images: Tensor, fraction: float = 1.0) -> Terms:  # noqa: ARG002
        """Terms for clean images ``[batch, C, H, W]``; the decoder returns images.

        Raises:
            InputError: The decoder returns a distribution.
        """
        return _reconstructed(model, self.spoilt(images), images)


@dataclass(frozen=True)
class Elbo:
    """The negative evidence lower bound, in nats per image with all constants; on wish with another weight on the rate.

    The expectation over q is a mean over draws, through which gradients flow (reparameterisation). What training lowers is

        distortion + beta * |rate - capacity|,    and without a capacity distortion + beta * rate.

    With beta above 1 this is the beta-VAE (Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl), with beta rising
    from 0 a KL warm-up (``schedule.warm_up``), with a rising capacity in nats per image, and beta its pressure gamma, the
    objective of Burgess et al. (2018, https://arxiv.org/abs/1804.03599). Free bits let every dimension of the code cost so
    many nats, on average over the batch, before lowering its rate lowers the loss (Kingma et al., 2016,
    https://arxiv.org/abs/1606.04934); where the rate is no sum over dimensions, it is compared with K times as many.

    Args:
        samples: Draws from q for each image.
        beta: Weight of the rate: a number or a schedule.
        analytic: Whether the rate is exact where q and the prior have a closed form; else, and where they have none, it is a
            mean over the same draws, with the same expectation and a larger variance.
        free_bits: Nats per dimension that are not charged.
        capacity: Nats per image at which the rate is held: a number, a schedule, or None.

    Raises:
        InputError: Fewer than one draw; a weight below 0; free bits and a capacity, each of which sets the rate.

    Example:
        >>> from lowerbound import recipes
        >>> model = recipes.vae((1, 8, 8), latent_dim=2)
        >>> terms = Elbo(beta=4.0)(model, torch.rand(5, 1, 8, 8))
        >>> bool(torch.allclose(terms.loss, terms.distortion + 4 * terms.rate))
        True
    """

    samples: int = 1
    beta: float | Schedule = 1.0
    analytic: bool = True
    free_bits: float = 0.0
    capacity: float | Schedule | None = None

    def __post_init__(self) -> None:
        """Refuse what is no bound."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}; expected at least 1 draw from q for each image")
        for name in ("beta", "free_bits", "capacity"):
            check_weight(name, getattr(self, name))
        if self.free_bits and self.capacity is not None:
            raise InputError("both free_bits and a capacity are given, and each sets the rate; choose one of them")

    @property
    def whole_batch(self) -> bool:
        """Whether the loss is of the batch, not of single images: free bits look at the mean rate of the batch."""
        return self.free_bits > 0

    def __call__(self, model: Generative, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms for images ``[batch, C, H, W]``, when a fraction of the training is done.

        Raises:
            InputError: The model's parts do not make an ELBO: q has no density, the decoder returns plain images ...
        """
        q, p = posterior_and_prior(model, images)
        kl = analytic_kl(q, p) if self.analytic else None
        if kl is None:
            z, log_q = draw(q, self.samples)
            rate = (log_q - p.log_prob(z)).mean(0)
        else:
            z, rate = q.rsample(torch.Size([self.samples])), kl  # [samples, batch, K]
        distortion = -image_density(model.decoder, z).log_prob(images).mean(0)
        charged = rate
        if self.free_bits:
            charged = self._beyond_free_bits(q, p, z, rate)
        elif self.capacity is not None:
            charged = (rate - value_at(self.capacity, fraction)).abs()
        return Terms(loss=distortion + value_at(self.beta, fraction) * charged, distortion=distortion, rate=rate)

    def _beyond_free_bits(self, q: Distribution, p: Distribution, z: Tensor, rate: Tensor) -> Tensor:
        """The rate ``[batch]``, with dimensions of the code below the free bits at just these: no gradient lowers them."""
        rates = rate.unsqueeze(-1)  # [batch, 1]
        if is_factorised(q) and is_factorised(p):
            exact = kl_per_dimension(q, p)
            rates = exact if self.analytic else (q.base_dist.log_prob(z) - p.base_dist.log_prob(z)).mean(0)  # type: ignore[attr-defined]
        free = self.free_bits * z.shape[-1] / rates.shape[-1]
        return torch.where(rates.mean(0) > free, rates, free).sum(-1)


def posterior_and_prior(model: Generative, images: Tensor) -> tuple[Distribution, Distribution]:
    """q(z|x) of images ``[batch, C, H, W]``, and p(z), where they can make a bound together.

    Raises:
        InputError: q is a point, or has draws that no gradient flows through; no prior; codes of two sizes.
    """
    q = model.encoder(images)
    if type(q).log_prob is Distribution.log_prob:
        raise InputError(
            f"q is {name_of(q)}: a point posterior has no density, so an ELBO with it would be infinite; expected a "
            "distribution over codes; take IsotropicNormal, or train an Autoencoder with SquaredError"
        )
    if not q.has_rsample:
        raise InputError(
            f"q is {name_of(q)}, whose draws have no gradient; expected one with rsample, such as IsotropicNormal"
        )
    if getattr(model, "prior", None) is None:
        raise InputError(
            f"{name_of(model)} has no prior over codes; expected one under a bound; take a VAE with StandardNormal"
        )
    p = model.prior()
    if q.event_shape != p.event_shape:
        raise InputError(
            f"q is over codes {list(q.event_shape)} and the prior over {list(p.event_shape)}; give both one latent_dim"
        )
    return q, p


def image_density(decoder: Callable[[Tensor], Any], z: Tensor) -> Distribution:
    """p(x|z) for codes ``[..., K]``.

    Raises:
        InputError: The decoder returns plain images.
    """
    likelihood = decoder(z)
    if isinstance(likelihood, Tensor):
        raise InputError(
            "the decoder returns images; a bound needs a distribution p(x|z); end the decoder in a likelihood head, "
            "or train an Autoencoder with SquaredError"
        )
    return likelihood


def value_at(weight: float | Schedule, fraction: float) -> float:
    """A weight when a fraction of the training is done: the number itself, or what the schedule says.

    Example:
        >>> value_at(2.0, 0.5), value_at(lambda fraction: 4 * fraction, 0.5)
        (2.0, 2.0)
    """
    return weight(fraction) if callable(weight) else weight


def check_weight(name: str, weight: float | Schedule | None) -> None:
    """Refuse a number that is no weight; a schedule answers for itself.

    Raises:
        InputError: Below 0, infinite, or not a number.
    """
    if weight is not None and not callable(weight) and not 0 <= weight < math.inf:
        raise InputError(f"{name} is {weight:g}; expected a finite number of at least 0")


def _reconstructed(model: Maps, seen: Tensor, images: Tensor) -> Terms:
    """Terms of reconstructing images from what is seen of them, both ``[batch, C, H, W]``."""
    error = squared_error(images, model.decoder(model.encoder(seen).rsample()))
    return Terms(loss=error, distortion=error, rate=torch.zeros_like(error))


def squared_error(images: Tensor, reconstruction: Any) -> Tensor:
    """Mean squared error per pixel of each image ``[batch]``, of images ``[batch, C, H, W]`` and what a decoder returned.

    Raises:
        InputError: The decoder returned a distribution.

    Example:
        >>> squared_error(torch.zeros(2, 1, 3, 3), torch.full((2, 1, 3, 3), 0.5))
        tensor([0.2500, 0.2500])
    """
    if not isinstance(reconstruction, Tensor):
        raise InputError(
            f"the decoder returns {name_of(reconstruction)}; a squared error is between images; "
            "leave the likelihood head out, or train with Elbo"
        )
    return (images - reconstruction).square().flatten(1).mean(1)
