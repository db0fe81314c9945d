"""Parts of images that are not there, filled in from the parts that are: draws from p(x_hidden | x_seen).

Noise is independent from pixel to pixel, so log p(x_seen | z) is the sum over the seen pixels alone, and all that is known of
the hidden ones is known through z:

    p(x_hidden | x_seen) = E_p(z | x_seen)[ p(x_hidden | z) ].

For probabilistic PCA that is a normal with a closed form (Tipping & Bishop, 1999, https://doi.org/10.1111/1467-9868.00196).
For a VAE a normal q(z) with any covariance stands for p(z | x_seen), found by ascent on phi. The ascent starts at what the
encoder says of the image with the hole filled by the model's own guess, again and again (Rezende, Mohamed & Wierstra, 2014,
on missing data, https://arxiv.org/abs/1401.4082). Pixels that are seen stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.likelihood import PixelNormal
from lowerbound.observed import around, mirrored, q_given
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal, FullNormal
from lowerbound.progress import Progress, quiet
from lowerbound.vae import VAE

__all__ = ["Inpainted", "inpaint", "rectangle"]

GUESSES = 5  # times that the hole is filled and the image encoded again, before the ascent begins
AVERAGED = 32  # draws for mean and standard deviation
MOST_FULL = 64  # K up to which q has a full covariance: K (K + 3) / 2 numbers for each image
TOGETHER = 16  # images decoded at a time, each at all its draws


@dataclass(frozen=True)
class Inpainted:
    """Images with their holes filled; seen pixels are those that came, exactly.

    Attributes:
        draws: ``[n, N, C, H, W]``, float32 in pixel units, not clipped: n times other codes, decoded without pixel noise.
        mean: E[x | x_seen], ``[N, C, H, W]``, the best guess in squared error.
        std: Standard deviation of p(x | x_seen) at every pixel, pixel noise included where the model's is normal; 0 where
            seen. ``[N, C, H, W]``.
    """

    draws: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def rectangle(row: int, column: int, height: int, width: int, size: tuple[int, int]) -> np.ndarray:
    """A mask that hides a rectangle: bool ``[H, W]``.

    Args:
        row: Of its top left pixel, from 0.
        column: Likewise.
        height: In pixels.
        width: In pixels.
        size: H and W of the images.

    Raises:
        InputError: A rectangle that does not lie within the images.

    Example:
        >>> rectangle(0, 1, 2, 2, (2, 4)).astype(int)
        array([[0, 1, 1, 0],
               [0, 1, 1, 0]])
    """
    within = 0 <= row < row + height <= size[0] and 0 <= column < column + width <= size[1]
    if not within:
        raise InputError(
            f"the mask begins at row {row}, column {column} and is {height} pixels high and {width} wide; expected a rectangle "
            f"within images {size[0]} pixels high and {size[1]} wide"
        )
    mask = np.zeros(size, bool)
    mask[row : row + height, column : column + width] = True
    return mask


def inpaint(
    model: Any,
    images: np.ndarray,
    mask: np.ndarray,
    number: int = 4,
    *,
    steps: int = 100,
    samples: int = 4,
    seed: int = 0,
    progress: Progress = quiet,
) -> Inpainted:
    """Fill in the same hole in every image.

    Args:
        model: A VAE, or PCA as probabilistic PCA, where all is exact.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1]; what they hold where they are hidden has no influence.
        mask: bool ``[H, W]``, true where they are hidden.
        number: Draws.
        steps: Of the ascent on phi, at most.
        samples: Draws from q in each step.
        seed: Fixes the draws.
        progress: Shown on the way.

    Raises:
        InputError: No images; a mask of another shape, or one that hides everything or nothing; an autoencoder, which has
            no density to infer with.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> mask = rectangle(0, 0, 2, 2, (4, 4))
        >>> found = inpaint(PCA(3).fit(images), images, mask)
        >>> found.draws.shape, bool((found.mean[:, :, ~mask] == as_floats(images)[:, :, ~mask]).all())
        ((4, 50, 1, 4, 4), True)
    """
    x = as_floats(images, model.image_shape)
    mask = np.asarray(mask, bool)
    if not len(x) or number < 1:
        raise InputError(f"{len(x)} images and {number} draws came; expected at least 1 of each")
    if mask.shape != x.shape[2:]:
        raise InputError(
            f"the mask is {list(mask.shape)}; expected {list(x.shape[2:])}, the height and width of the images"
        )
    if mask.all() or not mask.any():
        hidden = "everything" if mask.all() else "nothing"
        raise InputError(f"the mask hides {hidden}; expected one that hides some pixels and shows some")
    if isinstance(model, PCA):
        draws, mean, variance = _conditional(model, x, mask, number, seed)
    elif isinstance(model, VAE):
        draws, mean, variance = _inferred(model, x, mask, number, steps, samples, seed, progress)
    else:
        raise InputError("a plain autoencoder has no density p(x|z) to fill holes by; take pca or vae")
    kept = np.where(mask, mean, x)
    std = np.where(mask, np.sqrt(variance), 0).astype(np.float32)
    return Inpainted(np.where(mask, draws, x), kept, np.broadcast_to(std, x.shape))


def _conditional(
    pca: PCA, x: np.ndarray, mask: np.ndarray, number: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws, mean and variance under probabilistic PCA: p(z | x_seen) = N(S W_seen'(x_seen - mean) / s^2, S)."""
    noise = pca.noise_variance
    loadings = pca.components.T * np.sqrt(np.maximum(pca.scales**2 - noise, 0))  # W, [P, K]
    seen = np.broadcast_to(~mask, x.shape[1:]).ravel()
    inward = loadings[seen]
    covariance = np.linalg.inv(np.eye(pca.latent_dim) + inward.T @ inward / noise)
    centred = x.reshape(len(x), -1)[:, seen].astype(np.float64) - pca.mean[seen]
    codes = centred @ inward @ covariance / noise  # [N, K]
    spread = np.random.default_rng(seed).standard_normal((number, *codes.shape)) @ np.linalg.cholesky(covariance).T
    variance = np.einsum("pk,kl,pl->p", loadings, covariance, loadings) + noise

    def decode(z: np.ndarray) -> np.ndarray:
        return (z @ loadings.T + pca.mean).astype(np.float32).reshape(*z.shape[:-1], *x.shape[1:])

    return decode(codes + spread), decode(codes), variance.reshape(1, *x.shape[1:])


def _inferred(
    model: VAE, x: np.ndarray, mask: np.ndarray, number: int, steps: int, samples: int, seed: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws, mean and variance of a VAE, by q(z | x_seen)."""
    q = _q_of_seen(model, torch.from_numpy(x).to(next(model.parameters())), mask, steps, samples, seed, progress)
    draws, means, variances = [], [], []
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(seed)
        z, averaged = q.sample(torch.Size([number])), mirrored(q, AVERAGED)
        for first in range(0, len(x), TOGETHER):
            rows = slice(first, first + TOGETHER)
            draws.append(model.decoder(z[:, rows]).mean.float())
            p = model.decoder(averaged[:, rows])
            means.append(p.mean.mean(0).float())
            variances.append((p.mean.var(0, correction=0) + _noise_variance(p).mean(0)).float())
    return torch.cat(draws, 1).numpy(), torch.cat(means).numpy(), torch.cat(variances).numpy()


def _q_of_seen(
    model: VAE, x: Tensor, mask: np.ndarray, steps: int, samples: int, seed: int, progress: Progress
) -> Distribution:
    """q(z | x_seen) of images ``[N, C, H, W]``: guessed by encoder and decoder in turn, then found by ascent."""
    hidden = torch.from_numpy(mask)
    density = _Seen(model.decoder, ~hidden)
    with torch.no_grad():
        prior = model.prior()
        family = FullNormal if prior.event_shape[0] <= MOST_FULL else DiagonalNormal
        phi = torch.cat([around(_guessed(model, some, hidden, prior), family) for some in x.split(TOGETHER)])
    return q_given(
        density, prior, density.seen_of(x), phi, family, samples=samples, steps=steps, seed=seed,
        progress=progress, task="filling in",
    )  # fmt: skip


def _guessed(model: VAE, x: Tensor, hidden: Tensor, prior: Distribution) -> Distribution:
    """The encoder's q of images whose holes are filled by the model's own guess, again and again."""
    guess = model.decoder(_centre(prior).to(x)).mean.expand_as(x)
    for _ in range(GUESSES - 1):
        guess = model.decoder(model.encoder(torch.where(hidden, guess, x)).mean).mean
    return model.encoder(torch.where(hidden, guess, x))


class _Seen(nn.Module):
    """p(x_seen | z): the decoder's image and the likelihood of its seen pixels alone, as images of one row ``[C, 1, V]``.

    Every likelihood here is independent from pixel to pixel, so its head serves the seen pixels as it serves all.
    """

    def __init__(self, decoder: nn.Sequential, seen: Tensor) -> None:
        super().__init__()
        *backbone, head = decoder
        self.backbone, self.head = nn.Sequential(*backbone), head
        self.at = seen.flatten().nonzero().squeeze(1)

    def seen_of(self, images: Tensor) -> Tensor:
        """The seen pixels of ``[..., C, H, W]``: ``[..., C, 1, V]``."""
        return images.flatten(-2)[..., self.at].unsqueeze(-2)

    def forward(self, codes: Tensor) -> Distribution:
        outputs = self.seen_of(self.backbone(codes))
        if isinstance(self.head, PixelNormal):  # whose sigmas are of certain pixels
            channels, height, width = outputs.shape[-3:]
            head = PixelNormal((channels, height, width))
            del head.log_scale
            head.log_scale = self.seen_of(self.head.log_scale)  # type: ignore[assignment]
            return head(outputs)
        return self.head(outputs)


def _centre(prior: Distribution) -> Tensor:
    """A code to begin with, ``[1, K]``: the prior's mean, from draws where there is no formula."""
    try:
        return prior.mean.unsqueeze(0)
    except NotImplementedError:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            return prior.sample(torch.Size([256])).mean(0, keepdim=True)


def _noise_variance(p: Any) -> Tensor:
    """The variance of p(x|z) around its mean, as far as it is known in closed form."""
    return p.variance if hasattr(type(p), "variance") and type(p).variance is not Distribution.variance else p.mean * 0
