"""log p(x) by annealed importance sampling: a second estimate, which owes nothing to the encoder.

Chains start at draws from the prior and are led to the posterior through the densities

    f_t(z) = p(z)^(1 - b_t) (p(z) p(x|z))^(b_t) = p(z) p(x|z)^(b_t),    0 = b_0 < b_1 < ... < b_T = 1.

Each temperature adds (b_t - b_(t-1)) log p(x|z) to a chain's log weight, then moves z by a Hamiltonian transition that leaves
f_t as it is. Whatever the transitions achieve, the mean weight is p(x) in expectation (Neal, 2001,
https://doi.org/10.1023/A:1008923215028; on decoders: Wu et al., 2017, https://arxiv.org/abs/1611.04273).

Step sizes are found in a run before, for every temperature and image, and stay as they are in the run that counts: sizes that
followed the very chains they move would break the balance on which the estimate rests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.errors import InputError
from lowerbound.evidence import Density, images_of
from lowerbound.order import seed_of
from lowerbound.progress import Advance, Progress, quiet
from lowerbound.weights import Evidence, Sums, block_for, blocks

__all__ = ["annealed", "sigmoid_schedule"]

ACCEPTANCE = 0.65  # of moves that a step size is to bring: near the best for Hamiltonian transitions (Neal, 2011)
PILOTS = 4  # chains of the run that finds the step sizes
GAIN = 0.3  # how fast the step size follows the acceptance in that run
FIRST_STEP = 0.1


def sigmoid_schedule(temperatures: int, steepness: float = 4.0) -> np.ndarray:
    """b_0 = 0 ... b_T = 1, close to each other at both ends, where densities change fastest: ``[T + 1]``.

    A sigmoid of ``steepness * (2 t / T - 1)``, moved to run from 0 to 1 (Grosse, Ghahramani & Adams, 2015,
    https://arxiv.org/abs/1511.02543).

    Example:
        >>> sigmoid_schedule(4).round(3)
        array([0.   , 0.105, 0.5  , 0.895, 1.   ])
    """
    if temperatures < 1:
        raise InputError(f"temperatures is {temperatures}; expected at least 1")
    rise = 1 / (1 + np.exp(-steepness * (2 * np.arange(temperatures + 1) / temperatures - 1)))
    return (rise - rise[0]) / (rise[-1] - rise[0])


@dataclass(frozen=True)
class Path:
    """The densities between a start whose density is known and the posterior.

    Args:
        start: Distribution of the first codes, over one code or over one for each image.
        prior: p(z).
        decoder: Codes to p(x|z).
        images: ``[N, C, H, W]``.
        block: Codes decoded at a time.
        advance: Told how many codes were decoded.
        metric: L ``[N, K, K]`` with L L' about the covariance of the start: moves are in units of it, so that a start near the
            posterior makes long and narrow densities round.
    """

    start: Distribution
    prior: Distribution
    decoder: Any
    images: Tensor
    block: int
    advance: Advance
    metric: Tensor

    def draw(self, chains: int) -> Tensor:
        """First codes ``[chains, N, K]``."""
        shape = [chains] if self.start.batch_shape else [chains, len(self.images)]
        return self.start.sample(torch.Size(shape))

    def at(self, z: Tensor) -> Place:
        """Log densities and their gradients at codes ``[chains, N, K]``."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            first = self.start.log_prob(z)
            (first_slope,) = torch.autograd.grad(first.sum(), z)
            beyond, beyond_slope = torch.zeros_like(first), torch.zeros_like(z)
            if self.start is not self.prior:
                beyond = self.prior.log_prob(z) - self.start.log_prob(z)
                (beyond_slope,) = torch.autograd.grad(beyond.sum(), z)
        value, slope = self._likelihood(z.detach())
        return Place(z.detach(), first.detach(), first_slope, beyond.detach() + value, beyond_slope + slope)

    def _likelihood(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x|z) and its gradient, a block of codes at a time."""
        values, slopes = torch.empty(z.shape[:2], dtype=z.dtype), torch.empty_like(z)
        for rows, columns in blocks(len(z), len(self.images), self.block):
            with torch.enable_grad():
                part = z[rows, columns].detach().requires_grad_()
                value = self.decoder(part).log_prob(self.images[columns])
                (slopes[rows, columns],) = torch.autograd.grad(value.sum(), part)
            values[rows, columns] = value.detach()
            self.advance(value.numel(), "")
        return values, slopes


@dataclass(frozen=True)
class Place:
    """Where chains are: codes ``[chains, N, K]``; log p_0 and log p(z) p(x|z) - log p_0 there, and their gradients."""

    z: Tensor
    first: Tensor
    first_slope: Tensor
    beyond: Tensor
    beyond_slope: Tensor

    def height(self, temperature: float) -> Tensor:
        """log f at a temperature, ``[chains, N]``."""
        return self.first + temperature * self.beyond

    def slope(self, temperature: float) -> Tensor:
        """Its gradient, ``[chains, N, K]``."""
        return self.first_slope + temperature * self.beyond_slope

    def or_else(self, other: Place, keep: Tensor) -> Place:
        """This place where ``keep`` (bool ``[chains, N]``), the other one elsewhere."""
        return Place(
            *(
                torch.where(keep if mine.ndim == keep.ndim else keep[..., None], mine, others)
                for mine, others in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )


def annealed(
    model: Density,
    images: np.ndarray,
    *,
    temperatures: int = 200,
    chains: int = 16,
    steps: int = 5,
    seed: int = 0,
    start: Distribution | None = None,
    block: int | None = None,
    progress: Progress = quiet,
) -> Evidence:
    """log p(x) of each image by annealed importance sampling, with errors over chains.

    The cost is ``temperatures * steps * (chains + 4)`` decodings with gradients for each image. Like every mean of weights
    it is low rather than high when chains are few or are led too fast: look at ``effective_samples``, and at whether more
    temperatures raise it.

    Args:
        model: Has ``decoder`` and ``prior``; the encoder is not asked.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        temperatures: T, on the way from start to posterior.
        chains: Independent weights for each image.
        steps: Leapfrog steps of each Hamiltonian transition.
        seed: Fixes all draws.
        start: Where chains begin: by default the prior; or a distribution with batch shape ``[N]``, for instance
            ``model.encoder(x)``, from where the way is shorter and the estimate no longer independent of the encoder.
        block: Codes decoded at a time, which bounds memory.
        progress: Shown on the way.

    Raises:
        InputError: No images, images of another size, a number below 1, or a start for another number of images.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> found = annealed(recipes.vae((1, 8, 8), latent_dim=2), images, temperatures=20, chains=4)
        >>> found.log_p.shape, found.samples
        ((3,), 4)
    """
    schedule = sigmoid_schedule(temperatures)
    if chains < 1 or steps < 1:
        raise InputError(f"chains is {chains} and steps {steps}; expected at least 1 of each")
    x = images_of(model, images)
    if start is not None and start.batch_shape != x.shape[:1]:
        raise InputError(f"the start has batch shape {list(start.batch_shape)}; expected [{len(x)}], as images")
    block = block_for(images) if block is None else block
    total = (temperatures * steps + 1) * (chains + PILOTS) * len(x)
    with torch.no_grad(), torch.random.fork_rng([]), progress("annealing: codes decoded", total) as advance:
        prior = model.prior()
        torch.manual_seed(seed_of(seed, 0))
        begin = prior if start is None else start
        path = Path(begin, prior, model.decoder, x, block, advance, metric_of(begin))
        sizes, _ = _run(path, schedule, PILOTS, steps, None)
        torch.manual_seed(seed_of(seed, 1))  # chains that count share nothing with those that found the step sizes
        _, log_weights = _run(path, schedule, chains, steps, sizes)
    sums = Sums(len(x), chains)
    sums.add(slice(0, len(x)), 0, log_weights.numpy())
    begin = "the prior" if start is None else "a given start"
    return sums.evidence(f"annealed importance sampling from {begin}, {temperatures:,} temperatures, {chains} chains")


def metric_of(start: Distribution, draws: int = 50) -> Tensor:
    """L, lower triangular, with L L' the covariance of some draws from the start, ``draws`` for each of K: ``[..., K, K]``.

    Example:
        >>> from lowerbound.prior import StandardNormal
        >>> bool((metric_of(StandardNormal(2)(), draws=5_000) - torch.eye(2)).abs().max() < 0.1)
        True
    """
    z = start.sample(torch.Size([draws * start.event_shape[0]]))
    centred = z - z.mean(0)
    return torch.linalg.cholesky(torch.einsum("s...i,s...j->...ij", centred, centred) / (len(z) - 1))


def _times(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Matrices ``[N, K, K]`` times vectors ``[chains, N, K]``."""
    return torch.einsum("nij,cnj->cni", matrices, vectors)


def _run(path: Path, schedule: np.ndarray, chains: int, steps: int, sizes: Tensor | None) -> tuple[Tensor, Tensor]:
    """Lead chains along the path; without step sizes ``[T, N]`` find them. Gives them, and log weights ``[chains, N]``."""
    place = path.at(path.draw(chains))
    size = torch.full((len(path.images),), FIRST_STEP, dtype=place.z.dtype)
    used, log_weights = [], torch.zeros(place.first.shape, dtype=torch.float64)
    for t in range(1, len(schedule)):
        log_weights += (schedule[t] - schedule[t - 1]) * place.beyond.double()
        used.append(size if sizes is None else sizes[t - 1])
        place, accepted = _transition(path, place, float(schedule[t]), used[-1], steps)
        if sizes is None:
            size = (size * torch.exp(GAIN * (accepted.mean(0) - ACCEPTANCE))).clamp(1e-5, 2.0)
    return torch.stack(used), log_weights


def _transition(path: Path, here: Place, temperature: float, size: Tensor, steps: int) -> tuple[Place, Tensor]:
    """A Hamiltonian transition for each chain (Neal, 2011, https://arxiv.org/abs/1206.1901); and how likely it was taken."""
    momentum = torch.randn_like(here.z)
    along = size[:, None, None] * path.metric  # [N, K, K]
    begin = here.height(temperature) - momentum.square().sum(-1) / 2
    there, moving = here, momentum + _times(along.mT, here.slope(temperature)) / 2
    for step in range(steps):
        there = path.at(there.z + _times(along, moving))
        whole = 1.0 if step < steps - 1 else 0.5
        moving = moving + whole * _times(along.mT, there.slope(temperature))
    end = there.height(temperature) - moving.square().sum(-1) / 2
    taken = torch.exp((end - begin).clamp(max=0)).nan_to_num(0.0)  # a step off to infinity is not taken
    keep = torch.rand_like(taken) < taken
    return there.or_else(here, keep), taken
