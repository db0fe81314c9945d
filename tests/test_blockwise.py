"""A function of blocks gives what it gives of the whole."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound.blockwise import batched


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(1, 25))
def test_blocks_give_what_the_whole_gives(count, size):
    rows = np.random.default_rng(count).random((count, 3), np.float32)
    sizes = []

    def function(block):
        sizes.append(len(block))
        assert not torch.is_grad_enabled()
        return (2 * block).sum(1)

    found = batched(function, rows, lambda block: block + 1, size)
    np.testing.assert_array_equal(found, (2 * (rows + 1)).sum(1))
    assert max(sizes) <= size
