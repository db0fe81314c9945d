"""What an encoder's one guess costs: its q beside the q that gradient ascent finds for each image.

ELBO at the best phi less ELBO at the encoder's is the amortisation gap; it is the encoder's alone to close, while what is left
to log p(x) is the family's (Cremer et al., 2018, https://arxiv.org/abs/1801.03558).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.inference import Inference, infer, lower_bound
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal
from lowerbound.prior import StandardNormal

__all__ = ["Amortisation", "infer_for"]

LOG_SCALES = (-4.0, -3.0, -2.0, -1.0, 0.0)  # tried around a code h that comes without a width
DRAWS = 256  # for means of a q that has no formula for them, and for an encoder's bound


@dataclass(frozen=True)
class Amortisation:
    """An encoder's q and the best one, for each image.

    Attributes:
        found: The ascent and what it found.
        h: The encoder's code, the mean of its q where it has one, ``[N, K]``.
        encoder_phi: The encoder's phi, ``[N, P]``; None where it gives a code and no distribution.
        encoder_bound: The ELBO at this phi, nats, ``[N]``; likewise.
        encoder_error: Its standard error, ``[N]``; likewise.
        mean: The best q's mean, ``[N, K]``.
        scale: The best q's standard deviations, ``[N, K]``.
        encoder_scale: Those of the encoder's q, ``[N, K]``; None where it has none.
    """

    found: Inference
    h: np.ndarray
    encoder_phi: Tensor | None
    encoder_bound: np.ndarray | None
    encoder_error: np.ndarray | None
    mean: np.ndarray
    scale: np.ndarray
    encoder_scale: np.ndarray | None

    @property
    def gap(self) -> np.ndarray | None:
        """What the ascent gained on the encoder, nats, ``[N]``: the amortisation gap."""
        return None if self.encoder_bound is None else self.found.bound - self.encoder_bound

    @property
    def distance(self) -> np.ndarray:
        """Euclidean distance of the best q's mean from h, ``[N]``."""
        return np.linalg.norm(self.mean - self.h, axis=1)

    def covariance(self, image: int) -> np.ndarray:
        """The best q's covariance for one image, ``[K, K]``; from draws where there is no formula."""
        q = self.found.family.from_phi(self.found.phi[image : image + 1])
        matrix = getattr(q, "covariance_matrix", None)
        if matrix is not None:
            return matrix[0].numpy()
        if isinstance(q, Independent):
            return np.diag(self.scale[image] ** 2)
        with torch.no_grad(), torch.random.fork_rng([]):
            torch.manual_seed(0)
            return np.atleast_2d(np.cov(q.sample(torch.Size([DRAWS]))[:, 0].double().numpy(), rowvar=False))

    @property
    def scale_ratio(self) -> np.ndarray | None:
        """The best q's standard deviations over the encoder's, the geometric mean over dimensions, ``[N]``."""
        if self.encoder_scale is None:
            return None
        return np.exp(np.log(self.scale / self.encoder_scale).mean(1))


def infer_for(
    model: Any,
    images: np.ndarray,
    *,
    sigma: float | None = None,
    family: Any = None,
    from_encoder: bool = True,
    seed: int = 0,
    **how: Any,
) -> Amortisation:
    """Find the best q for each image under a fitted model, and hold the encoder's against it.

    Args:
        model: A VAE; an autoencoder, whose decoder gets noise sigma and N(0, I) for a prior; or PCA, as probabilistic PCA.
        images: ``[N, C, H, W]``, 8-bit or float in [0, 1].
        sigma: Noise of the pixels: needed for an autoencoder; for the others it takes the place of their own.
        family: As for ``infer``; by default that of the model's own encoder, for an autoencoder ``IsotropicNormal``.
        from_encoder: Start from what the encoder says of each image, else from zeros. Around a plain code h the start is the
            best of a few widths. With another family than the encoder's own the start is at zeros.
        seed: Fixes the draws.
        **how: As for ``infer``: samples, steps, learning_rate, tolerance, progress.

    Raises:
        InputError: As ``infer``; a VAE whose encoder does not end in a head with phi.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)
        >>> found = infer_for(recipes.vae((1, 8, 8), latent_dim=2), images, steps=60)
        >>> bool((found.gap > 0).all()), found.distance.shape
        (True, (3,))
    """
    if isinstance(model, PCA):
        model = linear_vae(model)
    weight = next(model.parameters())
    x = torch.from_numpy(as_floats(images, model.image_shape)).to(weight.dtype)
    if getattr(model, "prior", None) is None:
        return _around_codes(model, images, x, sigma, family or IsotropicNormal, seed, how, from_encoder=from_encoder)
    head = model.encoder[-1]
    if not hasattr(head, "from_phi"):
        raise InputError(
            f"the encoder ends in {type(head).__name__}, which has no phi; expected a posterior head; give infer a phi"
        )
    with torch.no_grad():
        encoder_phi = head.phi(model.encoder[:-1](x))
        q, p = head.from_phi(encoder_phi), model.prior()
    own = family is None or family is type(head) or family is head
    start = encoder_phi if from_encoder and own else None
    family = head if own else family
    found = infer(model.decoder, images, p, sigma=sigma, family=family, phi=start, seed=seed, **how)
    bound, error = lower_bound(model.decoder, images, q, p, sigma=sigma, samples=DRAWS, seed=seed)
    h, encoder_scale = moments(q)
    return Amortisation(found, h, encoder_phi, bound, error, *moments(found.q()), encoder_scale)


def _around_codes(
    model: Any,
    images: np.ndarray,
    x: Tensor,
    sigma: float | None,
    family: Any,
    seed: int,
    how: dict,
    *,
    from_encoder: bool,
) -> Amortisation:
    """Of an autoencoder: no q to compare with, but a code h."""
    with torch.no_grad():
        h = model.encoder(x).mean
    prior, start = StandardNormal(h.shape[1]).to(h.dtype), None
    if from_encoder:
        tried = [_around(h, log_scale, family) for log_scale in LOG_SCALES]
        bounds = [
            lower_bound(model.decoder, images, family.from_phi(phi), prior, sigma=sigma, samples=16, seed=seed)[0]
            for phi in tried
        ]
        best = torch.from_numpy(np.argmax(bounds, axis=0))
        start = torch.stack(tried)[best, torch.arange(len(h))]
    found = infer(model.decoder, images, prior, sigma=sigma, family=family, phi=start, seed=seed, **how)
    return Amortisation(found, h.numpy(), None, None, None, *moments(found.q()), None)


def _around(h: Tensor, log_scale: float, family: Any) -> Tensor:
    """phi of a normal at h ``[N, K]`` with one width: all families of normals begin with means and log scales."""
    k, size = h.shape[1], family.phi_size(h.shape[1])
    if not isinstance(family, type):  # a flow's phi has no such order
        return h.new_zeros(len(h), size)
    widths = min(k, size - k)
    return torch.cat([h, torch.full_like(h[:, :widths], log_scale), h.new_zeros(len(h), size - k - widths)], dim=1)


def moments(q: Distribution, draws: int = DRAWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviations of q, ``[N, K]`` each; from draws where there is no formula.

    Example:
        >>> moments(IsotropicNormal.from_phi(torch.tensor([[1.0, 2.0, 0.0]])))[1]
        array([[1., 1.]], dtype=float32)
    """
    with torch.no_grad():
        try:
            mean, scale = q.mean, q.stddev
        except NotImplementedError:
            with torch.random.fork_rng([]):
                torch.manual_seed(seed)
                z = q.sample(torch.Size([draws]))
            mean, scale = z.mean(0), z.std(0)
    return mean.numpy(), scale.numpy()
