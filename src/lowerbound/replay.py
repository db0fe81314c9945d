"""The ascent on phi of a few images, kept at some moments: how q finds an image's codes, beside the encoder's one guess.

It starts at q = N(0, I), which knows nothing of the image, and takes every step at one rate. An ascent asks its family for q at
the phi of each step, so a family that notes what it is asked about sees the way.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.amortisation import infer_for
from lowerbound.inference import infer, lower_bound
from lowerbound.posterior import DiagonalNormal, IsotropicNormal
from lowerbound.progress import Advance, Progress, quiet
from lowerbound.vae import VAE

__all__ = ["ascents"]

MOMENTS = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 140, 200, 300)  # steps; colour images take the last ones
BEST = 420  # steps within which the best q is found
DRAWS = 8  # of each image and step: what a picture needs


def ascents(
    model: Any, images: np.ndarray, which: np.ndarray, name: str = "vae", seed: int = 0, progress: Progress = quiet
) -> list[dict[str, Any]]:
    """Of each image its q at some steps of the ascent, with the encoder's and the best one: numbers that JSON holds.

    Args:
        model: A VAE with an isotropic or diagonal q.
        images: Test images uint8 ``[N, C, H, W]``.
        which: Positions of a few of them.
        name: The model's, noted with each.
        seed: Fixes the draws.
        progress: Shown on the way.

    Returns:
        Of each image: means ``[K]`` and log standard deviations of q at every step of ``steps``, and the ELBO there; bounds in
        nats per image with all constants. Nothing of a model whose q has another form.

    Example:
        >>> from lowerbound import recipes
        >>> pixels = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4)).astype(np.uint8)
        >>> found = ascents(recipes.vae((1, 4, 4), 2), pixels, np.array([3]))
        >>> found[0]["image"], len(found[0]["phi_mean"]), len(found[0]["phi_mean"][0]), len(found[0]["phi_log_spread"][0])
        (3, 15, 2, 1)
    """
    head: Any = list(model.encoder.children())[-1] if isinstance(model, VAE) else None
    if not isinstance(head, IsotropicNormal | DiagonalNormal):
        return []
    pixels = images[which]
    with torch.no_grad():
        prior = model.prior()
    with progress("ascents of a few images", len(pixels) * (BEST + max(MOMENTS))) as advance:
        best = infer_for(model, pixels, seed=seed, steps=BEST, samples=DRAWS, progress=_part_of(advance))
        way = _way(model, pixels, prior, head, torch.zeros_like(best.found.phi), seed, advance)
    phis = [phi.numpy() for phi in way]
    bounds = [lower_bound(model.decoder, pixels, head.from_phi(phi), prior, samples=64, seed=seed)[0] for phi in way]
    k = best.mean.shape[1]
    return [
        {
            "image": int(position),
            "model": name,
            "steps": list(MOMENTS),
            "phi_mean": [_rounded(phi[n, :k]) for phi in phis],
            "phi_log_spread": [_rounded(phi[n, k:]) for phi in phis],
            "elbo": _rounded(np.array([bound[n] for bound in bounds])),
            "encoder_mean": _rounded(best.h[n]),
            "encoder_spread": _rounded(best.encoder_scale[n]) if best.encoder_scale is not None else None,
            "encoder_elbo": None if best.encoder_bound is None else round(float(best.encoder_bound[n]), 3),
            "best_elbo": round(float(best.found.bound[n]), 3),
        }
        for n, position in enumerate(which)
        if math.isfinite(best.found.bound[n]) and all(np.isfinite(bound[n]) for bound in bounds)
    ]


def _way(
    model: VAE, pixels: np.ndarray, prior: Distribution, head: Any, start: Tensor, seed: int, advance: Advance
) -> list[Tensor]:
    """phi of each image ``[N, P]`` at every moment."""
    family, steps = _Noting(head), max(MOMENTS)
    found = infer(
        model.decoder,
        pixels,
        prior,
        family=family,
        phi=start,
        samples=DRAWS,
        steps=steps,
        tolerance=None,
        seed=seed,
        progress=_part_of(advance),
    )
    blocks = [torch.stack(family.noted[first : first + steps]) for first in range(0, len(family.noted), steps)]
    return [*torch.cat(blocks, dim=1)[list(MOMENTS[:-1])], found.phi]


class _Noting:
    """A family of q that notes each phi at which a gradient is taken: images come in blocks, each all its steps."""

    def __init__(self, family: Any) -> None:
        self.family, self.noted = family, []

    def from_phi(self, phi: Tensor) -> Distribution:
        if phi.requires_grad:
            self.noted.append(phi.detach())
        return self.family.from_phi(phi)

    def phi_size(self, latent_dim: int) -> int:
        return self.family.phi_size(latent_dim)


def _part_of(advance: Advance) -> Progress:
    """Work that is a part of a task which is shown already."""

    @contextlib.contextmanager
    def progress(task: str, total: int) -> Iterator[Advance]:  # noqa: ARG001
        yield advance

    return progress


def _rounded(values: np.ndarray) -> list[float]:
    """Numbers with the digits that can be seen."""
    return [round(float(value), 5) for value in values]
