"""p(x|z): the closed form, total probability, and a sigma that never falls below the rounding of pixels."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.images import ROUNDING_SCALE
from lowerbound.likelihood import Normal


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(), (1,), (4,), (2, 3)]),
    st.floats(0.01, 10),
    st.integers(0, 1000),
)
def test_the_density_is_the_closed_form(shape, leading, scale, seed):
    random = torch.Generator().manual_seed(seed)
    means, images = torch.rand(*leading, *shape, generator=random), torch.rand(*shape, generator=random)
    log_prob = Normal(scale)(means).log_prob(images)
    pixels = math.prod(shape)
    squares = (images.double() - means.double()).square().sum((-3, -2, -1))
    expected = -pixels / 2 * math.log(2 * math.pi) - pixels * math.log(scale) - squares / (2 * scale**2)
    assert log_prob.shape == leading
    torch.testing.assert_close(log_prob.double(), expected, rtol=2e-5, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-9, 0.05, 1.0, 3.0])
def test_total_probability_is_one(scale):
    head = Normal(scale).double()
    sigma = head.scale.item()
    grid = 0.4 + sigma * torch.linspace(-9, 9, 2001, dtype=torch.float64)
    density = head(torch.full((1, 1, 1), 0.4, dtype=torch.float64)).log_prob(grid.view(-1, 1, 1, 1)).exp()
    assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("scale", [1e-9, ROUNDING_SCALE / 2, ROUNDING_SCALE, 0.3])
def test_sigma_stays_above_the_rounding_to_8_bits(scale):
    assert Normal(scale).scale.item() == pytest.approx(max(scale, ROUNDING_SCALE), rel=1e-5)


def test_images_that_are_met_exactly_have_a_finite_density_at_any_sigma():
    head = Normal()
    head.log_scale.data.fill_(-1e6)
    perfect = head(torch.zeros(1, 1, 4, 4)).log_prob(torch.zeros(1, 1, 4, 4))
    assert perfect.item() == pytest.approx(-16 * math.log(ROUNDING_SCALE * math.sqrt(2 * math.pi)), rel=1e-5)


def test_sigma_learns_to_be_the_root_mean_squared_error():
    torch.manual_seed(0)
    images, means, head = torch.rand(20, 1, 4, 4), torch.rand(20, 1, 4, 4), Normal()
    head.log_scale.data.fill_((images - means).square().mean().sqrt().log())
    (slope,) = torch.autograd.grad(head(means).log_prob(images).mean(), head.log_scale)
    assert slope.item() == pytest.approx(0, abs=1e-4)  # the likelihood's maximum
    assert torch.equal(head(means).mean, means)


def test_a_draw_has_the_scale():
    torch.manual_seed(0)
    draws = Normal(0.2)(torch.zeros(1, 100, 200)).sample().double()
    assert draws.std().item() == pytest.approx(0.2, rel=5 / math.sqrt(2 * 20_000))
