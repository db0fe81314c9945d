"""Which images are kept apart as the test set when a source brings none of its own."""

from __future__ import annotations

import numpy as np

from lowerbound.errors import InputError

__all__ = ["hold_out"]

SEED = 0


def hold_out(count: int, test: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the train and of the test images, both in rising order, drawn by a permutation with a fixed seed.

    Args:
        count: Number of images.
        test: Number of images to keep apart; one in six, and at least one, when None.

    Returns:
        Integers ``[count - test]`` and ``[test]``; each position is in exactly one of the two.

    Raises:
        InputError: Fewer than two images.

    Example:
        >>> train, test = hold_out(12)
        >>> len(train), len(test)
        (10, 2)
    """
    if count < 2:
        found = "1 image was found" if count else "no image was found"
        raise InputError(f"{found}; need at least 2, one to learn from and one to test on; add more images")
    test = max(1, count // 6) if test is None else test
    order = np.random.default_rng(SEED).permutation(count)
    return np.sort(order[test:]), np.sort(order[:test])
