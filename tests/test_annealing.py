"""Annealed importance sampling: against probabilistic PCA, where log p(x) is known, and as a second opinion on a network."""

import numpy as np
import pytest
import torch

from lowerbound import recipes
from lowerbound.annealing import Path, _transition, annealed, sigmoid_schedule
from lowerbound.errors import InputError
from lowerbound.evidence import evidence
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.settings import Settings
from lowerbound.sources import load


@pytest.fixture(scope="module")
def digits():
    return load("digits").train.pixels


@pytest.fixture(scope="module")
def linear(digits):
    pca = PCA(4).fit(digits)
    return pca, linear_vae(pca, torch.float64)


@pytest.mark.slow
def test_from_the_prior_it_agrees_with_the_exact_evidence(digits, linear):
    pca, model = linear
    exact = pca.score_samples(digits[:20])
    found = annealed(model, digits[:20], temperatures=300, steps=2, chains=64)
    assert found.reliable.all()
    off = (found.log_p - exact) / found.standard_error
    assert 0.7 < np.sqrt(np.mean(off**2)) < 1.35
    assert abs(found.log_p.mean() - exact.mean()) < 4 * found.monte_carlo_error


def test_from_the_exact_posterior_all_weights_are_p_of_x(digits, linear):
    pca, model = linear
    with torch.no_grad():
        q = model.encoder(torch.from_numpy(digits[:7].astype(np.float32) / 255).double())
    found = annealed(model, digits[:7], temperatures=5, chains=3, start=q)
    np.testing.assert_allclose(found.log_p, pca.score_samples(digits[:7]), atol=1e-6)


def test_a_faster_way_is_low_and_never_high(digits, linear):
    pca, model = linear
    exact = pca.score_samples(digits[:40])
    means = [annealed(model, digits[:40], temperatures=t, chains=8).elbo.mean() - exact.mean() for t in (2, 8, 32)]
    assert means[0] < means[1] < means[2] < 0.1


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_transitions_leave_the_posterior_as_it_is(digits, linear, temperature):
    """At b the target of probabilistic PCA is Gaussian: draws from it, moved, still have its mean and variances."""
    _, model = linear
    x = torch.from_numpy(digits[:2].astype(np.float32) / 255).double()
    loadings = model.decoder[0].layers[0].weight
    noise = model.decoder[-1].scale ** 2
    with torch.no_grad():
        precision = torch.eye(4).double() + temperature * loadings.T @ loadings / noise
        mean = temperature / noise * (x.flatten(1) - model.decoder[0].layers[0].bias) @ loadings @ precision.inverse()
        start = torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
        metric = torch.eye(4).double() + torch.rand(2, 4, 4).double().tril(-1) / 2  # any will do
        path = Path(model.prior(), model.prior(), model.decoder, x, 10_000, lambda steps, word: None, metric)
        place = path.at(start.sample((4_000,)))
        before = place.z
        accepted = 0.0
        for _ in range(3):
            place, taken = _transition(path, place, temperature, torch.tensor([0.2, 0.25]).double(), steps=3)
            accepted = taken.mean()
    assert 0.3 < accepted < 0.999 or temperature == 0  # moves are made, and some are refused
    assert (place.z - before).abs().mean() > 0.05
    white = (place.z - mean) @ torch.linalg.cholesky(precision)
    flat = white.reshape(-1, 4)
    assert flat.mean(0).abs().max() < 5 / len(flat) ** 0.5
    assert (flat.var(0) - 1).abs().max() < 5 * (2 / len(flat)) ** 0.5


@pytest.mark.parametrize("block", [1, 10_000])
def test_blocks_change_nothing(digits, linear, block):
    _, model = linear
    one = annealed(model, digits[:3], temperatures=4, chains=2, seed=2)
    np.testing.assert_allclose(
        one.log_p, annealed(model, digits[:3], temperatures=4, chains=2, seed=2, block=block).log_p, rtol=1e-9
    )


def test_draws_follow_the_seed_and_leave_the_callers_alone(digits, linear):
    before = torch.get_rng_state()
    runs = [annealed(linear[1], digits[:3], temperatures=3, chains=2, seed=seed).log_p for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).all()
    assert all(weights.grad is None for weights in linear[1].parameters())


def test_the_schedule_rises_from_0_to_1_and_is_even():
    for temperatures in (1, 2, 9, 200):
        schedule = sigmoid_schedule(temperatures)
        assert schedule[0] == 0
        assert schedule[-1] == pytest.approx(1, abs=1e-12)
        assert (np.diff(schedule) > 0).all()
        np.testing.assert_allclose(schedule + schedule[::-1], 1, atol=1e-12)


def test_what_cannot_be_annealed_is_refused(digits, linear):
    _, model = linear
    with pytest.raises(InputError, match="temperatures is 0"):
        annealed(model, digits[:3], temperatures=0)
    with pytest.raises(InputError, match="chains is 0"):
        annealed(model, digits[:3], chains=0)
    with pytest.raises(InputError, match=r"batch shape \[2\]; expected \[3\]"):
        annealed(model, digits[:3], start=model.encoder(torch.zeros(2, 1, 8, 8).double()))


@pytest.mark.slow
def test_two_estimates_of_a_network_agree(digits):
    model = recipes.vae((1, 8, 8), 3, start=PCA(3).fit(digits)).fit(digits, Settings(epochs=5))
    weighed = evidence(model, digits[:20], samples=5_000)
    led = annealed(model, digits[:20], temperatures=150, chains=16)
    error = np.hypot(weighed.monte_carlo_error, led.monte_carlo_error)
    assert abs(weighed.log_p.mean() - led.log_p.mean()) < 4 * error + 0.05
