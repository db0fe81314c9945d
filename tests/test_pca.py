"""PCA: scikit-learn's components, SciPy's densities, and images that do not vary."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn import decomposition

from lowerbound.eigen import principal
from lowerbound.errors import InputError
from lowerbound.images import ROUNDING_SCALE, as_floats
from lowerbound.moments import BLOCK
from lowerbound.pca import PCA

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))


def noise(count, shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (count, *shape)).astype(np.uint8)


def smooth(count, shape, seed=0, rank=6):
    """Images with a few strong directions and a little noise."""
    random = np.random.default_rng(seed)
    pixels = math.prod(shape)
    codes = random.standard_normal((count, rank)) * np.linspace(30, 10, rank)
    flat = (
        128
        + codes @ np.linalg.qr(random.standard_normal((pixels, rank)))[0].T * 2
        + random.normal(0, 3, (count, pixels))
    )
    return flat.clip(0, 255).round().astype(np.uint8).reshape(count, *shape)


def rows(images):
    return images.reshape(len(images), -1) / 255


@st.composite
def stacks(draw):
    """Images of any contents: noise, all black, all white, one level, extremes only."""
    shape, count = draw(SHAPES), draw(st.one_of(st.integers(1, 40), st.sampled_from([BLOCK, BLOCK + 1, 2500])))
    low, high = draw(st.sampled_from([(0, 256), (0, 1), (255, 256), (127, 128), (0, 2), (254, 256)]))
    images = noise(count, shape, draw(st.integers(0, 99)), low, high)
    return np.where(images == 1, 255, images).astype(np.uint8) if high == 2 else images


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(2, 60), st.integers(0, 99), st.data())
def test_it_finds_what_scikit_learn_finds(shape, count, seed, data):
    pixels = math.prod(shape)
    k = data.draw(st.integers(1, min(count, pixels)))
    images = noise(count, shape, seed)
    ours = PCA(k).fit(images)
    theirs = decomposition.PCA(k, svd_solver="full").fit(rows(images))
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-7)
    np.testing.assert_allclose(
        ours.variances[:k], theirs.explained_variance_ * (count - 1) / count, atol=1e-8
    )  # theirs are unbiased
    np.testing.assert_allclose(np.diff(ours.explained[: k + 1]), theirs.explained_variance_ratio_, atol=1e-6)
    np.testing.assert_allclose(ours.components @ ours.components.T, np.eye(k), atol=1e-9)
    gaps = np.abs(np.diff(np.append(ours.variances, -1.0)))[:k]
    lone = (np.minimum(gaps, np.append(np.inf, gaps[:-1])) > 1e-3) & (ours.variances[:k] > 1e-3)
    agreement = np.abs((ours.components * theirs.components_).sum(1))  # 1 for equal up to sign
    assert (agreement[lone] > 1 - 1e-5).all()
    assert (ours.components[range(k), np.abs(ours.components).argmax(1)] > 0).all()


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 40), st.integers(0, 99))
def test_with_every_component_nothing_is_lost(shape, more, seed):
    pixels = math.prod(shape)
    images = noise(pixels + more, shape, seed)
    model = PCA(pixels).fit(images)
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), as_floats(images), atol=2e-4)
    assert model.explained[-1] == pytest.approx(1)
    assert model.noise_variance == pytest.approx(ROUNDING_SCALE**2)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(3, 60), st.integers(0, 99), st.data())
def test_codes_have_mean_0_and_variance_1_and_decode_to_the_projection(shape, count, seed, data):
    k = data.draw(st.integers(1, min(count - 1, math.prod(shape))))
    images = noise(count, shape, seed)
    model = PCA(k).fit(images)
    codes = model.transform(images)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes.mean(0), 0, atol=1e-3)
    varies = model.scales > 1e-6
    np.testing.assert_allclose(codes.T @ codes / count, np.diag(varies.astype(float)), atol=2e-3)
    centred = rows(images) - model.mean
    projected = centred @ model.components.T @ model.components + model.mean
    np.testing.assert_allclose(model.inverse_transform(codes).reshape(count, -1), projected, atol=2e-5)
    np.testing.assert_array_equal(model.transform(as_floats(images)), codes)  # 8-bit or float


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(2, 60), st.integers(0, 99), st.data())
def test_the_score_is_the_density_of_probabilistic_pca(shape, count, seed, data):
    pixels = math.prod(shape)
    k = data.draw(st.integers(1, min(count, pixels)))
    images, others = noise(count, shape, seed), noise(5, shape, seed + 1)
    model = PCA(k).fit(images)
    sigma2 = model.noise_variance
    loadings = model.components.T * np.sqrt(np.maximum(model.variances[:k] - sigma2, 0))
    covariance = loadings @ loadings.T + sigma2 * np.eye(pixels)
    for some in (images, others):
        expected = multivariate_normal(model.mean, covariance).logpdf(rows(some))
        np.testing.assert_allclose(model.score_samples(some), np.atleast_1d(expected), rtol=1e-5, atol=1e-3)
    assert model.score(images) == pytest.approx(model.score_samples(images).mean())


def test_the_score_agrees_with_scikit_learn():
    images = smooth(500, (1, 4, 5))
    for k in (1, 5, 12):
        theirs = decomposition.PCA(k, svd_solver="full").fit(rows(images))
        ours = PCA(k).fit(images)
        assert ours.noise_variance == pytest.approx(theirs.noise_variance_ * 499 / 500, rel=1e-9)  # theirs is unbiased
        assert ours.score(images) == pytest.approx(theirs.score(rows(images)), abs=0.05)


@settings(max_examples=40, deadline=None)
@given(stacks(), st.data())
def test_the_variance_explained_rises_from_0_to_at_most_1(images, data):
    k = data.draw(st.integers(1, min(len(images), math.prod(images.shape[1:]))))
    explained = PCA(k).fit(images).explained
    assert explained[0] == 0
    assert explained[-1] <= 1
    assert (np.diff(explained) >= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 77, 255])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 4, 3), (3, 36, 36)])
def test_images_that_do_not_vary_have_finite_codes_and_scores(shape, level):
    images = np.full((5, *shape), level, np.uint8)
    model = PCA(1).fit(images)
    assert not model.transform(images).any()
    assert not model.transform(noise(2, shape)).any()
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), as_floats(images), atol=1e-7)
    assert not model.explained.any()
    pixels = math.prod(shape)
    assert model.score(images) == pytest.approx(-pixels / 2 * math.log(2 * math.pi * ROUNDING_SCALE**2), rel=1e-4)
    assert np.isfinite(model.score_samples(noise(2, shape))).all()
    assert np.isfinite(model.sample(3)).all()


def test_pixels_that_do_not_vary_beside_some_that_do():
    images = noise(30, (1, 4, 4))
    images[:, :, 0] = 9
    model = PCA(16).fit(images)
    codes = model.transform(images)
    assert np.isfinite(codes).all()
    assert np.isfinite(model.score_samples(images)).all()
    np.testing.assert_allclose(model.inverse_transform(codes), as_floats(images), atol=1e-4)


@pytest.mark.parametrize(("count", "k"), [(3, 4), (1, 2), (100, 17), (0, 1)])
def test_more_components_than_images_or_pixels_are_refused(count, k):
    with pytest.raises(InputError, match=f"k is {k}, but there are 16 values per image and {count} images"):
        PCA(k).fit(noise(count, (1, 4, 4)))


def test_what_cannot_be_done_is_said():
    with pytest.raises(InputError, match="at least 1 number"):
        PCA(0)
    with pytest.raises(InputError, match="call fit"):
        PCA(1).transform(noise(1, (1, 4, 4)))
    with pytest.raises(InputError, match="call fit"):
        PCA(1).inverse_transform(np.zeros((1, 1)))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8))
def test_fewer_images_than_pixels_will_do(count):
    images = noise(count, (1, 4, 4), count)
    model = PCA(count).fit(images)
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), as_floats(images), atol=1e-5)
    assert np.isfinite(model.score_samples(noise(4, (1, 4, 4)))).all()


def test_no_images_have_no_codes():
    model = PCA(2).fit(noise(9, (1, 4, 4)))
    nothing = noise(0, (1, 4, 4))
    assert model.transform(nothing).shape == (0, 2)
    assert model.inverse_transform(np.zeros((0, 2))).shape == (0, 1, 4, 4)
    assert model.score_samples(nothing).shape == (0,)


def test_blocks_make_no_difference():
    images = noise(BLOCK + 3, (1, 3, 3))
    model = PCA(4).fit(images)
    for start, stop in [(0, 5), (BLOCK - 2, BLOCK + 3)]:
        np.testing.assert_allclose(model.transform(images)[start:stop], model.transform(images[start:stop]), atol=1e-6)
        np.testing.assert_allclose(model.score_samples(images)[start:stop], model.score_samples(images[start:stop]))


def test_what_is_stored_is_all_there_is():
    images = noise(50, (3, 4, 4))
    model = PCA(5).fit(images)
    again = PCA.from_tensors(model.tensors(), (3, 4, 4))
    codes = model.transform(images)
    assert np.array_equal(again.transform(images), codes)
    assert np.array_equal(again.inverse_transform(codes), model.inverse_transform(codes))
    assert np.array_equal(again.score_samples(images), model.score_samples(images))
    assert np.array_equal(again.sample(3), model.sample(3))
    assert np.array_equal(again.explained, model.explained)


def test_samples_have_the_variances_of_the_components():
    images = smooth(300, (1, 5, 5))
    model = PCA(3).fit(images)
    drawn = (model.sample(20_000).reshape(20_000, -1) - model.mean) @ model.components.T
    np.testing.assert_allclose(drawn.std(0), model.scales, rtol=5 / math.sqrt(2 * 20_000))
    assert not np.array_equal(model.sample(3, seed=1), model.sample(3, seed=2))


def mnist(part):
    with gzip.open(MNIST / f"{part}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason=f"MNIST is not in {MNIST}")
def test_mnist_has_its_known_spectrum_and_scores():
    spectrum, test = principal(mnist("train"), 1), mnist("t10k")
    for k, mse, explained, score in [
        (5, 0.044526, 0.33228, 93.92),
        (10, 0.034074, 0.48815, 186.02),
        (20, 0.023538, 0.64358, 306.55),
        (50, 0.011485, 0.82465, 517.60),
    ]:
        model = PCA(k).fit_spectrum(spectrum)
        error = np.square(as_floats(test) - model.inverse_transform(model.transform(test)), dtype=np.float64).mean()
        assert error == pytest.approx(mse, abs=1e-6)
        assert model.explained[k] == pytest.approx(explained, abs=1e-5)
        assert model.score(test) == pytest.approx(score, abs=0.01)
