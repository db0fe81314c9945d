"""Probabilistic PCA as a VAE: every bound on its evidence is the evidence itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.importance import ImportanceWeighted
from lowerbound.linear import LinearPosterior, linear_vae
from lowerbound.objective import Elbo
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))


def drawn(shape, number, seed, spread=1.0):
    """Images with structure: a few directions and noise."""
    random, pixels = np.random.default_rng(seed), math.prod(shape)
    flat = random.standard_normal((number, 2)) @ random.standard_normal((2, pixels)) * 30 * spread
    flat += 128 + 20 * spread * random.standard_normal((number, pixels))
    return flat.clip(0, 255).astype(np.uint8).reshape(number, *shape)


def doubles(images):
    """Float64 images of the very numbers that PCA scores."""
    return torch.from_numpy(as_floats(images).astype(np.float64))


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 6), st.integers(1, 4), st.integers(0, 10_000), st.sampled_from([0.01, 1.0, 3.0]))
def test_the_importance_weighted_bound_is_the_evidence_for_any_number_of_draws(shape, k, samples, seed, spread):
    assume(k <= math.prod(shape))
    pca = PCA(k).fit(drawn(shape, 30, seed, spread))
    images = drawn(shape, 10, seed + 1)  # also far from what was learned
    model, exact = linear_vae(pca, torch.float64), pca.score_samples(images)
    torch.manual_seed(seed)
    with torch.no_grad():
        one = -ImportanceWeighted(1)(model, doubles(images)).loss
        several = -ImportanceWeighted(samples)(model, doubles(images)).loss
    np.testing.assert_allclose(one.numpy(), exact, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(several.numpy(), exact, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.integers(1, 4), st.integers(0, 10_000))
def test_the_sampled_elbo_is_the_evidence_at_every_draw(shape, k, seed):
    assume(k <= math.prod(shape))
    images = drawn(shape, 30, seed)
    pca = PCA(k).fit(images)
    with torch.no_grad():
        terms = Elbo(analytic=False)(linear_vae(pca, torch.float64), doubles(images))
    np.testing.assert_allclose(-terms.loss.numpy(), pca.score_samples(images), rtol=1e-9, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(SHAPES, st.integers(1, 4), st.integers(0, 10_000))
def test_the_elbo_with_its_exact_rate_is_the_evidence_in_expectation(shape, k, seed):
    assume(k <= math.prod(shape))
    images = drawn(shape, 12, seed)
    pca = PCA(k).fit(images)
    model, x = linear_vae(pca, torch.float64), doubles(images)
    torch.manual_seed(seed)
    with torch.no_grad():
        losses = torch.stack([Elbo(samples=50)(model, x).loss for _ in range(20)])
    error = losses.mean(1).std() / math.sqrt(len(losses))
    assert abs(losses.mean() + pca.score(images)) < 5 * error + 1e-9


def test_any_other_posterior_leaves_a_gap():
    """So the equalities above can fail: a wrong mean, or a wrong scale, and the bound is below the evidence."""
    images = drawn((1, 4, 4), 50, seed=0)
    pca = PCA(3).fit(images)
    for name in ("mean", "log_scales"):
        model = linear_vae(pca, torch.float64)
        with torch.no_grad():
            getattr(model.encoder[-1], name).add_(0.05 if name == "mean" else 0.5)
            bound = -Elbo(samples=200)(model, doubles(images)).loss
        assert bound.mean() < pca.score(images) - 0.05


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.integers(1, 4), st.integers(0, 10_000))
def test_codes_are_the_posterior_mean_by_bayes_rule(shape, k, seed):
    """E[z|x] = (W'W + s^2 I)^-1 W'(x - mean) and its covariance s^2 (W'W + s^2 I)^-1, with W read off the decoder."""
    assume(k <= math.prod(shape))
    images = drawn(shape, 30, seed)
    pca = PCA(k).fit(images)
    model = linear_vae(pca, torch.float64)
    x = doubles(images)
    with torch.no_grad():
        offset = model.decoder(torch.zeros(k, dtype=torch.float64)).mean.flatten()
        loadings = model.decoder(torch.eye(k, dtype=torch.float64)).mean.flatten(1).T - offset[:, None]  # W, [P, K]
        noise = model.likelihood.scale.square()
        precision = loadings.T @ loadings + noise * torch.eye(k, dtype=torch.float64)
        means = torch.linalg.solve(precision, loadings.T @ (x.flatten(1) - offset).T).T
        covariance = noise * torch.linalg.inv(precision)
        q = model.encoder(x)
    tolerance = 1e-6 / min(1.0, float(noise))  # of what a small sigma makes of rounding
    torch.testing.assert_close(q.mean, means, atol=tolerance, rtol=1e-6)
    torch.testing.assert_close(torch.diag_embed(q.variance[0]), covariance, atol=1e-9, rtol=1e-6)
    np.testing.assert_allclose(model.transform(images), means.numpy(), atol=max(1e-5, tolerance))
    # PCA's own codes are whitened: of images as the model draws them a little larger
    shrinking = np.sqrt(np.maximum(pca.scales**2 - pca.noise_variance, 0)) / np.maximum(pca.scales, 1e-12)
    where = pca.scales**2 > pca.noise_variance
    np.testing.assert_allclose(
        model.transform(images)[:, where], (pca.transform(images) * shrinking)[:, where], atol=1e-3
    )


def test_the_aggregate_of_draws_is_the_covariance_of_pca():
    pca = PCA(3).fit(drawn((1, 3, 4), 200, seed=0))
    model = linear_vae(pca, torch.float64)
    with torch.no_grad():
        loadings = (
            model.decoder(torch.eye(3, dtype=torch.float64)).mean.flatten(1).T - torch.from_numpy(pca.mean)[:, None]
        )
        covariance = (
            loadings @ loadings.T + model.likelihood.scale.square() * torch.eye(12, dtype=torch.float64)
        ).numpy()
    values = np.sort(np.linalg.eigvalsh(covariance))[::-1]
    np.testing.assert_allclose(values[:3], pca.scales**2, rtol=1e-9)
    np.testing.assert_allclose(values[3:], pca.noise_variance, rtol=1e-9)


def test_images_that_do_not_vary_have_an_evidence_too():
    images = np.full((20, 1, 3, 3), 77, np.uint8)
    pca = PCA(2).fit(images)
    model = linear_vae(pca, torch.float64)
    assert model.likelihood.scale.item() == pytest.approx(ROUNDING_SCALE)
    with torch.no_grad():
        bound = -ImportanceWeighted(1)(model, doubles(images)).loss
    np.testing.assert_allclose(bound.numpy(), pca.score_samples(images), rtol=1e-9)


def test_as_a_vae_it_keeps_the_manners_of_one():
    images = drawn((3, 4, 5), 40, seed=0)
    model = linear_vae(PCA(4).fit(images))
    assert next(model.parameters()).dtype == torch.float32
    assert model.sample(3).shape == (3, 3, 4, 5)
    assert model.score(images, samples=50) == pytest.approx(PCA(4).fit(images).score(images), abs=0.5)
    model.loss(torch.from_numpy(as_floats(images))).loss.mean().backward()
    assert all(weights.grad is not None and weights.grad.isfinite().all() for weights in model.parameters())


def test_phi_is_that_of_a_diagonal_normal():
    head = LinearPosterior(torch.randn(2, 6), torch.randn(6), torch.randn(2))
    x = torch.rand(5, 6)
    assert head.phi(x).shape == (5, LinearPosterior.phi_size(2)) == (5, DiagonalNormal.phi_size(2))
    torch.testing.assert_close(head(x).mean, head.from_phi(head.phi(x)).mean)
    torch.testing.assert_close(head(x).stddev[0], head.log_scales.exp())


def test_a_pca_that_has_seen_nothing_is_refused():
    with pytest.raises(InputError, match="has not seen images yet"):
        linear_vae(PCA(3))
