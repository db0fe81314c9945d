"""p(z), what is believed of a code before any image is seen. A prior is a module that returns a distribution.

A standard normal is the usual choice. The ELBO is highest, everything else the same, where p(z) equals the aggregate
posterior, the mean of q(z|x) over the images (Hoffman & Johnson, 2016, http://approximateinference.org/accepted/HoffmanJohnson2016.pdf):
the learned ones below can come nearer to it. Their log-scales are softly bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, Independent, Normal, constraints

from lowerbound.bounding import softly_bounded
from lowerbound.errors import InputError
from lowerbound.flow import FlowDistribution, coupling
from lowerbound.images import as_floats
from lowerbound.posterior import LOG_SCALE_RANGE

__all__ = ["Flow", "Mixture", "MixtureDistribution", "StandardNormal", "VampPrior"]

BLOCK = 2**22  # numbers (codes x components x K) handled at a time


class StandardNormal(nn.Module):
    """p(z) = N(0, I) over K numbers.

    Args:
        latent_dim: K, numbers per image.

    Example:
        >>> StandardNormal(3)().sample((5,)).shape
        torch.Size([5, 3])
    """

    zeros: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.register_buffer("zeros", torch.zeros(latent_dim), persistent=False)  # follows the model to its device

    def forward(self) -> Independent:
        """The distribution over one code ``[K]``."""
        return Independent(Normal(self.zeros, torch.ones_like(self.zeros)), 1)


class MixtureDistribution(Distribution):
    """p(z) = sum over j of weight_j q_j(z), for components of any kind.

    torch's own mixture draws from every component for every sample, and holds all codes times all components in memory.

    Args:
        log_weights: Log of the weights, which sum to 1: ``[J]``.
        components: A distribution with batch ``[J]`` over codes ``[K]``.

    Example:
        >>> two = Independent(Normal(torch.tensor([[-1.0], [3.0]]), torch.ones(2, 1)), 1)
        >>> p = MixtureDistribution(torch.tensor([0.5, 0.5]).log(), two)
        >>> p.mean, p.sample((5,)).shape
        (tensor([1.]), torch.Size([5, 1]))
    """

    arg_constraints: ClassVar = {"log_weights": constraints.real_vector}  # type: ignore[assignment, override]
    support = constraints.real_vector  # type: ignore[assignment]

    def __init__(
        self,
        log_weights: Tensor,
        components: Distribution,
        validate_args: bool | None = None,  # noqa: FBT001
    ) -> None:
        self.log_weights, self.components = log_weights, components
        super().__init__(Size(), components.event_shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The weighted mean of the components' means, ``[K]``."""
        return self.log_weights.exp() @ self.components.mean

    @property
    def variance(self) -> Tensor:
        """Of each number ``[K]``: the mean of the components' variances, and the variance of their means."""
        spread = self.components.variance + (self.components.mean - self.mean).square()
        return self.log_weights.exp() @ spread

    @torch.no_grad()
    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Codes ``[*sample_shape, K]``: how many come from each component is drawn first, then that many from it."""
        number, size = math.prod(sample_shape), self._block
        blocks = [self._draw(min(size, number - start)) for start in range(0, max(1, number), size)]
        return torch.cat(blocks).view(*sample_shape, *self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density of codes ``[..., K]``, nats: ``[...]``."""
        if self._validate_args:
            self._validate_sample(value)
        codes = value.reshape(-1, 1, value.shape[-1])
        blocks = [
            (self.log_weights + self.components.log_prob(block)).logsumexp(-1) for block in codes.split(self._block)
        ]
        return torch.cat(blocks).view(value.shape[:-1])

    @property
    def _block(self) -> int:
        """Codes that are handled at a time, so that memory stays bounded."""
        return max(1, BLOCK // (len(self.log_weights) * self.event_shape[0]))

    def _draw(self, number: int) -> Tensor:
        if not number:
            return self.components.sample()[:0]
        chosen = torch.multinomial(self.log_weights.exp(), number, replacement=True)
        counts = chosen.bincount(minlength=len(self.log_weights))
        draws = self.components.sample(Size([int(counts.max())]))  # [most, J, K]
        rank = torch.empty_like(chosen)  # which draw of its component each code is
        order = chosen.argsort(stable=True)
        rank[order] = torch.arange(number, device=chosen.device) - (counts.cumsum(0) - counts)[chosen[order]]
        return draws[rank, chosen]


class Mixture(nn.Module):
    """A mixture of diagonal normals: means, log-scales and weights are learned.

    Weights start equal; means are drawn from N(0, 1/4) by torch's generator, and scales make the whole start with about
    the mean and the variance of N(0, I).

    Args:
        latent_dim: K, numbers per image.
        components: Normals.

    Example:
        >>> p = Mixture(3, components=4)()
        >>> p.log_prob(p.sample((5,))).shape
        torch.Size([5])
    """

    def __init__(self, latent_dim: int, components: int = 10) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.means = nn.Parameter(torch.randn(components, latent_dim) / 2)
        self.log_scales = nn.Parameter(torch.full((components, latent_dim), math.log(3 / 4) / 2))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self) -> MixtureDistribution:
        """The distribution over one code ``[K]``."""
        scales = softly_bounded(self.log_scales, *LOG_SCALE_RANGE).exp()
        return MixtureDistribution(self.logits.log_softmax(-1), Independent(Normal(self.means, scales), 1))


class VampPrior(nn.Module):
    """p(z) = mean over j of q(z|u_j): the posteriors of pseudo-inputs u_j, images that are learned.

    After Tomczak & Welling (2018), VAE with a VampPrior, https://arxiv.org/abs/1705.07120. The pseudo-inputs are sigmoids, so
    their pixels stay in [0, 1] with a gradient everywhere. The encoder is the model's own: it is used, and trained, but
    it is no part of this module, whose ``state_dict`` holds the pseudo-inputs alone.

    Args:
        encoder: Images ``[batch, C, H, W]`` to q(z|x), which must have a density.
        image_shape: Channels, height, width.
        components: Pseudo-inputs; those of ``start``, where it is given.
        start: Images ``[components, C, H, W]`` to start from, 8-bit or float in [0, 1]; by default grey noise.

    Raises:
        InputError: The encoder gives points, which have no density; start images of another size, or none.

    Example:
        >>> from lowerbound.posterior import IsotropicNormal
        >>> encoder = nn.Sequential(nn.Flatten(), IsotropicNormal(64, latent_dim=2))
        >>> VampPrior(encoder, (1, 8, 8), components=5)().sample((3,)).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        image_shape: tuple[int, int, int],
        components: int = 50,
        start: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self._encoder = (
            encoder,
        )  # in a tuple, a module is not registered; copying a model still finds the model's own
        images = torch.randn(components, *image_shape).sigmoid() if start is None else _pixels(start, image_shape)
        like = next(encoder.parameters())
        self.logits = nn.Parameter(images.to(like.device, like.dtype).clamp(0.01, 0.99).logit())
        with torch.no_grad():
            q = encoder(self.images[:1])
        self.latent_dim = q.event_shape[0]
        try:
            q.log_prob(torch.zeros(self.latent_dim, device=like.device, dtype=like.dtype))
        except NotImplementedError as error:
            raise InputError(
                "the encoder gives a point for each image; a VampPrior is made of densities q(z|x); "
                "take a mixture or a flow, or another posterior"
            ) from error

    @property
    def encoder(self) -> nn.Module:
        """The model's encoder."""
        return self._encoder[0]

    @property
    def images(self) -> Tensor:
        """The pseudo-inputs, ``[components, C, H, W]`` in [0, 1]."""
        return self.logits.sigmoid()

    def forward(self) -> MixtureDistribution:
        """The distribution over one code ``[K]``."""
        weights = self.logits.new_full((len(self.logits),), -math.log(len(self.logits)))
        return MixtureDistribution(weights, self.encoder(self.images))


class Flow(nn.Module):
    """p(z): a diagonal normal, learned, moved by a learned flow; close to N(0, I) at the start.

    Args:
        latent_dim: K, numbers per image.
        transforms: Couplings.
        hidden: Widths of the hidden layers of each coupling's network.

    Example:
        >>> p = Flow(3)()
        >>> p.log_prob(p.sample((5,))).shape
        torch.Size([5])
    """

    def __init__(self, latent_dim: int, *, transforms: int = 6, hidden: Sequence[int] = (64,)) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.mean = nn.Parameter(torch.zeros(latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(latent_dim))
        self.transform = coupling(latent_dim, transforms=transforms, hidden=hidden)

    def forward(self) -> FlowDistribution:
        """The distribution over one code ``[K]``."""
        scale = softly_bounded(self.log_scale, *LOG_SCALE_RANGE).exp()
        return FlowDistribution(self.mean, scale, self.transform())


def _pixels(images: np.ndarray, image_shape: tuple[int, int, int]) -> Tensor:
    if not len(images):
        raise InputError("there are no images to start pseudo-inputs from; expected at least 1")
    return torch.from_numpy(as_floats(images, image_shape))
