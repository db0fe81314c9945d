"""PCA of the estimators beside scikit-learn's, and the sums of real numbers it is made of."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn import decomposition
from sklearn.datasets import load_wine

from lowerbound import moments
from lowerbound.errors import InputError
from lowerbound.moments import BLOCK, MOST_EXACT, RealMoments
from lowerbound.sklearn import PCA
from lowerbound.sklearn_models import RealPCA, real_spectrum, unbiased


@st.composite
def data(draw):
    """Rows of real numbers of any place and scale, more of them than features, with distinct variances; and K."""
    features = draw(st.integers(1, 20))
    samples = features + draw(st.integers(5, 40))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    spread = 1.5 ** np.arange(features)
    rows = random.standard_normal((samples, features)) * spread @ random.standard_normal((features, features))
    return draw(st.sampled_from([1e-6, 1.0, 1e6])) * (rows + draw(st.sampled_from([0.0, 50.0]))), draw(
        st.integers(1, features)
    )


@settings(max_examples=60, deadline=None)
@given(data())
def test_the_numbers_are_those_of_scikit_learn(rows_and_k):
    rows, k = rows_and_k
    ours = PCA(n_components=k).fit(rows)
    theirs = decomposition.PCA(k, whiten=True, svd_solver="full").fit(rows)
    largest = theirs.explained_variance_[0]
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-7, atol=1e-10 * largest)
    np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(ours.noise_variance_, theirs.noise_variance_, rtol=1e-6, atol=1e-10 * largest)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-9, atol=1e-9 * math.sqrt(largest))
    clear = theirs.explained_variance_ > 1e-4 * largest  # the others' directions are known less well
    signs = np.sign((ours.components_ * theirs.components_).sum(1))
    near = np.minimum.reduce([1, *np.abs(np.diff(theirs.explained_variance_) / largest)]) > 1e-3
    if near:
        np.testing.assert_allclose(
            (ours.components_ * signs[:, None])[clear], theirs.components_[clear], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(
            (ours.transform(rows) * signs)[:, clear], theirs.transform(rows)[:, clear], rtol=1e-4, atol=1e-4
        )
    np.testing.assert_allclose(
        ours.inverse_transform(ours.transform(rows)),
        theirs.inverse_transform(theirs.transform(rows)),
        rtol=1e-6,
        atol=1e-6 * math.sqrt(largest),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 20), st.integers(0, 999), st.data())
def test_the_score_is_that_of_scikit_learn_and_of_the_normal_density(features, seed, more):
    k = more.draw(st.integers(1, features - 1))
    random = np.random.default_rng(seed)
    rows = random.standard_normal((features + 30, features)) @ random.standard_normal((features, features)) + 3
    new = random.standard_normal((7, features)) + 3
    ours, theirs = PCA(n_components=k).fit(rows), decomposition.PCA(k, svd_solver="full").fit(rows)
    np.testing.assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-6, atol=1e-6)
    assert ours.score(rows) == pytest.approx(theirs.score(rows), rel=1e-8)
    covariance = theirs.get_covariance()
    expected = multivariate_normal(theirs.mean_, covariance).logpdf(new)
    np.testing.assert_allclose(ours.score_samples(new), expected, rtol=1e-6, atol=1e-6)


def test_features_of_very_different_ranges_are_held_up_by_no_rounding():
    wine = load_wine().data  # from 0.13 to 1,680
    for k in (2, 5, 12):
        ours, theirs = PCA(n_components=k).fit(wine), decomposition.PCA(k, svd_solver="full").fit(wine)
        assert ours.noise_variance_ == pytest.approx(theirs.noise_variance_, rel=1e-6)
        assert ours.score(wine) == pytest.approx(theirs.score(wine), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(data(), st.sampled_from([0.01, 3.0, 255.0]), st.sampled_from([-100.0, 0.0, 7.0]))
def test_another_range_gives_the_same_codes_and_moves_the_score_by_d_log_a(rows_and_k, a, b):
    rows, k = rows_and_k
    ours, other = PCA(n_components=k).fit(rows), PCA(n_components=k).fit(a * rows + b)
    if np.ptp(rows) < 1e-3 * abs(b):
        return  # the numbers themselves have lost their digits
    clear = ours.explained_variance_ > 1e-6 * ours.explained_variance_[0]
    signs = np.sign((ours.components_ * other.components_).sum(1))
    np.testing.assert_allclose(
        (other.transform(a * rows + b) * signs)[:, clear], ours.transform(rows)[:, clear], rtol=1e-4, atol=1e-4
    )
    if k < rows.shape[1]:
        expected = ours.score(rows) - rows.shape[1] * math.log(a)
        assert other.score(a * rows + b) == pytest.approx(expected, rel=1e-6, abs=1e-4)


def test_8_bit_images_have_exact_moments():
    images = np.random.default_rng(0).integers(0, 256, (300, 1, 4, 5)).astype(np.uint8)
    order = np.random.default_rng(1).permutation(300)
    one, other = PCA(n_components=3).fit(images), PCA(n_components=3).fit(images[order])
    assert one.mean_.tobytes() == other.mean_.tobytes()
    assert one.components_.tobytes() == other.components_.tobytes()
    assert one.noise_variance_ == other.noise_variance_
    theirs = decomposition.PCA(3, svd_solver="full").fit(images.reshape(300, -1).astype(float))
    np.testing.assert_allclose(one.explained_variance_, theirs.explained_variance_, rtol=1e-10)
    assert one.score(images) == pytest.approx(theirs.score(images.reshape(300, -1)), rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 17, BLOCK, BLOCK + 3]), min_size=1, max_size=4),
    st.integers(1, 6),
    st.sampled_from([0.0, 1e8]),
    st.integers(0, 99),
)
def test_moments_of_real_numbers_are_stable_however_they_come(counts, values, place, seed):
    random = np.random.default_rng(seed)
    blocks = [random.standard_normal((count, values)) + place for count in counts]
    rows = np.concatenate(blocks)
    if not len(rows):
        return
    whole, pieces, merged = RealMoments(values).add(rows), RealMoments(values), RealMoments(values)
    for block in blocks:
        pieces.add(block)
        merged.merge(RealMoments(values).add(block))
    exact = rows.astype(np.longdouble)
    centred = exact - exact.mean(0)
    covariance = (centred.T @ centred / len(rows)).astype(float)
    for found in (whole, pieces, merged):
        assert found.count == len(rows)
        np.testing.assert_allclose(found.mean, exact.mean(0).astype(float), rtol=1e-14, atol=1e-14)
        np.testing.assert_allclose(found.covariance, covariance, atol=1e-7 if place else 1e-12)
        assert found.total_variance == pytest.approx(covariance.trace(), abs=1e-6 if place else 1e-11)


def test_moments_of_real_numbers_refuse_what_they_cannot_hold():
    with pytest.raises(InputError, match="a covariance is formed of at most 5,000"):
        RealMoments(MOST_EXACT + 1)
    with pytest.raises(InputError, match=r"rows have shape \[3, 2\]; expected \[N, 4\]"):
        RealMoments(4).add(np.zeros((3, 2)))


def test_large_images_of_real_numbers_are_only_multiplied_with(monkeypatch):
    random = np.random.default_rng(0)
    rows = random.standard_normal((300, 12)) * 2.0 ** -np.arange(12) @ random.standard_normal((12, 300))
    rows += 1e-3 * random.standard_normal(rows.shape)
    exact = real_spectrum(lambda: [rows], (1, 1, 300), at_least=5)
    monkeypatch.setattr("lowerbound.sklearn_models.MOST_EXACT", 299)
    monkeypatch.setattr("lowerbound.sklearn_models.LEADING", 5)
    found = real_spectrum(lambda: [rows[:130], rows[130:]], (1, 1, 300), at_least=5)
    assert moments.MOST_EXACT == MOST_EXACT
    assert len(found.values) == 5
    assert found.total_variance == pytest.approx(exact.total_variance, rel=1e-12)
    assert (np.abs(found.values - exact.values[:5]) <= found.residuals + 1e-12 * exact.values[0]).all()
    np.testing.assert_allclose(found.values, exact.values[:5], rtol=1e-5)
    np.testing.assert_allclose(np.abs((found.vectors * exact.vectors[:5]).sum(1)), 1, atol=1e-4)
    doubled = unbiased(found)
    assert doubled.residuals == pytest.approx(found.residuals * 300 / 299)
    codes = RealPCA(5).fit_spectrum(doubled).transform(rows.reshape(300, 1, 1, 300))
    np.testing.assert_allclose(codes.std(0, ddof=1), 1, rtol=1e-4)
