"""Noise of a whole batch, of which each process takes its rows: so that two processes learn what one would.

A model draws with ``torch``'s functions where it needs noise. Within ``SharedDraws`` what it draws for its own rows are the rows
it would have been given in the whole batch. Which axis is that of the batch follows from the order of axes here,
``(samples,) batch, code`` and ``(samples,) batch, channel, height, width``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["SharedDraws"]

BATCH_AXIS = {1: 0, 2: 0, 3: 1, 4: 0, 5: 1}  # of a draw with so many axes
LIKE = {torch.randn_like: torch.randn, torch.rand_like: torch.rand}
PLACED = {Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.cauchy_}


class SharedDraws(TorchFunctionMode):
    """Within, draws for ``rows`` of a batch of ``whole`` images are these rows of the draws for all of them.

    Args:
        whole: Images in the batch of all processes.
        rows: Those of this process.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> together = torch.randn(5, 2)
        >>> _ = torch.manual_seed(0)
        >>> with SharedDraws(5, slice(1, 3)):
        ...     mine = torch.randn(2, 2)
        >>> torch.equal(mine, together[1:3])
        True
    """

    def __init__(self, whole: int, rows: slice) -> None:
        super().__init__()
        self.whole, self.rows = whole, rows

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Draw for all and take the rows; leave everything else as it is."""
        kwargs = dict(kwargs or {})
        if func in LIKE:
            like = args[0]
            kwargs = {"dtype": like.dtype, "device": like.device, **kwargs}
            return self._rows(tuple(like.shape), lambda shape: LIKE[func](shape, **kwargs))
        if func in (torch.randn, torch.rand):
            size = kwargs.pop("size", args)
            size = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
            return self._rows(tuple(size), lambda shape: func(shape, **kwargs))
        if func in PLACED:
            place, *how = args
            return place.copy_(
                self._rows(tuple(place.shape), lambda shape: func(place.new_empty(shape), *how, **kwargs))
            )
        if func is torch.normal and isinstance(args[0], Tensor) and isinstance(args[1], Tensor):
            mean, scale = torch.broadcast_tensors(*args)
            return mean + scale * self._rows(tuple(mean.shape), lambda shape: mean.new_empty(shape).normal_())
        return func(*args, **kwargs)

    def _rows(self, shape: tuple[int, ...], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        """A draw of a shape: this process's rows where it has an axis of them, else the same in all processes."""
        axis = BATCH_AXIS.get(len(shape))
        mine = self.rows.stop - self.rows.start
        if axis is None or shape[axis] != mine:
            return draw(shape)
        whole = draw((*shape[:axis], self.whole, *shape[axis + 1 :]))
        return whole.narrow(axis, self.rows.start, mine)
