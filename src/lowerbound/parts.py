"""The parts under the names that the command line and stored runs know, and which of them do not go together.

A part is written as NAME, or as NAME:NUMBER where it takes one: ``mixture:20``, ``iw:50``, ``fixed:0.1``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from torch import nn

from lowerbound.binarise import Binarised
from lowerbound.errors import InputError, nearest
from lowerbound.flow import FlowNormal
from lowerbound.importance import ImportanceWeighted
from lowerbound.likelihood import (
    Bernoulli,
    ContinuousBernoulli,
    DecodedNormal,
    DiscretizedLogistic,
    Laplace,
    Normal,
    OptimalNormal,
    PixelNormal,
)
from lowerbound.matching import MatchedCodes, MaximumMeanDiscrepancy, TotalCorrelation
from lowerbound.objective import Denoising, Elbo, SquaredError
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal, Point
from lowerbound.prior import Flow, Mixture, StandardNormal, VampPrior
from lowerbound.schedule import Linear, warm_up

__all__ = ["BINARISE", "ILLEGAL", "KNOWN", "LIKELIHOODS", "OBJECTIVES", "POSTERIORS", "PRIORS", "Part", "Parts"]

ImageShape = tuple[int, int, int]
MOST = 100_000  # draws or components: more fit in no memory


@dataclass(frozen=True)
class Part:
    """A part with a name.

    Attributes:
        words: What it is.
        make: What builds it; the last argument is the number, where it takes one.
        number: The number when none is given; None where it takes none.
        counts: Whether the number counts something, and so is whole.
    """

    words: str
    make: Callable[..., Any]
    number: float | None = None
    counts: bool = False


POSTERIORS = {
    "point": Part("one code and no uncertainty: a plain autoencoder", Point),
    "isotropic": Part("N(mu, s^2 I): K + 1 numbers", IsotropicNormal),
    "diagonal": Part("N(mu, diag(s^2)): 2 K numbers", DiagonalNormal),
    "full": Part("N(mu, L L'): any covariance", FullNormal),
    "flow": Part("a normalizing flow conditioned on the image", FlowNormal),
}
"""Called with the number of features and K."""

LIKELIHOODS: dict[str, Part] = {
    "none": Part("no density: a plain autoencoder", lambda shape: None),
    "normal": Part("normal, one learned sigma", lambda shape: Normal()),
    "fixed": Part("normal, a fixed sigma", lambda shape, scale: Normal(scale, learned=False), 0.1),
    "per-pixel": Part("normal, a learned sigma for each pixel", PixelNormal),
    "decoded": Part("normal, sigma put out by the decoder", lambda shape: DecodedNormal()),
    "optimal": Part("normal, the best sigma in closed form", lambda shape: OptimalNormal()),
    "bernoulli": Part("Bernoulli, for images of 0 and 1", lambda shape: Bernoulli()),
    "continuous-bernoulli": Part("continuous Bernoulli", lambda shape: ContinuousBernoulli()),
    "laplace": Part("Laplace, one learned scale", lambda shape: Laplace()),
    "logistic": Part("discretised logistic on 256 levels", lambda shape: DiscretizedLogistic()),
}
"""Called with the image shape."""


def _vamp_prior(
    encoder: nn.Module, shape: ImageShape, _: int, start: Callable[[int], np.ndarray] | None, components: float
) -> VampPrior:
    images = None if start is None else start(int(components)).clip(0, 1)
    return VampPrior(encoder, shape, int(components), images)


PRIORS: dict[str, Part] = {
    "none": Part("nothing said of codes: a plain autoencoder", lambda encoder, shape, k, start: None),
    "standard": Part("N(0, I)", lambda encoder, shape, k, start: StandardNormal(k)),
    "mixture": Part(
        "a learned mixture of normals",
        lambda encoder, shape, k, start, components: Mixture(k, int(components)),
        10,
        counts=True,
    ),
    "vamp": Part(
        "VampPrior: the mean of q over learned pseudo-images",
        _vamp_prior,
        50,
        counts=True,
    ),
    "flow": Part("a normalizing flow", lambda encoder, shape, k, start: Flow(k)),
}
"""Called with the encoder, the image shape, K and what gives images to start from (or None)."""

OBJECTIVES: dict[str, Part] = {
    "squared": Part("mean squared error per pixel", lambda images: SquaredError()),
    "denoising": Part("squared error of clean images from noisy ones", lambda images, noise: Denoising(noise), 0.3),
    "matched": Part("squared error, codes matched to N(0, I)", lambda images, weight: MatchedCodes(weight), 0.01),
    "elbo": Part("the ELBO, with so many draws", lambda images, samples: Elbo(int(samples)), 1, counts=True),
    "sampled-elbo": Part(
        "the ELBO, its KL from draws",
        lambda images, samples: Elbo(int(samples), analytic=False),
        1,
        counts=True,
    ),
    "beta": Part("the ELBO, its rate weighted", lambda images, beta: Elbo(beta=beta), 4),
    "warm-up": Part(
        "the ELBO, its rate let in over a part of the training",
        lambda images, over: Elbo(beta=warm_up(over)),
        0.3,
    ),
    "free-bits": Part("the ELBO, so many nats of each dimension free", lambda images, nats: Elbo(free_bits=nats), 0.1),
    "capacity": Part(
        "distortion at a rate that rises to so many nats",
        lambda images, nats: Elbo(beta=30.0, capacity=Linear(0.0, nats)),
        20,
    ),
    "iw": Part(
        "the importance-weighted bound",
        lambda images, samples: ImportanceWeighted(int(samples)),
        5,
        counts=True,
    ),
    "dreg": Part(
        "the same bound, doubly reparameterised gradient",
        lambda images, samples: ImportanceWeighted(int(samples), doubly=True),
        5,
        counts=True,
    ),
    "mmd": Part("InfoVAE: q(z) matched to the prior", lambda images, weight: MaximumMeanDiscrepancy(weight), 10),
    "total-correlation": Part("beta-TC: the codes' dependence weighted", TotalCorrelation, 6),
}
"""Called with the number of training images."""

BINARISE = {"none": "as they are", "static": "once for good", "dynamic": "anew at every step"}

_PLAIN = frozenset({"squared", "denoising", "matched"})
_BOUNDS = frozenset(OBJECTIVES) - _PLAIN
_DENSE = frozenset(POSTERIORS) - {"point"}
Side = tuple[str, frozenset[str]]

ILLEGAL: tuple[tuple[Side, Side, str], ...] = (
    (
        ("posterior", frozenset({"point"})),
        ("objective", _BOUNDS),
        "a point posterior has no density, so the rate of a code is infinite; "
        "take another posterior, or squared, denoising or matched as the objective",
    ),
    (
        ("posterior", _DENSE),
        ("objective", _PLAIN),
        "this objective knows no density and would ignore q's spread; take the posterior point (a plain autoencoder), or elbo",
    ),
    (
        ("posterior", frozenset({"point"})),
        ("likelihood", frozenset(LIKELIHOODS) - {"none"}),
        "a plain autoencoder puts out images, not densities; leave the likelihood out, or take another posterior",
    ),
    (
        ("posterior", _DENSE),
        ("likelihood", frozenset({"none"})),
        "a bound on log p(x) needs a likelihood; name one, or take the posterior point",
    ),
    (
        ("posterior", frozenset({"point"})),
        ("prior", frozenset(PRIORS) - {"none"}),
        "a plain autoencoder pays no rate, so a prior would learn nothing; "
        "fit one to its codes after training, as `lowerbound sample RUN --prior gmm` does",
    ),
    (
        ("posterior", _DENSE),
        ("prior", frozenset({"none"})),
        "a bound on log p(x) needs a prior; name one, or take the posterior point",
    ),
    (
        ("posterior", frozenset({"full", "flow"})),
        ("objective", frozenset({"total-correlation"})),
        "total correlation is estimated from each dimension's own density, which this posterior has not; "
        "take isotropic or diagonal",
    ),
    (
        ("posterior", frozenset({"point"})),
        ("binarise", frozenset({"dynamic"})),
        "a plain autoencoder's squared error is of grey images; leave binarisation out, or take a VAE",
    ),
)
"""What cannot be trained: two parts, and why. Whether pixels fit a Bernoulli is seen when they come."""


@dataclass(frozen=True)
class Parts:
    """What a model is assembled from, by name.

    Args:
        posterior: Name in ``POSTERIORS``.
        likelihood: Name in ``LIKELIHOODS``.
        prior: Name in ``PRIORS``.
        objective: Name in ``OBJECTIVES``.
        binarise: Name in ``BINARISE``: what is made of grey training images.

    Raises:
        InputError: A name that is not there, a number that it does not take, or two parts that do not go together.

    Example:
        >>> Parts(prior="mixture:20").objective
        'elbo'
        >>> Parts(posterior="full", objective="total-correlation")
        Traceback (most recent call last):
        lowerbound.errors.InputError: posterior full does not go with objective total-correlation: total correlation is ...
    """

    posterior: str = "isotropic"
    likelihood: str = "normal"
    prior: str = "standard"
    objective: str = "elbo"
    binarise: str = "none"

    def __post_init__(self) -> None:
        """Refuse names that are not there, numbers that mean nothing, and pairs that do not go together."""
        for kind, known in KNOWN.items():
            _read(kind, getattr(self, kind), known)
        for (kind, names), (other, others), why in ILLEGAL:
            one, two = getattr(self, kind), getattr(self, other)
            if one.partition(":")[0] in names and two.partition(":")[0] in others:
                raise InputError(f"{kind} {one} does not go with {other} {two}: {why}")
        self.make_objective(1)  # refuses numbers of its own, before any image is read

    def to_json(self) -> dict[str, str]:
        """The names, as JSON holds them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def words(self) -> str:
        """What differs from the usual VAE, in words; empty for it.

        Example:
            >>> Parts(prior="flow", objective="iw:50").words
            'prior flow, objective iw:50'
        """
        usual = Parts()
        said = [f"{kind} {name}" for kind, name in self.to_json().items() if name != getattr(usual, kind)]
        return ", ".join(said)

    def make_head(self, in_features: int, latent_dim: int) -> nn.Module:
        """The posterior head."""
        return self._make("posterior", in_features, latent_dim)

    def make_likelihood(self, image_shape: ImageShape) -> nn.Module:
        """The likelihood head."""
        return self._make("likelihood", image_shape)

    def make_prior(
        self,
        encoder: nn.Module,
        image_shape: ImageShape,
        latent_dim: int,
        start: Callable[[int], np.ndarray] | None = None,
    ) -> nn.Module:
        """The prior; a VampPrior begins at so many images as ``start`` gives."""
        return self._make("prior", encoder, image_shape, latent_dim, start)

    def make_objective(self, images: int) -> Callable[..., Any]:
        """The objective, for a number of training images; it binarises them at every step if they are to be."""
        objective = self._make("objective", images)
        return Binarised(objective) if self.binarise == "dynamic" else objective

    def _make(self, kind: str, *what: Any) -> Any:
        part, number = _read(kind, getattr(self, kind), KNOWN[kind])
        return part.make(*what) if number is None else part.make(*what, number)


KNOWN: dict[str, Mapping[str, Part]] = {
    "posterior": POSTERIORS,
    "likelihood": LIKELIHOODS,
    "prior": PRIORS,
    "objective": OBJECTIVES,
    "binarise": {name: Part(words, dict) for name, words in BINARISE.items()},
}


def _read(kind: str, text: str, known: Mapping[str, Part]) -> tuple[Part, float | None]:
    """A part and its number, from NAME or NAME:NUMBER."""
    name, colon, number = text.partition(":")
    if name not in known:
        raise InputError(f'there is no {kind} "{name}"{nearest(name, known)}; known are {", ".join(known)}')
    part = known[name]
    if not colon:
        return part, part.number
    if part.number is None:
        raise InputError(f'{kind} is "{text}", but {name} takes no number; expected {kind} {name}')
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not value > 0 or value == float("inf"):
        raise InputError(
            f'{kind} is "{text}"; expected a number above 0 behind the colon, as in {name}:{part.number:g}'
        )
    if part.counts and (value != int(value) or value > MOST):
        raise InputError(
            f'{kind} is "{text}"; expected a whole number from 1 to {MOST:,} behind the colon, as in {name}:{part.number:g}'
        )
    return part, value
