"""One process or many: what a training asks of them, and nothing else here knows how many there are.

``Alone`` is one process. ``Together`` is the processes that ``torchrun`` or a cluster started, joined by Hugging Face Accelerate
over ``torch.distributed``: every process holds the model, takes its rows of every batch, and the gradients are averaged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.devices import choose_device
from lowerbound.errors import InputError
from lowerbound.together import TIMEOUT, Together, whole_number

__all__ = ["Alone", "Processes", "Together", "here"]


class Alone:
    """One process, which does everything.

    Args:
        device: Where it computes; by default the fastest device here.

    Example:
        >>> alone = Alone(torch.device("cpu"))
        >>> alone.rows(5), alone.total(np.ones(2)), alone.any([True, False]), alone.tell({"k": 20})
        ((slice(0, 5, None), 0.2), array([1., 1.]), [True, False], {'k': 20})
    """

    rank, size, main, attempt = 0, 1, True, 0

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = choose_device() if device is None else device

    def rows(self, batch: int) -> tuple[slice, float]:
        """The rows of a batch that this process takes, and the weight of each in the mean over the processes' losses."""
        return slice(0, batch), 1 / batch

    def prepare(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are those of the whole batch."""
        return module.to(self.device)

    def backward(self, loss: Tensor) -> None:
        """Send the loss's gradient back."""
        loss.backward()

    def draws(self, whole: int, rows: slice) -> AbstractContextManager[Any]:  # noqa: ARG002
        """Within, noise is that of these rows in the whole batch."""
        return contextlib.nullcontext()

    def watched(self, step: int | None = None) -> AbstractContextManager[None]:  # noqa: ARG002
        """Within, a process that does not answer is named."""
        return contextlib.nullcontext()

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """The sum of an array over all processes."""
        return numbers

    def any(self, flags: Sequence[bool]) -> list[bool]:
        """Which flags any process has raised."""
        return list(flags)

    def tell(self, words: Any) -> Any:
        """What the main process says, JSON, once all others are there to hear it."""
        return words

    def remember(self, name: str, words: str) -> None:
        """Keep a word for the attempt after a restart."""

    def recall(self, name: str) -> str | None:  # noqa: ARG002
        """What an attempt before has kept; None where there was none."""
        return None

    def speaks(self, code: int) -> bool:  # noqa: ARG002
        """Whether this process is the one to say what ends the training, with that exit code."""
        return True

    def close(self) -> None:
        """Leave."""


Processes = Alone | Together


def here(*, cpu: bool = False) -> Processes:
    """The processes that this one was started with: alone, unless the environment's WORLD_SIZE says otherwise.

    Raises:
        InputError: They do not find one another.
    """
    size = whole_number("WORLD_SIZE", "1")
    if size <= 1:
        return Alone(torch.device("cpu") if cpu else None)
    rank = whole_number("RANK")
    if not 0 <= rank < size:
        raise InputError(f"RANK is {rank}, but WORLD_SIZE is {size}; expected 0 to {size - 1}")
    timeout = os.environ.get("LOWERBOUND_TIMEOUT", str(TIMEOUT))
    try:
        seconds = float(timeout)
    except ValueError:
        raise InputError(f"LOWERBOUND_TIMEOUT is {timeout}; expected seconds, such as 60") from None
    return Together(rank, size, seconds, cpu=cpu)
