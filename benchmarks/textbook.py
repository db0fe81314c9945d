"""Row 0 of the benchmarks: the tutorial's VAE trained by a plain loop, as a textbook writes it.

Nothing here is tuned and nothing comes from lowerbound: modules as torch has them, images loaded one at a time, distributions
of torch.distributions, Adam as it comes. It is what the package's own training is measured against.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.utils.data import DataLoader, Dataset

__all__ = ["Elsewhere", "Images", "Textbook", "TextbookVAE"]

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
    """The tutorial's network: two 5x5 convolutions inwards, two transposed ones outwards.

    q(z|x) = N(mu(x), sigma(x)^2 I) and p(x|z) = N(f(z), sigma^2 I) with one learned sigma.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_dim: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        planes = (32, height - 8, width - 8)
        self.encoder = nn.Sequential(
            PerPixelBias(image_shape),
            nn.Conv2d(channels, 32, 5),
            nn.ReLU(),
            nn.Conv2d(32, 32, 5),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(math.prod(planes), latent_dim + 1),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, math.prod(planes)),
            nn.ReLU(),
            nn.Unflatten(1, planes),
            nn.ConvTranspose2d(32, 32, 5),
            nn.ReLU(),
            nn.ConvTranspose2d(32, channels, 5),
            PerPixelBias(image_shape),
        )
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """The negative ELBO of images ``[batch, C, H, W]``, nats per image: ``[batch]``."""
        features = self.encoder(images)
        mean, log_scale = features[:, :-1], features[:, -1:]
        q = Independent(Normal(mean, log_scale.exp().expand_as(mean)), 1)
        prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
        p = Independent(Normal(self.decoder(q.rsample()), self.log_sigma.exp()), 3)
        return kl_divergence(q, prior) - p.log_prob(images)


class Textbook:
    """The loop, which stops after so many steps and goes on when asked again.

    Args:
        pixels: uint8 ``[N, C, H, W]``.
        latent_dim: K.
        seed: Of weights, order and draws.
        batch: Images in a step.
        device: Where it computes.
    """

    def __init__(
        self, pixels: np.ndarray, latent_dim: int, seed: int = 0, *, batch: int = BATCH, device: str = "cpu"
    ) -> None:
        torch.manual_seed(seed)
        channels, height, width = pixels.shape[1:]
        self.model = TextbookVAE((channels, height, width), latent_dim).to(device)
        self.device = device
        self.loader = DataLoader(Images(pixels), batch_size=batch, shuffle=True)
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
            loss = self.model(next(self._batches).to(self.device)).mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()  # else the steps are only asked for
        return time.perf_counter() - begin

    @torch.no_grad()
    def elbo(self, pixels: np.ndarray) -> float:
        """The mean ELBO of images, one draw each: nats per image with all constants."""
        blocks = [torch.from_numpy(np.array(pixels[start : start + 500])) for start in range(0, len(pixels), 500)]
        with torch.random.fork_rng():
            torch.manual_seed(1)
            found = [-self.model(block.to(self.device).float() / 255).double().cpu() for block in blocks]
        return float(torch.cat(found).mean())


class Elsewhere:
    """The same in a process of its own: nothing that another loop does to its process helps or hinders it.

    Args:
        pixels: uint8 ``[N, C, H, W]``.
        latent_dim: K.
        threads: That it computes with.
    """

    def __init__(self, pixels: np.ndarray, latent_dim: int, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_answer, args=(pixels, latent_dim, threads, theirs), daemon=True)
        self._process.start()

    def steps(self, number: int) -> float:
        """Take so many steps; the seconds they took."""
        self._pipe.send(("steps", number))
        return self._pipe.recv()

    def elbo(self, pixels: np.ndarray) -> float:
        """The mean ELBO of images."""
        self._pipe.send(("elbo", pixels))
        return self._pipe.recv()


def _answer(pixels: np.ndarray, latent_dim: int, threads: int, pipe: Connection) -> None:
    """Do what is asked for, until the other end is gone."""
    torch.set_num_threads(threads)
    loop = Textbook(pixels, latent_dim)
    with contextlib.suppress(EOFError):
        while True:
            verb, of = pipe.recv()
            pipe.send(getattr(loop, verb)(of))
