"""A tighter bound from several draws: the importance-weighted bound, and a gradient that does not fade as it tightens.

With k draws z_1 ... z_k from q(z|x), and weights w = p(x|z) p(z) / q(z|x),

    log p(x) >= E[log (1/k) sum_i w_i],    the ELBO for k = 1, rising with k to log p(x)

(Burda, Grosse & Salakhutdinov, 2016, https://arxiv.org/abs/1509.00519).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from lowerbound.divergence import draw
from lowerbound.errors import InputError
from lowerbound.objective import Generative, Terms, image_density, posterior_and_prior

__all__ = ["ImportanceWeighted", "log_weights"]


def log_weights(
    q: Distribution,
    z: Tensor,
    decoder: Callable[[Tensor], Any],
    prior: Distribution | Callable[[], Distribution],
    images: Tensor,
    log_q: Tensor | None = None,
) -> Tensor:
    """log w = log p(x|z) + log p(z) - log q(z|x) of draws from q, in nats, ``[samples, batch]``.

    Args:
        q: q(z|x), batch ``[batch]``.
        z: Codes ``[samples, batch, K]``.
        decoder: Codes ``[..., K]`` to p(x|z).
        prior: p(z), or the module that returns it.
        images: ``[batch, C, H, W]``.
        log_q: log q(z|x), ``[samples, batch]``, where it is known already.

    Raises:
        InputError: The decoder returns plain images.

    Example:
        >>> from lowerbound import recipes
        >>> model, images = recipes.vae((1, 8, 8), latent_dim=2), torch.rand(5, 1, 8, 8)
        >>> q = model.encoder(images)
        >>> log_weights(q, q.sample((3,)), model.decoder, model.prior, images).shape
        torch.Size([3, 5])
    """
    p = prior if isinstance(prior, Distribution) else prior()
    log_q = q.log_prob(z) if log_q is None else log_q
    return image_density(decoder, z).log_prob(images) + p.log_prob(z) - log_q


@dataclass(frozen=True)
class ImportanceWeighted:
    """The negative importance-weighted bound, in nats per image with all constants: the loss is the bound itself.

    Distortion and rate are those of the ELBO, means over the same draws; their sum is above the loss for more than one draw,
    by what the weighting gains.

    The plain gradient for q fades into its noise as draws are added, because q matters less and less. The doubly
    reparameterised one has the same expectation without that (Tucker et al., 2019, https://arxiv.org/abs/1810.04152): log q
    is held fixed in its parameters, and what reaches q through each draw is weighted by its normalised weight once more. It
    costs a second pass through the encoder.

    Args:
        samples: k, draws from q for each image.
        doubly: Whether q's gradient is the doubly reparameterised one; the encoder is a module then.

    Raises:
        InputError: Fewer than one draw.

    Example:
        >>> from lowerbound import recipes
        >>> terms = ImportanceWeighted(samples=5)(recipes.vae((1, 8, 8), latent_dim=2), torch.rand(3, 1, 8, 8))
        >>> bool((terms.loss <= terms.distortion + terms.rate + 1e-3).all())
        True
    """

    samples: int = 5
    doubly: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no number of draws."""
        if self.samples < 1:
            raise InputError(f"samples is {self.samples}; expected at least 1 draw from q for each image")

    def __call__(self, model: Generative, images: Tensor, fraction: float = 1.0) -> Terms:  # noqa: ARG002
        """Terms for images ``[batch, C, H, W]``.

        Raises:
            InputError: The model's parts do not make a bound: q has no density, the decoder returns plain images ...
        """
        q, p = posterior_and_prior(model, images)
        if self.doubly and torch.is_grad_enabled():
            z = q.rsample(torch.Size([self.samples]))
            log_q = _frozen(model.encoder, images).log_prob(z)
        else:
            z, log_q = draw(q, self.samples)
        log_p = image_density(model.decoder, z).log_prob(images)
        rates = log_q - p.log_prob(z)
        log_w = log_p - rates  # [samples, batch]
        loss = math.log(self.samples) - log_w.logsumexp(0)
        if self.doubly and z.requires_grad:
            loss = _with_double_gradient(loss, log_w, z)
        return Terms(loss=loss, distortion=-log_p.mean(0), rate=rates.mean(0))


def _frozen(encoder: nn.Module, images: Tensor) -> Distribution:
    """q(z|x) once more, with parameters that no gradient reaches."""
    return torch.func.functional_call(encoder, {name: w.detach() for name, w in encoder.named_parameters()}, (images,))


def _with_double_gradient(loss: Tensor, log_w: Tensor, z: Tensor) -> Tensor:
    """The loss ``[batch]``, with the gradient w for what log w depends on, and w^2 for what it depends on through z.

    The gradient of the loss already weights each log w by its normalised w; the draws' own is weighted on its way to q.
    """
    weights = log_w.detach().softmax(0).unsqueeze(-1)  # [samples, batch, 1]
    z.register_hook(lambda gradient: weights * gradient)
    return loss
