"""Samples against images: chance where there is no difference, closed forms where there are some."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from lowerbound import sources
from lowerbound.errors import InputError
from lowerbound.images import as_floats
from lowerbound.pca import PCA
from lowerbound.realism import frechet, frechet_distance, pixel_components, to_bytes, two_sample


@pytest.fixture(scope="module")
def digits():
    """All pixels of the digits, shuffled."""
    both = sources.load("digits")
    pixels = np.concatenate([both.train.pixels, both.test.pixels])
    return pixels[np.random.default_rng(0).permutation(len(pixels))]


@pytest.mark.slow
def test_real_images_are_told_from_real_images_by_chance_alone(digits):
    found = [two_sample(*np.array_split(np.random.default_rng(n).permutation(digits), 2), seed=n) for n in range(6)]
    tested = 2 * sum(each.tested for each in found)
    accuracy = np.mean([each.accuracy.mean for each in found])
    assert abs(accuracy - 0.5) < 4 * 0.5 / math.sqrt(tested)
    assert min(each.p_value for each in found) > 0.001


@pytest.mark.parametrize("components", [4, 16])
def test_blurred_images_are_told(digits, components):
    first, second = np.array_split(digits, 2)
    pca = PCA(components).fit(first)
    blurred = pca.inverse_transform(pca.transform(first))
    found = two_sample(blurred, second)
    assert found.accuracy.mean > 0.9
    assert found.p_value < 1e-6
    for few in (200, 100):
        assert two_sample(blurred[:few], second[:few]).accuracy.mean > 0.7


def test_a_mixture_is_told_from_the_normal_of_its_moments(digits):
    random = np.random.default_rng(0)
    normal = 100 + 20 * random.standard_normal((2000, 1, 4, 4))
    coins = 100 + 20 * random.choice([-1, 1], (2000, 1, 4, 4))
    assert two_sample(normal / 255, coins / 255).accuracy.mean > 0.7


def test_rounding_does_not_give_samples_away(digits):
    first, second = np.array_split(digits, 2)
    almost = as_floats(first) + np.random.default_rng(0).uniform(-0.001, 0.001, first.shape).astype(np.float32)
    assert abs(two_sample(almost, second).accuracy.mean - 0.5) < 0.1
    np.testing.assert_array_equal(to_bytes(almost), first)


def test_the_same_seed_gives_the_same_answer(digits):
    first, second = np.array_split(digits[:300], 2)
    before = torch.random.get_rng_state()
    assert two_sample(first, second, seed=3) == two_sample(first, second, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("shape", [(3, 1, 4, 4), (9, 1, 4, 5)])
def test_too_few_or_other_images_are_refused(shape):
    with pytest.raises(InputError, match="at least 4"):
        two_sample(np.zeros(shape, np.uint8), np.zeros((9, 1, 4, 4), np.uint8))


def exactly(count, mean, covariance, seed):
    """Features whose mean and covariance are these and not only nearly."""
    rows = np.random.default_rng(seed).standard_normal((count, len(mean)))
    rows -= rows.mean(0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return mean + rows @ np.linalg.cholesky(covariance).T


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(0, 999))
def test_the_distance_of_two_normals_is_its_closed_form(size, seed):
    random = np.random.default_rng(seed)
    means = random.standard_normal((2, size))
    covariances = [root @ root.T + 0.1 * np.eye(size) for root in random.standard_normal((2, size, size))]
    first, second = (exactly(50, *pair, seed) for pair in zip(means, covariances, strict=True))
    common = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1] - 2 * common)
    assert frechet(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert frechet(second, first) == pytest.approx(frechet(first, second), rel=1e-9, abs=1e-9)
    assert frechet(first, first) == pytest.approx(0, abs=1e-6)


def test_features_that_do_not_vary_leave_the_distance_exact():
    one = np.random.default_rng(0).standard_normal((40, 1))
    first, second = np.hstack([one, one, 0 * one]), np.hstack([one, one, 0 * one + 2])
    assert frechet(first, second) == pytest.approx(4)
    assert frechet(one, 3 * one) == pytest.approx(4 * one.var(ddof=1) + 4 * one.mean() ** 2)


def test_the_bias_of_few_features_is_what_is_said():
    random = np.random.default_rng(0)
    size, count = 20, 1000
    found = np.mean([frechet(*random.standard_normal((2, count, size))) for _ in range(20)])
    assert found == pytest.approx(size * (size + 5) / (2 * count), rel=0.1)


def brightness(images):
    return images.mean((2, 3))


def test_the_standard_error_is_the_spread_over_new_images():
    def images(seed):
        random = np.random.default_rng(seed)
        return np.clip(random.normal(0.5, 0.1, (400, 1, 1, 1)) + np.zeros((1, 1, 2, 2)), 0, 1)

    shifted = [frechet_distance(images(2 * n) * 0.8, images(2 * n + 1), brightness, seed=n) for n in range(60)]
    spread = np.std([each.mean for each in shifted])
    assert np.mean([each.standard_error for each in shifted]) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (lambda images: images, "expected numbers"),
        (lambda images: images.mean((1, 2, 3))[:-1, None], "expected numbers"),
        (lambda images: np.full((len(images), 2), np.nan), "finite"),
        (lambda images: np.array([["a"]] * len(images)), "expected numbers"),
    ],
)
def test_what_are_no_features_is_refused(features, words):
    images = np.zeros((6, 1, 4, 4), np.uint8)
    with pytest.raises(InputError, match=words):
        frechet_distance(images, images, features)
    with pytest.raises(InputError, match="expected"):
        frechet(np.zeros((5, 2)), np.zeros((5, 3)))


def test_components_keep_distances_and_see_floats_in_0_to_1(digits):
    features = pixel_components(digits, 64)
    images = as_floats(digits[:50])
    flat = images.reshape(50, -1)
    np.testing.assert_allclose(
        np.linalg.norm(features(images)[0] - features(images)[1:], axis=1),
        np.linalg.norm(flat[0] - flat[1:], axis=1),
        rtol=1e-3,
    )
    seen = []
    frechet_distance(digits[:700], digits[:600], lambda block: seen.append(block) or brightness(block), resamples=2)
    assert all(block.dtype == np.float32 and block.max() <= 1 for block in seen)
    assert sum(map(len, seen)) == 1300
