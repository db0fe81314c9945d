"""Objectives against closed forms: the exact KL, the exact evidence of a linear-Gaussian model, finite differences."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from lowerbound import recipes
from lowerbound.objective import Elbo, SquaredError, Terms
from lowerbound.posterior import IsotropicNormal, PointMass
from lowerbound.prior import StandardNormal

SHAPE = (1, 2, 3)


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x = W z + sigma e with orthogonal columns of W, so that the exact posterior is diagonal: all in closed form.

    q's mean and deviation are the exact posterior's, times or plus an error.
    """

    def __init__(self, shift=0.0, stretch=1.0, sigma=0.5):
        super().__init__()
        self.lengths = torch.tensor([2.0, 0.7], dtype=torch.float64)
        columns = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64))[0]
        self.loadings, self.sigma, self.shift, self.stretch = columns * self.lengths, sigma, shift, stretch
        self.precision = 1 + self.lengths**2 / sigma**2
        self.prior = StandardNormal(2).double()

    def encoder(self, images):
        mean = images.flatten(1) @ self.loadings / self.sigma**2 / self.precision + self.shift
        return Independent(Normal(mean, (self.stretch * self.precision.rsqrt()).expand_as(mean)), 1)

    def decoder(self, codes):
        return Independent(Normal((codes @ self.loadings.T).unflatten(-1, SHAPE), self.sigma), 3)

    def evidence(self, images):
        covariance = self.loadings @ self.loadings.T + self.sigma**2 * torch.eye(6)
        return MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance).log_prob(images.flatten(1))

    def gap(self):
        """KL(q || exact posterior), the same for every image."""
        ratio = torch.full((2,), self.stretch**2, dtype=torch.float64)
        return 0.5 * (ratio - 1 - ratio.log() + self.shift**2 * self.precision).sum().item()


def mean_and_error(values):
    return values.mean(0), values.std(0) / math.sqrt(len(values))


@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 10), log_scale=st.floats(-4, 1.5), seed=st.integers(0, 1000))
def test_the_rate_is_the_closed_form(k, log_scale, seed):
    mean = torch.randn(3, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q = IsotropicNormal.from_phi(torch.cat([mean, torch.full_like(mean[:, :1], log_scale)], 1))
    sigma2 = math.exp(2 * log_scale)
    expected = 0.5 * (mean.square().sum(1) + k * (sigma2 - 1 - 2 * log_scale))
    torch.testing.assert_close(kl_divergence(q, StandardNormal(k).double()()), expected)


@pytest.mark.parametrize("log_scale", [-2.0, 0.0, 1.0])
def test_the_rate_is_what_draws_say(log_scale):
    phi = torch.tensor([[0.5, -1.0, 2.0, log_scale], [0.0, 0.0, 0.0, log_scale]], dtype=torch.float64)
    q, p = IsotropicNormal.from_phi(phi), StandardNormal(3).double()()
    z = q.sample((20_000,))
    mean, error = mean_and_error(q.log_prob(z) - p.log_prob(z))
    assert ((kl_divergence(q, p) - mean).abs() <= 4 * error + 1e-9).all()


@pytest.mark.parametrize(("shift", "stretch"), [(0, 1), (0.3, 1), (0, 2), (-0.1, 0.5)])
def test_the_elbo_is_the_exact_evidence_less_the_gap_of_q(shift, stretch):
    model = LinearGaussian(shift, stretch)
    images = torch.randn(5, *SHAPE, dtype=torch.float64)
    draws = torch.stack([-Elbo(samples=100)(model, images).loss for _ in range(100)])
    bound, error = mean_and_error(draws)
    evidence = model.evidence(images)
    assert ((bound - (evidence - model.gap())).abs() < 4 * error).all()
    assert (bound - 4 * error < evidence).all()
    assert (model.gap() == 0) == ((shift, stretch) == (0, 1))


def vae(**how):
    return recipes.vae((1, 5, 4), latent_dim=3, **how).double()


@settings(max_examples=10, deadline=None)
@given(samples=st.integers(1, 5), batch=st.integers(1, 4))
def test_the_loss_is_distortion_plus_rate_and_every_draw_is_decoded(samples, batch):
    model, images, rows = vae(), torch.rand(batch, 1, 5, 4, dtype=torch.float64), []
    model.decoder.register_forward_hook(lambda part, codes, images: rows.append(tuple(codes[0].shape)))
    terms = Elbo(samples)(model, images)
    assert rows == [(samples, batch, 3)]
    assert terms.loss.shape == terms.distortion.shape == terms.rate.shape == (batch,)
    assert torch.equal(terms.loss, terms.distortion + terms.rate)
    assert (terms.rate >= 0).all()


def test_the_distortion_is_the_mean_over_the_draws():
    model, images = vae(), torch.rand(4, 1, 5, 4, dtype=torch.float64)
    torch.manual_seed(5)
    terms = Elbo(samples=7)(model, images)
    torch.manual_seed(5)
    z = model.encoder(images).rsample((7,))
    each = [-model.decoder(draw).log_prob(images) for draw in z]
    torch.testing.assert_close(terms.distortion, torch.stack(each).mean(0))


def test_more_draws_have_less_variance():
    model, images = LinearGaussian(stretch=2.0), torch.randn(3, *SHAPE, dtype=torch.float64)
    one, many = (
        torch.stack([Elbo(samples)(model, images).loss for _ in range(600)]).var(0).mean() for samples in (1, 16)
    )
    assert one / many == pytest.approx(16, rel=0.3)


@pytest.mark.parametrize("samples", [0, -1])
def test_no_draws_are_refused(samples):
    with pytest.raises(ValueError, match="at least 1 draw"):
        Elbo(samples=samples)


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)), st.integers(1, 5))
def test_the_squared_error_is_a_mean_over_pixels(shape, batch):
    images, others = torch.rand(batch, *shape), torch.rand(batch, *shape)
    model = SimpleNamespace(encoder=lambda x: PointMass(x.flatten(1)), decoder=lambda z: others)
    terms = SquaredError()(model, images)
    expected = np.square(images.numpy().astype(np.float64) - others.numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(terms.loss.numpy(), expected, rtol=1e-5)
    assert torch.equal(terms.loss, terms.distortion)
    assert not terms.rate.any()


@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
def test_the_gradient_is_the_finite_difference(name):
    model = getattr(recipes, name)((1, 4, 3), 2).double()
    images = torch.rand(3, 1, 4, 3, dtype=torch.float64)

    def loss():
        torch.manual_seed(1)  # the same draws on either side
        return model.loss(images).loss.mean()

    loss().backward()
    for parameter in model.parameters():
        direction, step = torch.randn_like(parameter), 1e-6
        there = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
            there.append(loss().item())
            with torch.no_grad():
                parameter.sub_(direction, alpha=sign * step)
        slope = (there[0] - there[1]) / (2 * step)
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_terms_name_what_they_hold():
    assert list(vars(Terms(torch.zeros(1), torch.zeros(1), torch.zeros(1)))) == ["loss", "distortion", "rate"]
