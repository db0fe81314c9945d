"""Exercises of lesson 05: drawing codes from q, and log p(x|z)."""

from __future__ import annotations

import math
from typing import Any

import torch

from lowerbound.course.exercise import Exercise, Wrong, expect
from lowerbound.course.tensors import expect_tensor, listed

__all__ = ["EXERCISES"]

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


# rsample


def rsample_shape(rsample: Any) -> None:
    """Codes [b, number, K]."""
    expect_tensor(rsample(torch.zeros(2, 4), 5), "rsample", (2, 5, 3), "[b, number, K], for phi [2, 4] and 5 draws,")


def rsample_mean(rsample: Any) -> None:
    """The draws lie around mu, for each image around its own."""
    phi = torch.tensor([[2.0, -1.0, -1.0], [0.0, 3.0, -1.0]])
    mean = rsample(phi, 4000).mean(1)
    words = "your draws lie around ({}) where mu is ({}) for one image, around ({}) where it is ({}) for another"
    expect(
        (mean - phi[:, :2]).abs().max() < 0.1,
        words.format(*(listed(row) for pair in zip(mean, phi[:, :2], strict=True) for row in pair)),
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
        f"the gradient of the sum of 3 draws is ({listed(slope)}); expected 3.00 for each mean, one for each draw, and "
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
    expect_tensor(answer, "log_p_x", (2, 3), "[b, n], one number for each of 2 images and 3 draws,")


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
        f"each draw of both images reproduces its image exactly, yet yours gives ({listed(values)}) where all four should "
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

EXERCISES = (RSAMPLE, LOG_P_X)
