"""Lesson 9, the gradient of a mean from values alone."""

from __future__ import annotations

import math
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import as_tensor_of

__all__ = ["EXERCISES"]

DRAWS = 40_000


PHI = torch.tensor([1.0, -0.5, 0.6])  # two means and log sigma: sigma is 1.82


def _quadratic(z: torch.Tensor) -> torch.Tensor:
    """f(z) = z_1^2 + 3 z_2, of which all expectations are known."""
    return z[:, 0] ** 2 + 3 * z[:, 1]


def _expected() -> tuple[float, float, float]:
    """The gradient of E f = mu_1^2 + sigma^2 + 3 mu_2: 2 mu_1, 3, 2 sigma^2."""
    return 2 * float(PHI[0]), 3.0, 2 * math.exp(2 * float(PHI[2]))


def one_number_for_each_of_phi(gradient: Any) -> None:
    """Shape, and f called on all draws at once."""
    seen: list[tuple[int, ...]] = []

    def f(z: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(z.shape))
        return _quadratic(z)

    answer = gradient(f, PHI.clone(), 7)
    expect(seen, "your estimate never calls f; it has to weigh the score of every draw with f(z)")
    calls = [shape[0] for shape in seen if len(shape) == 2]
    expect(
        sum(calls) == 7 and all(shape[1:] == (2,) for shape in seen),
        f"f was given codes of shape {[list(shape) for shape in seen[:3]]}; expected one batch of 7 draws of 2 numbers, [7, 2]",
    )
    as_tensor_of(answer, (3,), "one number for each entry of phi, the mean over all draws")


def a_mean_over_the_draws(gradient: Any) -> None:
    """Ten times as many draws estimate the same gradient, not ten times as much."""
    few = float(torch.stack([torch.as_tensor(gradient(_quadratic, PHI, 400)).detach()[1] for _ in range(20)]).mean())
    many = float(torch.as_tensor(gradient(_quadratic, PHI, 8_000)).detach()[1])
    expect(
        abs(many) < 4 * abs(few) + 2,
        f"for the second mean 400 draws give {few:.1f} on average and 8,000 draws give {many:.1f}; expected about the same "
        "from any number of draws: an expectation is a mean over them, not a sum",
    )


def constants_have_no_gradient(gradient: Any) -> None:
    """The score has mean zero, so that f = 100 pushes phi nowhere, on average."""
    number, sigma = DRAWS, math.exp(float(PHI[2]))
    values = as_tensor_of(
        gradient(lambda z: torch.full((len(z),), 100.0), PHI, number), (3,), "one for each entry of phi"
    )
    spread = (100 / sigma / math.sqrt(number), 100 * 2 / math.sqrt(number))  # of a mean's, and of log sigma's entry
    for place in (0, 1):
        expect(
            abs(float(values[place])) < 6 * spread[0],
            f"for f(z) = 100, whose expectation no phi can move, your estimate for mean {place + 1} is "
            f"{float(values[place]):.2f} from {number:,} draws; expected 0 within {3 * spread[0]:.2f}: the score is "
            "(z - mean) / sigma^2, which is 0 on average",
        )
    expect(
        abs(float(values[2])) < 6 * spread[1],
        f"for f(z) = 100, whose expectation no phi can move, your estimate for log sigma is {float(values[2]):.1f} from "
        f"{number:,} draws; expected 0 within {3 * spread[1]:.1f}: the score for log sigma is |z - mean|^2 / sigma^2 less "
        "K, and E|z - mean|^2 / sigma^2 = K",
    )


def _estimated(gradient: Any) -> torch.Tensor:
    """A steady estimate for the quadratic: of f less its mean, which changes no expectation but calms them."""
    sigma = math.exp(float(PHI[2]))
    mean = float(PHI[0]) ** 2 + sigma**2 + 3 * float(PHI[1])
    return torch.as_tensor(gradient(lambda z: _quadratic(z) - mean, PHI, DRAWS)).detach().double()


def unbiased_for_the_means(gradient: Any) -> None:
    """Against the closed form, for a sigma that is not 1."""
    values, right, sigma = _estimated(gradient), _expected(), math.exp(float(PHI[2]))
    for place, tolerance in ((0, 0.35), (1, 0.25)):
        got = float(values[place])
        expect(
            abs(got - right[place]) < tolerance,
            f"for f(z) = z1^2 + 3 z2, mean {place + 1} and sigma = {sigma:.2f} your gradient is {got:.2f}; the closed form says "
            f"{right[place]:.2f} (ratio {got / right[place]:.2f}; sigma is {sigma:.2f}, sigma^2 is {sigma**2:.2f}): is it "
            "(z - mean) / sigma^2, times f(z)?",
        )


def unbiased_for_log_sigma(gradient: Any) -> None:
    """Against the closed form: the derivative is by log sigma, not by sigma."""
    got, right, sigma = float(_estimated(gradient)[2]), _expected()[2], math.exp(float(PHI[2]))
    expect(
        abs(got - right) < 0.7,
        f"for f(z) = z1^2 + 3 z2 and sigma = {sigma:.2f} your gradient for log sigma is {got:.2f}; the closed form says "
        f"2 sigma^2 = {right:.2f} (ratio {got / right:.2f}): phi holds log sigma, and the derivative is by log sigma, too",
    )


def only_values_of_f_are_used(gradient: Any) -> None:
    """f in steps: no derivative anywhere, and yet its expectation moves with phi."""
    sigma, edge = math.exp(float(PHI[2])), 2.0

    def steps(z: torch.Tensor) -> torch.Tensor:
        return (z[:, 0] > edge).to(z.dtype) + 0 * z.sum(1)

    reach = (edge - float(PHI[0])) / sigma
    right = math.exp(-(reach**2) / 2) / math.sqrt(2 * math.pi) / sigma
    got = float(torch.as_tensor(gradient(steps, PHI, DRAWS)).detach()[0])
    expect(
        abs(got - right) < 0.02,
        f"for f(z) = 1 where z1 > {edge:g}, else 0, your gradient for mean 1 is {got:.3f}; expected {right:.3f}: f has no "
        "slope to differentiate, so only its values may be used, times the gradient of log q",
    )


SCORE = Exercise(
    name="score_function_gradient",
    lesson="09",
    task="estimate the gradient of E_q f(z) from values of f alone, as the mean of f(z) times the gradient of log q(z).",
    cases=(
        one_number_for_each_of_phi,
        a_mean_over_the_draws,
        constants_have_no_gradient,
        unbiased_for_the_means,
        unbiased_for_log_sigma,
        only_values_of_f_are_used,
    ),
    hints=(
        "Draw codes z = mean + sigma * noise, call f on all of them at once, and never differentiate f. All you need of q "
        "is how log q(z) changes with phi while z stays where it is.",
        "log q(z) = -|z - mean|^2 / (2 sigma^2) - K log sigma + constant. By the mean: (z - mean) / sigma^2, K numbers for each "
        "draw. By log sigma: |z - mean|^2 / sigma^2 - K, one number for each draw.",
        "With away = z - mean: score = torch.cat([away / sigma**2, away.square().sum(1, keepdim=True) / sigma**2 - K], dim=1), "
        "and the answer is the mean over the draws of f(z)[:, None] * score.",
    ),
    wrong=(
        Wrong("one row for each draw", "one_number_for_each_of_phi", ((".mean(dim=0)", ""),)),
        Wrong("the score alone", "one_number_for_each_of_phi", (("f(z)[:, None] * score", "score"),)),
        Wrong("a sum over the draws", "a_mean_over_the_draws", ((".mean(dim=0)", ".sum(dim=0)"),)),
        Wrong("K forgotten", "constants_have_no_gradient", ((" / sigma**2 - latent_dim", " / sigma**2"),)),
        Wrong("K taken as 1", "constants_have_no_gradient", ((" - latent_dim", " - 1"),)),
        Wrong("sigma in place of its square", "unbiased_for_the_means", (("away / sigma**2", "away / sigma"),)),
        Wrong("the sign turned", "unbiased_for_the_means", (("away / sigma**2", "-away / sigma**2"),)),
        Wrong(
            "by sigma, not by log sigma",
            "unbiased_for_log_sigma",
            (
                ("by_log_sigma = away.square()", "by_log_sigma = 1 / sigma * (away.square()"),
                (" - latent_dim", " - latent_dim)"),
            ),
        ),
        Wrong(
            "f differentiated",
            "only_values_of_f_are_used",
            (
                (
                    "return (f(z)[:, None] * score).mean(dim=0)",
                    "phi = phi.detach().requires_grad_()\n"
                    "    z = phi[:-1] + phi[-1].exp() * away / sigma\n"
                    "    value = f(z).mean()\n"
                    "    if not value.requires_grad:\n"
                    "        return torch.zeros_like(phi)\n"
                    "    return torch.autograd.grad(value, phi)[0]",
                ),
            ),
        ),
    ),
)


EXERCISES = (SCORE,)
