"""Lesson 9, a prior fitted to codes."""

from __future__ import annotations

from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import as_tensor_of

__all__ = ["EXERCISES"]


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
    mean = as_tensor_of(answer[0], (k,), f"the mean code, of codes {list(codes.shape)}")
    return mean, as_tensor_of(answer[1], (k, k), f"the covariance of the {k} numbers with each other")


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


EXERCISES = (PRIOR,)
