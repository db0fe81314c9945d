"""Images and the held-out split: what is refused, what is kept, and that nothing is in both parts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.splits import hold_out


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 1, 8, 8)), np.zeros((2, 2, 8, 8), np.uint8)],
    ids=["three axes", "floats", "two channels"],
)
def test_only_8_bit_stacks_of_1_or_3_channels_are_images(pixels):
    with pytest.raises(InputError, match=r"expected uint8 \[N, C, H, W\]"):
        Images(pixels)


def test_labels_and_names_must_be_one_per_image():
    pixels = np.zeros((2, 1, 8, 8), np.uint8)
    with pytest.raises(InputError, match="expected \\[2\\]"):
        Images(pixels, labels=np.zeros(3, np.int64))
    with pytest.raises(InputError, match="1 names came for 2 images"):
        Images(pixels, names=("one",))


def test_an_index_picks_pixels_labels_and_names_together():
    images = Images(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.arange(4), ("a", "b", "c", "d"))
    picked = images[np.array([3, 1])]
    assert picked.pixels.ravel().tolist() == picked.labels.tolist() == [3, 1]
    assert picked.names == ("d", "b")


def test_train_and_test_have_one_size():
    small, large = Images(np.zeros((2, 1, 8, 8), np.uint8)), Images(np.zeros((2, 1, 9, 8), np.uint8))
    with pytest.raises(InputError, match="expected one size"):
        ImageSet("odd", small, large)


def test_the_hash_tells_pixels_order_and_split_apart():
    images = Images(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1))
    hashes = {
        ImageSet("a", images[:4], images[4:]).sha256(),
        ImageSet("b", images[:3], images[3:]).sha256(),
        ImageSet("c", images[4:], images[:4]).sha256(),
    }
    assert len(hashes) == 3
    assert ImageSet("other name", images[:4], images[4:]).sha256() in hashes


@given(st.integers(2, 3000))
def test_a_split_is_disjoint_complete_and_one_in_six(count):
    train, test = hold_out(count)
    assert sorted([*train, *test]) == list(range(count))
    assert len(test) == max(1, count // 6)
    assert all(np.array_equal(one, other) for one, other in zip((train, test), hold_out(count), strict=True))


@pytest.mark.parametrize(("count", "found"), [(0, "no image was found"), (1, "1 image was found")])
def test_a_split_needs_two_images(count, found):
    with pytest.raises(InputError, match=f"{found}; need at least 2"):
        hold_out(count)
