"""Exercise of lesson 05: the ELBO."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor, listed

__all__ = ["EXERCISES"]

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


# elbo


class _Blocks:
    """A decoder whose posterior is known: an image of 4 values from 2 numbers, each shown twice; and what it was given."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, codes: Tensor) -> Tensor:
        """Codes [..., 2] to images [..., 1, 2, 2]."""
        self.rows += codes[..., 0].numel()
        return torch.stack([codes, codes], -1)[..., None, :, :]


def _touching(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """The posterior's phi of images [b, 1, 2, 2] under ``_Blocks``, and log p(x) of each."""
    pairs = x[:, 0]  # [b, 2 numbers, 2 copies]
    variance = sigma**2 / (2 + sigma**2)
    mean = pairs.sum(2) / (2 + sigma**2)
    phi = torch.cat([mean, torch.full_like(mean[:, :1], 0.5 * math.log(variance))], 1)
    covariance = sigma**2 * torch.eye(2) + torch.ones(2, 2)
    log_p = torch.distributions.MultivariateNormal(torch.zeros(2), covariance).log_prob(pairs).sum(1)
    return phi, log_p


def _two_images() -> Tensor:
    """Images [2, 1, 2, 2]."""
    return torch.tensor([[[[0.9, 1.1], [-0.4, -0.2]]], [[[0.1, 0.0], [0.6, 0.3]]]])


def elbo_shape(elbo: Any) -> None:
    """One number for each image."""
    x = _two_images()
    expect_tensor(elbo(x, torch.zeros(2, 3), _Blocks(), 0.5, 4), "elbo", (2,), "[b], one number for each of 2 images,")


def elbo_terms(elbo: Any) -> None:
    """Reconstruction minus KL, with a q so narrow that no chance is left."""
    x = torch.zeros(1, 1, 2, 2)
    narrow = -8.0
    phi = torch.tensor([[1.0, 0.0, narrow]])
    reconstruction = -4 * HALF_LOG_TWO_PI - 2 * 0.5
    kl = 0.5 * (1 + 2 * (math.exp(2 * narrow) - 1 - 2 * narrow))
    value = float(elbo(x, phi, _Blocks(), 1.0, 200))
    word = ""
    if abs(value - reconstruction - kl) < 1:
        word = ": the KL term is taken off, not added"
    elif abs(value - reconstruction) < 0.5:
        word = ": that is the reconstruction alone; take the KL off"
    expect(
        abs(value - (reconstruction - kl)) < 0.6,
        f"with a reconstruction of {reconstruction:.2f} nats and a KL of {kl:.2f} nats the ELBO is {reconstruction - kl:.2f}; "
        f"yours is {value:.2f}{word}",
    )


def elbo_draws(elbo: Any) -> None:
    """As many draws are used as were asked for."""
    decode = _Blocks()
    x = _two_images()
    elbo(x, torch.zeros(2, 3), decode, 0.5, 7)
    expect(
        decode.rows == 14,
        f"for 2 images and 7 draws each the decoder should get 14 codes; yours gave it {decode.rows}: is `number` handed on?",
    )


def elbo_touches(elbo: Any) -> None:
    """Where q is the posterior, the ELBO is log p(x)."""
    x, sigma = _two_images(), 0.5
    phi, log_p = _touching(x, sigma)
    values = elbo(x, phi, _Blocks(), sigma, 2000)
    expect(
        (values - log_p).abs().max() < 0.15,
        f"for a linear decoder with the exact posterior as q the ELBO is log p(x): {listed(log_p)} for two images; yours are "
        f"{listed(values)}",
    )


def elbo_gradient(elbo: Any) -> None:
    """Gradients flow to phi through both terms."""
    x, sigma = _two_images(), 0.5
    phi, _ = _touching(x, sigma)
    phi = (phi + torch.tensor([0.5, 0.0, 0.0])).requires_grad_()
    value = elbo(x, phi, _Blocks(), sigma, 2000).sum()
    expect(value.requires_grad, "no gradient flows from your ELBO to phi: is there a detach or a no_grad?")
    (slope,) = torch.autograd.grad(value, phi)
    expected = -0.5 * (2 + sigma**2) / sigma**2
    expect(
        abs(float(slope[0, 0]) - expected) < 0.6,
        f"with mu_1 moved 0.5 from the posterior's the slope of the ELBO is {expected:.2f}; yours is {float(slope[0, 0]):.2f}: "
        "the same draws, with their gradient, go into both terms",
    )


ELBO = Exercise(
    "elbo",
    "05",
    "the evidence lower bound from so many draws of q, nats per image [b].",
    (elbo_shape, elbo_terms, elbo_draws, elbo_touches, elbo_gradient),
    (
        "You have written all of it: rsample, log_p_x and kl_by_sampling. Which goes into which?",
        "Draw codes once; decode(codes) are the means for log_p_x, which gives [b, number]: average over the draws.",
        "codes = rsample(phi, number); return log_p_x(x, decode(codes), sigma).mean(1) - kl_by_sampling(codes, phi).",
    ),
    (
        Wrong(
            "averaged over the batch",
            "elbo_shape",
            (
                (
                    "return reconstruction - kl_by_sampling(codes, phi)",
                    "return (reconstruction - kl_by_sampling(codes, phi)).mean()",
                ),
            ),
        ),
        Wrong(
            "a number for each draw",
            "elbo_shape",
            ((".mean(1)", ""), ("- kl_by_sampling(codes, phi)", "- kl_by_sampling(codes, phi)[:, None]")),
        ),
        Wrong("KL added", "elbo_terms", (("reconstruction - kl", "reconstruction + kl"),)),
        Wrong("KL forgotten", "elbo_terms", ((" - kl_by_sampling(codes, phi)", ""),)),
        Wrong("one draw, whatever was asked", "elbo_draws", (("rsample(phi, number)", "rsample(phi, 1)"),)),
        Wrong(
            "only the mean is decoded",
            "elbo_touches",
            (("decode(codes)", "decode(phi[:, None, :-1].expand(-1, number, -1))"),),
        ),
        Wrong("the best draw only", "elbo_touches", ((".mean(1)", ".max(1).values"),)),
        Wrong("summed over draws", "elbo_terms", ((".mean(1)", ".sum(1)"),)),
        Wrong("draws cut from phi", "elbo_gradient", (("rsample(phi, number)", "rsample(phi, number).detach()"),)),
    ),
)

EXERCISES = (ELBO,)
