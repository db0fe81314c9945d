"""Sums of pixels and products: the same to the last bit for any order, chunks, threads and processes."""

import math
import multiprocessing

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import moments as module
from lowerbound.errors import InputError
from lowerbound.moments import BLOCK, MOST_EXACT, PixelMoments, PixelSums, shifted_blocks

SHAPES = st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6))


def noise(count, shape, seed=0, low=0, high=256):
    return np.random.default_rng(seed).integers(low, high, (count, *shape)).astype(np.uint8)


@st.composite
def stacks(draw):
    """Images of any contents: noise, all black, all white, one level, extremes only."""
    shape, count = draw(SHAPES), draw(st.one_of(st.integers(1, 40), st.sampled_from([BLOCK, BLOCK + 1, 2500])))
    low, high = draw(st.sampled_from([(0, 256), (0, 1), (255, 256), (127, 128), (0, 2), (254, 256)]))
    images = noise(count, shape, draw(st.integers(0, 99)), low, high)
    return np.where(images == 1, 255, images).astype(np.uint8) if high == 2 else images


def integers_of(images):
    return images.reshape(len(images), math.prod(images.shape[1:])).astype(np.int64) - 128


def same(one, other):
    """Whether two sums are equal to the last bit, and so is all that follows from them."""
    return (
        one.count == other.count
        and one.sums.tobytes() == other.sums.tobytes()
        and one.products.tobytes() == other.products.tobytes()
        and one.mean.tobytes() == other.mean.tobytes()
        and one.covariance.tobytes() == other.covariance.tobytes()
        and one.total_variance == other.total_variance
    )


@settings(max_examples=40, deadline=None)
@given(stacks(), st.randoms(use_true_random=False), st.lists(st.integers(0, 2500), max_size=4), st.integers(1, 4))
def test_moments_are_exact_for_any_order_chunks_threads_and_shares(images, random, cuts, world):
    shape = images.shape[1:]
    whole = PixelMoments(shape).add(images)
    integers = integers_of(images)
    assert whole.count == len(images)
    assert np.array_equal(whole.sums, integers.sum(0))
    assert np.array_equal(whole.products, integers.T @ integers)
    order = list(range(len(images)))
    random.shuffle(order)
    pieces = PixelMoments(shape)
    for piece in np.split(images[order], sorted(min(cut, len(images)) for cut in cuts)):
        with threadpoolctl.threadpool_limits(random.choice([1, 2])):
            pieces.add(piece)
    assert same(pieces, whole)
    shares = [PixelMoments(shape).add(images[rank::world]) for rank in range(world)]
    merged = PixelMoments(shape)
    for share in random.sample(shares, world):
        merged.merge(share)
    assert same(merged, whole)
    floats = images.reshape(len(images), -1) / 255
    np.testing.assert_allclose(whole.mean, floats.mean(0), atol=1e-7)
    np.testing.assert_allclose(
        whole.covariance, np.cov(floats, rowvar=False, bias=True).reshape(whole.covariance.shape), atol=1e-7
    )
    assert whole.total_variance == pytest.approx(floats.var(0).sum(), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(stacks(), st.integers(1, 5))
def test_a_reduction_over_processes_is_a_merger(images, world):
    shares = [PixelMoments(images.shape[1:]).add(images[rank::world]) for rank in range(world)]
    calls = [iter(sent(share)) for share in shares]
    totals = [sum(arrays) for arrays in zip(*calls, strict=True)]
    answers = iter(totals)
    assert same(
        shares[0].reduced(lambda array: checked(array, next(answers))), PixelMoments(images.shape[1:]).add(images)
    )


def sent(moments):
    """The arrays that one process gives to its ``reduce``, in their order."""
    arrays = []
    moments.reduced(lambda array: arrays.append(array) or array)
    return arrays


def checked(array, answer):
    assert array.dtype == np.int64
    assert array.shape == answer.shape
    return answer


@settings(max_examples=40, deadline=None)
@given(stacks(), st.integers(1, 4))
def test_sums_without_products_are_those_with_them(images, world):
    moments, sums = PixelMoments(images.shape[1:]).add(images), PixelSums(images.shape[1:])
    for rank in range(world):
        sums.add(images[rank::world])
    assert sums.mean.tobytes() == moments.mean.tobytes()
    assert sums.total_variance == moments.total_variance
    assert np.array_equal(sums.squares, moments.products.diagonal())


def one_process(images_file, rank, world, file):
    images = np.load(images_file, mmap_mode="r")
    moments = PixelMoments(images.shape[1:]).add(images[rank::world])
    np.savez(file, count=moments.count, sums=moments.sums, products=moments.products)


@pytest.mark.slow
def test_two_processes_and_a_memory_map_have_the_sums_of_one(tmp_path):
    images = noise(BLOCK + 77, (3, 11, 13))
    np.save(tmp_path / "images.npy", images)
    processes = multiprocessing.get_context("spawn")
    workers = [
        processes.Process(target=one_process, args=(tmp_path / "images.npy", rank, 2, tmp_path / f"{rank}.npz"))
        for rank in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    shares = [np.load(tmp_path / f"{rank}.npz") for rank in range(2)]
    here = [PixelMoments((3, 11, 13)).add(images[rank::2]) for rank in range(2)]
    for share, expected in zip(shares, here, strict=True):
        assert share["products"].tobytes() == expected.products.tobytes()
        assert share["sums"].tobytes() == expected.sums.tobytes()
        assert int(share["count"]) == expected.count
    whole = PixelMoments((3, 11, 13)).add(np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert same(here[0].merge(here[1]), whole)
    assert same(whole, PixelMoments((3, 11, 13)).add(images))


@pytest.mark.parametrize("level", [0, 255])
def test_the_largest_products_are_exact_too(level):
    images = np.full((3 * BLOCK + 7, 1, 1, 3), level, np.uint8)  # every product at its largest, every block full
    images[::5] = 255 - level
    integers = integers_of(images)
    assert np.array_equal(PixelMoments((1, 1, 3)).add(images).products, integers.T @ integers)
    assert np.array_equal(PixelSums((1, 1, 3)).add(images).squares, (integers**2).sum(0))


def test_more_pixels_than_a_panel_are_all_there():
    images = noise(40, (3, 10, 19))  # 570 values: two whole panels and a piece
    moments, integers = PixelMoments((3, 10, 19)).add(images), integers_of(images)
    assert np.array_equal(moments.products, integers.T @ integers)
    assert np.array_equal(moments.covariance, moments.covariance.T)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 40), st.integers(1, 200))
def test_blocks_are_the_images_in_their_order_and_never_too_large(count, most):
    images = noise(count, (1, 4, 5))
    kept, floats = module.MOST_FLOATS, []
    module.MOST_FLOATS = most
    try:
        floats = [block.copy() for block in shifted_blocks(images)]
    finally:
        module.MOST_FLOATS = kept
    assert all(block.dtype == np.float32 and block.size <= max(most, 20) for block in floats)
    assert np.array_equal(np.concatenate([*floats, np.empty((0, 20))]), integers_of(images))


@pytest.mark.parametrize("sums", [PixelMoments, PixelSums])
@pytest.mark.parametrize(
    "images",
    [np.zeros((2, 1, 3, 2), np.uint8), np.zeros((2, 1, 2, 2), np.float32), np.zeros((2, 3, 2, 2), np.uint8)],
    ids=["another size", "floats", "another number of channels"],
)
def test_moments_refuse_other_images(images, sums):
    with pytest.raises(InputError, match=r"expected uint8 \['N', 1, 2, 2\]"):
        sums((1, 2, 2)).add(images)


def test_moments_refuse_those_of_other_images():
    with pytest.raises(InputError, match=r"images \[1, 2, 3\] came; expected \[1, 3, 2\]"):
        PixelMoments((1, 3, 2)).merge(PixelMoments((1, 2, 3)))


def test_no_covariance_is_formed_of_large_images():
    side = math.isqrt(MOST_EXACT) + 1
    with pytest.raises(InputError, match="a covariance is formed of at most 5,000"):
        PixelMoments((1, side, side))
