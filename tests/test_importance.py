"""The importance-weighted bound against the exact evidence of a linear-Gaussian model, and its two gradients."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MultivariateNormal, Normal

from lowerbound.errors import InputError
from lowerbound.importance import ImportanceWeighted, log_weights
from lowerbound.objective import Elbo
from lowerbound.posterior import PointMass
from lowerbound.prior import StandardNormal

SHAPE = (1, 2, 3)
PIXELS, K = 6, 2


class Encoder(nn.Module):
    """q(z|x) = N(A (x - m) + shift, stretch^2 L L'); shift 0 and stretch 1 make it the exact posterior."""

    def __init__(self, matrix, mean, factor, shift, stretch):
        super().__init__()
        self.matrix, self.factor = nn.Parameter(matrix), nn.Parameter(factor * stretch)
        self.shift = nn.Parameter(factor @ torch.full((K,), shift, dtype=torch.float64))  # in its deviations
        self.register_buffer("mean", mean)

    def forward(self, images):
        mean = (images.flatten(1) - self.mean) @ self.matrix.T + self.shift
        return MultivariateNormal(mean, scale_tril=self.factor.tril())


class Decoder(nn.Module):
    """p(x|z) = N(W z + m, sigma^2 I)."""

    def __init__(self, loadings, mean, sigma):
        super().__init__()
        self.loadings, self.mean, self.sigma = nn.Parameter(loadings), nn.Parameter(mean), sigma

    def forward(self, codes):
        return Independent(Normal((codes @ self.loadings.T + self.mean).unflatten(-1, SHAPE), self.sigma), 3)


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x = W z + m + sigma e, with any W: evidence and posterior are Gaussian and known."""

    def __init__(self, shift=0.0, stretch=1.0, sigma=0.5):
        super().__init__()
        loadings, mean = torch.randn(PIXELS, K, dtype=torch.float64), torch.randn(PIXELS, dtype=torch.float64)
        inner = torch.linalg.inv(loadings.T @ loadings + sigma**2 * torch.eye(K, dtype=torch.float64))
        factor = torch.linalg.cholesky(sigma**2 * inner)
        self.encoder = Encoder(inner @ loadings.T, mean, factor, shift, stretch)
        self.decoder, self.prior = Decoder(loadings, mean, sigma), StandardNormal(K).double()
        covariance = loadings @ loadings.T + sigma**2 * torch.eye(PIXELS, dtype=torch.float64)
        self.evidence = MultivariateNormal(mean.clone(), covariance)


def some_images(number=5):
    return torch.randn(number, *SHAPE, dtype=torch.float64)


def mean_and_error(values):
    return values.mean(0), values.std(0) / math.sqrt(len(values))


def bounds(model, images, samples, repetitions):
    """``[repetitions, images]``: all of them as one batch."""
    with torch.no_grad():
        loss = ImportanceWeighted(samples)(model, images.repeat(repetitions, 1, 1, 1)).loss
    return -loss.unflatten(0, (repetitions, len(images)))


@pytest.mark.parametrize("doubly", [False, True])
@pytest.mark.parametrize("samples", [1, 7])
@pytest.mark.parametrize("sigma", [0.05, 0.5, 2.0])
def test_with_the_exact_posterior_any_draw_gives_the_evidence(sigma, samples, doubly):
    model, images = LinearGaussian(sigma=sigma), some_images()
    evidence = model.evidence.log_prob(images.flatten(1))
    loss = ImportanceWeighted(samples, doubly)(model, images).loss
    torch.testing.assert_close(-loss, evidence, rtol=0, atol=1e-9)


def test_the_bound_rises_with_the_draws_and_never_passes_the_evidence():
    model, images = LinearGaussian(shift=0.7, stretch=1.3), some_images()
    evidence = model.evidence.log_prob(images.flatten(1))
    before = bounds(model, images, 1, 600).mean(1)
    for samples in (3, 10, 50):
        now = bounds(model, images, samples, 600)
        gain, error = mean_and_error(now.mean(1) - before)
        assert gain > 4 * error
        mean, error = mean_and_error(now)
        assert (mean <= evidence + 4 * error).all()
        before = now.mean(1)
    assert (evidence.mean() - before.mean()) < 0.1


def test_the_bound_comes_to_the_evidence():
    model, images = LinearGaussian(shift=0.1, stretch=1.3), some_images()
    loss = ImportanceWeighted(20_000)(model, images).loss
    torch.testing.assert_close(-loss, model.evidence.log_prob(images.flatten(1)), rtol=0, atol=0.05)


def test_one_draw_is_the_elbo():
    model, images = LinearGaussian(shift=0.3), some_images()
    torch.manual_seed(3)
    one = ImportanceWeighted(samples=1)(model, images)
    torch.manual_seed(3)
    elbo = Elbo(analytic=False)(model, images)
    for name in ("loss", "distortion", "rate"):
        torch.testing.assert_close(getattr(one, name), getattr(elbo, name))


def test_distortion_and_rate_are_the_elbos_and_the_loss_is_below_their_sum():
    model, images = LinearGaussian(shift=0.7, stretch=0.5), some_images()
    torch.manual_seed(3)
    many = ImportanceWeighted(samples=9)(model, images)
    torch.manual_seed(3)
    elbo = Elbo(samples=9, analytic=False)(model, images)
    torch.testing.assert_close(many.distortion, elbo.distortion)
    torch.testing.assert_close(many.rate, elbo.rate)
    assert (many.loss < many.distortion + many.rate).all()


def gradients(model, images, objective, repetitions):
    """The gradient of the mean loss, once for each repetition: ``{name: [repetitions, ...]}``."""
    rows = {name: [] for name, _ in model.named_parameters()}
    for _ in range(repetitions):
        model.zero_grad()
        objective(model, images).loss.mean().backward()
        for name, weights in model.named_parameters():
            rows[name].append(weights.grad.clone())
    return {name: torch.stack(values) for name, values in rows.items()}


@pytest.mark.parametrize(
    ("samples", "other"), [(1, Elbo()), (1, Elbo(analytic=False)), (8, ImportanceWeighted(samples=8))]
)
def test_both_gradients_have_one_expectation(samples, other):
    model, image = LinearGaussian(shift=0.7, stretch=1.3), some_images(1)
    images = image.expand(100, *SHAPE)  # a hundred repetitions at a time
    doubly = gradients(model, images, ImportanceWeighted(samples, doubly=True), 150)
    plain = gradients(model, images, other, 150)
    for name, values in doubly.items():
        (mean, error), (expected, other_error) = mean_and_error(values), mean_and_error(plain[name])
        assert ((mean - expected).abs() <= 4 * (error**2 + other_error**2).sqrt() + 1e-12).all(), name
        assert mean.abs().max() > 8 * error.max(), f"{name} has no gradient to compare"


def test_the_double_gradient_is_louder_above_its_noise():
    model, images = LinearGaussian(shift=0.7, stretch=1.3), some_images(1)
    loudness = {}
    for doubly in (False, True):
        values = gradients(model, images, ImportanceWeighted(64, doubly), 150)["encoder.shift"]
        loudness[doubly] = (values.mean(0).abs() / values.std(0)).mean()
    assert loudness[True] > 3 * loudness[False]


def test_at_the_exact_posterior_the_double_gradient_has_no_noise():
    model, images = LinearGaussian(), some_images()
    for name, values in gradients(model, images, ImportanceWeighted(4, doubly=True), 3).items():
        if name.startswith("encoder"):
            torch.testing.assert_close(values, torch.zeros_like(values), rtol=0, atol=1e-9)
    assert gradients(model, images, ImportanceWeighted(4), 3)["encoder.shift"].abs().max() > 1e-3


def test_the_double_gradient_changes_neither_the_loss_nor_the_decoders_gradient():
    model, images = LinearGaussian(shift=0.3), some_images()
    torch.manual_seed(3)
    plain = gradients(model, images, ImportanceWeighted(6), 1)
    torch.manual_seed(3)
    doubly = gradients(model, images, ImportanceWeighted(6, doubly=True), 1)
    for name in plain:
        same = torch.allclose(plain[name], doubly[name], rtol=1e-9, atol=1e-12)
        assert same == name.startswith("decoder"), name
    losses = []
    for objective in (ImportanceWeighted(6), ImportanceWeighted(6, doubly=True)):
        torch.manual_seed(3)
        losses.append(objective(model, images).loss)
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)


def test_log_weights_take_the_prior_as_a_module_or_a_distribution():
    model, images = LinearGaussian(stretch=2.0), some_images()
    q = model.encoder(images)
    z = q.sample((4,))
    weights = log_weights(q, z, model.decoder, model.prior, images)
    assert weights.shape == (4, 5)
    assert torch.equal(weights, log_weights(q, z, model.decoder, model.prior(), images, log_q=q.log_prob(z)))
    joint = torch.stack([model.decoder(draw).log_prob(images) + model.prior().log_prob(draw) for draw in z])
    torch.testing.assert_close(weights, joint - q.log_prob(z))


@pytest.mark.parametrize("samples", [0, -3])
def test_no_draws_are_refused(samples):
    with pytest.raises(InputError, match="at least 1 draw"):
        ImportanceWeighted(samples)


def test_a_point_is_refused():
    model = SimpleNamespace(encoder=lambda x: PointMass(x.flatten(1)), prior=StandardNormal(PIXELS))
    with pytest.raises(InputError, match="point posterior has no density"):
        ImportanceWeighted()(model, torch.rand(2, *SHAPE))
