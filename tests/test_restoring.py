"""Noise taken out and holes filled, held against what is known in closed form of linear-Gaussian models."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import recipes
from lowerbound.denoising import denoise, noise_level
from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.inpainting import _Seen, inpaint, rectangle
from lowerbound.linear import linear_vae
from lowerbound.observed import around, mirrored
from lowerbound.parts import LIKELIHOODS, Parts
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal
from lowerbound.recipes import NETWORKS, RECIPES

SHAPE, K = (1, 5, 4), 3
RANDOM = np.random.default_rng(0)
LOW = RANDOM.normal(size=(200, K)) @ RANDOM.normal(size=(K, 20)) * 0.1 + 0.5 + 0.05 * RANDOM.normal(size=(200, 20))
IMAGES = (255 * LOW.clip(0, 1)).round().astype(np.uint8).reshape(-1, *SHAPE)
PPCA = PCA(K).fit(IMAGES)
FEW = IMAGES[:4]
HOLE = rectangle(1, 1, 3, 2, SHAPE[1:])


def covariance(pca):
    """W W' + s^2 I of probabilistic PCA, [P, P]."""
    noise = pca.noise_variance
    along = np.maximum(pca.scales**2, noise) - noise
    return pca.components.T @ np.diag(along) @ pca.components + noise * np.eye(len(pca.mean))


def wiener(pca, noisy, sigma):
    whole = covariance(pca)
    gain = whole @ np.linalg.inv(whole + sigma**2 * np.eye(len(whole)))
    return pca.mean + (noisy.reshape(len(noisy), -1) - pca.mean) @ gain.T


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.5])
def test_pca_takes_noise_out_as_the_wiener_filter_does(sigma):
    noisy = as_floats(FEW) + RANDOM.normal(0, sigma, FEW.shape).astype(np.float32)
    found = denoise(PPCA, noisy, sigma)
    assert not found.estimated
    np.testing.assert_allclose(found.images.reshape(len(FEW), -1), wiener(PPCA, noisy, sigma), atol=2e-6)


def test_a_linear_vae_takes_noise_out_as_the_wiener_filter_does():
    noisy = as_floats(FEW) + RANDOM.normal(0, 0.1, FEW.shape).astype(np.float32)
    found = denoise(linear_vae(PPCA), noisy, 0.1, steps=400, samples=8).images
    np.testing.assert_allclose(found.reshape(len(FEW), -1), wiener(PPCA, noisy, 0.1), atol=2e-3)


def test_no_noise_is_no_change_and_much_noise_leaves_the_mean():
    model = linear_vae(PPCA)
    assert (denoise(model, FEW, 0.0).images == as_floats(FEW)).all()
    far = denoise(PPCA, FEW, 1e4).images.reshape(len(FEW), -1)
    np.testing.assert_allclose(far, np.broadcast_to(PPCA.mean, far.shape), atol=1e-5)


def test_denoising_draws_as_its_seed_says_and_leaves_other_draws_alone():
    model = recipes.vae(SHAPE, K)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = (denoise(model, FEW, 0.1, seed=1, steps=5).images for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert (one == other).all()


def test_an_autoencoder_gives_its_reconstruction():
    model = recipes.linear(SHAPE, K)
    found = denoise(model, FEW, 0.1)
    np.testing.assert_array_equal(found.images, model.inverse_transform(model.transform(FEW)))


@settings(max_examples=15, deadline=None)
@given(sigma=st.floats(0.01, 0.5), slope=st.floats(-0.02, 0.02), seed=st.integers(0, 10**6))
def test_the_noise_of_smooth_images_is_found(sigma, slope, seed):
    ramp = slope * np.arange(32)[:, None] + slope * np.arange(32)
    noisy = 0.5 + ramp + np.random.default_rng(seed).normal(0, sigma, (20, 1, 32, 32))
    assert noise_level(noisy) == pytest.approx(sigma, rel=0.1)


def test_flat_images_have_no_noise_and_lines_no_answer():
    assert noise_level(np.full((3, 3, 8, 8), 77, np.uint8)) == 0
    with pytest.raises(InputError, match="no 2 x 2 blocks"):
        noise_level(np.zeros((3, 1, 1, 8), np.uint8))


def conditional(pca, seen, hidden, values):
    """Mean and covariance of the hidden pixels given the seen ones, of the normal of probabilistic PCA."""
    whole = covariance(pca)
    gain = whole[np.ix_(hidden, seen)] @ np.linalg.inv(whole[np.ix_(seen, seen)])
    mean = pca.mean[hidden] + (values[:, seen] - pca.mean[seen]) @ gain.T
    return mean, whole[np.ix_(hidden, hidden)] - gain @ whole[np.ix_(seen, hidden)]


def of_hole(values):
    return values[..., HOLE].reshape(*values.shape[:-3], -1)


def test_pca_fills_in_by_the_conditional_normal():
    hidden = np.flatnonzero(HOLE)
    flat = as_floats(FEW).reshape(len(FEW), -1)
    mean, spread = conditional(PPCA, np.flatnonzero(~HOLE), hidden, flat.astype(np.float64))
    found = inpaint(PPCA, FEW, HOLE, 4000)
    np.testing.assert_allclose(of_hole(found.mean), mean, atol=1e-5)
    np.testing.assert_allclose(of_hole(found.std), np.broadcast_to(np.sqrt(np.diag(spread)), mean.shape), rtol=1e-4)
    draws = of_hole(found.draws)[:, 0].astype(np.float64)
    without_pixel_noise = spread - PPCA.noise_variance * np.eye(len(hidden))
    scale = np.abs(without_pixel_noise).max()
    np.testing.assert_allclose(np.cov(draws.T), without_pixel_noise, atol=0.15 * scale)
    np.testing.assert_allclose(draws.mean(0), mean[0], atol=5 * math.sqrt(scale / len(draws)))


def test_a_linear_vae_fills_in_by_the_conditional_normal():
    exact = inpaint(PPCA, FEW, HOLE)
    found = inpaint(linear_vae(PPCA), FEW, HOLE, steps=800, samples=16)
    np.testing.assert_allclose(found.mean, exact.mean, atol=4e-3)
    np.testing.assert_allclose(found.std, exact.std, rtol=0.1)


@pytest.mark.parametrize("model", [PPCA, recipes.vae(SHAPE, K)], ids=["pca", "vae"])
def test_what_is_seen_stays_and_what_is_hidden_says_nothing(model):
    found = inpaint(model, FEW, HOLE, 2, steps=20)
    for values in (found.mean, *found.draws):
        assert (values[:, :, ~HOLE] == as_floats(FEW)[:, :, ~HOLE]).all()
    assert (found.std[:, :, ~HOLE] == 0).all()
    assert (found.std[:, :, HOLE] > 0).all()
    other = inpaint(model, np.where(HOLE, 255 - FEW, FEW), HOLE, 2, steps=20)
    assert (other.mean == found.mean).all()
    assert (other.draws == found.draws).all()
    assert np.isfinite(found.draws).all()


@pytest.mark.parametrize("kind", sorted(set(LIKELIHOODS) - {"none"}))
def test_seen_and_hidden_pixels_make_up_the_whole(kind):
    shape = (3, 5, 4)
    model = RECIPES["vae"].build(shape, K, NETWORKS["dense"], None, Parts(likelihood=kind), 10).eval()
    if kind == "per-pixel":
        model.likelihood.log_scale.data.normal_(-2, 0.5)
    x = torch.from_numpy(as_floats(RANDOM.integers(0, 2, (2, *shape)).astype(np.uint8) * 255))
    z = torch.randn(2, K)
    seen, hidden = (_Seen(model.decoder, torch.from_numpy(mask)) for mask in (~HOLE, HOLE))
    with torch.no_grad():
        parts = [one(z).log_prob(one.seen_of(x)) for one in (seen, hidden)]
        torch.testing.assert_close(sum(parts), model.decoder(z).log_prob(x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["laplace", "per-pixel", "logistic", "bernoulli"])
def test_every_likelihood_can_be_restored_from(kind):
    model = RECIPES["vae"].build(SHAPE, K, NETWORKS["dense"], None, Parts(likelihood=kind), 10).eval()
    x = np.where(FEW > 127, 255, 0).astype(np.uint8)
    assert np.isfinite(denoise(model, x, 0.1, steps=5).images).all()
    found = inpaint(model, x, HOLE, 1, steps=5)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.std).all()


def test_noise_below_the_rounding_does_not_overflow():
    model = RECIPES["vae"].build(SHAPE, K, NETWORKS["dense"], None, Parts(likelihood="bernoulli"), 10).eval()
    assert np.isfinite(denoise(model, FEW, ROUNDING_SCALE / 1000, steps=5).images).all()


def test_any_q_becomes_a_normal_with_its_moments():
    q = IsotropicNormal.from_phi(torch.tensor([[1.0, -2.0, 0.5]]))
    for family in (DiagonalNormal, FullNormal):
        same = family.from_phi(around(q, family))
        torch.testing.assert_close(same.mean, q.mean)
        torch.testing.assert_close(same.variance, q.variance)
    torch.testing.assert_close(mirrored(q, 6).mean(0), q.mean)


def test_a_rectangle_lies_within_the_images():
    assert rectangle(1, 2, 3, 4, (5, 6)).sum() == 12
    for corners in ((0, 0, 6, 1), (0, 0, 0, 1), (5, 0, 1, 1), (0, 5, 1, 2)):
        with pytest.raises(InputError, match="expected a rectangle within"):
            rectangle(*corners, (5, 6))


def test_what_cannot_be_restored_is_refused():
    autoencoder = recipes.linear(SHAPE, K)
    nothing, everything = np.zeros(SHAPE[1:], bool), np.ones(SHAPE[1:], bool)
    for words, call in {
        "no density": lambda: inpaint(autoencoder, FEW, HOLE),
        "hides everything": lambda: inpaint(PPCA, FEW, everything),
        "hides nothing": lambda: inpaint(PPCA, FEW, nothing),
        "height and width": lambda: inpaint(PPCA, FEW, HOLE.T),
        "at least 1 of each": lambda: inpaint(PPCA, FEW[:0], HOLE),
        "no images": lambda: denoise(PPCA, FEW[:0]),
        "sigma is -1": lambda: denoise(PPCA, FEW, -1),
        "as the model was made for": lambda: denoise(PPCA, FEW[:, :, :2], 0.1),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
