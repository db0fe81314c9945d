"""Exercises of lesson 05: drawing codes, log p(x|z), the KL divergence in two ways, and the ELBO."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def _like(answer: Any, shape: tuple[int, ...], axes: str, name: str) -> None:
    """Expect a tensor of a shape."""
    expect(isinstance(answer, Tensor), f"{name} gives {_named(answer)}; expected a tensor {axes}: is there a return?")
    came = list(answer.shape)
    expect(came == list(shape), f"{name} gives shape {came} where {axes} is {list(shape)}")


def _named(thing: object) -> str:
    """What something is, in words."""
    return "nothing" if thing is None else f"a {type(thing).__name__}"


def _numbers(values: Tensor) -> str:
    """A few numbers in words."""
    return ", ".join(f"{value:.2f}" for value in values.detach().flatten().tolist())


# rsample


def rsample_shape(rsample: Any) -> None:
    """Codes [b, number, K]."""
    _like(rsample(torch.zeros(2, 4), 5), (2, 5, 3), "[b, number, K], for phi [2, 4] and 5 draws,", "rsample")


def rsample_mean(rsample: Any) -> None:
    """The draws lie around mu, for each image around its own."""
    phi = torch.tensor([[2.0, -1.0, -1.0], [0.0, 3.0, -1.0]])
    mean = rsample(phi, 4000).mean(1)
    words = "your draws lie around ({}) where mu is ({}) for one image, around ({}) where it is ({}) for another"
    expect(
        (mean - phi[:, :2]).abs().max() < 0.1,
        words.format(*(_numbers(row) for pair in zip(mean, phi[:, :2], strict=True) for row in pair)),
    )


def rsample_spread(rsample: Any) -> None:
    """The spread is sigma, and the last column is its logarithm."""
    log_sigma = math.log(3.0)
    spread = float(rsample(torch.tensor([[0.0, 0.0, log_sigma]]), 4000).std())
    found = {
        log_sigma: ": that is log sigma; did you take exp()?",
        9.0: ": that is sigma squared; the noise is multiplied by sigma itself",
        math.sqrt(3.0): ": that is the root of sigma; the last column is log sigma, not its double",
        1.0: ": is the noise multiplied by sigma at all?",
    }
    near = next((words for value, words in found.items() if abs(spread - value) < 0.06 * value), "")
    expect(abs(spread - 3) < 0.15, f"the spread of your draws is {spread:.2f} where sigma is 3.00{near}")


def rsample_every_image(rsample: Any) -> None:
    """Each image has noise of its own."""
    codes = rsample(torch.ones(2, 3), 50)
    expect(
        (codes[0] - codes[1]).abs().max() > 1e-3,
        "two images with the same phi got exactly the same draws: the noise needs the shape [b, number, K], not one set "
        "for the whole batch",
    )


def rsample_every_draw(rsample: Any) -> None:
    """Each draw has noise of its own, and is another one next time."""
    codes = rsample(torch.ones(1, 3), 50)
    expect(codes.std(1).min() > 1e-3, "all draws of an image are the same code: the noise needs the axis of draws, too")
    again = rsample(torch.ones(1, 3), 50)
    expect(
        (codes - again).abs().max() > 1e-3,
        "two calls gave exactly the same draws: is there a manual_seed within the function?",
    )


def rsample_every_component(rsample: Any) -> None:
    """Components are independent of each other."""
    codes = rsample(torch.ones(1, 3), 2000)[0]
    correlation = float(torch.corrcoef(codes.T)[0, 1])
    expect(
        abs(correlation) < 0.15,
        f"z_1 and z_2 of your draws are correlated by {correlation:.2f} where they should be independent: each component "
        "needs noise of its own",
    )


def rsample_gradient(rsample: Any) -> None:
    """Gradients flow to the mean and to log sigma."""
    phi = torch.tensor([[0.5, -0.5, 0.0]], requires_grad=True)
    codes = rsample(phi, 3)
    expect(
        codes.requires_grad,
        "no gradient flows from your draws back to phi: draw the noise from the standard normal and compute with mean and "
        "sigma; no_grad, detach, sample and torch.normal cut the way back",
    )
    (slope,) = torch.autograd.grad(codes.sum(), phi)
    expect(
        (slope[0, :2] - 3).abs().max() < 1e-4 and slope[0, 2] != 0,
        f"the gradient of the sum of 3 draws is ({_numbers(slope)}); expected 3.00 for each mean, one for each draw, and "
        "something other than 0 for log sigma",
    )


def rsample_device(rsample: Any) -> None:
    """The noise lies where phi lies, which may be a GPU."""
    phi = torch.zeros(2, 3, device="meta")  # a device without numbers: every computer has it
    words = "phi was on another device (as on a GPU) and your draws were not: give device=phi.device to the noise"
    try:
        codes = rsample(phi, 4)
    except NotImplementedError:  # something looked at the numbers, which is no fault
        return
    except RuntimeError as error:
        expect("device" not in str(error), words)
        return
    expect(codes.device == phi.device, words)


RSAMPLE = Exercise(
    "rsample",
    "05",
    "draw codes [b, number, K] from the normal distributions that phi [b, K + 1] describes.",
    (
        rsample_shape,
        rsample_every_draw,
        rsample_every_image,
        rsample_mean,
        rsample_spread,
        rsample_every_component,
        rsample_gradient,
        rsample_device,
    ),
    (
        "Every draw is mean + sigma * noise. Write down the shape of each of the three so that they stretch to [b, number, K].",
        "phi[:, None, :-1] has shape [b, 1, K], and phi[:, None, -1:].exp() has [b, 1, 1]; an axis of length 1 stretches.",
        "noise = torch.randn(len(phi), number, phi.shape[1] - 1, device=phi.device); then return mean + sigma * noise.",
    ),
    (
        Wrong(
            "axes in another order",
            "rsample_shape",
            (("mean + sigma * noise", "(mean + sigma * noise).transpose(0, 1)"),),
        ),
        Wrong("nothing is returned", "rsample_shape", (("return mean", "codes = mean"),)),
        Wrong("forgot the mean", "rsample_mean", (("return mean + sigma", "return sigma"),)),
        Wrong("forgot the exponential", "rsample_spread", (("-1:].exp()", "-1:]"),)),
        Wrong("sigma squared", "rsample_spread", (("+ sigma * noise", "+ sigma**2 * noise"),)),
        Wrong(
            "one noise for the whole batch",
            "rsample_every_image",
            (("randn(len(phi)", "randn(1"), ("sigma * noise", "sigma.expand(len(phi), 1, 1) * noise")),
        ),
        Wrong(
            "one noise for all draws",
            "rsample_every_draw",
            (("number, phi", "1, phi"), ("sigma * noise", "sigma.expand(-1, number, 1) * noise")),
        ),
        Wrong("one noise for all components", "rsample_every_component", (("phi.shape[1] - 1, dtype", "1, dtype"),)),
        Wrong("no gradient", "rsample_gradient", (("mean + sigma * noise", "(mean + sigma * noise).detach()"),)),
        Wrong("noise on the CPU", "rsample_device", ((", device=phi.device", ""),)),
    ),
)


# log_p_x


def log_p_x_shape(log_p_x: Any) -> None:
    """One number for each image and draw."""
    answer = log_p_x(torch.zeros(2, 1, 4, 4), torch.zeros(2, 3, 1, 4, 4), 1.0)
    _like(answer, (2, 3), "[b, n], one number for each of 2 images and 3 draws,", "log_p_x")


def log_p_x_constant(log_p_x: Any) -> None:
    """No error and sigma 1: the constant alone."""
    value = float(log_p_x(torch.ones(1, 1, 4, 5), torch.ones(1, 1, 1, 4, 5), 1.0))
    expected = -20 * HALF_LOG_TWO_PI
    word = ""
    if abs(value) < 1e-4:
        word = ": the constant -P/2 log 2 pi is missing"
    elif abs(value * 20 - expected) < 1e-3:
        word = ": it is a mean over the 20 values; log p of the image is the sum"
    elif abs(value - 2 * expected) < 1e-3:
        word = ": twice as much; mind the 1/2"
    expect(
        abs(value - expected) < 1e-3,
        f"for an image of 20 values that is reproduced exactly, with sigma 1, yours is {value:.3f} nats; "
        f"expected -20/2 log 2 pi = {expected:.3f}{word}",
    )


def log_p_x_error(log_p_x: Any) -> None:
    """The error is squared, halved, and summed over all values."""
    x = torch.full((1, 3, 2, 2), 0.5)
    exact, off = (float(log_p_x(x, x[:, None] + error, 1.0)) for error in (0.0, 1.0))
    difference = exact - off
    word = ": mind the 1/2" if abs(difference - 12) < 1e-3 else ""
    word = ": it should be the sum over all 12 values" if abs(difference - 0.5) < 1e-3 else word
    expect(
        abs(difference - 6) < 1e-3,
        f"an error of 1 in each of 12 values, with sigma 1, costs 12 * 1/2 = 6 nats; in yours {difference:.2f}{word}",
    )


def log_p_x_sigma(log_p_x: Any) -> None:
    """The noise sigma divides the error twice, and counts in the constant."""
    zero, off = torch.zeros(1, 1, 2, 5), torch.full((1, 1, 1, 2, 5), 0.3)
    cost = float(log_p_x(zero, zero[:, None], 0.1) - log_p_x(zero, off, 0.1))
    word = ": divide by sigma squared" if abs(cost - 4.5) < 0.01 else ""
    expect(
        abs(cost - 45) < 0.05,
        f"an error of 0.3 in each of 10 values, with sigma 0.1, costs 10/2 * (0.3/0.1)^2 = 45 nats; in yours {cost:.2f}{word}",
    )
    gain = float(log_p_x(zero, zero[:, None], 0.1) - log_p_x(zero, zero[:, None], 1.0))
    expected = 10 * math.log(10)
    expect(
        abs(gain - expected) < 0.01,
        f"without any error, sigma 0.1 in place of 1 gains 10 log 10 = {expected:.2f} nats for 10 values; in yours "
        f"{gain:.2f}: log sigma stands in the sum, too, once for each value",
    )


def log_p_x_own_image(log_p_x: Any) -> None:
    """The draws of an image are compared with that image."""
    x = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    means = x[:, None].expand(2, 2, 1, 2, 2)  # every draw reproduces its own image
    values = log_p_x(x, means, 1.0)
    expect(
        (values + 4 * HALF_LOG_TWO_PI).abs().max() < 1e-4,
        f"each draw of both images reproduces its image exactly, yet yours gives ({_numbers(values)}) where all four should "
        f"be {-4 * HALF_LOG_TWO_PI:.2f}: x needs an axis for the draws, x[:, None], else image 2 is compared with draw 2",
    )


def log_p_x_learned_sigma(log_p_x: Any) -> None:
    """Sigma may be a tensor with a gradient."""
    sigma = torch.tensor(0.5, requires_grad=True)
    value = log_p_x(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1, 1), sigma)
    expect(value.requires_grad, "no gradient flows to sigma: compute with tensors, torch.log in place of math.log")
    (slope,) = torch.autograd.grad(value.sum(), sigma)
    expect(
        abs(float(slope) - 6) < 1e-3,
        f"for one value with an error of 1, at sigma 0.5, the slope with respect to sigma is 1/sigma^3 - 1/sigma = 6; "
        f"yours is {float(slope):.3f}",
    )


LOG_P_X = Exercise(
    "log_p_x",
    "05",
    "log p(x|z) in nats per image and draw [b, n], with all constants.",
    (log_p_x_shape, log_p_x_constant, log_p_x_error, log_p_x_sigma, log_p_x_own_image, log_p_x_learned_sigma),
    (
        "The formula is a sum over P values of two parts: error squared over variance, and log(2 pi variance).",
        "x[:, None] has shape [b, 1, C, H, W] and stretches over the draws; sum over the axes (2, 3, 4).",
        "error = (x[:, None] - means) ** 2; return -0.5 * (error / variance + torch.log(2 * math.pi * variance)).sum((2, 3, 4)).",
    ),
    (
        Wrong("averaged over draws", "log_p_x_shape", ((".sum((2, 3, 4))", ".sum((2, 3, 4)).mean(1)"),)),
        Wrong("no constant", "log_p_x_constant", (("2 * math.pi * variance", "variance"),)),
        Wrong("mean over the values", "log_p_x_constant", ((".sum(", ".mean("),)),
        Wrong("error not halved", "log_p_x_error", (("(error / variance", "(2 * error / variance"),)),
        Wrong(
            "sigma not squared under the error",
            "log_p_x_sigma",
            (("error / variance", "error / torch.as_tensor(sigma)"),),
        ),
        Wrong(
            "log of the variance once too often",
            "log_p_x_sigma",
            (("torch.log(2 * math.pi * variance)", "torch.log(2 * math.pi * variance**2)"),),
        ),
        Wrong(
            "images beside draws",
            "log_p_x_own_image",
            (("x[:, None]", "(x if len(x) == means.shape[1] else x[:, None])"),),
        ),
        Wrong(
            "sigma cut from its gradient",
            "log_p_x_learned_sigma",
            (("torch.as_tensor(sigma)", "torch.as_tensor(sigma).detach()"),),
        ),
    ),
)


# kl_by_sampling


def kl_by_sampling_shape(kl_by_sampling: Any) -> None:
    """One number for each image."""
    answer = kl_by_sampling(torch.zeros(2, 5, 3), torch.zeros(2, 4))
    _like(answer, (2,), "[b], one number for each of 2 images,", "kl_by_sampling")


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
        f"are {_numbers(values)}",
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
    _like(kl_closed_form(torch.zeros(2, 4)), (2,), "[b], one number for each of 2 images,", "kl_closed_form")


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
        f"for two images yours are {_numbers(values)} nats; torch.distributions says {_numbers(expected)}",
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
    _like(elbo(x, torch.zeros(2, 3), _Blocks(), 0.5, 4), (2,), "[b], one number for each of 2 images,", "elbo")


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
        f"for a linear decoder with the exact posterior as q the ELBO is log p(x): {_numbers(log_p)} for two images; yours are "
        f"{_numbers(values)}",
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

EXERCISES = (RSAMPLE, LOG_P_X, KL_BY_SAMPLING, KL_CLOSED_FORM, ELBO)
