"""What a VAE's loss means that was written with means, sums and weights: its beta, and the noise it grants a pixel.

A bound has one scale: -log p(x|z) + beta KL, both in nats per image, summed over pixels and over the numbers of the code.
Programs average one of the two, sum the other and set a weight between; what they train is the same bound with another beta.
With c_r and c_k what one image's summed error E and its KL are multiplied by, only r = c_k / c_r counts:

    squared error, p(x|z) = N(f(z), sigma^2 I):   -log p = E / (2 sigma^2) + constant    beta = r / (2 sigma^2)
    half of it:                                   -log p = E / sigma^2 + constant        beta = r / sigma^2
    absolute error, p(x|z) = Laplace(f(z), b):    -log p = E / b + constant              beta = r / b
    cross-entropy, p(x|z) = Bernoulli(f(z)):      -log p = E                             beta = r

So a weight on the KL is a statement about pixel noise: at beta = 1 a squared error has sigma = sqrt(r / 2) (Higgins et al.,
2017, https://openreview.net/forum?id=Sy2fzU9gl, for beta; Rybkin et al., 2021, https://arxiv.org/abs/2006.13202, for sigma).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lowerbound.errors import InputError, nearest
from lowerbound.images import ROUNDING_SCALE

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ERRORS", "REDUCTIONS", "Loss", "Translation", "translate"]

ERRORS = {
    "squared": "(x - f(z))^2",
    "half-squared": "(x - f(z))^2 / 2",
    "bce": "binary cross-entropy",
    "l1": "|x - f(z)|",
}
REDUCTIONS = {
    "mean": "the mean over everything",
    "sum": "the sum within an image, the mean over the batch",
    "sum-all": "the sum over everything",
}
UNIFORM_SCALE = 1 / math.sqrt(12)  # standard deviation of a pixel of which nothing is known but that it lies in [0, 1]


@dataclass(frozen=True)
class Loss:
    """A loss as a program writes it: ``reconstruction_weight * reconstruction + kl_weight * KL``.

    Args:
        image_shape: Channels, height, width; P = C * H * W values.
        latent_dim: K, numbers in a code.
        error: What is said of one pixel, in ``ERRORS``; pixels in [0, 1].
        reconstruction: How the errors of a batch become one number, in ``REDUCTIONS``.
        kl: How the KL of each number of each code becomes one number, in ``REDUCTIONS``.
        reconstruction_weight: Above 0.
        kl_weight: 0 or more.
        batch: Images in a batch; it matters where one term is summed over the batch and the other averaged.

    Raises:
        InputError: A name that is not known, a size or weight out of its range, or a batch that is needed and missing.

    Example:
        >>> Loss((3, 64, 64), 128, kl_weight=0.00025).ratio
        3.072
    """

    image_shape: tuple[int, int, int]
    latent_dim: int
    error: str = "squared"
    reconstruction: str = "mean"
    kl: str = "sum"
    reconstruction_weight: float = 1.0
    kl_weight: float = 1.0
    batch: int | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _known("error", self.error, ERRORS)
        _known("reconstruction", self.reconstruction, REDUCTIONS)
        _known("kl", self.kl, REDUCTIONS)
        if min(*self.image_shape, self.latent_dim) < 1:
            raise InputError(
                f"the image is {self.image_shape} and k is {self.latent_dim}; expected sizes of at least 1"
            )
        if not 0 < self.reconstruction_weight < math.inf:
            raise InputError(f"the reconstruction's weight is {self.reconstruction_weight}; expected a number above 0")
        if not 0 <= self.kl_weight < math.inf:
            raise InputError(f"the KL's weight is {self.kl_weight}; expected 0 or more")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"batch is {self.batch}; expected at least 1 image")
        if self.batch is None and (self.reconstruction == "sum-all") != (self.kl == "sum-all"):
            raise InputError(
                "one term is summed over the batch and the other averaged, so the weight depends on the batch's size; "
                "give the batch"
            )

    @property
    def coefficients(self) -> tuple[float, float]:
        """c_r and c_k: the loss is the mean over the batch of c_r E + c_k KL, with E and KL summed within an image."""
        batch = self.batch or 1  # cancels where none was given
        pixels = math.prod(self.image_shape)
        reconstruction = {"mean": 1 / pixels, "sum": 1.0, "sum-all": float(batch)}[self.reconstruction]
        kl = {"mean": 1 / self.latent_dim, "sum": 1.0, "sum-all": float(batch)}[self.kl]
        return self.reconstruction_weight * reconstruction, self.kl_weight * kl

    @property
    def ratio(self) -> float:
        """r = c_k / c_r: what one nat of KL costs in units of the summed error."""
        reconstruction, kl = self.coefficients
        return kl / reconstruction


@dataclass(frozen=True)
class Translation:
    """The same loss as -log p(x|z) + beta KL, nats per image.

    Attributes:
        likelihood: p(x|z): "Normal", "Laplace" or "Bernoulli".
        scale: Sigma of the Normal or b of the Laplace that beta is stated for, pixels in [0, 1]; None for Bernoulli.
        beta: Weight of the KL at this scale.
        scale_at_beta_one: Sigma or b with which the loss is a plain negative ELBO; None for Bernoulli.
        factor: The loss as written is this many times ours, up to constants: what a plain gradient step is scaled by.
        meaning: What that says, in a sentence.
        warning: What is wrong with the reading, or an empty string.
    """

    likelihood: str
    scale: float | None
    beta: float
    scale_at_beta_one: float | None
    factor: float
    meaning: str
    warning: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return dict(vars(self))


def translate(loss: Loss, *, scale: float | None = None) -> Translation:
    """The beta that a loss really has, and the pixel noise it stands for.

    Args:
        loss: As it is written.
        scale: The Normal's sigma or the Laplace's b to state beta for, pixels in [0, 1]; 1 if left out.

    Raises:
        InputError: A scale that is not above 0, or one for cross-entropy, which has none.

    Example:
        >>> round(translate(Loss((3, 64, 64), 128, kl_weight=0.00025)).beta, 3)
        1.536
        >>> round(translate(Loss((3, 32, 32), 256, kl="mean", kl_weight=0.1)).scale_at_beta_one, 3)
        0.775
    """
    if scale is not None and not 0 < scale < math.inf:
        raise InputError(f"sigma is {scale}; expected a number above 0, with pixels in [0, 1]")
    per_error, _ = loss.coefficients
    ratio = loss.ratio
    if loss.error == "bce":
        if scale is not None:
            raise InputError(f"sigma is {scale}, but cross-entropy has no scale to choose; leave it out")
        return Translation("Bernoulli", None, ratio, None, per_error, _of_beta(ratio), GREY)
    scale = 1.0 if scale is None else scale
    if loss.error == "l1":
        return Translation("Laplace", scale, ratio / scale, ratio, per_error * scale, _of_scale(ratio * math.sqrt(2)))
    doubled = 2 if loss.error == "squared" else 1
    sigma = math.sqrt(ratio / doubled)
    beta = ratio / (doubled * scale**2)
    return Translation("Normal", scale, beta, sigma, per_error * doubled * scale**2, _of_scale(sigma))


GREY = (
    "cross-entropy is a likelihood of pixels that are 0 or 1; of grey pixels it is none, and its least value is not 0: "
    "use the continuous Bernoulli (Loaiza-Ganem & Cunningham, 2019, https://arxiv.org/abs/1907.06845), or binarise"
)


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise InputError(f'there is no {what} "{name}"{nearest(name, known)}; expected one of {", ".join(known)}')


def _of_beta(beta: float) -> str:
    """What a beta says where the likelihood has no scale."""
    if beta == 0:
        return NO_KL
    if math.isclose(beta, 1, rel_tol=1e-6):
        return "the negative ELBO itself: nothing is weighted"
    if beta < 1:
        return f"the KL counts {beta:.3g} of what the ELBO asks: sharper reconstructions, poorer samples from the prior"
    return f"the KL counts {beta:.3g} times what the ELBO asks: fewer numbers of the code in use, blurrier images"


NO_KL = "the KL has no weight: an autoencoder with noise that training can shrink away, no VAE"


def _of_scale(deviation: float) -> str:
    """What a standard deviation of pixels says, at beta = 1."""
    if deviation == 0:
        return NO_KL
    said = f"as an ELBO (beta = 1) it takes pixels to be off by {deviation:.3g} of their range"
    if deviation >= UNIFORM_SCALE:
        return (
            f"{said}, and a pixel of which nothing is known is off by {UNIFORM_SCALE:.2f}: hardly any detail pays for "
            "its KL, expect blur and unused numbers in the code"
        )
    levels = f"{said} ({deviation * 255:.3g} of 255 grey levels)"
    if deviation >= 0.1:
        return f"{levels}, more than good models of images leave over: expect blur; 0.02 to 0.1 is usual where it is learned"
    if deviation >= 0.02:
        return f"{levels}, about what models of small images leave over: close to what a learned sigma finds"
    if deviation >= ROUNDING_SCALE:
        return (
            f"{levels}, less than models usually leave over: the KL counts little, expect sharp reconstructions and "
            "poor samples from the prior"
        )
    return f"{levels}, below the rounding to 8 bits ({ROUNDING_SCALE:.2g}): the KL is as good as absent"
