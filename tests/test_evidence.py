"""log p(x) by importance sampling: against probabilistic PCA, where it is known, and by its own laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Independent
from torch.distributions import Normal as NormalDistribution

from lowerbound import recipes
from lowerbound.autoencoder import Autoencoder
from lowerbound.errors import InputError
from lowerbound.evidence import evidence, importance_weighted_bound
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.posterior import Point
from lowerbound.prior import StandardNormal
from lowerbound.sources import load
from lowerbound.weights import Sums, blocks


class Model(nn.Module):
    def __init__(self, encoder, decoder, prior, image_shape):
        super().__init__()
        self.encoder, self.decoder, self.prior, self.image_shape = encoder, decoder, prior, image_shape


def probabilistic_pca(images, k, widen=1.0, shift=0.0):
    """Probabilistic PCA as encoder, decoder and prior in float64, with q = p(z|x) where it is neither widened nor shifted."""
    pca = PCA(k).fit(images)
    model = linear_vae(pca, torch.float64)
    head = model.encoder[-1]
    with torch.no_grad():
        move = shift * head.log_scales.exp()  # in units of the posterior's own scale
        head.mean.data = head.mean - torch.linalg.pinv(head.inward) @ move
        head.log_scales.data = head.log_scales + math.log(widen)
    return pca, model


@pytest.fixture(scope="module")
def digits():
    return load("digits").train.pixels


def test_with_the_exact_posterior_one_draw_is_enough(digits):
    pca, model = probabilistic_pca(digits, 6)
    exact = pca.score_samples(digits[:20])
    bound = importance_weighted_bound(model, digits[:20], samples=1, repeats=3)
    np.testing.assert_allclose(bound.value, exact, rtol=0, atol=1e-9)
    found = evidence(model, digits[:20], samples=50)
    np.testing.assert_allclose(found.log_p, exact, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.effective_samples, 50, rtol=1e-8)
    assert found.standard_error.max() < 1e-4
    assert found.gap_error.max() < 1e-4


@pytest.mark.parametrize(("widen", "shift"), [(1.3, 0.0), (1.0, 0.4), (1.5, -0.3)])
def test_with_another_q_the_truth_lies_within_the_stated_errors(digits, widen, shift):
    pca, model = probabilistic_pca(digits, 4, widen, shift)
    exact = pca.score_samples(digits[:100])
    found = evidence(model, digits[:100], samples=2_000, seed=3)
    assert found.reliable.all()
    off = (found.log_p - exact) / found.standard_error
    assert np.abs(off).max() < 5
    assert 0.75 < np.sqrt(np.mean(off**2)) < 1.3  # neither too proud nor too modest
    assert abs(found.log_p.mean() - exact.mean()) < 4 * found.monte_carlo_error
    kl = found.log_p - found.elbo  # log p(x) - ELBO = KL(q || p(z|x)), known between these Gaussians
    true = 4 * (0.5 * (widen**2 - 1 + shift**2) - math.log(widen))
    gap = (kl - true) / found.gap_error
    assert 0.7 < np.sqrt(np.mean(gap**2)) < 1.35


def test_bounds_rise_with_draws_and_never_pass_the_evidence(digits):
    pca, model = probabilistic_pca(digits, 4, widen=1.6, shift=0.5)
    exact = pca.score_samples(digits[:50])
    ladder = [importance_weighted_bound(model, digits[:50], samples=k, repeats=60) for k in (1, 4, 16, 64)]
    means = [bound.value.mean() for bound in ladder]
    assert means == sorted(means)
    assert means[1] - means[0] > 0.1  # q is spoilt enough for the rise to be seen
    for bound in ladder:
        assert ((bound.value - exact) / bound.standard_error).max() < 4.5
        error = math.sqrt(np.square(bound.standard_error).sum()) / len(exact)
        assert bound.value.mean() < exact.mean() + 3 * error


def test_stated_errors_are_those_of_repeated_estimates(digits):
    _, model = probabilistic_pca(digits, 4, widen=1.4, shift=0.3)
    runs = [evidence(model, digits[:20], samples=400, seed=seed) for seed in range(60)]
    for value, error in (("log_p", "standard_error"), ("elbo", "elbo_error")):
        truth = np.std([getattr(run, value) for run in runs], axis=0)
        stated = np.mean([getattr(run, error) for run in runs], axis=0)
        assert 0.85 < np.sqrt(np.mean((truth / stated) ** 2)) < 1.15
    gaps = np.std([run.log_p - run.elbo for run in runs], axis=0)
    assert 0.85 < np.sqrt(np.mean((gaps / np.mean([run.gap_error for run in runs], axis=0)) ** 2)) < 1.15


@pytest.mark.parametrize("block", [1, 7, 64, 10_000])
def test_blocks_change_nothing(digits, block):
    _, model = probabilistic_pca(digits, 4, widen=1.3)
    one = evidence(model, digits[:11], samples=60, seed=5)
    other = evidence(model, digits[:11], samples=60, seed=5, block=block)
    for name in ("log_p", "standard_error", "effective_samples", "elbo", "gap_error"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-9)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 100))
def test_blocks_cover_every_code_once_and_are_no_larger_than_asked(draws, images, size):
    seen = np.zeros((draws, images), int)
    for rows, columns in blocks(draws, images, size):
        seen[rows, columns] += 1
        assert seen[rows, columns].size <= size
    assert (seen == 1).all()


@settings(deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.floats(-1e4, 1e4), st.floats(0, 300), st.integers(0, 99)
)
def test_sums_in_parts_are_sums_at_once(samples, repeats, images, middle, spread, seed):
    random = np.random.default_rng(seed)
    weights = middle + spread * random.standard_normal((samples * repeats, images))
    sums = Sums(images, samples, repeats)
    cuts = sorted(random.integers(0, len(weights) + 1, 2))
    for first, last in zip([0, *cuts], [*cuts, len(weights)], strict=True):
        if last > first:
            sums.add(slice(0, images), first, weights[first:last])
    top = weights.max(0)
    w = np.exp(weights - top)
    found = sums.evidence("test")
    np.testing.assert_allclose(found.log_p, np.log(w.mean(0)) + top, rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(found.elbo, weights.mean(0), rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(found.effective_samples, w.sum(0) ** 2 / np.square(w).sum(0), rtol=1e-6)
    parts = weights.reshape(repeats, samples, images)
    each = np.log(np.exp(parts - parts.max(1, keepdims=True)).mean(1)) + parts.max(1)
    np.testing.assert_allclose(sums.log_means, each, rtol=1e-10, atol=1e-8)
    if len(weights) > 1 and spread < 3:
        with np.errstate(invalid="ignore"):
            error = w.std(0, ddof=1) / w.mean(0) / math.sqrt(len(w))
        np.testing.assert_allclose(found.standard_error, error, rtol=1e-4, atol=1e-6)


def test_draws_follow_the_seed_and_leave_the_callers_alone(digits):
    _, model = probabilistic_pca(digits, 3, widen=1.3)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    runs = [evidence(model, digits[:5], samples=20, seed=seed).log_p for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).all()


def test_a_better_proposal_needs_fewer_draws(digits):
    pca, model = probabilistic_pca(digits, 4, widen=1.5, shift=0.5)
    _, perfect = probabilistic_pca(digits, 4)
    with torch.no_grad():
        q = perfect.encoder(torch.from_numpy(digits[:30].astype(np.float64) / 255))
    found = evidence(model, digits[:30], samples=40, proposal=q)
    assert (found.effective_samples > evidence(model, digits[:30], samples=40).effective_samples).all()
    np.testing.assert_allclose(found.log_p, pca.score_samples(digits[:30]), atol=1e-4)


def test_a_prior_is_made_once(digits):
    class Counted(StandardNormal):
        calls = 0

        def forward(self):
            self.calls += 1
            return super().forward()

    _, model = probabilistic_pca(digits, 3)
    model.prior = Counted(3).double()
    evidence(model, digits[:600], samples=30, block=500)
    assert model.prior.calls == 1


def test_what_cannot_be_weighed_is_refused(digits):
    _, model = probabilistic_pca(digits, 3)
    plain = Autoencoder(nn.Sequential(nn.Flatten(), Point(64, 3)), nn.Linear(3, 64), (1, 8, 8))
    with pytest.raises(InputError, match="has no p\\(z\\)"):
        evidence(plain, digits[:3])
    point = Model(plain.encoder, model.decoder, StandardNormal(3), (1, 8, 8))
    with pytest.raises(InputError, match="PointMass and has no density"):
        evidence(point, digits[:3])
    with pytest.raises(InputError, match="samples is 0"):
        evidence(model, digits[:3], samples=0)
    with pytest.raises(InputError, match="no images"):
        evidence(model, digits[:0])
    with pytest.raises(InputError, match="expected \\[N, 1, 8, 8\\]"):
        evidence(model, digits[:3, :, :7])
    with pytest.raises(InputError, match=r"batch shape \[2\]; expected \[3\]"):
        evidence(model, digits[:3], proposal=Independent(NormalDistribution(torch.zeros(2, 3), 1.0), 1))


def test_one_image_and_one_draw_state_no_error(digits):
    model = recipes.vae((1, 8, 8), 2)
    found = evidence(model, digits[:1], samples=1)
    assert math.isnan(found.standard_error[0])
    assert np.isfinite(found.log_p).all()
    assert found.to_json()["standard_error"] is None
