"""q(z|x) of an image by gradient ascent on phi alone: what an encoder guesses at once, found by looking.

The evidence lower bound is a function of q's own parameters phi, whatever decoder stands behind it:

    ELBO(phi) = E_q(z;phi)[log p(x|z)] - KL(q(z;phi) || p(z)),    nats per image.

Raising it brings q(z; phi) close to p(z|x), for a decoder that never heard of q, a plain autoencoder's too, once noise
sigma is put on its pixels. Starting from a VAE's encoder, what is gained is the amortisation gap: what one network for all
images costs against a q for each (Cremer et al., 2018, https://arxiv.org/abs/1801.03558; ascent from the encoder's phi:
Kim et al., 2018, https://arxiv.org/abs/1802.02550).
How it is climbed: ``climbing.py``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.climbing import How, ascend, seeded
from lowerbound.divergence import analytic_kl, draw
from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.importance import log_weights
from lowerbound.noise import NormalNoise
from lowerbound.posterior import IsotropicNormal
from lowerbound.prior import StandardNormal
from lowerbound.progress import Progress, quiet

__all__ = ["Family", "Inference", "infer", "lower_bound"]

VALUES = (
    128 * 784
)  # pixel values decoded at a time: 8 images of MNIST's size with 16 draws each; more do not fit a cache
FINAL = 128  # draws for the bound that is reported

Decoder = Callable[[Tensor], Any]


class Family(Protocol):
    """What makes phi a distribution: a posterior head's class, or a flow's instance."""

    def from_phi(self, phi: Tensor, /) -> Distribution:
        """q(z; phi), for phi ``[batch, P]``."""
        ...

    def phi_size(self, latent_dim: int, /) -> int:
        """P, for codes of K numbers."""
        ...


@dataclass(frozen=True)
class Inference:
    """q for each image, and the way there.

    Attributes:
        phi: q's parameters, ``[N, P]``.
        family: Turns phi into q.
        reconstruction: E_q log p(x|z) at each step, estimated with that step's draws, nats, ``[steps, N]``; NaN after an
            image has converged.
        kl: KL(q || p(z)) at each step, nats, ``[steps, N]``; likewise.
        steps: Steps that each image took, ``[N]``.
        bound: The ELBO of each image at the end, from new draws, nats, ``[N]``.
        standard_error: Of each of these, ``[N]``.
        seconds: Time the ascent took, without the final bound.
    """

    phi: Tensor
    family: Any
    reconstruction: np.ndarray
    kl: np.ndarray
    steps: np.ndarray
    bound: np.ndarray
    standard_error: np.ndarray
    seconds: float

    @property
    def elbo(self) -> np.ndarray:
        """Reconstruction less KL: the ELBO at each step, nats, ``[steps, N]``."""
        return self.reconstruction - self.kl

    def q(self) -> Distribution:
        """The distribution of each image's codes, batch ``[N]``."""
        return self.family.from_phi(self.phi)


def infer(
    decoder: Decoder,
    images: np.ndarray,
    prior: Any = None,
    *,
    sigma: float | None = None,
    family: Any = IsotropicNormal,
    phi: Tensor | None = None,
    samples: int = 16,
    steps: int = 1000,
    learning_rate: float = 0.06,
    tolerance: float | None = 0.02,
    seed: int = 0,
    progress: Progress = quiet,
) -> Inference:
    """Find q for each image by gradient ascent on the ELBO; the decoder stays as it is.

    Args:
        decoder: Codes ``[..., K]`` to images ``[..., C, H, W]``, or to a distribution over images.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        prior: p(z), or a module that returns it; by default the standard normal over phi's codes.
        sigma: Standard deviation of normal noise on every pixel, pixels in [0, 1]: low is strict, high is lax. Needed where
            the decoder returns images; where it returns a distribution, this noise around its mean takes its place.
        family: ``IsotropicNormal``, ``DiagonalNormal``, ``FullNormal``, or an instance of a head such as a flow's.
        phi: Where to start, ``[N, P]``; by default at zeros, for normals N(0, I).
        samples: Draws from q for each image and step.
        steps: At most so many.
        learning_rate: Adam's first rate, in units of phi.
        tolerance: Nats per image: gains in 20 steps below it lower an image's rate, and at last end its ascent. None takes all
            steps at the one rate, and ends where the last step does.
        seed: Fixes the draws.
        progress: Shown on the way.

    Raises:
        InputError: No images; no noise for a decoder of images; a family without a density; neither prior nor phi to
            tell K by; a phi of another shape.

    Example:
        >>> decoder = nn.Sequential(nn.Linear(2, 16), nn.Unflatten(-1, (1, 4, 4)))
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4)).astype(np.uint8)
        >>> found = infer(decoder, images, StandardNormal(2), sigma=0.5)
        >>> found.q().mean.shape, bool((found.bound > lower_bound(decoder, images, found.family.from_phi(
        ...     torch.zeros(3, 3)), sigma=0.5)[0]).all())
        (torch.Size([3, 2]), True)
    """
    _check_numbers(samples, steps, learning_rate, tolerance)
    pixels = as_floats(images)
    if not len(pixels):
        raise InputError("no images came; expected [N, C, H, W] with N of at least 1")
    like = _like(decoder)
    phi, p = _start(family, phi, prior, len(pixels), like)
    closed = analytic_kl(family.from_phi(phi[:1]), p) is not None
    how = How(_density(decoder, sigma), p, family, samples, steps, learning_rate, tolerance, closed)
    block = max(1, VALUES // (samples * math.prod(pixels.shape[1:])))
    began = time.perf_counter()
    parts = []
    with seeded(seed), progress("inferring q", len(pixels) * steps) as advance:
        for first in range(0, len(pixels), block):
            x = torch.from_numpy(pixels[first : first + block]).to(like)
            parts.append(ascend(how, x, phi[first : first + block], advance))
    seconds = time.perf_counter() - began
    best = torch.cat([part[0] for part in parts])
    curve = np.concatenate([part[1] for part in parts], axis=2)
    taken = np.isfinite(curve[0]).sum(0)
    with torch.no_grad():
        bound, error = lower_bound(decoder, images, family.from_phi(best), p, sigma=sigma, seed=seed)
    curve = curve[:, : taken.max(initial=0)]
    return Inference(best, family, curve[0], curve[1], taken, bound, error, seconds)


def lower_bound(
    decoder: Decoder,
    images: np.ndarray,
    q: Distribution,
    prior: Any = None,
    *,
    sigma: float | None = None,
    samples: int = FINAL,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The ELBO of each image under its q, nats ``[N]``, and its standard error ``[N]``.

    A mean over draws of log p(x|z) + log p(z) - log q(z|x), not of log p(x|z) with an exact KL: at a good q the three nearly
    cancel in every single draw, so that their mean is far the surer one (Roeder et al., 2017, arXiv:1703.09194).

    Args:
        decoder: As for ``infer``.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        q: Batch ``[N]``.
        prior: As for ``infer``.
        sigma: As for ``infer``.
        samples: Draws for each image, 2 or more.
        seed: Fixes the draws: two q of one family are best compared under one seed.

    Raises:
        InputError: As ``infer``.
    """
    if samples < 2:
        raise InputError(f"samples is {samples}; expected at least 2 draws, for there to be a standard error")
    pixels, density = torch.from_numpy(as_floats(images)).to(_like(decoder)), _density(decoder, sigma)
    p = _prior_of(prior, q.event_shape[0], _like(decoder))
    at_a_time = max(1, VALUES // pixels.numel()) if pixels.numel() else 1
    total, squares = np.zeros(len(pixels)), np.zeros(len(pixels))
    shift = None
    with torch.no_grad(), seeded(seed):
        for first in range(0, samples, at_a_time):
            z, log_q = draw(q, min(at_a_time, samples - first))
            log_w = _log_weights(density, z, log_q, p, pixels)
            shift = log_w[0] if shift is None else shift  # variances of numbers near 0 lose nothing to rounding
            values = (log_w - shift).double()
            total += values.sum(0).numpy()
            squares += values.square().sum(0).numpy()
    if shift is None:
        return total, squares
    mean = total / samples
    variance = np.maximum(squares / samples - mean**2, 0) * samples / (samples - 1)
    return mean + shift.double().numpy(), np.sqrt(variance / samples)


def _log_weights(density: Decoder, z: Tensor, log_q: Tensor, p: Distribution, images: Tensor) -> Tensor:
    """log w of codes ``[samples, batch, K]``, ``[samples, batch]``, so many images at a time as fit."""
    block = max(1, VALUES // (len(z) * math.prod(images.shape[1:])))
    cuts = [slice(first, first + block) for first in range(0, len(images), block)]
    return torch.cat([log_weights(p, z[:, i], density, p, images[i], log_q[:, i]) for i in cuts], 1)


def _like(decoder: Decoder) -> Tensor:
    """A tensor of the type that the decoder computes in."""
    weights = decoder.parameters() if isinstance(decoder, nn.Module) else iter(())
    return next((w.detach().new_empty(0) for w in weights if w.is_floating_point()), torch.empty(0))


def _density(decoder: Decoder, sigma: float | None) -> Callable[[Tensor], Distribution]:
    """Codes to p(x|z), with normal noise where sigma is given."""
    if sigma is not None and not 0 < sigma < math.inf:
        raise InputError(f"sigma is {sigma:g}; expected the pixels' noise, above 0 in pixel units of [0, 1]")

    noise = _like(decoder).new_tensor(math.nan if sigma is None else sigma)

    def density(z: Tensor) -> Distribution:
        decoded = decoder(z)
        if sigma is None:
            if isinstance(decoded, Tensor):
                raise InputError("the decoder returns images without noise; give sigma, such as sigma=0.5")
            return decoded
        mean = decoded if isinstance(decoded, Tensor) else decoded.mean
        return NormalNoise(mean, noise)

    return density


def _prior_of(prior: Any, latent_dim: int, like: Tensor) -> Distribution:
    with torch.no_grad():
        if prior is None:
            return StandardNormal(latent_dim).to(like.dtype)()
        return prior if isinstance(prior, Distribution) else prior()


def _start(family: Any, phi: Tensor | None, prior: Any, number: int, like: Tensor) -> tuple[Tensor, Distribution]:
    """phi to start from, ``[N, P]``, and the prior over its codes."""
    if phi is None:
        if prior is None:
            raise InputError("neither a prior nor phi came; give prior=StandardNormal(K), or phi to start from")
        p = _prior_of(prior, 0, like)
        phi = torch.zeros(number, family.phi_size(p.event_shape[0]))
    phi = phi.detach().to(like)
    if phi.ndim != 2 or len(phi) != number:
        raise InputError(f"phi has shape {list(phi.shape)}; expected [{number}, P], a row for each image")
    q = family.from_phi(phi)
    if type(q).log_prob is Distribution.log_prob:
        raise InputError(
            "the family puts all of q on one point, which has no density and no ELBO; take IsotropicNormal or another"
        )
    p = _prior_of(prior, q.event_shape[0], like)
    if q.event_shape != p.event_shape:
        raise InputError(f"phi makes codes {list(q.event_shape)} and the prior {list(p.event_shape)}; expected one K")
    return phi, p


def _check_numbers(samples: int, steps: int, rate: float, tolerance: float | None) -> None:
    if samples < 1 or steps < 0 or not 0 < rate < math.inf or not (tolerance is None or 0 < tolerance < math.inf):
        raise InputError(
            f"samples {samples}, steps {steps}, learning_rate {rate:g}, tolerance {tolerance} came; expected at least 1 "
            "draw, 0 or more steps, a rate above 0, and a tolerance above 0 or None"
        )
