"""Gradient estimators: unbiased against closed forms, and ordered by their variance as the theory says."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent
from torch.distributions import Normal as NormalDistribution

from lowerbound.backbone import LinearDecoder
from lowerbound.errors import InputError
from lowerbound.estimators import (
    ESTIMATORS,
    gradients,
    reparameterised,
    score_function,
    score_function_with_baseline,
    sticking_the_landing,
    variances,
)
from lowerbound.likelihood import Normal
from lowerbound.prior import StandardNormal
from lowerbound.vae import VAE

SHAPE, K = (1, 3, 2), 2


class Diagonal(nn.Module):
    """phi = (mu, log sigma), 2K numbers, from a linear map."""

    def __init__(self, in_features, latent_dim):
        super().__init__()
        self.linear = nn.Linear(in_features, 2 * latent_dim)

    def phi(self, features):
        return self.linear(features)

    @staticmethod
    def from_phi(phi):
        mean, log_scale = phi.chunk(2, -1)
        return Independent(NormalDistribution(mean, log_scale.exp()), 1)

    def forward(self, features):
        return self.from_phi(self.phi(features))


@pytest.fixture
def linear_gaussian():
    """A linear-Gaussian model in float64, three images, and the exact gradient of the ELBO at its phi ``[3, 2K]``."""
    torch.manual_seed(1)
    encoder = nn.Sequential(nn.Flatten(), Diagonal(6, K))
    decoder = nn.Sequential(LinearDecoder(SHAPE, K), Normal(scale=0.7))
    model = VAE(encoder, decoder, StandardNormal(K), SHAPE).double()
    images = np.random.default_rng(0).random((3, *SHAPE), np.float32)
    return model, images, exact_gradient(model, images)


@torch.no_grad()
def phi_of(model, images):
    return model.encoder[-1].phi(model.encoder[:-1](torch.from_numpy(images).double()))


@torch.no_grad()
def exact_gradient(model, images, phi=None):
    """ELBO = -(|x - m - W mu|^2 + sum_k s_k^2 |w_k|^2) / (2 sigma^2) - KL, differentiated by hand."""
    mean, log_scale = (phi_of(model, images) if phi is None else phi).chunk(2, -1)
    linear, variance = model.decoder[0].layers[0], model.likelihood.scale.square()
    x = torch.from_numpy(images).double().flatten(1)
    squares = (2 * log_scale).exp()
    to_mean = (x - linear.bias - mean @ linear.weight.T) @ linear.weight / variance - mean
    to_log_scale = 1 - squares * (1 + linear.weight.square().sum(0) / variance)
    return torch.cat([to_mean, to_log_scale], -1).numpy()


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_unbiased(name, linear_gaussian):
    model, images, exact = linear_gaussian
    draws = gradients(model, images, ESTIMATORS[name], draws=20_000)
    assert draws.shape == (20_000, 3, 2 * K)
    error = draws.std(0, ddof=1) / np.sqrt(len(draws))
    assert (abs(draws.mean(0) - exact) < 4 * error + 1e-12).all()
    assert (error < 0.5).all()  # else nothing was tested


def test_the_exact_gradient_is_that_of_finite_differences(linear_gaussian):
    """With the same eps on both sides the reparameterised ELBO is a smooth function of phi."""
    model, images, exact = linear_gaussian
    x, phi = torch.from_numpy(images).double(), phi_of(model, images)
    eps = torch.randn(50_000, 3, K).double()
    eps = torch.cat([eps, -eps])

    @torch.no_grad()
    def elbo(phi):
        q = Diagonal.from_phi(phi)
        z = q.mean + eps * q.stddev
        return (model.decoder(z).log_prob(x) + model.prior().log_prob(z) - q.log_prob(z)).mean(0)

    for entry in range(2 * K):
        step = torch.zeros(2 * K).double()
        step[entry] = 1e-5
        difference = (elbo(phi + step) - elbo(phi - step)) / 2e-5
        np.testing.assert_allclose(difference, exact[:, entry], atol=0.1)


def test_reparameterisation_scatters_least_and_a_baseline_helps(linear_gaussian):
    model, images, _ = linear_gaussian
    scatter = {name: gradients(model, images, each, draws=4000).var(0).sum(1) for name, each in ESTIMATORS.items()}
    assert (scatter["score function, baseline"] < scatter["score function"]).all()
    assert (4 * scatter["reparameterised"] < scatter["score function, baseline"]).all()


def test_sticking_the_landing_lands(linear_gaussian):
    """Where q is the exact posterior its gradient has no variance; the plain one has."""
    model, images, _ = linear_gaussian
    linear = model.decoder[0].layers[0]
    with torch.no_grad():  # orthogonal loadings: the exact posterior is diagonal
        linear.weight.copy_(torch.linalg.qr(torch.randn(6, K).double())[0] * torch.tensor([1.5, 0.8]))
        noise = model.likelihood.scale.square()
        precision = 1 + linear.weight.square().sum(0) / noise
        inward = (linear.weight / noise / precision).T
        head = model.encoder[-1].linear
        head.weight.zero_()
        head.weight[:K] = inward
        head.bias.copy_(torch.cat([-inward @ linear.bias, -precision.log() / 2]))
    np.testing.assert_allclose(exact_gradient(model, images), 0, atol=1e-6)
    assert abs(gradients(model, images, sticking_the_landing)).max() < 1e-6
    assert gradients(model, images, reparameterised).std(0).min() > 0.1


def test_variance_falls_as_one_over_the_draws(linear_gaussian):
    model, images, _ = linear_gaussian
    for estimator in (reparameterised, score_function):
        one, many = variances(model, images, estimator, draws=(1, 16), repeats=2000).mean(1)
        assert one / many == pytest.approx(16, rel=0.25)
    few, more = variances(model, images, score_function_with_baseline, draws=(2, 32), repeats=2000).mean(1)
    assert few / more > 16 * 1.1  # the baseline itself gets better, too
    single = gradients(model, images, reparameterised, draws=4000).var(0, ddof=1).sum(-1)
    np.testing.assert_allclose(variances(model, images, draws=(1,), repeats=4000)[0], single, rtol=0.25)


def test_the_same_seed_gives_the_same_gradients_and_nothing_else_moves(linear_gaussian):
    model, images, _ = linear_gaussian
    state = torch.get_rng_state()
    one, same, other = (gradients(model, images, draws=5, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_any_number_of_draws_and_images(linear_gaussian):
    model, images, _ = linear_gaussian
    assert gradients(model, images[:1], draws=1).shape == (1, 1, 2 * K)
    assert variances(model, images, draws=(2000,), repeats=2).shape == (1, 3)


def test_wrong_settings_are_refused_with_the_right_words(linear_gaussian):
    model, images, _ = linear_gaussian
    model_without_phi = VAE(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), model.decoder, model.prior, SHAPE)
    for words, call in {
        "draws is 0": lambda: gradients(model, images, draws=0),
        "2 draws or more": lambda: gradients(model, images, score_function_with_baseline, draws=1),
        "1 draw or more": lambda: variances(model, images, draws=(0, 1)),
        "2 repeats or more": lambda: variances(model, images, repeats=1),
        "Linear has no phi": lambda: gradients(model_without_phi, images),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
