"""Eigenpairs: every way to them gives the same, and the randomised solver's bounds hold."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import eigen as module
from lowerbound.eigen import EXTRA, block_krylov, eigenpairs, exact_spectrum, principal, randomised
from lowerbound.errors import InputError
from lowerbound.formats import check_like, pca_like
from lowerbound.images import as_floats
from lowerbound.moments import PixelMoments
from lowerbound.pca import PCA


def noise(count, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def falling(count, shape, seed=0, power=0.8):
    """Images whose k-th eigenvalue is about k^(-2 power): as of photographs, each direction a little below the last."""
    random = np.random.default_rng(seed)
    pixels = math.prod(shape)
    basis = np.linalg.qr(random.standard_normal((pixels, pixels)))[0]
    codes = random.standard_normal((count, pixels)) * 300 * np.arange(1, pixels + 1.0) ** -power
    return (128 + codes @ basis.T).clip(0, 255).round().astype(np.uint8).reshape(count, *shape)


def rows(images):
    return images.reshape(len(images), -1) / 255


@pytest.fixture
def few(monkeypatch):
    """The randomised solver with 20 pairs for 200, so that small images are large ones."""
    monkeypatch.setattr(module, "LEADING", 20)
    monkeypatch.setattr(module, "MOST_EXACT", 100)


@pytest.mark.parametrize("images", [falling(400, (1, 30, 31)), noise(30, (3, 18, 18)), noise(300, (1, 30, 30))])
def test_both_ways_to_an_exact_spectrum_agree(images, monkeypatch):
    whole = PCA(5).fit(images)
    monkeypatch.setattr(module, "WHOLE_SPECTRUM", 100)
    leading = PCA(5).fit(images)
    assert len(whole.variances) == math.prod(images.shape[1:])
    assert len(leading.variances) == 200
    assert whole.residuals is None
    assert leading.residuals is None
    np.testing.assert_allclose(leading.variances, whole.variances[:200], atol=1e-8)
    np.testing.assert_allclose(leading.components, whole.components, atol=1e-6)
    np.testing.assert_allclose(leading.score_samples(images), whole.score_samples(images), rtol=1e-6)


def test_a_large_image_may_keep_all_its_components(monkeypatch):
    monkeypatch.setattr(module, "WHOLE_SPECTRUM", 10)
    images = noise(40, (1, 4, 4))
    model = PCA(16).fit(images)
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), as_floats(images), atol=1e-4)


def test_a_spectrum_is_the_same_anywhere():
    covariance = PixelMoments((1, 5, 5)).add(noise(40, (1, 5, 5))).covariance
    values, vectors = eigenpairs(covariance, at_least=3)
    np.testing.assert_allclose(vectors @ covariance @ vectors.T, np.diag(values), atol=1e-9)
    assert (np.diff(values) <= 0).all()
    assert (vectors[range(25), np.abs(vectors).argmax(1)] > 0).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(0, 99), st.sampled_from([0.0, 0.5, 0.8, 1.5]))
def test_the_randomised_solver_is_within_its_bounds(count, seed, power):
    shape = (1, 11, 12)
    images = falling(count, shape, seed, power) if power else noise(count, shape, seed)
    exact = exact_spectrum(PixelMoments(shape).add(images), 132)
    found = randomised(images, at_least=min(count, 9))
    number = len(found.values)
    assert number == min(count, 132)
    assert found.mean.tobytes() == exact.mean.tobytes()
    assert found.total_variance == exact.total_variance  # from the same integers
    np.testing.assert_allclose(found.vectors @ found.vectors.T, np.eye(number), atol=1e-9)
    assert found.residuals is not None
    nearest = np.abs(found.values[:, None] - exact.values).min(1)
    assert (nearest <= found.residuals + 1e-9).all()
    assert np.linalg.norm(found.values - exact.values[:number]) <= np.linalg.norm(found.residuals) + 1e-9
    covariance = PixelMoments(shape).add(images).covariance
    truly = np.linalg.norm(found.vectors @ covariance - found.values[:, None] * found.vectors, axis=1)
    np.testing.assert_allclose(truly, found.residuals, atol=1e-9)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 99), st.sampled_from([0.5, 1.0]))
def test_few_of_many_eigenvalues_are_found_by_passes_alone(seed, power):
    shape = (3, 14, 14)
    images = falling(900, shape, seed, power)
    exact = exact_spectrum(PixelMoments(shape).add(images), 588)
    found = principal(images, at_least=3)
    assert len(found.values) == 20
    assert 2 <= found.passes <= module.MOST_PASSES + 1
    assert found.residuals is not None
    assert (found.residuals <= 2 * (module.TOLERANCE * found.values + module.ROUNDING * found.values[0])).all()
    np.testing.assert_allclose(found.values, exact.values[:20], rtol=1e-4)
    apart = np.abs(np.diff(exact.values[:21])) > 0.02 * exact.values[:20]
    agree = np.abs((found.vectors * exact.vectors[:20]).sum(1))
    assert (agree[:1][apart[:1]] > 0.999).all()


@pytest.mark.usefixtures("few")
def test_a_pca_of_large_images_says_how_near_it_is():
    images = falling(300, (1, 14, 14))
    spectrum = principal(images, 5)
    assert "20 largest of 196 eigenvalues by the randomised solver" in spectrum.words
    model = PCA(5).fit_spectrum(spectrum)
    assert model.residuals is spectrum.residuals
    stored = {name: torch.from_numpy(array) for name, array in model.tensors().items()}
    check_like(Path("pca.safetensors"), stored, pca_like(5, (1, 14, 14), stored))
    again = PCA.from_tensors(model.tensors(), (1, 14, 14))
    assert np.array_equal(again.residuals, spectrum.residuals)
    assert "residuals" not in PCA(1).fit(images[:, :, :4, :4]).tensors()
    assert model.explained[5] == pytest.approx(PCA(5).fit_spectrum(exact(images)).explained[5], rel=1e-6)


def exact(images):
    return exact_spectrum(PixelMoments(images.shape[1:]).add(images), 1)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("level", [0, 77, 255])
def test_images_that_do_not_vary_have_no_variance(level):
    found = principal(np.full((30, 1, 12, 12), level, np.uint8), 3)
    assert not found.values.any()
    assert not found.residuals.any()
    assert np.isfinite(found.vectors).all()
    assert "within 0 %" in found.words


@pytest.mark.usefixtures("few")
def test_every_component_of_a_large_image_may_be_kept():
    images = noise(200, (1, 11, 11))
    model = PCA(121).fit(images)
    np.testing.assert_allclose(model.inverse_transform(model.transform(images)), as_floats(images), atol=1e-4)


@pytest.mark.usefixtures("few")
def test_it_never_takes_more_passes_than_it_may(monkeypatch):
    monkeypatch.setattr(module, "TOLERANCE", 0.0)
    monkeypatch.setattr(module, "ROUNDING", 1e-30)
    images = falling(500, (1, 20, 20), power=0.3)
    seen = []
    basis = block_krylov(lambda columns: seen.append(0) or rows_covariance(images) @ columns, 400, 20, most_passes=5)
    assert len(seen) == 5
    assert basis.shape == (400, 20 + EXTRA)


def rows_covariance(images):
    return np.cov(rows(images), rowvar=False, bias=True)


def test_a_basis_that_grows_too_large_goes_on_with_its_best(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 1)  # room for three blocks
    monkeypatch.setattr(module, "TOLERANCE", 1e-5)
    covariance = rows_covariance(falling(900, (1, 20, 20), power=0.6))
    widths = []
    basis = block_krylov(
        lambda columns: widths.append(columns.shape[1]) or covariance @ columns, 400, 10, most_passes=30
    )
    assert len(widths) > 4
    assert sum(widths) > 4 * 20
    found = np.linalg.eigvalsh(basis.T @ covariance @ basis)[::-1][:10]
    np.testing.assert_allclose(found, np.linalg.eigvalsh(covariance)[::-1][:10], rtol=1e-7)


@pytest.mark.usefixtures("few")
def test_shares_of_the_images_have_the_spectrum_of_all_of_them():
    """Processes in step, by threads: each sums what all have sent, and then goes on."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    images, world = falling(301, (1, 12, 13)), 2
    sent, barrier = [np.zeros(0)] * world, Barrier(world, timeout=60)

    def reduce_of(rank):
        def reduce(array):
            assert array.dtype == np.int64
            sent[rank] = array
            barrier.wait()
            total = sum(sent)
            barrier.wait()
            return total

        return reduce

    with ThreadPoolExecutor(world) as pool:
        shares = [pool.submit(principal, images[rank::world], 5, reduce=reduce_of(rank)) for rank in range(world)]
        one, other = (share.result() for share in shares)
    alone = principal(images, 5)
    assert one.count == 301
    assert one.mean.tobytes() == other.mean.tobytes() == alone.mean.tobytes()
    assert one.total_variance == other.total_variance == alone.total_variance
    assert one.values.tobytes() == other.values.tobytes()
    np.testing.assert_allclose(one.values, alone.values, rtol=1e-6)


def test_what_cannot_be_found_is_said():
    with pytest.raises(
        InputError, match=r"k is 3,000,000 for images of 5,043 values; .* k at most 26,604; give a smaller"
    ):
        principal(np.zeros((1, 3, 41, 41), np.uint8), 3_000_000)
    with pytest.raises(InputError, match="no images came"):
        principal(np.zeros((0, 1, 4, 4), np.uint8), 1)
    with pytest.raises(InputError, match="no images came"):
        principal(np.zeros((0, 3, 50, 50), np.uint8), 1)
    with pytest.raises(InputError, match=r"expected \[N, C, H, W\]"):
        principal(np.zeros((4, 4), np.uint8), 1)
    with pytest.raises(InputError, match="expected uint8"):
        principal(np.zeros((2, 3, 50, 50), np.float32), 1)


@pytest.mark.usefixtures("few")
def test_more_components_than_were_found_are_refused():
    with pytest.raises(InputError, match="k is 21, but 20 components were found"):
        PCA(21).fit_spectrum(principal(noise(300, (1, 12, 12)), 1))
