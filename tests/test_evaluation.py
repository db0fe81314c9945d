"""Numbers about a fitted model: their definitions, scikit-image's structural similarity, and standard errors."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics

from lowerbound import recipes
from lowerbound.evaluation import (
    BLOCK,
    Compressor,
    Estimate,
    Generator,
    Measurement,
    evaluate,
    squared_errors,
    structural_similarity,
)
from lowerbound.images import as_floats
from lowerbound.pca import PCA


class Shifted:
    """A compressor whose error is known: it adds a number to every image."""

    def __init__(self, shift):
        self.shift = shift

    def transform(self, images):
        return as_floats(images).reshape(len(images), -1) + np.float32(self.shift)

    def inverse_transform(self, codes):
        return codes.reshape(len(codes), 1, 4, 5)


def noise(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([1, 3]),
    st.integers(11, 30),
    st.integers(11, 30),
    st.sampled_from([0.0, 1e-3, 0.1, 1.0]),
    st.sampled_from(["noise", "bright", "ramp"]),
    st.integers(0, 99),
)
def test_similarity_is_what_scikit_image_finds(channels, height, width, spread, kind, seed):
    random = np.random.default_rng(seed)
    shape = (2, channels, height, width)
    images = {
        "noise": random.random(shape),
        "bright": np.full(shape, 0.97),
        "ramp": np.linspace(0, 1, width) + np.zeros(shape),
    }[kind].astype(np.float32)
    others = (images + spread * random.standard_normal(shape)).astype(np.float32)
    expected = [
        metrics.structural_similarity(
            one.astype(np.float64),
            other.astype(np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=0,
        )
        for one, other in zip(images, others, strict=True)
    ]
    np.testing.assert_allclose(structural_similarity(images, others), expected, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(1, 15), st.integers(1, 40), st.integers(0, 99))
def test_similarity_of_any_size_is_symmetric_and_1_for_the_same(channels, height, width, seed):
    random = np.random.default_rng(seed)
    images, others = random.random((2, 3, channels, height, width), np.float32)
    similarity = structural_similarity(images, others)
    assert similarity.shape == (3,)
    assert (np.abs(similarity) < 1).all()
    np.testing.assert_allclose(similarity, structural_similarity(others, images), atol=1e-9)
    np.testing.assert_allclose(structural_similarity(images, images), 1, atol=1e-9)
    turned = structural_similarity(images.swapaxes(2, 3), others.swapaxes(2, 3))
    np.testing.assert_allclose(turned, similarity, atol=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_an_estimate_is_a_mean_and_its_standard_error(values):
    estimate = Estimate.of(np.array(values))
    count, mean = len(values), math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    assert estimate.mean == pytest.approx(mean, rel=1e-9, abs=1e-6)
    assert estimate.standard_error == pytest.approx(math.sqrt(variance / count), rel=1e-6, abs=1e-6)


def test_one_image_has_no_standard_error():
    estimate = Estimate.of(np.array([2.0]))
    assert estimate.mean == 2
    assert math.isnan(estimate.standard_error)


def test_a_standard_error_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    estimates = [Estimate.of(random.normal(3, 2, 100)) for _ in range(500)]
    inside = np.mean([abs(estimate.mean - 3) < 2 * estimate.standard_error for estimate in estimates])
    assert inside == pytest.approx(0.95, abs=0.04)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.001, 2), st.integers(2, 9))
def test_errors_and_noise_ratios_are_their_definitions(shift, count):
    found = evaluate(Shifted(shift), noise(count, (1, 4, 5)))
    assert found.images == count
    assert found.mse.mean == pytest.approx(shift**2, rel=1e-3)
    assert found.psnr.mean == pytest.approx(-20 * math.log10(shift), abs=0.01)
    assert found.mse.standard_error == pytest.approx(0, abs=1e-5)
    assert found.score is None


def test_the_noise_ratio_is_averaged_over_images():
    images = noise(30, (1, 6, 6))
    model = PCA(4).fit(images)
    errors = squared_errors(model, images)
    truth, guess = as_floats(images).astype(np.float64), model.inverse_transform(model.transform(images))
    np.testing.assert_allclose(errors, np.square(truth - guess).mean((1, 2, 3)), rtol=1e-5)
    found = evaluate(model, images)
    assert found.mse == Estimate.of(errors)
    assert found.psnr.mean == pytest.approx(np.mean(10 * np.log10(1 / errors)))
    assert found.psnr.mean > 10 * math.log10(1 / errors.mean())  # Jensen
    assert found.score == Estimate.of(model.score_samples(images))
    assert found.ssim == Estimate.of(structural_similarity(as_floats(images), guess))


def test_a_perfect_image_counts_as_120_decibels():
    found = evaluate(Shifted(0), noise(3, (1, 4, 5)))
    assert (found.mse.mean, found.psnr.mean) == (0, 120)
    assert found.ssim.mean == pytest.approx(1)


def test_blocks_make_no_difference():
    images = noise(BLOCK + 2, (1, 4, 4))
    model = PCA(2).fit(images)
    errors = squared_errors(model, images)
    np.testing.assert_allclose(errors[-3:], squared_errors(model, images[-3:]), rtol=1e-6)
    assert evaluate(model, images).mse.mean == pytest.approx(errors.mean())


@pytest.mark.parametrize("name", ["linear", "conv", "vae", "pca"])
def test_only_what_has_a_density_has_a_score(name):
    images = noise(6, (1, 5, 5))
    model = PCA(2).fit(images) if name == "pca" else getattr(recipes, name)((1, 5, 5), 2)
    dense = name in {"vae", "pca"}
    assert isinstance(model, Compressor)
    assert isinstance(model, Generator) == dense
    found = evaluate(model, images)
    assert (found.score is not None) == dense
    if name == "vae":
        assert found.score == Estimate.of(model.score_samples(images))
    back = json.loads(json.dumps(found.to_json()))
    assert back["images"] == 6
    assert back["mse"] == {"mean": found.mse.mean, "standard_error": found.mse.standard_error}
    assert (back["score"] is not None) == dense


def test_progress_counts_every_image():
    counted = []

    class Bar:
        def __init__(self, task, total):
            counted.append(-total)

        def __enter__(self):
            return lambda steps, word: counted.append(steps)

        def __exit__(self, *error):
            return None

    evaluate(Shifted(0.1), noise(BLOCK + 7, (1, 4, 5)), Bar)
    assert sum(counted) == 0
    assert len(counted) == 3


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_a_share_has_the_error_of_a_binomial(truths):
    found, share = Estimate.of_share(np.array(truths)), sum(truths) / len(truths)
    assert found.mean == pytest.approx(share)
    assert found.standard_error == pytest.approx(math.sqrt(share * (1 - share) / len(truths)))


def test_a_measurement_is_json_whatever_is_not_known():
    known = Measurement.of("rate", Estimate(2.5, 0.5), "nats per image", "KL over 9 images")
    assert json.loads(json.dumps(known.to_json())) == {
        "name": "rate",
        "value": 2.5,
        "standard_error": 0.5,
        "unit": "nats per image",
        "protocol": "KL over 9 images",
    }
    unknown = Measurement.of("rate", Estimate(math.nan, math.nan), "nats", "of one image")
    assert json.loads(json.dumps(unknown.to_json(), allow_nan=False))["value"] is None
    assert unknown.standard_error is None
