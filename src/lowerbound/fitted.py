"""Priors fitted to codes after training: an autoencoder without a density can sample then, and a VAE may sample better.

A decoder was trained on the codes of images, the aggregate posterior. Codes drawn from anything else are images that it
never learned to draw; so p(z) is fitted to codes by maximum likelihood (Ghosh et al., 2020, From variational to
deterministic autoencoders, https://arxiv.org/abs/1903.12436; Dai & Wipf, 2019, https://arxiv.org/abs/1903.05789). For a VAE
the codes to fit are draws from q(z|x), one for each image, not its means.

Of the codes 10 % are held out. Half of these choose when to stop, or how many components; the other half score what was
chosen, so that scores are of codes that had no say. All fits with one seed hold out the same codes: compare them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.errors import InputError, nearest
from lowerbound.evaluation import Estimate
from lowerbound.gaussian import GaussianMixture, MultivariateGaussian, Whitened
from lowerbound.prior import Flow, Mixture, VampPrior
from lowerbound.progress import Progress, quiet
from lowerbound.settings import one_cycle

__all__ = [
    "FITTED",
    "Fit",
    "fit",
    "fit_prior",
    "gaussian_mixture",
    "normal",
    "whitened",
]

HELD_OUT = 0.1
FEWEST = 20  # codes: fewer leave nothing to hold out
CHECKS = 20  # times that training looks at the held-out codes
MOST_FOR_EM = 20_000  # codes that EM sees: its time grows with them, its estimate hardly does
NARROWEST = 1e-4  # of the widest direction: numbers that are the same in all codes would have infinite density
BLOCK = 4096  # codes scored at a time


@dataclass(frozen=True)
class Fit:
    """A prior fitted to codes.

    Attributes:
        prior: Returns the distribution over one code, in the codes' own units.
        log_likelihood: Mean log p(z) of held-out codes, nats per code.
    """

    prior: nn.Module
    log_likelihood: Estimate


def fit(
    prior: nn.Module,
    codes: np.ndarray,
    *,
    steps: int = 1500,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Progress = quiet,
) -> Fit:
    """Fit a prior's parameters to codes by maximum likelihood, with Adam; what it was at its best moment is kept.

    The start is one of these moments: on the codes that choose, the result is never worse than what came in.

    Args:
        prior: ``prior()`` is a distribution over codes ``[K]``; fitted in place.
        codes: ``[N, K]``, at least 20.
        steps: Batches to learn from.
        batch_size: Codes in a batch.
        learning_rate: The highest rate; it rises and falls in one cycle.
        seed: Fixes which codes are held out and the order of the others.
        progress: Shown while fitting.

    Raises:
        InputError: Codes that are no finite ``[N, K]`` with N of at least 20.

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(200, 2))
        >>> type(fit(Mixture(2, components=3), codes, steps=20).log_likelihood).__name__
        'Estimate'
    """
    train, choose, score = (_tensor(part, prior) for part in _split(codes, seed))
    parameters = list(prior.parameters())
    if not parameters:
        return Fit(prior, Estimate.of(_log_likelihood(prior, score)))
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    order = np.random.default_rng([seed, 1])
    best, chosen = _log_likelihood(prior, choose).mean(), deepcopy(prior.state_dict())
    with progress("fitting a prior to codes", steps) as advance:
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = learning_rate * one_cycle((step + 1) / (steps + 1))
            batch = train[torch.from_numpy(order.integers(len(train), size=batch_size))]
            optimizer.zero_grad()
            (-prior().log_prob(batch).mean()).backward(inputs=parameters)  # a VampPrior's encoder is left alone
            nn.utils.clip_grad_norm_(parameters, 10.0)
            optimizer.step()
            if (step + 1) % max(1, steps // CHECKS) == 0 or step + 1 == steps:
                now = _log_likelihood(prior, choose).mean()
                if now > best:
                    best, chosen = now, deepcopy(prior.state_dict())
            advance(1, f"{best:.2f} nats per code")
    prior.load_state_dict(chosen)
    return Fit(prior.eval(), Estimate.of(_log_likelihood(prior, score)))


def normal(codes: np.ndarray, *, seed: int = 0, **_unused: Any) -> Fit:
    """N(mean, covariance) of the codes ``[N, K]``: a standard normal, fitted.

    Example:
        >>> codes = 3 + np.random.default_rng(0).normal(size=(200, 2))
        >>> normal(codes).prior().mean.round()
        tensor([3., 3.])
    """
    train, _, score = _split(codes, seed)
    prior = MultivariateGaussian(*_moments(train))
    return Fit(prior, Estimate.of(_log_likelihood(prior, _tensor(score, prior))))


def gaussian_mixture(
    codes: np.ndarray,
    *,
    components: Sequence[int] = (1, 2, 5, 10, 20),
    seed: int = 0,
    progress: Progress = quiet,
    **_unused: Any,
) -> Fit:
    """A mixture of normals with full covariances, fitted by EM (scikit-learn's) to at most 20,000 codes.

    Args:
        codes: ``[N, K]``, at least 20.
        components: Numbers of normals to try; held-out codes choose among them.
        seed: Fixes which codes are held out, and where EM starts.
        progress: Shown while fitting.

    Raises:
        InputError: Codes that are no finite ``[N, K]`` with N of at least 20.

    Example:
        >>> codes = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[-9], [9]], 100, 0)
        >>> len(gaussian_mixture(codes, components=(1, 2)).prior.weights)
        2
    """
    train, choose, score = _split(codes, seed)
    loc, factor = _moments(train)
    still = np.linalg.solve(factor.double().numpy(), (train[:MOST_FOR_EM] - loc.double().numpy()).T).T
    best, chosen = -math.inf, None
    with progress("fitting mixtures of normals", len(components)) as advance:
        for number in components:
            if number > len(still) // 2:
                continue
            prior = _em(still, number, seed, loc, factor)
            now = _log_likelihood(prior, _tensor(choose, prior)).mean()
            if chosen is None or now > best:
                best, chosen = now, prior
            advance(1, f"{number} components")
    if chosen is None:
        raise InputError(f"components are {list(components)}; expected a number from 1 to half of {len(still)} codes")
    return Fit(chosen, Estimate.of(_log_likelihood(chosen, _tensor(score, chosen))))


def _em(still: np.ndarray, components: int, seed: int, loc: Tensor, factor: Tensor) -> GaussianMixture:
    """Fit to whitened codes, and move to where the codes are."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture as Fitted

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # any step of EM is a density; held-out codes judge it
        fitted: Any = Fitted(components, random_state=seed, reg_covar=1e-5).fit(still)
    back = factor.double().numpy()
    means = loc.double().numpy() + fitted.means_ @ back.T
    factors = back @ np.linalg.cholesky(fitted.covariances_)  # a product of lower triangles is one
    return GaussianMixture(*(torch.from_numpy(each).float() for each in (fitted.weights_, means, factors)))


def whitened(prior: nn.Module, codes: np.ndarray, seed: int = 0) -> Whitened:
    """A prior over codes ``[N, K]`` from one that expects about N(0, I): their mean and covariance are taken out.

    Those that ``fit`` holds out for the same seed are left out of the moments, too.
    """
    return Whitened(prior, *_moments(_split(codes, seed)[0]))


def _mixture(codes: np.ndarray, *, seed: int = 0, progress: Progress = quiet, **_unused: Any) -> Fit:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        prior = Mixture(codes.shape[-1])
    return fit(whitened(prior, codes, seed), codes, learning_rate=0.03, seed=seed, progress=progress)


def _flow(codes: np.ndarray, *, seed: int = 0, progress: Progress = quiet, **_unused: Any) -> Fit:
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        prior = Flow(codes.shape[-1])
    return fit(whitened(prior, codes, seed), codes, steps=2000, learning_rate=0.01, seed=seed, progress=progress)


def _vamp(
    codes: np.ndarray,
    *,
    encoder: nn.Module | None = None,
    image_shape: tuple[int, int, int] | None = None,
    images: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Fit:
    if encoder is None or image_shape is None:
        raise InputError('"vamp" is made of a VAE\'s q(z|x) and this model has none; take "gmm" or "flow"')
    if images is not None:
        images = np.random.default_rng([seed, 2]).permutation(images)[:50]
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        prior = VampPrior(encoder, image_shape, start=images)
    return fit(prior, codes, steps=500, learning_rate=0.05, seed=seed, progress=progress)


FITTED: dict[str, Callable[..., Fit]] = {
    "normal": normal,
    "gmm": gaussian_mixture,
    "mixture": _mixture,
    "vamp": _vamp,
    "flow": _flow,
}
"""How each prior is fitted: codes, and by name ``encoder``, ``image_shape``, ``images``, ``seed``, ``progress``."""


def fit_prior(
    name: str,
    codes: np.ndarray,
    *,
    encoder: nn.Module | None = None,
    image_shape: tuple[int, int, int] | None = None,
    images: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress = quiet,
) -> Fit:
    """Fit the prior of that name to codes.

    Args:
        name: One of ``FITTED``.
        codes: ``[N, K]``, at least 20.
        encoder: Of a VAE; "vamp" alone needs it, and leaves it as it is.
        image_shape: Channels, height, width of what the encoder reads.
        images: ``[N, C, H, W]`` that "vamp" takes 50 to start from.
        seed: Fixes all that is drawn.
        progress: Shown while fitting.

    Raises:
        InputError: An unknown name; codes that cannot be fitted; "vamp" without a VAE's encoder.

    Example:
        >>> fit_prior("gmm", np.zeros((5, 2)))
        Traceback (most recent call last):
        lowerbound.errors.InputError: codes have shape [5, 2]; expected [N, K] with N of at least 20; fit more codes
    """
    how = {"encoder": encoder, "image_shape": image_shape, "images": images, "seed": seed, "progress": progress}
    _check_codes(codes)
    return FITTED[_known(name)](codes, **how)


def _known(name: str) -> str:
    if name not in FITTED:
        raise InputError(f'no prior is called "{name}"; expected one of {", ".join(FITTED)}{nearest(name, FITTED)}')
    return name


def _check_codes(codes: np.ndarray) -> None:
    if codes.ndim != 2 or len(codes) < FEWEST or not codes.shape[1]:
        raise InputError(
            f"codes have shape {list(codes.shape)}; expected [N, K] with N of at least {FEWEST}; fit more codes"
        )
    if not np.isfinite(codes).all():
        raise InputError("some codes are not finite numbers; the model has diverged; train it anew")


def _split(codes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes to learn from, to choose by and to score with, float64; the same rows for the same N and seed."""
    _check_codes(codes)
    order = np.random.default_rng(seed).permutation(len(codes))
    half = max(1, round(HELD_OUT * len(codes) / 2))
    parts = order[2 * half :], order[:half], order[half : 2 * half]
    return tuple(codes[part].astype(np.float64) for part in parts)  # type: ignore[return-value]


def _moments(codes: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and Cholesky factor of the covariance of codes; a number that never changes is given a little width."""
    spread = codes.std(0)
    widest = spread.max()
    spread = np.maximum(spread, NARROWEST * widest if widest else NARROWEST)
    still = (codes - codes.mean(0)) / spread
    correlation = still.T @ still / len(codes)
    correlation += np.diag(np.maximum(1 - correlation.diagonal(), 0)) + 1e-6 * np.eye(len(spread))
    factor = spread[:, None] * np.linalg.cholesky(correlation)
    return torch.from_numpy(codes.mean(0)).float(), torch.from_numpy(factor).float()


def _tensor(codes: np.ndarray, prior: nn.Module) -> Tensor:
    return torch.from_numpy(codes).to(next(iter([*prior.parameters(), *prior.buffers()])).dtype)


@torch.no_grad()
def _log_likelihood(prior: nn.Module, codes: Tensor) -> np.ndarray:
    """Nats of each code, ``[N]``."""
    p = prior()
    return torch.cat([p.log_prob(block) for block in codes.split(BLOCK)]).double().numpy()
