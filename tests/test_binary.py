"""Likelihoods on [0, 1]: images of 0 and 1 alone for the one, a density that integrates to 1 for the other."""

import math

import pytest
import torch

from lowerbound.binary import Bernoulli, ContinuousBernoulli, ContinuousBernoulliPixels
from lowerbound.errors import InputError

LOGITS = [-1e4, -100.0, -20.0, -1.0, -0.41, -0.39, -1e-3, 0.0, 1e-6, 0.004, 0.39, 0.41, 3.0, 17.0, 100.0, 1e4]


@pytest.mark.parametrize("logit", LOGITS)
def test_the_probabilities_of_0_and_1_add_up_to_one(logit):
    p = Bernoulli()(torch.full((1, 1, 1), logit, dtype=torch.float64))
    both = p.log_prob(torch.tensor([0.0, 1.0], dtype=torch.float64).view(2, 1, 1, 1)).exp()
    assert both.sum().item() == pytest.approx(1, abs=1e-12)
    assert both[1].item() == pytest.approx(p.mean.item(), abs=1e-12)


def test_a_bernoulli_has_the_closed_form():
    logits, images = 3 * torch.randn(2, 5, 3, 4, 4).double(), torch.rand(5, 3, 4, 4).round().double()
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(images.expand_as(logits)).sum((-3, -2, -1))
    torch.testing.assert_close(Bernoulli()(logits).log_prob(images), expected)


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("pixel", [0.502, 1e-6, -1.0, 2.0, math.nan])
def test_grey_pixels_are_refused_with_what_to_do(pixel, validated):
    before = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(validated)
    try:
        images = torch.zeros(3, 1, 4, 4)
        images[2, 0, 3, 3] = pixel
        with pytest.raises(
            InputError, match=rf"pixels such as {pixel:.3g} came.*--binarise dynamic.*ContinuousBernoulli"
        ):
            Bernoulli()(torch.zeros(2, 3, 1, 4, 4)).log_prob(images)
    finally:
        torch.distributions.Distribution.set_default_validate_args(before)


@pytest.mark.parametrize("logit", LOGITS)
def test_the_continuous_bernoulli_integrates_to_one_and_has_its_mean(logit):
    steps = torch.linspace(-40, 40, 20_001, dtype=torch.float64)
    grid = steps.sigmoid()  # crowded at both ends, where a steep density lives
    p = ContinuousBernoulli()(torch.full((1, 1, 1), logit, dtype=torch.float64))
    density = p.log_prob(grid.view(-1, 1, 1, 1)).exp() * grid * (-steps).sigmoid()
    assert torch.trapezoid(density, steps).item() == pytest.approx(1, abs=1e-6)
    assert torch.trapezoid(density * grid, steps).item() == pytest.approx(p.mean.item(), abs=1e-6)


def test_the_continuous_bernoulli_agrees_with_torch_where_torch_is_right():
    logits = torch.cat([torch.linspace(-12, -0.01, 50), torch.linspace(0.01, 12, 50)]).double().view(-1, 1, 1, 1)
    images = torch.rand(100, 1, 1, 1).double()
    reference = torch.distributions.ContinuousBernoulli(logits=logits)
    p = ContinuousBernoulliPixels(logits)
    torch.testing.assert_close(p.log_prob(images), reference.log_prob(images).sum((-3, -2, -1)), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(p.mean, reference.mean, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("logit", LOGITS)
def test_gradients_equal_finite_differences_across_the_series(logit):
    logits = torch.full((1, 1, 1), logit, dtype=torch.float64, requires_grad=True)
    images = torch.rand(4, 1, 1, 1).double()
    assert torch.autograd.gradcheck(lambda o: ContinuousBernoulliPixels(o).log_prob(images), (logits,), atol=1e-6)
    assert torch.autograd.gradcheck(lambda o: ContinuousBernoulliPixels(o).mean, (logits,), atol=1e-6)


@pytest.mark.parametrize("half", [0.2, -0.2])
def test_the_series_meets_the_closed_form(half):
    edge = torch.tensor([2 * half - 1e-13, 2 * half + 1e-13], dtype=torch.float64).view(2, 1, 1, 1)
    p = ContinuousBernoulliPixels(edge)
    for value in (p.mean, p.log_prob(torch.zeros(2, 1, 1, 1).double())):
        assert (value[0] - value[1]).abs().item() < 1e-10


def test_means_are_in_0_1_and_rise_with_the_logit_in_float32():
    logits = torch.cat([-torch.logspace(4, -6, 200), torch.zeros(1), torch.logspace(-6, 4, 200)]).view(-1, 1, 1, 1)
    mean = ContinuousBernoulliPixels(logits).mean.flatten()
    assert ((mean >= 0) & (mean <= 1)).all()
    assert (mean.diff() > -1e-6).all()
