"""Every image once in an epoch, in an order that knows nothing of the past."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import order
from lowerbound.order import Order, share


def epoch_of(it, epoch):
    return np.concatenate([it.batch(epoch * it.steps + step) for step in range(it.steps)])


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 300),
    st.integers(1, 70),
    st.integers(0, 5),
    st.integers(0, 3),
    st.sampled_from([1, 50, 10**6]),
    st.integers(1, 40),
    st.integers(1, 90),
)
def test_every_image_comes_once_whatever_is_shuffled_together(
    images, batch_size, seed, epoch, pool, block, image_bytes
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "POOL", pool)
        patch.setattr(order, "BLOCK", block)
        it = Order(images, batch_size, seed, image_bytes)
        assert sorted(epoch_of(it, epoch).tolist()) == list(range(images))
        sizes = [len(it.batch(epoch * it.steps + step)) for step in range(it.steps)]
        assert sizes == [min(batch_size, images - start) for start in range(0, images, batch_size)]


@pytest.mark.parametrize("pool", [10**9, 64])
def test_the_order_of_a_step_does_not_depend_on_what_was_asked_before(pool, monkeypatch):
    monkeypatch.setattr(order, "POOL", pool)
    monkeypatch.setattr(order, "BLOCK", 8)
    it, steps = Order(100, 7, 3, 2), np.random.default_rng(0).permutation(60)
    straight = {step: Order(100, 7, 3, 2).batch(step).tolist() for step in range(60)}
    assert {int(step): it.batch(step).tolist() for step in steps} == straight


@pytest.mark.parametrize("pool", [10**9, 64])
def test_order_differs_between_epochs_and_seeds(pool, monkeypatch):
    monkeypatch.setattr(order, "POOL", pool)
    monkeypatch.setattr(order, "BLOCK", 8)
    orders = {tuple(epoch_of(Order(100, 7, seed, 1), epoch).tolist()) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6
    assert tuple(range(100)) not in orders


def test_images_that_do_not_fit_a_pool_are_read_in_blocks(monkeypatch):
    """A batch then touches no more blocks than a pool holds, where a permutation of everything touches nearly all."""
    monkeypatch.setattr(order, "POOL", 4 * 64)
    monkeypatch.setattr(order, "BLOCK", 64)
    it = Order(64 * 40, 100, 0, image_bytes=1)
    touched = [len(np.unique(it.batch(step) // 64)) for step in range(it.steps)]
    assert max(touched) <= 8
    monkeypatch.setattr(order, "POOL", 10**9)
    assert len(np.unique(Order(64 * 40, 100, 0, 1).batch(0) // 64)) > 30


@given(st.integers(0, 500), st.integers(1, 20))
def test_shares_are_all_there_is_and_even(count, size):
    parts = [share(count, rank, size) for rank in range(size)]
    assert [place for part in parts for place in range(part.start, part.stop)] == list(range(count))
    lengths = [part.stop - part.start for part in parts]
    assert max(lengths) - min(lengths) <= 1
