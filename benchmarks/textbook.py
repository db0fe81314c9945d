"""Row 0 of the benchmarks: the tutorial's VAE trained by a plain loop, as a textbook writes it.

Nothing here is tuned and nothing comes from lowerbound: modules as torch has them, images loaded one at a time, distributions
of torch.distributions, Adam as it comes. It is what the package's own training is measured against.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.utils.data import DataLoader, Dataset

__all__ = ["Images", "Textbook", "TextbookVAE"]

BATCH, LEARNING_RATE = 100, 1e-3


class Images(Dataset[Tensor]):
    """Images uint8 ``[N, C, H, W]``, given out one by one as float tensors in [0, 1]."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(self.pixels[index]).float() / 255


class PerPixelBias(nn.Module):
    """An offset for every pixel."""

    def __init__(self, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(image_shape))

    def forward(self, images: Tensor) -> Tensor:
        """Add it."""
        return images + self.bias


class TextbookVAE(nn.Module):
    """The tutorial's network for images of 28 x 28: two 5x5 convolutions inwards, two transposed ones outwards.

    q(z|x) = N(mu(x), sigma(x)^2 I) and p(x|z) = N(f(z), sigma^2 I) with one learned sigma.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            PerPixelBias((1, 28, 28)),
            nn.Conv2d(1, 32, 5),
            nn.ReLU(),
            nn.Conv2d(32, 32, 5),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 20 * 20, latent_dim + 1),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 32 * 20 * 20),
            nn.ReLU(),
            nn.Unflatten(1, (32, 20, 20)),
            nn.ConvTranspose2d(32, 32, 5),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 5),
            PerPixelBias((1, 28, 28)),
        )
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """The negative ELBO of images ``[batch, 1, 28, 28]``, nats per image: ``[batch]``."""
        features = self.encoder(images)
        mean, log_scale = features[:, :-1], features[:, -1:]
        q = Independent(Normal(mean, log_scale.exp().expand_as(mean)), 1)
        prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
        p = Independent(Normal(self.decoder(q.rsample()), self.log_sigma.exp()), 3)
        return kl_divergence(q, prior) - p.log_prob(images)


class Textbook:
    """The loop, which stops after so many steps and goes on when asked again.

    Args:
        pixels: uint8 ``[N, 1, 28, 28]``.
        latent_dim: K.
        seed: Of weights, order and draws.
    """

    def __init__(self, pixels: np.ndarray, latent_dim: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.model = TextbookVAE(latent_dim)
        self.loader = DataLoader(Images(pixels), batch_size=BATCH, shuffle=True)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE)
        self._batches = self._epochs()

    def _epochs(self) -> Iterator[Tensor]:
        """Batches without end."""
        while True:
            yield from self.loader

    def steps(self, number: int) -> float:
        """Take so many steps; the seconds they took, loading included."""
        begin = time.perf_counter()
        for _ in range(number):
            loss = self.model(next(self._batches)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - begin
