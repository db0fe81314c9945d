"""The variational autoencoder: a density network p(x|z) p(z), and a recognition network q(z|x) learned along with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.autoencoder import check_pixels, decode_images, encode_images
from lowerbound.blockwise import batched
from lowerbound.images import as_floats
from lowerbound.objective import Elbo, Terms
from lowerbound.settings import Settings
from lowerbound.training import run

__all__ = ["VAE", "draw_codes"]


@torch.no_grad()
def draw_codes(prior: nn.Module, number: int, seed: int = 0) -> np.ndarray:
    """Codes ``[number, K]`` drawn from a prior."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return prior().sample(torch.Size([number])).numpy()


class VAE(nn.Module):
    """q(z|x), p(x|z) and p(z), trained to raise a lower bound on log p(x) (Kingma & Welling, 2014, arXiv:1312.6114).

    Args:
        encoder: Images ``[batch, C, H, W]`` to a distribution over codes ``[batch, K]``.
        decoder: Codes ``[..., K]`` to a distribution over images: a backbone and a likelihood head.
        prior: Nothing to a distribution over codes ``[K]``.
        image_shape: Channels, height, width.
        objective: Terms per image of a model, images and the fraction of training that is done; by default the ELBO.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> model = recipes.vae((1, 8, 8), latent_dim=2).fit(images, Settings(epochs=1))
        >>> model.sample(3).shape, model.score_samples(images).shape
        ((3, 1, 8, 8), (50,))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Sequential,
        prior: nn.Module,
        image_shape: tuple[int, int, int],
        objective: Callable[[Any, Tensor, float], Terms] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior, self.image_shape = encoder, decoder, prior, image_shape
        self.objective = Elbo() if objective is None else objective

    def loss(self, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms of the objective, nats per image, for images ``[batch, C, H, W]`` in [0, 1].

        Args:
            images: To learn from.
            fraction: How much of the training is done, for objectives whose weights change on the way.
        """
        return self.objective(self, images, fraction)

    @property
    def likelihood(self) -> Any:
        """The head that makes the decoder's images a distribution."""
        return self.decoder[-1]

    @property
    def discrete(self) -> bool:
        """Whether p(x|z) gives probabilities, as a likelihood says of itself; else it is a density of real-valued pixels."""
        return getattr(self.likelihood, "discrete", False)

    @property
    def binary(self) -> bool:
        """Whether it gives probabilities to images of 0 and 1 alone."""
        return getattr(self.likelihood, "binary", False)

    @property
    def whole_batch(self) -> bool:
        """Whether its loss is of the batch, not of single images: several processes cannot share that."""
        return any(getattr(part, "whole_batch", False) for part in (self.objective, self.likelihood))

    def backbones(self) -> list[nn.Module]:
        """What may compute fast rather than precisely: all but the heads, which make distributions."""
        inward = list(self.encoder)[:-1] if isinstance(self.encoder, nn.Sequential) else []
        return [*inward, *list(self.decoder)[:-1]]

    def gauges(self) -> Mapping[str, Tensor]:
        """Sigma of the pixel noise, in pixel units, where it is learned: it hides behind the ELBO and carries most of it."""
        return getattr(self.likelihood, "gauges", dict)()

    def fit(self, images: np.ndarray, settings: Settings | None = None, **how: Any) -> VAE:
        """Train on images uint8 ``[N, C, H, W]``; more words as in ``training.run``."""
        check_pixels(images, self.image_shape)
        run(self, images, settings or Settings(), **how)
        return self

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``: the mean of q(z|x), the same at every call."""
        return encode_images(self.encoder, images, self.image_shape)

    def draw(self, images: np.ndarray, seed: int = 0) -> np.ndarray:
        """Codes ``[N, K]``, one drawn from q(z|x) of each image ``[N, C, H, W]``."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return batched(lambda x: self.encoder(x).sample(), images, lambda block: as_floats(block, self.image_shape))

    def inverse_transform(self, codes: np.ndarray) -> np.ndarray:
        """Images ``[N, C, H, W]``, the mean of p(x|z) in pixel units (not clipped), of codes ``[N, K]``."""
        return decode_images(lambda z: self.decoder(z).mean, codes, self.prior().event_shape[0])

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        """Images ``[number, C, H, W]`` decoded from codes drawn from the prior, without pixel noise."""
        return self.inverse_transform(draw_codes(self.prior, number, seed))

    def score_samples(self, images: np.ndarray, *, samples: int = 1, seed: int = 0) -> np.ndarray:
        """The evidence lower bound of each image, nats with all constants: ``[N]``.

        Args:
            images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
            samples: Draws from q(z|x) for the reconstruction term; the KL is exact.
            seed: Fixes the draws.
        """
        bound = Elbo(samples=samples)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return batched(lambda x: -bound(self, x).loss, images, lambda block: as_floats(block, self.image_shape))

    def score(self, images: np.ndarray, *, samples: int = 1, seed: int = 0) -> float:
        """Mean of ``score_samples``, nats per image."""
        return float(self.score_samples(images, samples=samples, seed=seed).mean(dtype=np.float64))
