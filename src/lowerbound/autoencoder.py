"""Plain autoencoders: an image becomes K numbers and these an image again, with no density anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.blockwise import batched
from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.objective import SquaredError, Terms
from lowerbound.settings import Settings
from lowerbound.training import run

__all__ = ["Autoencoder", "check_pixels", "decode_images", "encode_images"]


class Autoencoder(nn.Module):
    """x -> h -> x', trained to make x' like x.

    With linear encoder and decoder it learns the subspace of PCA (Baldi & Hornik, 1989,
    https://doi.org/10.1016/0893-6080(89)90014-2); with convolutions, more.

    Args:
        encoder: Images ``[batch, C, H, W]`` to a distribution over codes ``[batch, K]``: a ``Point`` head at its end.
        decoder: Codes ``[..., K]`` to images ``[..., C, H, W]``.
        image_shape: Channels, height, width.
        objective: Terms per image of a model, images and the fraction of training that is done; by default squared error.

    Example:
        >>> from lowerbound import recipes
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> model = recipes.linear((1, 8, 8), latent_dim=2).fit(images, Settings(epochs=1))
        >>> model.inverse_transform(model.transform(images)).shape
        (50, 1, 8, 8)
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        image_shape: tuple[int, int, int],
        objective: Callable[[Any, Tensor, float], Terms] | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.image_shape = encoder, decoder, image_shape
        self.objective = SquaredError() if objective is None else objective

    def loss(self, images: Tensor, fraction: float = 1.0) -> Terms:
        """Terms of the objective for images ``[batch, C, H, W]`` in [0, 1]: mean squared error per pixel, of each image.

        Args:
            images: To learn from.
            fraction: How much of the training is done, for objectives whose weights change on the way.
        """
        return self.objective(self, images, fraction)

    @property
    def whole_batch(self) -> bool:
        """Whether its loss is of the batch, not of single images: several processes cannot share that."""
        return getattr(self.objective, "whole_batch", False)

    def backbones(self) -> list[nn.Module]:
        """What may compute fast rather than precisely: all but the encoder's head."""
        inward = list(self.encoder)[:-1] if isinstance(self.encoder, nn.Sequential) else []
        return [*inward, self.decoder]

    def gauges(self) -> Mapping[str, Tensor]:
        """Nothing to record besides the loss."""
        return {}

    def fit(self, images: np.ndarray, settings: Settings | None = None, **how: Any) -> Autoencoder:
        """Train on images uint8 ``[N, C, H, W]``; more words as in ``training.run``."""
        check_pixels(images, self.image_shape)
        run(self, images, settings or Settings(), **how)
        return self

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``, 8-bit or float in [0, 1]."""
        return encode_images(self.encoder, images, self.image_shape)

    def inverse_transform(self, codes: np.ndarray) -> np.ndarray:
        """Images ``[N, C, H, W]``, float32 in pixel units (not clipped), of codes ``[N, K]``."""
        with torch.no_grad():  # K is known to the encoder's parts alone
            latent_dim = self.encoder(torch.zeros(1, *self.image_shape)).event_shape[0]
        return decode_images(self.decoder, codes, latent_dim)


def check_pixels(images: np.ndarray, image_shape: tuple[int, int, int]) -> None:
    """Refuse to train on anything but 8-bit images of the model's size.

    Raises:
        InputError: No images, images of another size, or pixels that are not uint8.
    """
    if images.dtype != np.uint8 or images.shape[1:] != tuple(image_shape) or not len(images):
        raise InputError(
            f"images are {images.dtype} {list(images.shape)}; expected uint8 {['N', *image_shape]} with N of at least 1"
        )


def encode_images(encoder: nn.Module, images: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """The mean of q(z|x) for each image: codes ``[N, K]``.

    Raises:
        InputError: Images of another size than the model's.
    """
    return batched(lambda x: encoder(x).mean, images, lambda block: as_floats(block, image_shape))


def decode_images(decode: Callable[[Tensor], Tensor], codes: np.ndarray, latent_dim: int) -> np.ndarray:
    """What a function of codes ``[n, K]`` to images makes of an array of codes, a block at a time.

    Raises:
        InputError: Codes of another shape.
    """
    if codes.ndim != 2 or codes.shape[1] != latent_dim:
        raise InputError(f"codes have shape {list(codes.shape)}; expected [N, {latent_dim}], one row per image")
    return batched(decode, codes, lambda block: block.astype(np.float32, copy=False))
