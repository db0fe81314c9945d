"""Where the nats go: what separates a VAE's bound from log p(x), and who is to blame, encoder or family.

    log p(x) - ELBO(encoder's q)  =  [log p(x) - ELBO(best q of the family)]  +  [ELBO(best q) - ELBO(encoder's q)]
                                     approximation gap                           amortisation gap

The first says that no q of this family is the posterior: take a richer one. The second says that the encoder does not find the
best q: give it more capacity or more training (Cremer, Li & Duvenaud, 2018, https://arxiv.org/abs/1801.03558).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.annealing import annealed
from lowerbound.divergence import analytic_kl
from lowerbound.errors import InputError
from lowerbound.evaluation import Estimate
from lowerbound.evidence import Evidence, evidence, images_of
from lowerbound.inference import infer
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal
from lowerbound.progress import Progress, quiet

__all__ = ["Gap", "Gaps", "where_the_nats_go"]

RICHER = {"diagonal": DiagonalNormal, "full": FullNormal}


@dataclass(frozen=True)
class Gap:
    """A number of nats for each image, and its standard error over draws.

    Attributes:
        nats: ``[N]``.
        error: ``[N]``.
    """

    nats: np.ndarray
    error: np.ndarray

    @property
    def estimate(self) -> Estimate:
        """Mean over images, and its standard error as of a sample of images, which holds the error over draws too."""
        return Estimate.of(self.nats)

    @property
    def monte_carlo_error(self) -> float:
        """The standard error of the mean for these very images: what more draws would remove."""
        return float(np.sqrt(np.square(self.error).sum()) / len(self.nats))

    def __sub__(self, other: Gap) -> Gap:
        """The difference of two from independent draws; paired by image, so that what images differ by falls out."""
        return Gap(self.nats - other.nats, np.hypot(self.error, other.error))


@dataclass(frozen=True)
class Gaps:
    """The way from the encoder's bound to log p(x), for each image.

    Attributes:
        reconstruction: E_q log p(x|z) under the encoder's q.
        rate: KL(q(z|x) || p(z)) of it.
        encoder: ELBO of the encoder's q: reconstruction less rate.
        optimum: ELBO of the best q of the same family, found for each image by gradient ascent from the encoder's.
        richer: ELBO of the best q of richer families, by name.
        log_p: log p(x).
        evidence: Importance sampling from the best q of the richest family: log p(x) where it has 20 effective draws.
        annealed: Which images have log p(x) from annealed importance sampling instead, bool ``[N]``.
        family: The name of the encoder's family.
    """

    reconstruction: Gap
    rate: Gap
    encoder: Gap
    optimum: Gap
    richer: Mapping[str, Gap]
    log_p: Gap
    evidence: Evidence
    annealed: np.ndarray
    family: str

    @property
    def amortisation(self) -> Gap:
        """What a better encoder of the same family could still win."""
        return self.optimum - self.encoder

    @property
    def approximation(self) -> Gap:
        """What only a richer family could win."""
        return self.log_p - self.optimum

    @property
    def total(self) -> Gap:
        """log p(x) - ELBO = KL(q(z|x) || p(z|x))."""
        return self.log_p - self.encoder

    def rows(self) -> list[tuple[str, Estimate, float]]:
        """A table: what, its mean over images with standard error, and the part of this error that comes from draws."""
        best = {f"ELBO, best {name} q for each image": gap for name, gap in self.richer.items()}
        wins = {f"a {name} q would win": gap - self.optimum for name, gap in self.richer.items()}
        named = {
            "reconstruction E_q log p(x|z)": self.reconstruction,
            "rate KL(q(z|x) || p(z))": self.rate,
            "ELBO, encoder": self.encoder,
            f"ELBO, best {self.family} q for each image": self.optimum,
            **best,
            "log p(x)": self.log_p,
            "amortisation gap": self.amortisation,
            "approximation gap": self.approximation,
            "log p(x) - ELBO": self.total,
            **wins,
        }
        return [(name, gap.estimate, gap.monte_carlo_error) for name, gap in named.items()]

    def to_json(self) -> dict[str, Any]:
        """Means with errors, how log p(x) was found, and the numbers of each image, as JSON holds them."""
        keys = ("mean", "standard_error", "monte_carlo_error")
        table = {
            name: dict(zip(keys, map(_finite, (mean.mean, mean.standard_error, error)), strict=True))
            for name, mean, error in self.rows()
        }
        levels = {"encoder": self.encoder, "optimum": self.optimum, **self.richer, "log_p": self.log_p}
        return {
            "unit": "nats per image",
            "images": len(self.encoder.nats),
            "family": self.family,
            "method": self.evidence.method + (", annealed where few draws count" if self.annealed.any() else ""),
            "annealed": int(self.annealed.sum()),
            "table": table,
            "per_image": {name: np.round(gap.nats, 4).tolist() for name, gap in levels.items()},
            "effective_samples": np.round(self.evidence.effective_samples, 2).tolist(),
        }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def where_the_nats_go(
    model: Any,
    images: np.ndarray,
    *,
    number: int = 64,
    samples: int = 1000,
    steps: int = 1000,
    temperatures: int = 25,
    seed: int = 0,
    progress: Progress = quiet,
) -> Gaps:
    """Split log p(x) - ELBO of each image into amortisation gap and approximation gap.

    log p(x) comes from importance sampling from the best q of the richest family, a full normal. From the encoder's own q it
    can be low by tens of nats with an error that says 0.2. Images of which fewer than 20 draws carry the sum are led from there
    to the posterior by annealed importance sampling.

    Args:
        model: Has ``encoder`` (a backbone and a posterior head), ``decoder`` and ``prior``.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1]; the first ``number`` of them are taken.
        number: Images.
        samples: Draws from each q for its ELBO.
        steps: Of gradient ascent for the best q, at most.
        temperatures: Of annealing, with 16 chains of 3 leapfrog steps, for the images that need it; 0 for none.
        seed: Fixes all draws.
        progress: Shown on the way.

    Raises:
        InputError: No images, images of another size, or a model without a density.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> gaps = where_the_nats_go(recipes.vae((1, 8, 8), latent_dim=2), images, steps=20, samples=50, temperatures=5)
        >>> sorted(gaps.richer), bool(np.allclose(gaps.total.nats, gaps.amortisation.nats + gaps.approximation.nats))
        (['diagonal', 'full'], True)
    """
    if number < 1:
        raise InputError(f"number is {number}; expected at least 1 image")
    images = images[:number]
    x = images_of(model, images)
    ways = {"samples": samples, "progress": progress}
    encoded = evidence(model, images, seed=seed, **ways)
    with torch.no_grad():
        phi = model.encoder[-1].phi(model.encoder[:-1](x))
        q, prior = model.encoder(x), model.prior()
    head, latent_dim = model.encoder[-1], q.event_shape[0]
    own_size = phi.shape[1]
    families = {"own": head} | {n: f for n, f in RICHER.items() if f.phi_size(latent_dim) > own_size}
    bounds, best, family = {}, (encoded, q), head
    for place, (name, family) in enumerate(families.items(), start=1):
        if place > 1:
            phi = _as_phi(best[1], family.phi_size(latent_dim))  # a richer family begins where the poorer one ended
        found = infer(model.decoder, images, prior, family=family, phi=phi, steps=steps, seed=seed, progress=progress)
        phi = found.phi
        with torch.no_grad():
            q_best = found.q()
        measured = evidence(model, images, seed=seed + place, proposal=q_best, **ways)
        bounds[name] = Gap(measured.elbo, measured.elbo_error)
        best = (measured, q_best)
    final, log_p = best[0], Gap(best[0].log_p, best[0].standard_error)
    few = ~final.reliable & (temperatures > 0)
    if few.any():
        with torch.no_grad():
            start = family.from_phi(phi[torch.from_numpy(few)])
        led = annealed(
            model, images[few], temperatures=temperatures, steps=3, start=start, seed=seed, progress=progress
        )
        log_p = Gap(log_p.nats.copy(), log_p.error.copy())
        log_p.nats[few], log_p.error[few] = led.log_p, led.standard_error
    rate = _rate(q, prior, samples, seed)
    encoder = Gap(encoded.elbo, encoded.elbo_error)
    return Gaps(
        reconstruction=Gap(encoder.nats + rate.nats, np.hypot(encoder.error, rate.error)),
        rate=rate,
        encoder=encoder,
        optimum=bounds.pop("own"),
        richer=bounds,
        log_p=log_p,
        evidence=final,
        annealed=few,
        family=_words(head, own_size, latent_dim),
    )


def _words(head: Any, phi_size: int, latent_dim: int) -> str:
    """A family in a word: that of IsotropicNormal is "isotropic"."""
    for name, family in {"isotropic": IsotropicNormal, **RICHER}.items():
        if family.phi_size(latent_dim) == phi_size:
            return name
    return type(head).__name__


@torch.no_grad()
def _as_phi(q: Distribution, size: int) -> Tensor:
    """phi of a diagonal or full normal with q's means and standard deviations; correlations start at zero."""
    try:
        mean, stddev = q.mean, q.stddev
    except NotImplementedError:  # a flow knows its moments by its draws
        z = q.sample(torch.Size([1000]))
        mean, stddev = z.mean(0), z.std(0)
    phi = torch.cat([mean, stddev.log()], dim=-1)
    return torch.cat([phi, phi.new_zeros(len(phi), size - phi.shape[1])], dim=-1)


@torch.no_grad()
def _rate(q: Distribution, prior: Distribution, samples: int, seed: int) -> Gap:
    """KL(q(z|x) || p(z)), exact where there is a closed form and by draws where there is none."""
    exact = analytic_kl(q, prior)
    if exact is not None:
        return Gap(exact.double().numpy(), np.zeros(len(exact)))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        z = q.sample(torch.Size([samples]))
        beyond = (q.log_prob(z) - prior.log_prob(z)).double().numpy()
    error = beyond.std(0, ddof=1) / samples**0.5 if samples > 1 else np.full(len(beyond[0]), np.nan)
    return Gap(beyond.mean(0), error)
