"""Exercises of lesson 05: the KL divergence of q from the prior, by draws and in closed form."""

from __future__ import annotations

import math
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor, listed

__all__ = ["EXERCISES"]


# kl_by_sampling


def kl_by_sampling_shape(kl_by_sampling: Any) -> None:
    """One number for each image."""
    answer = kl_by_sampling(torch.zeros(2, 5, 3), torch.zeros(2, 4))
    expect_tensor(answer, "kl_by_sampling", (2,), "[b], one number for each of 2 images,")


def kl_by_sampling_of_the_prior(kl_by_sampling: Any) -> None:
    """Where q is the prior, each draw gives zero."""
    codes = torch.randn(1, 4, 3)
    value = float(kl_by_sampling(codes, torch.zeros(1, 4)))
    expect(
        abs(value) < 1e-4,
        f"phi of zeros is the prior itself (mu 0, log sigma 0), so log q - log p is 0 for any code; yours is {value:.2f}: do "
        "both logarithms leave out the same constants?",
    )


def kl_by_sampling_mean(kl_by_sampling: Any) -> None:
    """How far the mean lies from the prior's."""
    value = float(kl_by_sampling(torch.full((1, 1, 3), 2.0), torch.tensor([[2.0, 2.0, 2.0, 0.0]])))
    word = {6: "", -6: ": the sign is turned", 2: ": sum over the K components, do not average them"}.get(
        round(value), ""
    )
    expect(
        abs(value - 6) < 1e-4,
        "for 3 components, mu 2 and sigma 1, and a code right at mu, log q - log p is 3 * 2^2 / 2 = 6 nats; yours is "
        f"{value:.2f}{word}",
    )


def kl_by_sampling_sigma(kl_by_sampling: Any) -> None:
    """Log sigma counts once for each component, and sigma divides the deviation."""
    phi = torch.tensor([[0.0, 0.0, math.log(0.5)]])
    at_mean = float(kl_by_sampling(torch.zeros(1, 1, 2), phi))
    expect(
        abs(at_mean - 2 * math.log(2)) < 1e-4,
        f"for 2 components, mu 0 and sigma 0.5, and a code of zeros, log q - log p is -2 log 0.5 = {2 * math.log(2):.3f}; yours "
        f"is {at_mean:.3f}: log sigma belongs to log q, once for each component",
    )
    off = float(kl_by_sampling(torch.ones(1, 1, 2), phi))
    expected = 2 * math.log(2) - 2 * (0.5 / 0.25 - 0.5)
    expect(
        abs(off - expected) < 1e-4,
        f"the same with a code of ones, each two sigma from mu, is {expected:.3f}; yours is {off:.3f}: (z - mu) is divided by "
        "sigma, then squared and halved",
    )


def kl_by_sampling_average(kl_by_sampling: Any) -> None:
    """Draws are averaged, each image by itself."""
    codes = torch.tensor([[[1.0], [1.0], [1.0], [1.0]], [[3.0], [3.0], [3.0], [3.0]]])
    phi = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    values = kl_by_sampling(codes, phi)
    expect(
        (values - torch.tensor([0.5, 4.5])).abs().max() < 1e-4,
        "of two images with four equal draws each, every draw of the first gives 0.50 and of the second 4.50; your averages "
        f"are {listed(values)}",
    )


KL_BY_SAMPLING = Exercise(
    "kl_by_sampling",
    "05",
    "estimate KL(q || p) from draws of q, nats per image [b].",
    (
        kl_by_sampling_shape,
        kl_by_sampling_of_the_prior,
        kl_by_sampling_mean,
        kl_by_sampling_sigma,
        kl_by_sampling_average,
    ),
    (
        "Write the logarithm of the normal density twice: once with mu and sigma of q, once with 0 and 1.",
        "log q is -0.5 * ((codes - mean) / log_sigma.exp()) ** 2 - log_sigma, less a constant that log p has, too.",
        "log_p = -0.5 * codes**2; return (log_q - log_p).sum(2).mean(1).",
    ),
    (
        Wrong("averaged over the batch", "kl_by_sampling_shape", ((".mean(1)", ".mean()"),)),
        Wrong("a constant in one of them", "kl_by_sampling_of_the_prior", (("codes**2", "codes**2 - 0.5 * 1.8379"),)),
        Wrong("turned around", "kl_by_sampling_mean", (("(log_q - log_p)", "(log_p - log_q)"),)),
        Wrong("averaged over components", "kl_by_sampling_mean", ((".sum(2)", ".mean(2)"),)),
        Wrong("forgot log sigma", "kl_by_sampling_sigma", ((" ** 2 - log_sigma", " ** 2"),)),
        Wrong(
            "divided by the root of sigma", "kl_by_sampling_sigma", (("log_sigma.exp()", "(0.5 * log_sigma).exp()"),)
        ),
        Wrong("summed over draws", "kl_by_sampling_average", ((".mean(1)", ".sum(1)"),)),
    ),
)


# kl_closed_form


def kl_closed_form_shape(kl_closed_form: Any) -> None:
    """One number for each image."""
    expect_tensor(kl_closed_form(torch.zeros(2, 4)), "kl_closed_form", (2,), "[b], one number for each of 2 images,")


def kl_closed_form_of_the_prior(kl_closed_form: Any) -> None:
    """The prior has none."""
    value = float(kl_closed_form(torch.zeros(1, 5)))
    expect(
        abs(value) < 1e-5,
        f"mu 0 and log sigma 0 is the prior itself, whose KL is 0; yours is {value:.3f}: sigma^2 is 1 there, and log sigma 0",
    )


def kl_closed_form_mean(kl_closed_form: Any) -> None:
    """The mean counts by half its square."""
    value = float(kl_closed_form(torch.tensor([[3.0, -1.0, 0.0]])))
    word = ": mind the 1/2" if abs(value - 10) < 1e-4 else ""
    expect(abs(value - 5) < 1e-4, f"mu (3, -1) and sigma 1 make (9 + 1) / 2 = 5 nats; yours are {value:.2f} nats{word}")


def kl_closed_form_sigma(kl_closed_form: Any) -> None:
    """Sigma counts once for each component."""
    value = float(kl_closed_form(torch.tensor([[0.0, 0.0, 0.0, math.log(2.0)]])))
    one = 0.5 * (4 - 1 - 2 * math.log(2))
    word = ": the part of sigma counts once for each of the K components" if abs(value - one) < 1e-3 else ""
    if abs(value - 1.5 * (2 - 1 - 2 * math.log(2))) < 1e-3:
        word = ": it is sigma squared, exp(2 log sigma)"
    elif abs(value - 1.5 * (4 - 1 - math.log(2))) < 1e-3:
        word = ": it is the logarithm of sigma squared, 2 log sigma"
    expect(
        abs(value - 3 * one) < 1e-4,
        f"mu 0 and sigma 2 in 3 components make 3/2 (4 - 1 - 2 log 2) = {3 * one:.3f} nats; yours are {value:.3f} nats{word}",
    )


def kl_closed_form_both(kl_closed_form: Any) -> None:
    """As PyTorch's own."""
    phi = torch.tensor([[0.7, -1.2, 0.4, -0.8], [0.0, 2.0, 1.0, 0.3]])
    q = torch.distributions.Normal(phi[:, :-1], phi[:, -1:].exp().expand(2, 3))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(torch.zeros(2, 3), 1.0)).sum(1)
    values = kl_closed_form(phi)
    expect(
        (values - expected).abs().max() < 1e-4,
        f"for two images yours are {listed(values)} nats; torch.distributions says {listed(expected)}",
    )


KL_CLOSED_FORM = Exercise(
    "kl_closed_form",
    "05",
    "KL(q || p) of an isotropic normal from the prior, exactly, nats per image [b].",
    (
        kl_closed_form_shape,
        kl_closed_form_of_the_prior,
        kl_closed_form_mean,
        kl_closed_form_sigma,
        kl_closed_form_both,
    ),
    (
        "Each component gives (mu^2 + sigma^2 - 1 - 2 log sigma) / 2; sum over the components.",
        "sigma^2 is (2 * log_sigma).exp(), of shape [b, 1]; added to mean**2 it stretches to [b, K].",
        "return 0.5 * (mean**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(1).",
    ),
    (
        Wrong("summed over the batch, too", "kl_closed_form_shape", ((".sum(1)", ".sum()"),)),
        Wrong("forgot the one", "kl_closed_form_of_the_prior", ((" - 1 -", " -"),)),
        Wrong("forgot the half", "kl_closed_form_mean", (("0.5 * (", "("),)),
        Wrong("sigma not squared", "kl_closed_form_sigma", (("(2 * log_sigma).exp()", "log_sigma.exp()"),)),
        Wrong(
            "sigma counted once",
            "kl_closed_form_sigma",
            ((".sum(1)", "[:, 0])"), ("(mean**2 + ", "((mean**2).sum(1) + (")),
        ),
        Wrong("mean divided by sigma", "kl_closed_form_both", (("mean**2", "(mean / log_sigma.exp()) ** 2"),)),
        Wrong("mean not squared but its size", "kl_closed_form_mean", (("mean**2", "mean.abs()"),)),
    ),
)

EXERCISES = (KL_BY_SAMPLING, KL_CLOSED_FORM)
