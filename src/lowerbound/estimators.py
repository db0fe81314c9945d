"""Gradients of the ELBO with respect to phi, from draws: with and without reparameterisation.

Written with q's parameters phi, the bound on log p(x) of one image is ELBO(phi) = E_q[f(z)], f = log p(x, z) - log q(z).
The draws themselves depend on phi; two identities give a gradient all the same:

    reparameterised   z = g(eps, phi), eps free of phi:   E[d/dphi f(g(eps, phi))]          torch's ``rsample``
    score function    d/dphi q = q d/dphi log q:          E[f(z) d/dphi log q(z)]           torch's ``sample``

Both are unbiased. The first lets the gradient of f through; the second only sees f's value (it also works for discrete
codes) and must tell from values alone which way f rises: on images its variance is hundreds of times as large. A baseline
takes from f what all draws share, which is most of it; where q is nearly the exact posterior, and f nearly constant, the score
function with a baseline can even scatter less than plain reparameterisation, though not than sticking the landing.

Kingma & Welling, 2014, https://arxiv.org/abs/1312.6114; Williams, 1992 (REINFORCE), https://doi.org/10.1007/BF00992696;
Mohamed et al., 2020, https://arxiv.org/abs/1906.10652.

An estimator here is a function of ``from_phi``, phi ``[..., draws, batch, P]`` and log p(x, z) that returns one gradient per
draw, in the shape of phi: phi is copied for every draw, so one backward pass gives all of them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.progress import Progress, quiet

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "gradients",
    "reparameterised",
    "score_function",
    "score_function_with_baseline",
    "sticking_the_landing",
    "variances",
]

FromPhi = Callable[[Tensor], Distribution]
LogJoint = Callable[[Tensor], Tensor]
Estimator = Callable[[FromPhi, Tensor, LogJoint], Tensor]

DECODED = 1024  # codes that are decoded at a time


def reparameterised(from_phi: FromPhi, phi: Tensor, log_joint: LogJoint) -> Tensor:
    """The derivative of log p(x, z) - log q(z) along the draws, ``[..., draws, batch, P]``.

    Example:
        >>> from torch.distributions import Normal, Independent
        >>> def at(phi): return Independent(Normal(phi, 1.0), 1)      # phi is the mean
        >>> def log_joint(z): return -z.square().sum(-1)              # E_q[log p(x, z)] = -phi^2 - 1
        >>> reparameterised(at, torch.full((1000, 1, 1), 3.0), log_joint).mean(0).round(decimals=0)
        tensor([[-6.]])
    """
    phi = phi.detach().clone().requires_grad_()
    q = from_phi(phi)
    z = q.rsample()
    return torch.autograd.grad((log_joint(z) - q.log_prob(z)).sum(), phi)[0]


def sticking_the_landing(from_phi: FromPhi, phi: Tensor, log_joint: LogJoint) -> Tensor:
    """Reparameterised, without the derivative of log q at a fixed draw, whose expectation is zero.

    Where q is the exact posterior f is constant, and so every draw's gradient is zero: the variance vanishes at the optimum
    (Roeder, Wu & Duvenaud, 2017, https://arxiv.org/abs/1703.09194).
    """
    phi = phi.detach().clone().requires_grad_()
    z = from_phi(phi).rsample()
    fixed = from_phi(phi.detach())
    return torch.autograd.grad((log_joint(z) - fixed.log_prob(z)).sum(), phi)[0]


def score_function(from_phi: FromPhi, phi: Tensor, log_joint: LogJoint) -> Tensor:
    """f(z) times the derivative of log q(z) at a fixed draw, ``[..., draws, batch, P]``."""
    return _weighted_score(from_phi, phi, log_joint, lambda f: f)


def score_function_with_baseline(from_phi: FromPhi, phi: Tensor, log_joint: LogJoint) -> Tensor:
    """The score function's estimate, with the mean of f over the image's other draws taken off f.

    The others are independent of a draw, so nothing is biased (Salimans & Knowles, 2014, https://arxiv.org/abs/1401.1022;
    Kool et al., 2019, https://openreview.net/forum?id=r1lgTGL5DE).

    Raises:
        InputError: One draw: there are no others.
    """
    draws = phi.shape[-3]
    if draws < 2:
        raise InputError("a baseline is the mean of an image's other draws; expected 2 draws or more")
    return _weighted_score(from_phi, phi, log_joint, lambda f: (f - f.mean(-2, keepdim=True)) * draws / (draws - 1))


def _weighted_score(from_phi: FromPhi, phi: Tensor, log_joint: LogJoint, weight: Callable[[Tensor], Tensor]) -> Tensor:
    phi = phi.detach().clone().requires_grad_()
    q = from_phi(phi)
    z = q.sample()
    log_q = q.log_prob(z)
    with torch.no_grad():
        f = log_joint(z) - log_q
    return torch.autograd.grad((weight(f) * log_q).sum(), phi)[0]


ESTIMATORS: dict[str, Estimator] = {
    "reparameterised": reparameterised,
    "sticking the landing": sticking_the_landing,
    "score function": score_function,
    "score function, baseline": score_function_with_baseline,
}
"""Every estimator under the name it has in figures."""


def gradients(
    model: Any, images: np.ndarray, estimator: Estimator = reparameterised, *, draws: int = 100, seed: int = 0
) -> np.ndarray:
    """Gradients of the ELBO with respect to the phi that the encoder gives each image: ``[draws, N, P]``.

    Args:
        model: A VAE whose posterior head has ``phi`` and ``from_phi``.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        estimator: From draws to gradients.
        draws: Draws for each image; each gives one gradient.
        seed: Fixes the draws; torch's own random state is left as it was.

    Returns:
        In nats per unit of phi, laid out as the head's phi.

    Raises:
        InputError: No draw, or a posterior without phi.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> gradients(recipes.vae((1, 8, 8), latent_dim=2), images, draws=7).shape
        (7, 3, 3)
    """
    if draws < 1:
        raise InputError(f"draws is {draws}; expected 1 or more for each image")
    each = _gradient_of(model, images, estimator)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return np.stack([each(image, 1, draws)[0] for image in range(len(images))], 1)


def variances(
    model: Any,
    images: np.ndarray,
    estimator: Estimator = reparameterised,
    *,
    draws: Sequence[int] = (2, 4, 8, 16, 32),
    repeats: int = 100,
    seed: int = 0,
    progress: Progress = quiet,
) -> np.ndarray:
    """How much an estimate from n draws scatters: the variance of its P components, summed, ``[len(draws), N]``.

    Measured, not computed as one draw's variance over n: a baseline's gain depends on n, too.

    Args:
        model: A VAE whose posterior head has ``phi`` and ``from_phi``.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        estimator: From draws to gradients.
        draws: Numbers n of draws that are averaged.
        repeats: Independent estimates for each n; the variance found is off by about ``sqrt(2 / repeats)`` of itself.
        seed: Fixes the draws; torch's own random state is left as it was.
        progress: Shown on the way.

    Raises:
        InputError: A number of draws below 1, or fewer than two repeats.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> one, many = variances(recipes.vae((1, 8, 8), latent_dim=2), images, draws=(1, 64)).mean(1)
        >>> bool(20 < one / many < 200)
        True
    """
    if min(draws, default=0) < 1 or repeats < 2:
        raise InputError(f"draws are {tuple(draws)} and repeats {repeats}; expected 1 draw or more, 2 repeats or more")
    each = _gradient_of(model, images, estimator)
    found = np.empty((len(draws), len(images)))
    with torch.random.fork_rng([]), progress("drawing gradients", found.size) as advance:
        torch.manual_seed(seed)
        for row, number in enumerate(draws):
            for image in range(len(images)):
                found[row, image] = each(image, repeats, number).mean(1).var(0, ddof=1).sum()
                advance(1, f"{number} draws")
    return found


def _gradient_of(model: Any, images: np.ndarray, estimator: Estimator) -> Callable[[int, int, int], np.ndarray]:
    """From an image's place, repeats and draws to gradients ``[repeats, draws, P]``, float64."""
    head = model.encoder[-1]
    if not (hasattr(head, "phi") and hasattr(head, "from_phi")):
        raise InputError(
            f"the posterior {type(head).__name__} has no phi and from_phi; expected one such as DiagonalNormal"
        )
    dtype = next(model.parameters()).dtype
    x = torch.from_numpy(as_floats(images, model.image_shape)).to(dtype)
    with torch.no_grad():
        phi = torch.cat([head.phi(model.encoder[:-1](block)) for block in x.split(500)]) if len(x) else x
        prior = model.prior()

    def each(image: int, repeats: int, draws: int) -> np.ndarray:
        def log_joint(z: Tensor) -> Tensor:
            return model.decoder(z).log_prob(x[image : image + 1]) + prior.log_prob(z)

        together = max(1, DECODED // draws)
        parts = [min(together, repeats - start) for start in range(0, repeats, together)]
        copies = (phi[image].expand(part, draws, 1, -1) for part in parts)
        return torch.cat([estimator(head.from_phi, copy, log_joint) for copy in copies])[:, :, 0].double().numpy()

    return each
