"""The ascent on phi of a few images, kept at some moments: how q finds an image's codes, beside the encoder's one guess.

Every moment is an ascent of its own of so many steps: with the same draws it goes the same way, so nothing has to be written
down while it goes. It starts at q = N(0, I), which knows nothing of the image.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from lowerbound.amortisation import infer_for
from lowerbound.inference import infer, lower_bound
from lowerbound.posterior import DiagonalNormal, IsotropicNormal
from lowerbound.vae import VAE

__all__ = ["ascents"]

MOMENTS = (0, 1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 140)  # steps
DRAWS = 8  # of each image and step: what a picture needs


def ascents(
    model: Any, images: np.ndarray, which: np.ndarray, name: str = "vae", seed: int = 0
) -> list[dict[str, Any]]:
    """Of each image its q at some steps of the ascent, with the encoder's and the best one: numbers that JSON holds.

    Args:
        model: A VAE with an isotropic or diagonal q.
        images: Test images uint8 ``[N, C, H, W]``.
        which: Positions of a few of them.
        name: The model's, noted with each.
        seed: Fixes the draws.

    Returns:
        Of each image: means ``[K]`` and log standard deviations of q at every step of ``steps``, and the ELBO there; bounds in
        nats per image with all constants. Nothing of a model whose q has another form.

    Example:
        >>> from lowerbound import recipes
        >>> pixels = np.random.default_rng(0).integers(0, 256, (9, 1, 4, 4)).astype(np.uint8)
        >>> found = ascents(recipes.vae((1, 4, 4), 2), pixels, np.array([3]))
        >>> found[0]["image"], len(found[0]["phi_mean"]), len(found[0]["phi_mean"][0]), len(found[0]["phi_log_spread"][0])
        (3, 13, 2, 1)
    """
    head: Any = list(model.encoder.children())[-1] if isinstance(model, VAE) else None
    if not isinstance(head, IsotropicNormal | DiagonalNormal):
        return []
    pixels = images[which]
    best = infer_for(model, pixels, seed=seed, steps=max(MOMENTS) * 3)
    with torch.no_grad():
        prior = model.prior()
    start = torch.zeros_like(best.found.phi)
    phis, bounds = [], []
    for steps in MOMENTS:
        found = infer(
            model.decoder, pixels, prior, family=head, phi=start, samples=DRAWS, steps=steps, tolerance=None, seed=seed
        )
        phis.append(found.phi.numpy())
        bounds.append(lower_bound(model.decoder, pixels, found.q(), prior, samples=64, seed=seed)[0])
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


def _rounded(values: np.ndarray) -> list[float]:
    """Numbers with the digits that can be seen."""
    return [round(float(value), 5) for value in values]
