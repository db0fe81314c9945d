"""A model of the user's own, tried on a few images: what is wrong with it is said before anything is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.autoencoder import Autoencoder
from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.outside import Outside
from lowerbound.vae import VAE

__all__ = ["try_out"]

TRIED = 4  # images


def try_out(outside: Outside, model: Autoencoder | VAE, pixels: np.ndarray, latent_dim: int) -> None:
    """Take one step's gradient and call what a run calls of a model, on the first few images.

    The model is not as it was afterwards: it has gradients, and what it keeps of batches has changed.

    Args:
        outside: The user's function that made it, to name its file in a refusal.
        model: Not trained yet.
        pixels: uint8 ``[N, C, H, W]``.
        latent_dim: K, the numbers that a code must have.

    Raises:
        InputError: Something fails, or has another shape than it must.
    """
    images = pixels[:TRIED]
    number, shape = len(images), list(images.shape[1:])
    try:
        with torch.random.fork_rng([]):
            x = torch.from_numpy(as_floats(images))
            q = _distribution(model.train().encoder(x), [number], [latent_dim], "q(z|x)")
            if isinstance(model, VAE):
                _distribution(model.prior(), [], [latent_dim], "p(z)")
                _distribution(model.decoder(q.mean), [number], shape, "p(x|z)")
            for fraction in (0.0, 1.0):
                terms = model.loss(x, fraction)
                for name in ("loss", "distortion", "rate"):
                    given = getattr(terms, "__dict__", {}).get(name)
                    _held(given, [number], f"{name} (of Terms, which its objective gives)")
            terms.loss.mean().backward()
            for name, value in model.gauges().items():
                _held(value, [], f'gauge "{name}"')
            model.eval()
            codes = model.transform(images)
            _held(codes, [number, latent_dim], "codes")
            _held(model.inverse_transform(codes), [number, *shape], "reconstructions")
            if isinstance(model, VAE):
                _held(model.sample(number), [number, *shape], "samples")
                _held(model.score_samples(images), [number], "bounds")
    except (Exception, SystemExit) as error:  # whatever a part of the user's may raise
        raise InputError(outside.fault(error, f"on {number} images {shape} with K = {latent_dim}")) from error


def _distribution(given: Any, batch: list[int], event: list[int], name: str) -> Distribution:
    """Hold a distribution to being one, of so many things of a shape."""
    if not isinstance(given, Distribution):
        raise InputError(f"{name} came as a {type(given).__name__}; expected a torch.distributions.Distribution")
    came = [list(given.batch_shape), list(given.event_shape)]
    if came != [batch, event]:
        words = "batch shape {} and event shape {}"
        raise InputError(f"{name} came with {words.format(*came)}; expected {words.format(batch, event)}")
    return given


def _held(values: Any, shape: list[int], name: str) -> None:
    """Hold a tensor or an array to a shape."""
    came = list(values.shape) if isinstance(values, Tensor | np.ndarray) else f"a {type(values).__name__}"
    if came != shape:
        raise InputError(f"{name} came as {came}; expected {shape}")
