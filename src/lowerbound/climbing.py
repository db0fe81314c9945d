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
CHECKS = 16  # draws under which phi are compared
BETAS = (0.9, 0.99)  # of Adam; gradients change within tens of steps, not thousands


@dataclass(frozen=True)
class How:
    """What every block of images is treated alike by."""

    density: Callable[[Tensor], Distribution]
    prior: Distribution
    family: Any
    samples: int
    steps: int
    rate: float
    tolerance: float | None


def ascend(how: How, images: Tensor, start: Tensor, advance: Advance) -> tuple[Tensor, np.ndarray]:
    """The best phi of a block of images, and the two terms at each step, ``[2, steps, batch]``."""
    best, curve = start.clone(), np.full((2, how.steps, len(images)), np.nan)
    adam = _Adam.at_rest(best, how.rate)
    drops = torch.zeros(len(images), dtype=torch.long)
    active = torch.arange(len(images))
    checks = torch.get_rng_state()
    first = height = _height(how, images, best, active, checks)
    torch.randn(CHECKS, *best.shape)  # so that the climb's draws are others
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
        gain = now[active] - height[active]
        kept = gain > -LOSS  # where a gain is smaller than the noise of its check, the gradient knows better
        moved = active[kept]
        best[moved], height = reached[moved], height.index_copy(0, moved, now[moved])
        slow = ~(gain > how.tolerance)
        drops[active] += slow
        adam.begin_again(active[slow])
        still = drops[active] <= DROPS
        advance(int((~still).sum()) * (how.steps - begin), f"step {begin}")
        active = active[still]
    if how.tolerance is not None:
        worse = height < first
        best[worse] = start[worse]
    return best, curve


def _climb(how: How, images: Tensor, phi: Tensor, adam: _Adam, curve: np.ndarray, columns: np.ndarray) -> Tensor:
    """A round of steps from phi: the average of its second half; where all steps are wanted alike, its end."""
    number = curve.shape[1]
    average, averaged = torch.zeros_like(phi), number - number // 2
    for step in range(number):
        phi.requires_grad_()
        reconstruction, kl, path = _terms(how, images, phi)
        gradient = torch.autograd.grad((reconstruction - path).sum(), phi)[0]  # of phi alone: no weight's is computed
        phi = phi.detach() + adam.step(gradient)
        curve[0][step, columns], curve[1][step, columns] = reconstruction.detach().numpy(), kl.detach().numpy()
        if step >= number - averaged:
            average += phi / averaged
    return phi if how.tolerance is None else average


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
        self.steps += 1
        self.first.lerp_(gradient, 1 - one)
        self.second.lerp_(gradient.square(), 1 - two)
        spread = (self.second / (1 - two**self.steps)).sqrt() + 1e-8
        return self.rate * self.first / (1 - one**self.steps) / spread


def _terms(how: How, images: Tensor, phi: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """E_q log p(x|z) and KL(q || p), ``[batch]`` each, and a stand-in for the KL whose gradient is right and less noisy.

    The stand-in is log q(z|x) - log p(z) with phi held fixed within log q, a mean over the draws (Roeder et al., 2017).
    """
    q = how.family.from_phi(phi)
    z, log_q = _mirrored(q, how.samples)
    reconstruction = how.density(z).log_prob(images).mean(0)
    fixed = _held(q)
    if fixed is not None:
        path = (fixed.log_prob(z) - how.prior.log_prob(z)).mean(0)
        with torch.no_grad():  # to be shown, not climbed
            kl = analytic_kl(fixed, how.prior)
        return reconstruction, path if kl is None else kl, path
    kl = analytic_kl(q, how.prior)
    if kl is None:
        kl = ((q.log_prob(z) if log_q is None else log_q) - how.prior.log_prob(z)).mean(0)
    return reconstruction, kl, kl


def _mirrored(q: Distribution, samples: int) -> tuple[Tensor, Tensor | None]:
    """Draws from q, ``[samples, batch, K]``; of a normal q, the second half mirrors the first about the mean."""
    if samples == 1 or not _is_normal(q):
        return draw(q, samples)
    z = q.rsample(torch.Size([(samples + 1) // 2]))
    return torch.cat([z, 2 * q.mean - z])[:samples], None


def _is_normal(q: Distribution) -> bool:
    return isinstance(q, MultivariateNormal) or (isinstance(q, Independent) and isinstance(q.base_dist, Normal))


def _held(q: Distribution) -> Distribution | None:
    """A normal q whose parameters no gradient reaches, for densities of its own draws, which need no checks; else None."""
    if isinstance(q, MultivariateNormal):
        return MultivariateNormal(q.loc.detach(), scale_tril=q.scale_tril.detach(), validate_args=False)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal):
        normal = Normal(q.base_dist.loc.detach(), q.base_dist.scale.detach(), validate_args=False)
        return Independent(normal, q.reinterpreted_batch_ndims, validate_args=False)
    return None


@torch.no_grad()
def _height(how: How, images: Tensor, phi: Tensor, active: Tensor, draws: Tensor) -> Tensor:
    """ELBO at phi ``[batch, P]``, ``[batch]``, under draws that a state of the random numbers fixes; of the active alone.

    Draws are made for all, so that an image's are the same whichever others are active: what they err by falls out of gains.
    """
    if how.tolerance is None:
        return phi.new_zeros(len(phi))
    state = torch.get_rng_state()
    torch.set_rng_state(draws)
    q = how.family.from_phi(phi)
    z, log_q = _mirrored(q, CHECKS)
    torch.set_rng_state(state)
    log_p = how.density(z[:, active]).log_prob(images[active]).mean(0)
    kl = analytic_kl(q, how.prior)
    if kl is None:
        kl = ((q.log_prob(z) if log_q is None else log_q) - how.prior.log_prob(z)).mean(0)
    return phi.new_full((len(phi),), -torch.inf).index_copy(0, active, log_p - kl[active])


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw as the seed says, and leave the caller's random numbers as they were."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        yield
