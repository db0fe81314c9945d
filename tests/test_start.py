"""Where training begins: at what PCA knows, for every posterior and likelihood that allows it."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import sources
from lowerbound.images import as_floats
from lowerbound.linear import linear_vae
from lowerbound.parts import LIKELIHOODS, POSTERIORS, Parts
from lowerbound.pca import PCA
from lowerbound.recipes import NETWORKS, conv, linear, vae
from lowerbound.start import has_line

K = 16
EXACT = ("normal", "per-pixel", "decoded", "optimal")  # with PCA's sigma they are probabilistic PCA itself
LINES = (*EXACT, "fixed", "laplace", "logistic")
LINKED = ("bernoulli", "continuous-bernoulli")
DENSE = tuple(name for name in POSTERIORS if name != "point")


@cache
def digits():
    return sources.load("digits").train.pixels[:300]


@cache
def fitted(k=K):
    return PCA(k).fit(digits())


def started(posterior="isotropic", likelihood="normal", network="strided", start=None):
    parts = Parts(posterior, likelihood)
    head = parts.make_likelihood((1, 8, 8))
    pca = fitted() if start is None else start
    return vae((1, 8, 8), K, NETWORKS[network], pca, posterior=parts.make_head, likelihood=head).eval()


def isotropic_gap(pca):
    """KL(q || p(z|x)) of probabilistic PCA for the best isotropic q with the right mean, nats."""
    variances = pca.noise_variance / np.maximum(pca.scales**2, pca.noise_variance)  # of the exact posterior
    best = 1 / (1 / variances).mean()
    return 0.5 * (np.log(variances).sum() - len(variances) * math.log(best))


@pytest.mark.parametrize("likelihood", EXACT)
@pytest.mark.parametrize("posterior", DENSE)
def test_the_bound_at_the_start_is_the_evidence_of_probabilistic_pca(posterior, likelihood):
    """But for the gap that an isotropic q leaves, which is known, and a flow that begins only near the identity."""
    bound = started(posterior, likelihood).score(digits(), samples=20)
    gap = isotropic_gap(fitted()) if posterior == "isotropic" else 0.0
    assert bound == pytest.approx(fitted().score(digits()) - gap, abs=0.3 if posterior == "flow" else 0.1)


def test_the_gap_of_an_isotropic_posterior_is_worth_telling():
    assert isotropic_gap(fitted()) > 0.5


@pytest.mark.parametrize("likelihood", LINES)
@pytest.mark.parametrize("posterior", DENSE)
def test_codes_and_images_at_the_start_are_those_of_probabilistic_pca(posterior, likelihood):
    model, exact = started(posterior, likelihood), linear_vae(fitted())
    with torch.no_grad():
        z, x = torch.randn(7, K), torch.from_numpy(as_floats(digits()))
        lines = exact.decoder[0](z)
        torch.testing.assert_close(model.decoder[0](z)[:, :1], lines, atol=1e-5, rtol=0)
        if likelihood != "logistic":  # whose mean is that of what is left between 0 and 1
            torch.testing.assert_close(model.decoder(z).mean, lines, atol=1e-5, rtol=0)
        # the mean of a flow moves with its transform, which begins near the identity
        tolerance = 0.1 if posterior == "flow" else 1e-4
        torch.testing.assert_close(model.encoder(x).mean, exact.encoder(x).mean, atol=tolerance, rtol=0)


@pytest.mark.parametrize("likelihood", LINES)
def test_sigma_begins_at_that_of_probabilistic_pca_unless_it_is_fixed(likelihood):
    head, sigma = started(likelihood=likelihood).likelihood, math.sqrt(fitted().noise_variance)
    images = torch.zeros(2, head.numbers, 8, 8)
    if likelihood in {"laplace", "logistic"}:
        assert head.scale.item() == pytest.approx(sigma, rel=1e-4)
    else:
        wanted = 0.1 if likelihood == "fixed" else sigma
        with torch.no_grad():
            torch.testing.assert_close(head(images).stddev, torch.full((2, 1, 8, 8), wanted), rtol=1e-3, atol=0)


@pytest.mark.parametrize("network", ["strided", "dense"])
@pytest.mark.parametrize("likelihood", LINKED)
def test_a_likelihood_with_a_link_begins_at_the_mean_image(likelihood, network):
    """What the network adds to the offsets is centred: without it p(x|z) has the mean image for its mean, at every code."""
    model = started(likelihood=likelihood, network=network)
    mean = fitted().mean.reshape(1, 8, 8)
    with torch.no_grad():
        begun = model.likelihood(model.decoder[0].bias.bias).mean.numpy()
    np.testing.assert_allclose(begun, mean.clip(0.01, 0.99), atol=2e-3)
    np.testing.assert_allclose(model.encoder[0].bias.bias.detach(), -mean, atol=1e-6)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_dense_network_begins_nearer_to_the_images_than_without_a_start(likelihood):
    if likelihood == "none":
        return
    torch.manual_seed(0)
    there = started(likelihood=likelihood, network="dense")
    torch.manual_seed(0)
    head = Parts(likelihood=likelihood).make_likelihood((1, 8, 8))
    nowhere = vae((1, 8, 8), K, NETWORKS["dense"], likelihood=head).eval()
    errors = [((model.sample(50) - fitted().mean.reshape(1, 8, 8)) ** 2).mean() for model in (there, nowhere)]
    assert errors[0] < errors[1]


def test_only_likelihoods_whose_mean_is_the_decoders_image_have_lines():
    for name in set(LIKELIHOODS) - {"none"}:
        assert has_line(Parts(likelihood=name).make_likelihood((1, 8, 8))) == (name in LINES), name


@settings(max_examples=10, deadline=None)
@given(st.sampled_from([(1, 1, 3), (1, 5, 4), (3, 4, 4), (3, 7, 5)]), st.integers(1, 3), st.integers(0, 99))
def test_an_autoencoder_begins_at_the_reconstructions_of_pca(shape, k, seed):
    images = np.random.default_rng(seed).integers(0, 256, (20, *shape)).astype(np.uint8)
    pca = PCA(k).fit(images)
    model = conv(shape, k, start=pca).eval()
    expected = pca.inverse_transform(pca.transform(images))
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), expected, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([(1, 1, 3), (1, 5, 4), (3, 4, 4)]),
    st.integers(1, 3),
    st.sampled_from(DENSE),
    st.sampled_from([*LINES, "continuous-bernoulli"]),
    st.integers(0, 99),
)
def test_every_size_of_image_can_be_started_at(shape, k, posterior, likelihood, seed):
    images = np.random.default_rng(seed).integers(0, 256, (20, *shape)).astype(np.uint8)
    parts = Parts(posterior, likelihood)
    head = parts.make_likelihood(shape)
    model = vae(shape, k, start=PCA(k).fit(images), posterior=parts.make_head, likelihood=head).eval()
    assert np.isfinite(model.score_samples(images)).all()
    assert np.isfinite(model.sample(3)).all()


def test_a_linear_autoencoder_takes_the_mean_image_alone():
    model = linear((1, 8, 8), K, fitted())
    mean = fitted().mean.reshape(1, 8, 8)
    made = model.inverse_transform(model.transform((mean * 255).round().astype(np.uint8)[None]))
    with torch.no_grad():
        bias = model.decoder.layers[0].bias.view(1, 8, 8).numpy()
    np.testing.assert_allclose(bias, mean, atol=1e-6)
    assert not np.allclose(made, mean, atol=1e-9)  # the weights are random


def test_the_start_keeps_its_gradients():
    """Nothing is so set that training could not go on from it."""
    for posterior in DENSE:
        model = started(posterior, "decoded").train()
        model.loss(torch.from_numpy(as_floats(digits()[:50]))).loss.mean().backward()
        still = {name for name, weights in model.named_parameters() if not weights.grad.abs().sum() > 0}
        # behind a last layer of zeros nothing moves at the first step
        assert all(name.startswith(("decoder.0.layers.", "encoder.0.layers.")) for name in still), (posterior, still)
        assert "decoder.0.layers.6.weight" not in still
