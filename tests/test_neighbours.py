"""Neighbours as comparing every pair finds them, whatever the blocks, the metric and the way."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import PCA, distances
from lowerbound import neighbours as module
from lowerbound.distances import exact
from lowerbound.errors import InputError
from lowerbound.gallery import Gallery
from lowerbound.images import Images
from lowerbound.neighbours import METRICS, Scaling, neighbours, search


def brute(queries, points, number):
    far = np.sqrt(((queries[:, None] - points[None]) ** 2).sum(2))
    order = np.argsort(far, axis=1, kind="stable")[:, :number]
    return order, np.take_along_axis(far, order, 1)


@given(
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(1, 8),
    st.integers(0, 2**32 - 1),
    st.sampled_from([(7, 64, 32), (64, 6, 2), (2**22, 12, 3)]),
)
@settings(deadline=None, max_examples=100)
def test_exact_is_brute_force(rows, columns, width, seed, sizes):
    rng = np.random.default_rng(seed)
    queries, points = rng.standard_normal((rows, width)) + 1e3, rng.standard_normal((columns, width)) + 1e3
    number = int(rng.integers(1, columns + 1)) if seed % 2 else 1
    with pytest.MonkeyPatch.context() as patch:
        for name, size in zip(("BLOCK", "ACROSS", "GROUP"), sizes, strict=True):
            patch.setattr(distances, name, size)
        positions, far = exact(queries, points, number)
    expected, truth = brute(queries, points, number)
    assert np.array_equal(positions, expected)
    assert np.allclose(far, truth, rtol=1e-9, atol=1e-9)


def test_half_the_precision_finds_the_same_nearest_of_distinct_points():
    points = np.random.default_rng(0).standard_normal((3000, 5)).astype(np.float32)
    whole, half = exact(points[:50], points, 4), exact(points[:50], points, 4, precision=np.float32)
    assert np.array_equal(whole[0], half[0])
    assert np.array_equal(whole[1], half[1])


def test_many_blocks_of_points():
    rng = np.random.default_rng(0)
    points, queries = rng.standard_normal((40_000, 3)), rng.standard_normal((5, 3))
    positions, _ = exact(queries, points, 12)
    assert np.array_equal(positions, brute(queries, points, 12)[0])


def test_none_is_its_own_neighbour_even_among_copies():
    points = np.repeat(np.random.default_rng(0).standard_normal((6, 2)), 5, axis=0)
    found = search(points, points, 4, within=True)
    assert (found.positions != np.arange(30)[:, None]).all()
    assert (found.positions // 5 == np.arange(30)[:, None] // 5).all()
    assert np.allclose(found.distances, 0)


def test_an_index_finds_nearly_all_of_them():
    pytest.importorskip("faiss")
    points = np.random.default_rng(0).standard_normal((3000, 8)).astype(np.float32)
    found, expected = (search(points, points, 10, within=True, way=way) for way in ("approximate", "exact"))
    assert found.approximate
    assert not expected.approximate
    same = [len(set(a) & set(b)) for a, b in zip(found.positions, expected.positions, strict=True)]
    assert np.mean(same) > 9.8
    assert np.array_equal(search(points, points, 10, within=True, way="approximate").positions, found.positions)


def test_without_the_extra_its_name_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    monkeypatch.setattr(module, "MOST_PAIRS", 99)
    points = np.random.default_rng(0).standard_normal((10, 2))
    with pytest.raises(InputError, match=r"lowerbound\[search\]"):
        search(points, points, 2)
    assert not search(points, points, 2, way="exact").approximate


def images(number, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, 1, 5, 5)).astype(np.uint8)


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_puts_an_image_nearest_to_itself(metric):
    pca = PCA(6).fit(images(80))
    found = neighbours(pca, images(80)[:9], images(80), 3, metric=metric)
    assert np.array_equal(found.positions[:, 0], np.arange(9))
    assert np.allclose(found.distances[:, 0], 0, atol=1e-6)


def test_what_the_metrics_are():
    pca = PCA(6).fit(images(80))
    codes = pca.transform(images(80))
    far = {name: Scaling.of(codes, name, pca)(codes) for name in METRICS}
    assert np.allclose(far["whitened"].std(0), 1)
    assert np.allclose(np.linalg.norm(far["cosine"], axis=1), 1)
    decoded = pca.inverse_transform(codes).reshape(80, -1)
    gap = np.linalg.norm(far["decoded"][0] - far["decoded"][1])
    assert gap == pytest.approx(np.sqrt(((decoded[0] - decoded[1]) ** 2).mean()), rel=1e-5)
    by_pixels = neighbours(None, images(2)[:1], images(2)[1:], by="pixels").distances[0, 0]
    truth = np.sqrt(np.square(images(2)[0] / 255 - images(2)[1] / 255).mean())
    assert by_pixels == pytest.approx(truth, rel=1e-5)


def test_a_gallery_of_two_parts_is_searched_as_one_array():
    whole, pca = images(30), PCA(4).fit(images(30))
    parts = Gallery((Images(whole[:11]), Images(whole[11:])), ("train", "test"))
    for by in ("codes", "pixels"):
        one, two = (neighbours(pca, each, each, 3, within=True, by=by) for each in (whole, parts))
        assert np.array_equal(one.positions, two.positions)


def test_what_cannot_be_asked():
    pca = PCA(2).fit(images(9))
    for words, said in (
        ({"by": "code"}, 'did you mean "codes"'),
        ({"metric": "cos"}, "expected one of"),
        ({"number": 0}, "0 neigh"),
    ):
        with pytest.raises(InputError, match=said):
            neighbours(pca, images(1), images(9), **words)
    with pytest.raises(InputError, match="among 0"):
        neighbours(pca, images(1), images(1), within=True)
    assert neighbours(pca, images(1), images(9), 99).positions.shape == (1, 9)
