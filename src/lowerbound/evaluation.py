"""Numbers about a fitted model, each over images it has not seen, with its standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from lowerbound.images import as_floats
from lowerbound.progress import Progress, quiet

__all__ = [
    "Compressor",
    "Estimate",
    "Evaluation",
    "Generator",
    "Measurement",
    "evaluate",
    "squared_errors",
    "structural_similarity",
]

BLOCK = 500  # images that are reconstructed and compared at a time


@runtime_checkable
class Compressor(Protocol):
    """What every model does: images to codes, and back."""

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``."""
        ...

    def inverse_transform(self, codes: np.ndarray) -> np.ndarray:
        """Images ``[N, C, H, W]`` of codes ``[N, K]``."""
        ...


@runtime_checkable
class Generator(Compressor, Protocol):
    """What a model with a density does, too."""

    def sample(self, number: int, seed: int = 0) -> np.ndarray:
        """New images ``[number, C, H, W]``."""
        ...

    def score_samples(self, images: np.ndarray) -> np.ndarray:
        """log p(x), or a lower bound on it, nats per image: ``[N]``."""
        ...


@dataclass(frozen=True)
class Estimate:
    """A mean over images, and its standard error."""

    mean: float
    standard_error: float

    @classmethod
    def of(cls, values: np.ndarray) -> Estimate:
        """Of one value per image ``[N]``.

        Example:
            >>> Estimate.of(np.array([1.0, 3.0]))
            Estimate(mean=2.0, standard_error=1.0)
        """
        values = np.asarray(values, np.float64)
        error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        return cls(float(values.mean()), float(error))

    @classmethod
    def of_share(cls, right: np.ndarray) -> Estimate:
        """Of how often something holds, one truth value per image ``[N]``: the error is the binomial's, sqrt(p (1 - p) / N).

        Example:
            >>> Estimate.of_share(np.array([True, True, True, False]))
            Estimate(mean=0.75, standard_error=0.21650635094610965)
        """
        share = float(np.mean(right))
        return cls(share, math.sqrt(share * (1 - share) / len(right)))


@dataclass(frozen=True)
class Measurement:
    """One number about a model, with all that is needed to read it.

    Attributes:
        name: What it is.
        value: The number.
        standard_error: Its standard error over what the protocol says; None where there is none.
        unit: Its unit.
        protocol: Over which images, with which settings, by which formula.
    """

    name: str
    value: float
    standard_error: float | None
    unit: str
    protocol: str

    @classmethod
    def of(cls, name: str, estimate: Estimate, unit: str, protocol: str) -> Measurement:
        """An estimate with its words.

        Example:
            >>> Measurement.of("rate", Estimate(20.5, 0.25), "nats per image", "KL(q(z|x) || p(z)), 100 images").value
            20.5
        """
        error = estimate.standard_error if math.isfinite(estimate.standard_error) else None
        return cls(name, estimate.mean, error, unit, protocol)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it: null for what is not finite."""
        return {**vars(self), "value": self.value if math.isfinite(self.value) else None}


@dataclass(frozen=True)
class Evaluation:
    """How well a model keeps images.

    Attributes:
        images: Number of images.
        mse: Mean squared error per pixel, pixels in [0, 1].
        psnr: Peak signal-to-noise ratio in decibels, the mean over images.
        ssim: Structural similarity, 1 for identical images.
        score: log p(x) or the ELBO in nats per image with all constants; None without a density.
        errors: The mean squared error per pixel of each image, ``[N]``.
        scores: The score of each image, ``[N]``; None without a density.
    """

    images: int
    mse: Estimate
    psnr: Estimate
    ssim: Estimate
    score: Estimate | None
    errors: np.ndarray
    scores: np.ndarray | None

    def to_json(self) -> dict[str, Any]:
        """The means as JSON holds them: null for the standard error of a single image."""
        estimates = {name: getattr(self, name) for name in ("mse", "psnr", "ssim", "score")}
        return {"images": self.images, **{name: each and _finite(vars(each)) for name, each in estimates.items()}}


def _finite(estimate: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in estimate.items()}


def evaluate(
    model: Compressor, images: np.ndarray, progress: Progress = quiet, *, task: str = "evaluating"
) -> Evaluation:
    """Reconstruct images from their codes and compare.

    PSNR = 10 log10(1 / MSE) of each image, then averaged. Reconstructions are taken as they are, not clipped.

    Args:
        model: Compresses; if it also has ``score_samples``, its score is taken (a VAE's with one draw from q per image).
        images: uint8 ``[N, C, H, W]``.
        progress: Shown on the way.
        task: What the progress is called.

    Example:
        >>> from lowerbound.pca import PCA
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
        >>> evaluate(PCA(9).fit(images), images).images
        50
    """
    errors, similarities = [], []
    with progress(task, len(images)) as advance:
        for truth, reconstruction in reconstructed(model, images):
            errors.append(np.square(truth - reconstruction, dtype=np.float64).mean((1, 2, 3)))
            similarities.append(structural_similarity(truth, reconstruction))
            advance(len(truth), "")
        scores = model.score_samples(images) if isinstance(model, Generator) else None
    error = np.concatenate(errors)
    return Evaluation(
        images=len(images),
        mse=Estimate.of(error),
        psnr=Estimate.of(-10 * np.log10(np.maximum(error, 1e-12))),  # a perfect image counts as 120 dB
        ssim=Estimate.of(np.concatenate(similarities)),
        score=None if scores is None else Estimate.of(scores),
        errors=error,
        scores=scores,
    )


def reconstructed(model: Compressor, images: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images in [0, 1] and what the model makes of them, a block at a time."""
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        yield as_floats(block), model.inverse_transform(model.transform(block))


def squared_errors(model: Compressor, images: np.ndarray) -> np.ndarray:
    """Mean squared error per pixel of each image's reconstruction ``[N]``, pixels in [0, 1]."""
    return np.concatenate(
        [np.square(truth - guess, dtype=np.float64).mean((1, 2, 3)) for truth, guess in reconstructed(model, images)]
    )


def structural_similarity(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Structural similarity of pairs of images ``[N]``, pixels in [0, 1], averaged over channels and places.

    Local means, variances and covariance under a Gaussian window of 11 x 11 pixels, standard deviation 1.5; on smaller images
    the window is the largest odd one that fits (Wang et al., 2004, https://doi.org/10.1109/TIP.2003.819861).

    Example:
        >>> images = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
        >>> bool(np.allclose(structural_similarity(images, images), 1))
        True
    """
    import torch

    _, channels, height, width = images.shape
    windows = [_window(size) for size in (height, width)]
    x, y = (torch.from_numpy(np.asarray(pair, np.float64)) for pair in (images, others))  # float32 loses variances

    def smooth(maps: torch.Tensor) -> torch.Tensor:
        vertical, horizontal = (torch.from_numpy(window) for window in windows)
        maps = torch.conv2d(maps, vertical.view(1, 1, -1, 1).expand(len(maps[0]), 1, -1, 1), groups=len(maps[0]))
        return torch.conv2d(maps, horizontal.view(1, 1, 1, -1).expand(len(maps[0]), 1, 1, -1), groups=len(maps[0]))

    mean_x, mean_y, xx, yy, xy = smooth(torch.cat([x, y, x * x, y * y, x * y], 1)).split(channels, dim=1)
    luminance, structure = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + luminance) * (2 * (xy - mean_x * mean_y) + structure)
    similarity /= (mean_x**2 + mean_y**2 + luminance) * (xx - mean_x**2 + yy - mean_y**2 + structure)
    return similarity.mean((1, 2, 3)).numpy()


def _window(size: int) -> np.ndarray:
    """Weights of a Gaussian window along an axis of ``size`` pixels."""
    reach = min(5, (size - 1) // 2)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * 1.5**2))
    return weights / weights.sum()
