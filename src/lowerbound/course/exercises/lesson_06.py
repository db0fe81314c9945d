"""The exercise of lesson 06: inference by gradient ascent on phi, tried where the exact posterior is known."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]

SIDE, STRETCH = 2, 2.0  # images [1, 2, 2]; how long one unit of a code is in the image
LOADINGS = STRETCH * torch.tensor(
    [[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]]
)  # orthogonal: the posterior is a circle


class _Decoder:
    """A linear decoder of two numbers, whose posterior is known; it counts what it is asked for."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def __call__(self, codes: Tensor) -> Tensor:
        self.codes.append(codes[..., 0].numel())
        return (codes @ LOADINGS).unflatten(-1, (1, SIDE, SIDE))


def _images(*codes: tuple[float, float]) -> Tensor:
    """Images ``[b, 1, 2, 2]`` that these codes decode to."""
    return (torch.tensor(codes, dtype=torch.float32) @ LOADINGS).unflatten(-1, (1, SIDE, SIDE))


def _posterior(sigma: float) -> tuple[float, float]:
    """How much of a code the posterior's mean keeps, and its standard deviation."""
    total = STRETCH**2 + sigma**2
    return STRETCH**2 / total, sigma / math.sqrt(total)


def _pair(values: Tensor) -> str:
    """Two numbers in words."""
    return "(" + ", ".join(f"{value:.2f}" for value in values.tolist()) + ")"


def phi_and_curve(infer_phi: Any) -> None:
    """Phi of every image, and a number for every step."""
    answer = infer_phi(_images((1, 0), (0, 1), (1, 1)), _Decoder(), 0.5, 2, 4)
    expect(
        isinstance(answer, tuple) and len(answer) == 2, f"infer_phi gives {type(answer).__name__}; expected phi, curve"
    )
    phi, curve = answer
    expect(isinstance(phi, Tensor), f"phi is a {type(phi).__name__}; expected a tensor [b, K+1]")
    expect(list(phi.shape) == [3, 3], f"phi has shape {list(phi.shape)}; expected [b, K+1], here [3, 3]")
    try:
        numbers = [float(value) for value in curve]
    except (TypeError, ValueError):
        numbers = []
    expect(
        len(numbers) == 4,
        f"the curve of 4 steps holds {len(numbers)} plain numbers; expected the mean ELBO at each step",
    )


def up_not_down(infer_phi: Any) -> None:
    """The ELBO rises."""
    _, curve = infer_phi(_images((1.5, -1)), _Decoder(), 0.5, 2, 30, 16)
    first, last = float(curve[0]), float(curve[-1])
    expect(
        last > first + 1,
        f"the ELBO went from {first:.1f} to {last:.1f} nats in 30 steps; Adam lowers what it is "
        "given: is that minus the ELBO?",
    )


def starts_at_the_prior(infer_phi: Any) -> None:
    """The first ELBO is the prior's."""
    x = torch.zeros(1, 1, SIDE, SIDE)
    _, curve = infer_phi(x, _Decoder(), 1.0, 2, 1, 4000)
    expected = -2 * math.log(2 * math.pi) - STRETCH**2  # four pixels; two codes of variance one, stretched
    expect(
        abs(float(curve[0]) - expected) < 0.4,
        f"the ELBO at the first step is {float(curve[0]):.1f} nats, at phi = 0 it is {expected:.1f}: begin with "
        "zeros, and note the bound per image before the step",
    )


def rate_is_used(infer_phi: Any) -> None:
    """Adam's first step is as long as the rate, in every component that has a gradient."""
    moved = [
        float(infer_phi(_images((2, 2)), _Decoder(), 0.5, 2, 1, 16, rate)[0].detach().abs().max())
        for rate in (0.05, 0.2)
    ]
    expect(
        abs(moved[0] - 0.05) < 0.005 and abs(moved[1] - 0.2) < 0.02,
        f"one step moved phi by {moved[0]:.3f} with a rate of 0.05 and by {moved[1]:.3f} with 0.2; Adam's first step is "
        "as long as its rate: give it lr=rate",
    )


def draws_are_used(infer_phi: Any) -> None:
    """So many codes of every image at every step."""
    decoder = _Decoder()
    infer_phi(_images((1, 0), (0, 1)), decoder, 0.5, 2, 3, 7)
    drawn = sum(decoder.codes)
    expect(
        drawn == 3 * 2 * 7,
        f"3 steps for 2 images with 7 draws decode 42 codes; yours decoded {drawn}: is number handed on to elbo?",
    )


def mean_of_the_posterior(infer_phi: Any) -> None:
    """The mean found is the exact one, of each image its own."""
    codes = ((1.0, -0.5), (-1.0, 1.0))
    phi, _ = infer_phi(_images(*codes), _Decoder(), 0.5, 2, 90, 8, 0.05)
    exact = torch.tensor(codes) * _posterior(0.5)[0]
    found = phi.detach()[:, :2]
    expect(
        (found - exact).abs().max() < 0.15,
        f"after 90 steps q's means are {_pair(found[0])} and {_pair(found[1])}; the exact posteriors' are {_pair(exact[0])} and "
        f"{_pair(exact[1])}: is the gradient cleared before each step?",
    )


def width_of_the_posterior(infer_phi: Any) -> None:
    """The spread follows sigma."""
    widths = {}
    for sigma in (0.5, 2.0):
        phi, _ = infer_phi(_images((0, 0)), _Decoder(), sigma, 2, 60, 16, 0.1)
        widths[sigma] = float(phi[0, -1].detach().exp())
    strict, lax = (_posterior(sigma)[1] for sigma in widths)
    expect(
        abs(widths[0.5] - strict) < 0.06 and abs(widths[2.0] - lax) < 0.12,
        f"q is {widths[0.5]:.2f} wide at sigma 0.5 and {widths[2.0]:.2f} at sigma 2; the exact posterior is "
        f"{strict:.2f} and {lax:.2f}: is sigma handed on to elbo?",
    )


def phi_without_gradient(infer_phi: Any) -> None:
    """What comes back can be computed with."""
    phi, curve = infer_phi(_images((1, 0)), _Decoder(), 0.5, 2, 2)
    expect(not phi.requires_grad, "phi still wants a gradient, so phi.numpy() would refuse: give back phi.detach()")
    expect(
        not any(isinstance(value, Tensor) and value.requires_grad for value in curve),
        "the curve keeps tensors with their graphs, and all of their memory: note bound.mean().item()",
    )


EXERCISES = (
    Exercise(
        name="infer_phi",
        lesson="06",
        task="Find phi of each image by gradient ascent on its ELBO.",
        cases=(
            phi_and_curve,
            up_not_down,
            draws_are_used,
            starts_at_the_prior,
            rate_is_used,
            phi_without_gradient,
            mean_of_the_posterior,
            width_of_the_posterior,
        ),
        hints=(
            "phi is what you train: torch.zeros(len(x), latent_dim + 1, requires_grad=True), and Adam gets [phi], nothing else.",
            "In each step: bound = elbo(x, phi, decode, sigma, number); adam.zero_grad(); backward of what is to be lowered; "
            "then adam.step(). Adam goes down, you want to go up.",
            "(-bound.sum()).backward() makes the gradient, curve.append(bound.mean().item()) notes the step, and in the end "
            "return phi.detach(), curve.",
        ),
        wrong=(
            Wrong("goes down the ELBO", "up_not_down", (("(-bound.sum())", "bound.sum()"),)),
            Wrong("never steps", "up_not_down", (("adam.step()", "pass"),)),
            Wrong("starts at ones", "starts_at_the_prior", (("torch.zeros(", "torch.ones("),)),
            Wrong("a rate of its own", "rate_is_used", (("lr=rate", "lr=0.01"),)),
            Wrong("one draw, whatever was asked", "draws_are_used", (("sigma, number)", "sigma, 1)"),)),
            Wrong("forgets to clear the gradient", "mean_of_the_posterior", (("adam.zero_grad()", "pass"),)),
            Wrong("sigma is always one", "width_of_the_posterior", (("decode, sigma, number", "decode, 1.0, number"),)),
            Wrong("one phi for all images", "phi_and_curve", (("len(x), latent_dim", "1, latent_dim"),)),
            Wrong("phi keeps its gradient", "phi_without_gradient", (("phi.detach(), curve", "phi, curve"),)),
            Wrong("returns phi alone", "phi_and_curve", (("return phi.detach(), curve", "return phi.detach()"),)),
        ),
    ),
)
