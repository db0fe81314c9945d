"""A function over the rows of an array, a block at a time, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

__all__ = ["batched"]


@torch.no_grad()
def batched(
    function: Callable[[Tensor], Tensor], rows: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray], size: int = 500
) -> np.ndarray:
    """A function of tensors over the rows of an array, a block at a time.

    Args:
        function: From ``[block, ...]`` to ``[block, ...]``.
        rows: ``[N, ...]``.
        prepare: What makes a block of rows fit for the function.
        size: Rows in a block.

    Example:
        >>> batched(lambda x: x.sum(1), np.ones((5, 2), np.float32), lambda block: block, size=2)
        array([2., 2., 2., 2., 2.], dtype=float32)
    """
    blocks = [
        function(torch.from_numpy(prepare(rows[start : start + size]))).numpy()
        for start in range(0, max(1, len(rows)), size)
    ]
    return np.concatenate(blocks)
