"""Six small models for the lesson on what goes wrong: a healthy one, and five patients, each ill in its own way.

All keep eight numbers per image of the 8 x 8 digits, train within seconds on the CPU, and come out the same every time. Their
names say nothing of what they suffer from; whoever reads on spoils the lesson.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.pca import PCA

if TYPE_CHECKING:
    from lowerbound.images import ImageSet
    from lowerbound.settings import Settings
    from lowerbound.vae import VAE

__all__ = ["NAMES", "K", "Patient", "admit", "healthy"]

K = 8  # numbers per image, of all of them
HEALTHY = "healthy"
NAMES = ("patient A", "patient B", "patient C", "patient D", "patient E")
WATCHED = 100  # test images whose objective is taken after every epoch


@dataclass(frozen=True)
class Patient:
    """A trained VAE, and how its training went.

    Attributes:
        name: "healthy", or "patient A" to "patient E".
        model: The VAE, on the CPU.
        train: The images it learned from, uint8 ``[N, C, H, W]``.
        history: Of each batch ``[batches]``: "objective" (what was raised), "reconstruction" (E_q log p(x|z)) and "kl"
            (KL(q(z|x) || p(z))), nats per image, and "sigma", the noise of the pixels.
        tested: The objective of some test images after every epoch, nats per image: ``[epochs]``.
        steps: Batches after which it was taken ``[epochs]``.
    """

    name: str
    model: VAE
    train: np.ndarray
    history: Mapping[str, np.ndarray]
    tested: np.ndarray
    steps: np.ndarray


def admit(images: ImageSet) -> Iterator[Patient]:
    """Train the healthy model and the five patients, one after another.

    Args:
        images: ``lowerbound.load("digits")``.

    Example:
        >>> from lowerbound import load
        >>> next(admit(load("digits"))).name
        'healthy'
    """
    for name, make in zip((HEALTHY, *NAMES), (healthy, _a, _b, _c, _d, _e), strict=True):
        with _same_weights():
            made = make(images.train.pixels)
        yield _trained(name, images, *made)


def healthy(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """A VAE that starts at probabilistic PCA and learns its sigma; the images it learns from, and how.

    Args:
        pixels: Training images uint8 ``[N, C, H, W]``.
    """
    from lowerbound.recipes import vae

    return vae(pixels.shape[1:], K, start=PCA(K).fit(pixels)), pixels, _cycle(10)


def _trained(name: str, images: ImageSet, model: VAE, pixels: np.ndarray, settings: Settings) -> Patient:
    """Train a model, and keep what was measured on the way."""
    import torch

    from lowerbound.training import run

    watched = images.test.pixels[:WATCHED]
    done = run(model, pixels, settings, validation=watched, device=torch.device("cpu"))
    history = {
        "objective": -done.history["loss"],
        "reconstruction": -done.history["distortion"],
        "kl": done.history["rate"],
        "sigma": done.history["sigma"],
    }
    return Patient(name, model, pixels, history, -done.validation[:, 1], done.validation[:, 0])


def _cycle(epochs: float, rate: float = 3e-3) -> Settings:
    """Training with a rate that rises and falls."""
    from lowerbound.settings import Settings, one_cycle

    return Settings(epochs, 100, rate, schedule=one_cycle)


# What follows is the patients' case histories: the solution of the lesson's exercise.


def _a(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """Sixty images and eighty epochs."""
    from lowerbound.recipes import vae

    few = pixels[:60]
    return vae(pixels.shape[1:], K, start=PCA(K).fit(few)), few, _cycle(80)


def _b(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """Codes five times as wide as the prior and off its centre, which the decoder undoes; hardly any rate pulls them back."""
    import torch

    from lowerbound.objective import Elbo
    from lowerbound.recipes import vae

    model: Any = vae(pixels.shape[1:], K, start=PCA(K).fit(pixels), objective=Elbo(beta=1e-3))
    head, decoder = model.encoder[-1].linear, model.decoder[0]
    with torch.no_grad():
        head.weight[:K] *= 5
        head.bias[:K] += 4
        decoder.linear.weight /= 5
        shift = decoder.linear.weight @ torch.full((K,), 4.0)
        decoder.bias.bias -= shift.view(pixels.shape[1:])
    return model, pixels, _cycle(16)


def _c(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """Units of the decoder's first layer that never answer: no code gets through, and no gradient comes back."""
    import torch

    from lowerbound.recipes import NETWORKS, vae

    model: Any = vae(pixels.shape[1:], K, NETWORKS["dense"])
    with torch.no_grad():
        model.decoder[0].layers[0].bias.fill_(-30.0)
    return model, pixels, _cycle(8, 2e-2)


def _d(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """Far fewer steps than it takes, from random weights."""
    from lowerbound.likelihood import Normal
    from lowerbound.recipes import NETWORKS, vae
    from lowerbound.settings import Settings

    return vae(pixels.shape[1:], K, NETWORKS["dense"], likelihood=Normal(0.2)), pixels, Settings(6, 100, 1e-3)


def _e(pixels: np.ndarray) -> tuple[VAE, np.ndarray, Settings]:
    """A noise of 0.6, held: half of the dimensions are not worth their nats."""
    from lowerbound.likelihood import Normal
    from lowerbound.posterior import DiagonalNormal
    from lowerbound.recipes import vae

    noise = 0.6
    start = _Noisy(K)
    start.noise = noise**2
    start.fit(pixels)
    likelihood = Normal(noise, learned=False)
    model = vae(pixels.shape[1:], K, start=start, posterior=DiagonalNormal, likelihood=likelihood)
    return model, pixels, _cycle(8)


class _Noisy(PCA):
    """A PCA that takes what it leaves out for more than it is."""

    noise = 0.0

    @property
    def noise_variance(self) -> float:
        """Sigma^2 of probabilistic PCA, as somebody chose it."""
        return self.noise


@contextlib.contextmanager
def _same_weights() -> Iterator[None]:
    """Within, weights are drawn that are the same every time; the caller's random numbers stay as they were."""
    import torch

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield
