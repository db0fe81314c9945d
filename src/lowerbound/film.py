"""A training as a film: what a model makes of the same images and the same random codes, at some moments on the way.

Taking a picture draws no random number and changes no weight: a training that is filmed is the training that is not, to the last
bit. More pictures are taken early, when more happens. When one is due is decided by how much of the training is done, so a
training by the clock is filmed, too.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.images import as_floats

__all__ = ["Camera", "Film", "marks"]

MOMENTS = 20
CODED, SAMPLED = 200, 25  # images whose codes are kept, and codes that are decoded
BYTES = 16_000_000  # of reconstructions, and of samples: of large images fewer are kept
LATELY = 20  # batches over which the loss at a moment is the mean


def marks(begin: float = 0.0) -> np.ndarray:
    """How much of a training is done at each moment; half as many moments for one that goes on with an earlier one.

    Example:
        >>> marks()[:3].round(4).tolist(), float(marks()[-1])
        ([0.0, 0.0028, 0.0111], 1.0)
    """
    return np.linspace(0, 1, MOMENTS // 2 if begin else MOMENTS) ** 2


@dataclass(frozen=True)
class Film:
    """Moments of a training.

    Attributes:
        steps: Steps done at each, ``[T]``.
        epochs: Times that all images were seen, ``[T]``.
        loss: Mean loss of the batches before each, ``[T]``.
        images: Which test images are seen, ``[F]``.
        codes: The mean of q for each image, ``[T, F, K]``.
        reconstructions: The first of these images decoded from their codes, uint8 ``[T, R, C, H, W]``.
        samples: What random codes decode to, uint8 ``[T, S, C, H, W]``.
    """

    steps: np.ndarray
    epochs: np.ndarray
    loss: np.ndarray
    images: np.ndarray
    codes: np.ndarray
    reconstructions: np.ndarray
    samples: np.ndarray

    def tensors(self) -> dict[str, Tensor]:
        """All of it by name."""
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in vars(self).items()}

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Film:
        """What ``tensors`` gave.

        Raises:
            ValueError: Tensors that are no film.
        """
        try:
            film = cls(**{name: value.numpy() for name, value in tensors.items()})
        except TypeError as error:
            raise ValueError(f"{sorted(tensors)} are no film") from error
        axes = {"steps": 1, "epochs": 1, "loss": 1, "images": 1, "codes": 3, "reconstructions": 5, "samples": 5}
        whole = all(getattr(film, name).ndim == number for name, number in axes.items())
        taken = {getattr(film, name).shape[:1] for name in axes if name != "images"}
        if not whole or len(taken) > 1 or film.codes.shape[1] != len(film.images):
            raise ValueError("a film whose parts do not belong together")
        if {film.reconstructions.dtype, film.samples.dtype} != {np.dtype(np.uint8)} or film.images.dtype.kind != "i":
            raise ValueError("a film of other numbers")
        return film

    def until(self, step: int) -> Film:
        """Its moments up to a step."""
        return self.at(self.steps <= step)

    def at(self, which: Any) -> Film:
        """Some of its moments."""
        return Film(**{name: array if name == "images" else array[which] for name, array in vars(self).items()})

    def with_loss(self, history: np.ndarray) -> Film:
        """With the loss at each moment, from that of every batch ``[batches]``."""
        means = [history[max(0, step - LATELY) : max(step, 1)].mean() for step in self.steps if len(history)]
        return Film(**{**vars(self), "loss": np.array(means or self.loss, np.float32)})


class Camera:
    """Films the training of a model: called after every step, it takes a picture when one is due.

    Args:
        model: An autoencoder or a VAE.
        pixels: Test images uint8 ``[N, C, H, W]``, of which some are seen.
        latent_dim: K.
        of_epoch: Steps in an epoch.
        film: What was filmed of this training before; none by default.
        begin: Epoch at which this training began: one that goes on with an earlier one keeps every second of its moments.
    """

    def __init__(
        self, model: Any, pixels: np.ndarray, latent_dim: int, of_epoch: int, film: Film | None = None, begin: int = 0
    ) -> None:
        self.model, self.of_epoch, self.marks = model, of_epoch, marks(begin)
        values = math.prod(pixels.shape[1:])
        seen = np.random.default_rng(0).permutation(len(pixels))[:CODED]
        self.images = np.sort(seen).astype(np.int64)
        self._x = torch.from_numpy(as_floats(pixels[self.images]))
        self._reconstructed = max(1, min(CODED, BYTES // (MOMENTS * values)))
        sampled = max(1, min(SAMPLED, BYTES // (MOMENTS * values)))
        self._z = torch.from_numpy(np.random.default_rng(0).standard_normal((sampled, latent_dim)).astype(np.float32))
        self._film = film
        if film is not None and begin and film.steps[-1:] == begin * of_epoch and len(film.steps) > 3 * MOMENTS // 4:
            self._film = film.at(slice(None, None, 2))
        self._first = begin * of_epoch
        self._due: int | None = None

    @property
    def film(self) -> Film | None:
        """What was filmed so far."""
        return self._film

    def __call__(self, step: int, fraction: float) -> None:
        """Take a picture, if one is due when so much of the training is done and none was taken since."""
        due = int(np.searchsorted(self.marks, fraction, side="right"))  # marks that are behind
        if self._due is None:  # one that goes on has pictures of all that is behind
            self._due = 0 if step <= self._first else due
        if self._due < due < len(self.marks):
            self._take(step)
        self._due = max(due, self._due)

    def end(self, step: int) -> None:
        """Take the last picture, of the model as it ended: with averaged weights, or those of the best epoch, where asked for."""
        self._take(step)

    def _take(self, step: int) -> None:
        """A picture of now; of weights that no distribution takes there is none."""
        with contextlib.suppress(ValueError):
            codes, reconstructions, samples = self._look()
            now = {
                "steps": np.array([step], np.int64),
                "epochs": np.array([step / self.of_epoch], np.float32),
                "loss": np.full(1, np.nan, np.float32),
                "codes": codes[None],
                "reconstructions": reconstructions[None],
                "samples": samples[None],
            }
            before = (
                {} if self._film is None else vars(self._film.until(step - 1))
            )  # after a return there are later ones
            joined = {name: np.concatenate([before[name], new]) if before else new for name, new in now.items()}
            self._film = Film(**joined, images=self.images)

    @torch.no_grad()
    def _look(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes, reconstructions, samples."""
        model: nn.Module = self.model
        device, training = next(model.parameters()).device, model.training
        model.eval()
        try:
            codes = self.model.encoder(self._x.to(device)).mean
            return (
                codes.half().cpu().numpy(),
                self._decoded(codes[: self._reconstructed]),
                self._decoded(self._z.to(device)),
            )
        finally:
            model.train(training)

    def _decoded(self, codes: Tensor) -> np.ndarray:
        """Images of codes, 8-bit."""
        decoded = self.model.decoder(codes)
        mean = decoded if isinstance(decoded, Tensor) else decoded.mean
        return mean.nan_to_num(0.5).clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()
