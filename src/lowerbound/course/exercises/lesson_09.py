"""Lesson 9: a gradient from values alone, the importance-weighted bound, and a prior fitted to codes."""

from __future__ import annotations

import math
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]

DRAWS = 40_000


def _shape_of(answer: Any, expected: tuple[int, ...], what: str) -> torch.Tensor:
    """The answer as a tensor of a shape, or words about it."""
    expect(answer is not None, f"yours returns nothing; expected {what}: is a return missing?")
    tensor = torch.as_tensor(answer)
    expect(
        tuple(tensor.shape) == expected,
        f"yours has shape {list(tensor.shape)}; expected {list(expected)}: {what}",
    )
    return tensor.detach().double()


# score_function_gradient(f, phi, number)

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
    _shape_of(answer, (3,), "one number for each entry of phi, the mean over all draws")


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
    values = _shape_of(gradient(lambda z: torch.full((len(z),), 100.0), PHI, number), (3,), "one for each entry of phi")
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


# importance_weighted_bound(log_weights)


def one_bound_for_each_image(bound: Any) -> None:
    """[n, b] -> [b]."""
    _shape_of(bound(torch.randn(5, 3)), (3,), "one bound for each of the 3 images, over their 5 draws")


def a_mean_of_weights(bound: Any) -> None:
    """Weights 1 and 3 have mean 2; the mean of their logarithms is less."""
    weights = torch.tensor([[0.0, 0.0], [math.log(3), math.log(3)]], dtype=torch.float64)
    got = float(_shape_of(bound(weights), (2,), "one bound for each image")[0])
    told = {math.log(3) / 2: "the mean of the logarithms, which is the ELBO", math.log(4): "the logarithm of the sum"}
    told[2.0] = "the mean itself; the logarithm is missing"
    words = next(
        (f"yours is {text}" for value, text in told.items() if abs(got - value) < 1e-4), "is it log of the mean?"
    )
    expect(
        abs(got - math.log(2)) < 1e-6,
        f"of two draws with weights 1 and 3 your bound is {got:.4f}; expected log((1 + 3) / 2) = {math.log(2):.4f}: {words}",
    )


def each_image_by_itself(bound: Any) -> None:
    """The draws of one image never reach another's bound."""
    weights = torch.zeros(4, 2, dtype=torch.float64)
    weights[:, 1] = 50.0
    got = _shape_of(bound(weights), (2,), "one bound for each image")
    expect(
        abs(float(got[0])) < 1e-6 and abs(float(got[1]) - 50) < 1e-6,
        f"images whose four log weights are all 0 and all 50 have bounds {float(got[0]):.2f} and {float(got[1]):.2f}; expected 0 "
        "and 50: the mean is over the 4 draws (dimension 0), not over the 2 images",
    )


def far_from_zero(bound: Any) -> None:
    """exp(-1,000) is 0 in a computer, and exp(1,000) is infinite; log p(x) is often there."""
    got = _shape_of(bound(torch.tensor([[-1000.0, 1000.0], [-1000.0, 1000.0]])), (2,), "one bound for each image")
    expect(
        bool(torch.isfinite(got).all()),
        f"log weights of -1,000 and of 1,000 give {float(got[0]):g} and {float(got[1]):g}: exp() of them is 0 and infinite in a "
        "computer; there is a function that takes log, sum and exp in one, safely",
    )
    expect(
        abs(float(got[0]) + 1000) < 1e-3 and abs(float(got[1]) - 1000) < 1e-3,
        f"log weights that are all -1,000 give {float(got[0]):.2f}, all 1,000 give {float(got[1]):.2f}; expected the same",
    )


BOUND = Exercise(
    name="importance_weighted_bound",
    lesson="09",
    task="give each image the logarithm of the mean of its importance weights.",
    cases=(one_bound_for_each_image, a_mean_of_weights, each_image_by_itself, far_from_zero),
    hints=(
        "Each column has the n log weights of one image. The bound is the log of the mean of the weights: not the "
        "mean of the logarithms.",
        "log((1/n) sum_i w_i) = log(sum_i exp(log w_i)) - log n, and torch.logsumexp does the first part without overflow.",
        "torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))",
    ),
    wrong=(
        Wrong("over images, not draws", "one_bound_for_each_image", (("dim=0", "dim=1"),)),
        Wrong("one number for all", "one_bound_for_each_image", (("- math.log(len(log_weights))", ".mean()"),)),
        Wrong(
            "the mean of the logarithms: the ELBO",
            "a_mean_of_weights",
            (("torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))", "log_weights.mean(dim=0)"),),
        ),
        Wrong("a sum, not a mean", "a_mean_of_weights", ((" - math.log(len(log_weights))", ""),)),
        Wrong("divided by the images", "each_image_by_itself", (("len(log_weights)", "log_weights.shape[1]"),)),
        Wrong(
            "exp and log apart",
            "far_from_zero",
            (
                (
                    "torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))",
                    "log_weights.exp().mean(dim=0).log()",
                ),
            ),
        ),
        Wrong(
            "brought near zero by the largest of all images",
            "far_from_zero",
            (
                (
                    "torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))",
                    "(log_weights - log_weights.max()).exp().mean(dim=0).log() + log_weights.max()",
                ),
            ),
        ),
    ),
)


# fitted_prior(codes)


def _codes(number: int = 400) -> torch.Tensor:
    """Codes of three numbers far from zero, two of which go together."""
    noise = torch.randn(number, 3, dtype=torch.float64)
    mixing = torch.tensor([[2.0, 0.0, 0.0], [1.5, 0.5, 0.0], [0.0, 0.0, 0.3]], dtype=torch.float64)
    return noise @ mixing.T + torch.tensor([10.0, -4.0, 0.0], dtype=torch.float64)


def _fitted(prior: Any, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance, or words about what came."""
    answer = prior(codes)
    expect(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        f"yours returns {type(answer).__name__}; expected two tensors: return mean, covariance",
    )
    k = codes.shape[1]
    mean = _shape_of(answer[0], (k,), f"the mean code, of codes {list(codes.shape)}")
    return mean, _shape_of(answer[1], (k, k), f"the covariance of the {k} numbers with each other")


def a_mean_and_a_covariance(prior: Any) -> None:
    """Shapes [K] and [K, K]."""
    _fitted(prior, _codes(40))


def the_mean_code(prior: Any) -> None:
    """The mean over images."""
    codes = _codes()
    mean, _ = _fitted(prior, codes)
    right = codes.mean(0)
    expect(
        torch.allclose(mean, right, atol=1e-3),
        f"your mean is {[round(float(m), 2) for m in mean]}; these codes have {[round(float(m), 2) for m in right]}",
    )


def variances_around_the_mean(prior: Any) -> None:
    """The diagonal: squares of distances from the mean, not from zero, and not their roots."""
    codes = _codes()
    _, covariance = _fitted(prior, codes)
    got, right, raw = float(covariance[0, 0]), float(codes[:, 0].var()), float(codes[:, 0].square().mean())
    if abs(got - raw) < 0.02 * raw:
        words = "that is the mean square: take the mean off the codes first"
    elif abs(got - right**0.5) < 0.02:
        words = "that is the standard deviation: a covariance has its square"
    elif abs(got - 1) < 0.02:
        words = "that is 1: do not divide by the standard deviations, which gives correlations"
    else:
        words = "is it the mean over images of the squared distance from the mean?"
    expect(
        abs(got - right) < 0.02 * right,
        f"the first number's variance is {right:.2f}, yours is {got:.2f}; {words}",
    )


def numbers_that_go_together(prior: Any) -> None:
    """Off the diagonal."""
    codes = _codes()
    _, covariance = _fitted(prior, codes)
    away = codes - codes.mean(0)
    right, got = float((away[:, 0] * away[:, 1]).mean()), float(covariance[0, 1])
    expect(
        abs(got - right) < 0.02 * abs(right),
        f"the first two numbers of these codes rise together, covariance {right:.2f}; yours is {got:.2f}: variances alone "
        "would let each number be drawn by itself, and make codes that no image has",
    )
    expect(
        torch.allclose(covariance, covariance.T, atol=1e-5),
        "your covariance is not symmetric; entry (i, j) is the mean of the product of numbers i and j, less their means",
    )


def divided_by_the_number_of_codes(prior: Any) -> None:
    """More numbers than images: the sides must not be exchanged."""
    codes = torch.randn(4, 6, dtype=torch.float64)
    _, covariance = _fitted(prior, codes)
    away = codes - codes.mean(0)
    expect(
        float((covariance / (away.T @ away / 4)).mean()) < 1.4,
        "for four codes your covariance is more than 4 / 3 of the mean product; expected a mean over images (N or N - 1)",
    )


PRIOR = Exercise(
    name="fitted_prior",
    lesson="09",
    task="fit a normal to codes: their mean and their covariance.",
    cases=(
        a_mean_and_a_covariance,
        the_mean_code,
        variances_around_the_mean,
        numbers_that_go_together,
        divided_by_the_number_of_codes,
    ),
    hints=(
        "The normal of the highest likelihood has the codes' own mean and covariance: nothing needs to be trained.",
        "mean = codes.mean(dim=0). For the covariance take the mean off, and average over images the product of each number with "
        "each other: one matrix product.",
        "away = codes - mean; covariance = away.T @ away / len(codes)",
    ),
    wrong=(
        Wrong("covariance of images, not of numbers", "a_mean_and_a_covariance", (("away.T @ away", "away @ away.T"),)),
        Wrong(
            "mean over numbers", "a_mean_and_a_covariance", (("codes.mean(dim=0)", "codes.mean(dim=1, keepdim=True)"),)
        ),
        Wrong("the median", "the_mean_code", (("codes.mean(dim=0)", "codes.median(dim=0).values"),)),
        Wrong("the mean left in", "variances_around_the_mean", (("away = codes - mean", "away = codes"),)),
        Wrong(
            "standard deviations",
            "variances_around_the_mean",
            (("/ len(codes)", "/ len(codes)\n    covariance = covariance.abs().sqrt()"),),
        ),
        Wrong(
            "correlations",
            "variances_around_the_mean",
            (("away = codes - mean", "away = (codes - mean) / codes.std(dim=0)"),),
        ),
        Wrong(
            "variances alone", "numbers_that_go_together", (("away.T @ away / len(codes)", "codes.var(dim=0).diag()"),)
        ),
        Wrong("divided by too few", "divided_by_the_number_of_codes", (("/ len(codes)", "/ (len(codes) - 2)"),)),
    ),
)

EXERCISES = (SCORE, BOUND, PRIOR)
