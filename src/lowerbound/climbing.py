"""How phi climbs: Adam in rounds, for many images at once, each until it has converged.

The draws are new at every step, so that phi cannot fit itself to them, and of a normal q they come in mirrored pairs, under
which the gradient for the mean is exact wherever log p(x|z) is quadratic. The
gradient for its widths flows through the draws alone, so that its noise fades as q nears p(z|x) (Roeder et al., 2017,
https://arxiv.org/abs/1703.09194).

Adam climbs in rounds. At the end of each an image's average phi of the round's second half is held against where it began,
under draws that are the same for all checks, so that each costs one decoding; gains that stay below the tolerance first lower
that image's rate, and then end its ascent.

All but the decoding is kept lean: beside a small decoder, distributions that are made twice or checked at every step would
cost as much as the decoder itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

from lowerbound.divergence import analytic_kl, draw
from lowerbound.progress import Advance

__all__ = ["How", "ascend", "seeded"]

ROUND = 20  # steps until an image's progress is looked at
DROP = 0.3  # what an image's rate falls to where a round gained less than the tolerance
DROPS = 2  # so many times, then it has converged
LOSS = 0.5  # nats: a round that seems to lose more is undone
SMALL = 0.06  # nats: the error of a gain after hardly any move
PAIRS = 8  # of draws under which phi are compared
BETAS = (0.9, 0.99)  # of Adam; gradients change within tens of steps, not thousands


@dataclass(frozen=True)
class How:
    """What every block of images is treated alike by; ``closed`` says whether KL(q || p) has a closed form."""

    density: Callable[[Tensor], Distribution]
    prior: Distribution
    family: Any
    samples: int
    steps: int
    rate: float
    tolerance: float | None
    closed: bool


def ascend(how: How, images: Tensor, start: Tensor, advance: Advance) -> tuple[Tensor, np.ndarray]:
    """The best phi of a block of images, and the two terms at each step, ``[2, steps, batch]``."""
    best, curve = start.clone(), np.full((2, how.steps, len(images)), np.nan)
    adam = _Adam.at_rest(best, how.rate)
    drops = torch.zeros(len(images), dtype=torch.long)
    active = torch.arange(len(images))
    checks = torch.get_rng_state()
    first = height = _height(how, images, best, active, checks)
    torch.randn(2 * PAIRS, *best.shape)  # so that the climb's draws are others
    begin = 0
    while begin < how.steps and len(active):
        end = min(begin + ROUND, how.steps)
        x, rows = images[active], adam.rows(active)
        phi = _climb(how, x, best[active], rows, curve[:, begin:end], active.numpy())
        adam.put(active, rows)
        advance(len(active) * (end - begin), f"step {end}")
        begin = end
        if how.tolerance is None:
            best[active] = phi
            continue
        reached = best.index_copy(0, active, phi)
        now = _height(how, images, reached, active, checks)
        gain = (now - height)[:, active].mean(0)
        kept = gain > -LOSS  # where a gain is smaller than the noise of its check, the gradient knows better
        moved = active[kept]
        best[moved], height = reached[moved], height.index_copy(1, moved, now[:, moved])
        slow = ~(gain > how.tolerance)
        drops[active] += slow
        adam.begin_again(active[slow])
        still = drops[active] <= DROPS
        advance(int((~still).sum()) * (how.steps - begin), f"step {begin}")
        active = active[still]
    if how.tolerance is not None:
        gain = (height - first).mean(0)
        error = (height - first).std(0) / PAIRS**0.5
        near = (gain < how.tolerance) & (error < SMALL)  # the start may be the optimum itself
        worse = near | ~(gain + 2 * error > 0)
        best[worse] = start[worse]
    return best, curve


def _climb(how: How, images: Tensor, phi: Tensor, adam: _Adam, curve: np.ndarray, columns: np.ndarray) -> Tensor:
    """A round of steps from phi: the average of its second half; where all steps are wanted alike, its end."""
    way, terms = [phi], []
    for _ in range(curve.shape[1]):
        *both, gradient = _step(how, images, way[-1])
        way.append(way[-1] + adam.step(gradient))
        terms.append(both)
    reconstruction, kl = zip(*terms, strict=True)
    exact = analytic_kl(how.family.from_phi(torch.stack(way[:-1])), how.prior) if how.closed else None
    curve[0][:, columns] = torch.stack(reconstruction).numpy()
    curve[1][:, columns] = (torch.stack(kl) if exact is None else exact).numpy()
    return way[-1] if how.tolerance is None else torch.stack(way[1 + len(terms) // 2 :]).mean(0)


@dataclass
class _Adam:
    """Adam with a rate and a memory for each row (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980)."""

    rate: Tensor
    first: Tensor
    second: Tensor
    steps: Tensor

    @classmethod
    def at_rest(cls, phi: Tensor, rate: float) -> _Adam:
        zeros = torch.zeros_like(phi)
        one = zeros[:, :1]
        return cls(one + rate, zeros, zeros.clone(), one.clone())

    def rows(self, index: Tensor) -> _Adam:
        return _Adam(**{name: values[index] for name, values in vars(self).items()})

    def put(self, index: Tensor, rows: _Adam) -> None:
        for name, values in vars(self).items():
            values[index] = getattr(rows, name)

    def begin_again(self, index: Tensor) -> None:
        """At a lower rate, without the memory of steep slopes behind, which would make later steps too short."""
        self.rate[index] *= DROP
        for memory in (self.first, self.second, self.steps):
            memory[index] = 0

    def step(self, gradient: Tensor) -> Tensor:
        """How far to go up."""
        one, two = BETAS
        gradient = gradient.nan_to_num(0.0).clamp(
            -1e15, 1e15
        )  # a square must not overflow, a number that is none not move
        self.steps += 1
        self.first.lerp_(gradient, 1 - one)
        self.second.lerp_(gradient.square(), 1 - two)
        spread = (self.second / (1 - two**self.steps)).sqrt() + 1e-8
        return self.rate * self.first / (1 - one**self.steps) / spread


def _step(how: How, images: Tensor, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates of E_q log p(x|z) and KL(q || p), ``[batch]`` each, and the gradient of their difference ``[batch, P]``.

    For a normal q the KL's gradient is that of log q(z|x) - log p(z) with phi held fixed within log q, a mean over the draws
    (Roeder et al., 2017). No weight's gradient is computed.
    """
    phi = phi.detach().requires_grad_()
    q = how.family.from_phi(phi)
    z, log_q = _mirrored(q, how.samples)
    reconstruction = how.density(z).log_prob(images).mean(0)
    if not _is_normal(q):
        kl = _kl(how, q, z, log_q)
        (gradient,) = torch.autograd.grad((reconstruction - kl).sum(), phi)
        return reconstruction.detach(), kl.detach(), gradient
    slope = (_score(how.prior, z) - _score(q, z)) / len(z)
    gradient = torch.autograd.grad((reconstruction, z), phi, (torch.ones_like(reconstruction), slope))[0]
    with torch.no_grad():
        kl = torch.zeros(len(phi)) if how.closed else _kl(how, q, z, log_q)  # the exact one is had for a round at once
    return reconstruction.detach(), kl, gradient


def _score(p: Distribution, z: Tensor) -> Tensor:
    """The gradient of log p at z, ``[samples, batch, K]``; in closed form where p is normal and factorised."""
    z = z.detach()
    if isinstance(p, Independent) and isinstance(p.base_dist, Normal):
        return (p.base_dist.loc.detach() - z) / p.base_dist.scale.detach().square()
    if isinstance(p, MultivariateNormal):
        off = (p.loc.detach() - z).unsqueeze(-1)
        return torch.cholesky_solve(off, p.scale_tril.detach().expand(*off.shape[:-2], -1, -1)).squeeze(-1)
    z.requires_grad_()
    return torch.autograd.grad(p.log_prob(z).sum(), z)[0]


def _kl(how: How, q: Distribution, z: Tensor, log_q: Tensor | None) -> Tensor:
    """KL(q || p), ``[batch]``: exact where there is a closed form, else a mean over the draws z."""
    kl = analytic_kl(q, how.prior)
    return ((q.log_prob(z) if log_q is None else log_q) - how.prior.log_prob(z)).mean(0) if kl is None else kl


def _mirrored(q: Distribution, samples: int) -> tuple[Tensor, Tensor | None]:
    """Draws from q, ``[samples, batch, K]``; of a normal q, the second half mirrors the first about the mean."""
    if samples == 1 or not _is_normal(q):
        return draw(q, samples)
    half = torch.randn((samples + 1) // 2, *q.batch_shape, *q.event_shape, dtype=q.mean.dtype)
    noise = torch.cat([half, -half])[:samples]
    if isinstance(q, MultivariateNormal):
        return q.loc + (q.scale_tril @ noise.unsqueeze(-1)).squeeze(-1), None
    return torch.addcmul(q.mean, q.stddev, noise), None


def _is_normal(q: Distribution) -> bool:
    return isinstance(q, MultivariateNormal) or (isinstance(q, Independent) and isinstance(q.base_dist, Normal))


@torch.no_grad()
def _height(how: How, images: Tensor, phi: Tensor, active: Tensor, draws: Tensor) -> Tensor:
    """ELBO at phi ``[batch, P]`` by pairs of draws that a state of the random numbers fixes, ``[PAIRS, batch]``.

    Draws are made for all, so that an image's are the same whichever others are active: what they err by falls out of gains.
    Images that are not active get zeros.
    """
    found = phi.new_zeros(PAIRS, len(phi))
    if how.tolerance is None:
        return found
    state = torch.get_rng_state()
    torch.set_rng_state(draws)
    q = how.family.from_phi(phi)
    z, log_q = _mirrored(q, 2 * PAIRS)
    torch.set_rng_state(state)
    log_p = how.density(z[:, active]).log_prob(images[active]).unflatten(0, (2, PAIRS)).mean(0)
    return found.index_copy(1, active, log_p - _kl(how, q, z, log_q)[active])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw as the seed says, and leave the caller's random numbers as they were."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        yield
