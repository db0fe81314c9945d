"""Copies are found, whatever was done to them; images that are alike by nature are not taken for copies."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import PCA, load
from lowerbound import duplicates as module
from lowerbound.alignment import crop, residuals, shift
from lowerbound.duplicates import _groups, duplicates, exact_copies
from lowerbound.errors import InputError


def scenes(number, seed=0, size=20):
    """Smooth pictures that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    small = torch.from_numpy(rng.random((number, 1, 7, 7)))
    large = torch.nn.functional.interpolate(small, (size, size), mode="bicubic", align_corners=True)
    return (255 * large.clamp(0, 1)).round().to(torch.uint8).numpy()


def moved(images, down, right):
    return shift(torch.from_numpy(images), down, right).numpy()


def cut(images, kept, corner):
    found = crop(torch.from_numpy(images / np.float32(255)), kept, corner)
    return (255 * found.clamp(0, 1)).round().to(torch.uint8).numpy()


@given(st.integers(-2, 2), st.integers(-2, 2), st.floats(0.5, 1.0), st.integers(0, 40))
@settings(deadline=None, max_examples=15)
def test_a_shift_and_a_change_of_brightness_leave_no_residual(down, right, contrast, brighter):
    images = scenes(4)
    other = np.clip(moved(images, down, right) * contrast + brighter * (1 - contrast), 0, 255).astype(np.uint8)
    assert residuals(images, other).max() < 0.01
    assert np.allclose(residuals(images, other), residuals(other, images), atol=0.01)
    assert residuals(images, other[::-1].copy()).min() > 0.1


@pytest.mark.parametrize("corner", [(0.5, 0.5), (0.2, 0.8)])
@pytest.mark.parametrize("kept", [0.8, 0.9])
def test_a_piece_is_known_in_both_directions(kept, corner):
    images = scenes(4)
    piece = cut(images, kept, corner)
    assert residuals(images, piece).max() < 0.1
    assert residuals(piece, images).max() < 0.1


def test_residuals_of_colours_flat_images_and_large_ones():
    colours = np.concatenate([scenes(6, seed) for seed in range(3)], axis=1)
    assert residuals(colours, moved(colours, 1, -1)).max() < 0.01
    large = scenes(3, size=90)
    assert residuals(large, moved(large, 4, 3)).max() < 0.05
    flat = np.full((2, 1, 8, 8), 7, np.uint8)
    assert np.allclose(residuals(flat, flat + 1), 1), "nothing to see, nothing in common"


def test_exact_copies_point_to_the_first():
    images = scenes(5)[[0, 1, 0, 2, 1, 0]]
    assert exact_copies(images).tolist() == [0, 1, 0, 3, 1, 0]


def test_planted_copies_of_every_kind_are_found_and_nothing_else():
    images = scenes(150)
    noise = np.random.default_rng(0).integers(-3, 4, (150, 1, 20, 20))
    planted = np.concatenate(
        [
            images[3:4],
            moved(images[10:11], 1, -1),
            cut(images[20:21], 0.9, (0.5, 0.5)),
            np.clip(images[30:31].astype(int) + noise[30:31], 0, 255).astype(np.uint8),
            (images[40:41] * 0.7).astype(np.uint8),
        ]
    )
    found = duplicates(PCA(16).fit(images), np.concatenate([images, planted]))
    groups = {tuple(group.members.tolist()): group for group in found.groups}
    assert groups.keys() == {(3, 150), (10, 151), (20, 152), (30, 153), (40, 154)}
    assert groups[3, 150].kinds == ("first", "exact")
    assert groups[10, 151].kinds == ("first", "near")
    assert groups[3, 150].correlations.tolist() == [1, 1]
    assert 0.9 < groups[10, 151].correlations[1] <= 1
    assert found.surplus == 5


def test_where_pairs_are_many_the_suspicious_ones_are_enough(monkeypatch):
    images = scenes(300)
    planted = np.concatenate([moved(images[n : n + 1], 1, 1) for n in range(0, 300, 30)])
    everything, model = np.concatenate([images, planted]), PCA(16).fit(images)
    whole = duplicates(model, everything)
    monkeypatch.setattr(module, "MOST_COMPARED", 30)
    monkeypatch.setattr(module, "DRAWN", 250)
    some = duplicates(model, everything)
    assert some.pairs <= len(everything) + 250 < whole.pairs
    assert {tuple(group.members.tolist()) for group in some.groups} == {(30 * n, 300 + n) for n in range(10)}


@pytest.mark.parametrize("size", [(19, 21), (20, 15)])
def test_odd_sides_are_no_obstacle(size):
    large = scenes(4, size=30)[:, :, : size[0] + 2, : size[1] + 2]
    one, other = large[:, :, 1:-1, 1:-1], large[:, :, 2:, :-2]
    assert residuals(one, other).max() < 0.01
    assert residuals(one, other[::-1].copy()).min() > 0.05


def test_the_order_of_images_does_not_matter():
    images = np.concatenate([scenes(60), moved(scenes(60)[5:8], 1, 0)])
    model, order = PCA(12).fit(images), np.random.default_rng(0).permutation(63)
    here = {frozenset(group.members.tolist()) for group in duplicates(model, images).groups}
    there = {frozenset(order[group.members].tolist()) for group in duplicates(model, images[order]).groups}
    assert here == there == {frozenset((n, 55 + n)) for n in (5, 6, 7)}


def test_handwritten_digits_are_alike_but_no_copies():
    digits = load("digits").train.pixels[:500]
    assert sum(len(group.members) for group in duplicates(PCA(8).fit(digits), digits).groups) <= 4


def test_many_copies_of_one_image_are_one_group():
    images = np.concatenate(
        [scenes(110), *(moved(scenes(1), d, r) for d in (-1, 0, 1) for r in (-1, 0, 1) if (d, r) != (0, 0))]
    )
    groups = duplicates(PCA(12).fit(images), images).groups
    assert [group.members.tolist() for group in groups] == [[0, *range(110, 118)]]


def test_pairs_make_groups():
    firsts = np.array([0, 1, 2, 4, 5])
    of = np.array([0, 1, 2, 1, 4, 5])
    pairs = np.array([[1, 2], [2, 4]])  # 1 - 2 and 2 - 5; 3 is a copy of 1
    groups = _groups(of, firsts, pairs, np.array([0.9, 0.95]))
    assert [group.members.tolist() for group in groups] == [[1, 2, 3, 5]]
    assert groups[0].kinds == ("first", "near", "exact", "near")
    assert groups[0].correlations.tolist() == [1.0, 0.95, 1.0, 0.95]


def test_few_images():
    images = scenes(3)
    assert duplicates(PCA(2).fit(images), images[:1]).groups == ()
    assert duplicates(PCA(2).fit(images), images[[0, 0]]).groups[0].kinds == ("first", "exact")
    with pytest.raises(InputError, match="no images"):
        duplicates(PCA(2).fit(images), images[:0])
