"""Probabilities of 8-bit images: they add up to 1 at the extremes too, are finite everywhere, and speak of levels only."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.levels import DiscretizedLogistic, RoundedLogistic, levels

ALL = torch.from_numpy(as_floats(np.arange(256, dtype=np.uint8).reshape(-1, 1, 1, 1)))


def masses(location, width, dtype=torch.float64):
    """Probability of each of the 256 levels."""
    image = torch.full((1, 1, 1), location, dtype=dtype)
    return RoundedLogistic(image, torch.tensor(width, dtype=dtype)).log_prob(ALL.to(dtype)).exp()


@pytest.mark.parametrize("location", [-3.0, -0.01, 0.0, 1 / 510, 0.3, 0.5, 1.0, 1.01, 4.0])
@pytest.mark.parametrize("width", [1e-4, 1e-3, 1 / 255, 0.1, 1.0, 10.0])
def test_the_probabilities_of_all_levels_add_up_to_one(location, width):
    assert masses(location, width).sum().item() == pytest.approx(1, abs=1e-12)
    assert masses(location, width, torch.float32).sum().item() == pytest.approx(1, abs=2e-3)


@settings(max_examples=50, deadline=None)
@given(st.floats(-3, 4), st.floats(-4, 1))
def test_total_probability_is_one_anywhere(location, log_width):
    assert masses(location, 10**log_width).sum().item() == pytest.approx(1, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.5, 1.5), st.floats(-2, 0), st.integers(0, 255))
def test_a_mass_is_the_difference_of_the_distribution_function(location, log_width, level):
    width = 10**log_width
    above = 1.0 if level == 255 else 1 / (1 + math.exp(-((level + 0.5) / 255 - location) / width))
    below = 0.0 if level == 0 else 1 / (1 + math.exp(-((level - 0.5) / 255 - location) / width))
    assert masses(location, width)[level].item() == pytest.approx(above - below, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize("location", [-1e4, -3.0, 0.0, 0.5, 1.0, 4.0, 1e4])
@pytest.mark.parametrize("width", [1e-5, 1e-3, 0.1, 10.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_all_is_finite_at_the_extremes(location, width, dtype):
    image = torch.full((1, 1, 1), location, dtype=dtype, requires_grad=True)
    spread = torch.tensor(width, dtype=dtype, requires_grad=True)
    p = RoundedLogistic(image, spread)
    log_prob = p.log_prob(ALL.to(dtype))
    gradients = torch.autograd.grad(log_prob.sum() + p.mean.sum(), [image, spread])
    assert all(torch.isfinite(value).all() for value in (log_prob, p.mean, p.sample(), *gradients))
    assert (log_prob <= 1e-6).all()  # a probability, not a density


@settings(max_examples=50, deadline=None)
@given(st.floats(-1, 2), st.floats(-4, 1))
def test_the_mean_is_exact_within_half_a_level(location, log_width):
    width = 10**log_width
    exact = (masses(location, width) * torch.arange(256) / 255).sum().item()
    image = torch.full((1, 1, 1), location, dtype=torch.float64)
    mean = RoundedLogistic(image, torch.tensor(width, dtype=torch.float64)).mean.item()
    assert 0 <= mean <= 1
    assert mean == pytest.approx(exact, abs=1 / 510 + 1e-9)
    if width >= 1 / 255:
        assert mean == pytest.approx(exact, abs=1e-4)


def test_draws_are_on_the_levels_as_often_as_they_are_probable():
    p = RoundedLogistic(torch.full((1, 100, 100), 0.1), torch.tensor(0.1))
    draws = p.sample(torch.Size([10]))
    counts = torch.bincount(levels(draws).long().flatten(), minlength=256).double()
    expected = 1e5 * masses(0.1, 0.1)
    assert ((counts - expected).abs() < 5 * expected.sqrt() + 1).all()


def test_every_8_bit_image_is_on_the_levels():
    assert torch.equal(levels(ALL).flatten(), torch.arange(256.0))
    assert torch.equal(levels(ALL.double() + 1e-7).flatten(), torch.arange(256.0).double())
    assert torch.equal(levels(torch.arange(256) / 255.0), torch.arange(256.0))


@pytest.mark.parametrize("pixel", [0.5, 1.004, -0.004, 2.0, math.nan, math.inf])
def test_what_is_no_8_bit_pixel_is_refused(pixel):
    images = torch.zeros(3, 1, 4, 4)
    images[1, 0, 2, 3] = pixel
    with pytest.raises(InputError, match=r"give uint8 images, or take Normal or Laplace"):
        DiscretizedLogistic()(torch.zeros(2, 3, 1, 4, 4)).log_prob(images)


def test_a_wide_logistic_in_the_middle_costs_about_8_bits_per_dimension():
    head = DiscretizedLogistic(scale=1e3)
    image = torch.full((1, 1, 1), 100 / 255)
    inner = head(image).log_prob(ALL[1:-1])
    assert torch.allclose(inner, inner[0], atol=1e-3)  # equal levels, less what the tails took
    width = head(image).width
    assert inner[0].item() == pytest.approx(math.log(1 / (4 * 255 * width.item())), abs=1e-3)
