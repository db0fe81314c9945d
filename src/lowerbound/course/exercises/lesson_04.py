"""Exercises of lesson 04: images from random codes, and log p(x) by sampling from the prior."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor

__all__ = ["EXERCISES"]


class _Decoder:
    """A decoder with weights that remembers the codes it was given, batch by batch."""

    def __init__(self, latent_dim: int) -> None:
        self.weights = torch.ones(latent_dim, 12, requires_grad=True)
        self.given: list[Tensor] = []

    def __call__(self, codes: Tensor) -> Tensor:
        """Codes [..., K] to images [..., 3, 2, 2]."""
        self.given.append(codes)
        return (codes @ self.weights).unflatten(-1, (3, 2, 2))


# generate_images


def generate_images_shape(generate_images: Any) -> None:
    """As many images as were asked for, of codes [number, K]."""
    decode = _Decoder(4)
    images = generate_images(decode, 4, 6)
    expect_tensor(images, "generate_images")
    expect(
        list(images.shape) == [6, 3, 2, 2],
        f"6 images of 3 x 2 x 2 were asked for; yours have shape {list(images.shape)}",
    )


def generate_images_at_once(generate_images: Any) -> None:
    """The decoder is called once for all."""
    decode = _Decoder(3)
    generate_images(decode, 3, 6)
    shapes = [list(codes.shape) for codes in decode.given]
    expect(
        shapes == [[6, 3]],
        f"for 6 images with K = 3 the decoder should get one batch of codes [6, 3]; yours gave it {len(shapes)} "
        f"{'batch' if len(shapes) == 1 else 'batches'}, the first of shape {shapes[0] if shapes else 'none'}",
    )


def generate_images_differ(generate_images: Any) -> None:
    """Each image comes from a code of its own."""
    decode = _Decoder(3)
    generate_images(decode, 3, 8)
    codes = torch.cat([given.detach().reshape(-1, 3) for given in decode.given])
    expect(codes.std(0).min() > 1e-3, "all of your images come from the same code: draw one for each image")


def generate_images_standard_normal(generate_images: Any) -> None:
    """Codes have mean 0 and spread 1."""
    decode = _Decoder(5)
    generate_images(decode, 5, 4000)
    codes = torch.cat([given.detach().reshape(-1, 5) for given in decode.given])
    mean, spread = float(codes.mean()), float(codes.std())
    word = ": that is what torch.rand draws, evenly from 0 to 1" if abs(mean - 0.5) < 0.05 and spread < 0.4 else ""
    expect(
        abs(mean) < 0.05 and abs(spread - 1) < 0.05,
        f"your codes have mean {mean:.2f} and standard deviation {spread:.2f} where N(0, I) has 0 and 1{word}",
    )


def generate_images_anew(generate_images: Any) -> None:
    """Every call gives other images."""
    first, second = (generate_images(_Decoder(3), 3, 4) for _ in range(2))
    expect(
        (first - second).abs().max() > 1e-3,
        "two calls gave the very same images: a manual_seed within the function makes every draw the first one",
    )


def generate_images_no_gradient(generate_images: Any) -> None:
    """No gradients are kept."""
    images = generate_images(_Decoder(3), 3, 4)
    expect(
        not images.requires_grad,
        "your images keep the way back to the decoder's weights, which costs memory and is of no use here: decode within "
        "torch.no_grad()",
    )


GENERATE_IMAGES = Exercise(
    "generate_images",
    "04",
    "draw codes from N(0, I) and decode them to new images.",
    (
        generate_images_shape,
        generate_images_at_once,
        generate_images_differ,
        generate_images_standard_normal,
        generate_images_anew,
        generate_images_no_gradient,
    ),
    (
        "Two steps: draw a batch of codes, one row for each image; hand the batch to decode.",
        "torch.randn draws from the standard normal (torch.rand does not); its shape is number, latent_dim.",
        "z = torch.randn(number, latent_dim, device=device); then, within `with torch.no_grad():`, return decode(z).",
    ),
    (
        Wrong("one image, whatever was asked", "generate_images_shape", (("randn(number,", "randn(1,"),)),
        Wrong("nothing is returned", "generate_images_shape", (("return decode(z)", "decode(z)"),)),
        Wrong(
            "one after the other",
            "generate_images_at_once",
            (("decode(z)", "torch.cat([decode(row[None]) for row in z])"),),
        ),
        Wrong(
            "one code for all",
            "generate_images_differ",
            (("randn(number, latent_dim, device=device)", "randn(1, latent_dim, device=device).expand(number, -1)"),),
        ),
        Wrong("from 0 to 1", "generate_images_standard_normal", (("torch.randn", "torch.rand"),)),
        Wrong("twice as wide", "generate_images_standard_normal", (("z = torch.randn", "z = 2 * torch.randn"),)),
        Wrong("seeded", "generate_images_anew", (("z = torch", "torch.manual_seed(0); z = torch"),)),
        Wrong("gradients kept", "generate_images_no_gradient", (("torch.no_grad()", "torch.enable_grad()"),)),
    ),
)


# log_evidence_by_sampling


def log_evidence_draws(log_evidence_by_sampling: Any) -> None:
    """Codes [number, K] from the prior, and one number as the answer."""
    given: list[Tensor] = []

    def log_likelihood(codes: Tensor) -> Tensor:
        given.append(codes)
        return torch.zeros(len(codes))

    answer = log_evidence_by_sampling(log_likelihood, 3, 2000)
    shapes = [list(codes.shape) for codes in given]
    expect(
        shapes == [[2000, 3]],
        f"log_likelihood should get the codes of all 2,000 draws at once, [2000, 3]; yours gave it "
        f"{shapes[0] if shapes else 'nothing'}",
    )
    mean, spread = float(given[0].mean()), float(given[0].std())
    expect(
        abs(mean) < 0.1 and abs(spread - 1) < 0.1,
        f"your codes have mean {mean:.2f} and standard deviation {spread:.2f} where the prior N(0, I) has 0 and 1",
    )
    expect_tensor(answer, "log_evidence_by_sampling")
    expect(answer.numel() == 1, f"one number is expected, log p(x) of one image; yours has shape {list(answer.shape)}")


def log_evidence_mean(log_evidence_by_sampling: Any) -> None:
    """Equal likelihoods: their mean is each of them."""
    value = float(log_evidence_by_sampling(lambda codes: torch.full((len(codes),), -3.0), 2, 50))
    word = ": that is the sum of the likelihoods; take log S off" if abs(value + 3 - math.log(50)) < 1e-3 else ""
    expect(
        abs(value + 3) < 1e-4, f"50 draws of log-likelihood -3 each have a mean of log -3; yours is {value:.3f}{word}"
    )


def log_evidence_of_likelihoods(log_evidence_by_sampling: Any) -> None:
    """The mean is taken of likelihoods, not of their logarithms."""
    value = float(
        log_evidence_by_sampling(lambda codes: torch.where(torch.arange(len(codes)) % 2 == 0, 0.0, -10.0), 2, 100)
    )
    expected = math.log((1 + math.exp(-10)) / 2)
    word = {-5: ": that is the mean of the logarithms, which is lower", 0: ": that is the largest"}.get(
        round(value), ""
    )
    expect(
        abs(value - expected) < 1e-3,
        f"half of the draws have likelihood 1 and half e^-10, so their mean has the logarithm {expected:.3f}; yours is "
        f"{value:.3f}{word}",
    )


def log_evidence_stable(log_evidence_by_sampling: Any) -> None:
    """Log-likelihoods of thousands of nats."""
    for level in (-5000.0, 5000.0):
        value = float(log_evidence_by_sampling(lambda codes, level=level: torch.full((len(codes),), level), 2, 10))
        expect(
            abs(value - level) < 0.1,
            f"10 draws of log-likelihood {level:g} each have a mean of log {level:g}; yours is {value}: exp({level:g}) is "
            f"{'0' if level < 0 else 'infinite'} for a computer; take the largest out first, or use torch.logsumexp",
        )


def log_evidence_closed_form(log_evidence_by_sampling: Any) -> None:
    """In two dimensions, as on paper."""
    x, noise = torch.tensor([1.2, -1.0]), 0.5

    def log_likelihood(codes: Tensor) -> Tensor:
        return -0.5 * (((x - codes) / noise) ** 2 + math.log(2 * math.pi * noise**2)).sum(1)

    value = float(log_evidence_by_sampling(log_likelihood, 2, 20_000))
    variance = 1 + noise**2
    expected = float(-0.5 * (x**2 / variance + math.log(2 * math.pi * variance)).sum())
    expect(
        abs(value - expected) < 0.1,
        f"for x = (1.2, -1.0) = z + noise of 0.5, log p(x) is log N(x; 0, 1.25 I) = {expected:.3f}; yours from 20,000 draws is "
        f"{value:.3f}: is each component of z drawn by itself?",
    )


LOG_EVIDENCE_BY_SAMPLING = Exercise(
    "log_evidence_by_sampling",
    "04",
    "log p(x) as the logarithm of the mean likelihood over draws of the prior, without leaving the logarithms.",
    (
        log_evidence_draws,
        log_evidence_mean,
        log_evidence_of_likelihoods,
        log_evidence_stable,
        log_evidence_closed_form,
    ),
    (
        "Draw codes [number, latent_dim] from N(0, I), and ask log_likelihood for all of them at once.",
        "The logarithm of a sum of exponentials, without overflow, is torch.logsumexp(values, 0); a mean is a sum over S.",
        "return torch.logsumexp(log_likelihood(codes), 0) - math.log(number).",
    ),
    (
        Wrong("from 0 to 1", "log_evidence_draws", (("torch.randn", "torch.rand"),)),
        Wrong("axes swapped", "log_evidence_draws", (("randn(number, latent_dim)", "randn(latent_dim, number)"),)),
        Wrong(
            "one number for each draw",
            "log_evidence_draws",
            (("torch.logsumexp(log_likelihood(codes), 0)", "log_likelihood(codes)"),),
        ),
        Wrong("sum, not mean", "log_evidence_mean", ((" - math.log(number)", ""),)),
        Wrong(
            "mean of the logarithms",
            "log_evidence_of_likelihoods",
            (("torch.logsumexp(log_likelihood(codes), 0) - math.log(number)", "log_likelihood(codes).mean()"),),
        ),
        Wrong(
            "the largest alone",
            "log_evidence_of_likelihoods",
            (("torch.logsumexp(log_likelihood(codes), 0) - math.log(number)", "log_likelihood(codes).max()"),),
        ),
        Wrong(
            "out of the logarithms",
            "log_evidence_stable",
            (
                (
                    "torch.logsumexp(log_likelihood(codes), 0) - math.log(number)",
                    "log_likelihood(codes).exp().mean().log()",
                ),
            ),
        ),
        Wrong(
            "one number for all components",
            "log_evidence_closed_form",
            (("torch.randn(number, latent_dim)", "torch.randn(number, 1).expand(number, latent_dim)"),),
        ),
    ),
)

EXERCISES = (GENERATE_IMAGES, LOG_EVIDENCE_BY_SAMPLING)
