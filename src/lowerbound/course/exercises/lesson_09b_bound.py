"""Lesson 9, the importance-weighted bound."""

from __future__ import annotations

import math
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import as_tensor_of

__all__ = ["EXERCISES"]


def one_bound_for_each_image(bound: Any) -> None:
    """[n, b] -> [b]."""
    as_tensor_of(bound(torch.randn(5, 3)), (3,), "one bound for each of the 3 images, over their 5 draws")


def a_mean_of_weights(bound: Any) -> None:
    """Weights 1 and 3 have mean 2; the mean of their logarithms is less."""
    weights = torch.tensor([[0.0, 0.0], [math.log(3), math.log(3)]], dtype=torch.float64)
    got = float(as_tensor_of(bound(weights), (2,), "one bound for each image")[0])
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
    got = as_tensor_of(bound(weights), (2,), "one bound for each image")
    expect(
        abs(float(got[0])) < 1e-6 and abs(float(got[1]) - 50) < 1e-6,
        f"images whose four log weights are all 0 and all 50 have bounds {float(got[0]):.2f} and {float(got[1]):.2f}; expected 0 "
        "and 50: the mean is over the 4 draws (dimension 0), not over the 2 images",
    )


def far_from_zero(bound: Any) -> None:
    """exp(-1,000) is 0 in a computer, and exp(1,000) is infinite; log p(x) is often there."""
    got = as_tensor_of(bound(torch.tensor([[-1000.0, 1000.0], [-1000.0, 1000.0]])), (2,), "one bound for each image")
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


EXERCISES = (BOUND,)
