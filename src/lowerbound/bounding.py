"""Bounds that a network's numbers meet softly, so that exp of them never overflows and a gradient is left on both sides."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional

__all__ = ["softly_bounded", "softly_unbounded"]

FLAT = 50.0  # beyond the bounds: there a float64 has long stopped to change


def softly_bounded(value: Tensor, low: float, high: float) -> Tensor:
    """The identity well inside ``[low, high]``, flattening out beyond its ends, so that exp never overflows.

    Example:
        >>> import torch
        >>> softly_bounded(torch.tensor([-1e30, -2.0, 1e30]), -7.0, 3.0).round(decimals=3)
        tensor([-7., -2.,  3.])
    """
    value = value.clamp(low - FLAT, high + FLAT)  # of two large numbers the difference would be all rounding
    return low + functional.softplus(value - low) - functional.softplus(value - high)


def softly_unbounded(bounded: float, low: float, high: float) -> float:
    """The value that ``softly_bounded`` takes to ``bounded``, which must lie within ``]low, high[``.

    With a = bounded - low and w = high - low: (1 + e^u) / (1 + e^(u - w)) = e^a, so e^u = (e^a - 1) / (1 - e^(a - w)).

    Example:
        >>> import torch
        >>> softly_bounded(torch.tensor(softly_unbounded(-0.5, -7.0, 0.0)), -7.0, 0.0)
        tensor(-0.5000)
    """
    above, below = bounded - low, bounded - high
    return low + math.log(math.expm1(above)) - math.log(-math.expm1(below))
