"""Weights that change while a model trains: functions of the fraction of the training that is done.

Wherever an objective takes a weight it takes a number or such a function. Evaluation is at fraction 1: a schedule ends at the
weight that counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lowerbound.errors import InputError

__all__ = ["Cyclical", "Linear", "warm_up"]


@dataclass(frozen=True)
class Linear:
    """A straight line from one value to another, then level.

    From 0 to 25 nats it is the capacity of Burgess et al. (2018, https://arxiv.org/abs/1804.03599); from 0 to 1 a KL warm-up.

    Args:
        start: The value at the beginning.
        end: The value that it reaches and keeps.
        over: The part of the training until then, in (0, 1].

    Raises:
        InputError: A value that is negative or no number, or a part that is none.

    Example:
        >>> capacity = Linear(0.0, 25.0, over=0.5)
        >>> [capacity(fraction) for fraction in (0.0, 0.1, 0.5, 1.0)]
        [0.0, 5.0, 25.0, 25.0]
    """

    start: float
    end: float
    over: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no weight."""
        _check_values(self.start, self.end)
        if not 0 < self.over <= 1:
            raise InputError(f"over is {self.over:g}; expected the part of the training until the end value, in (0, 1]")

    def __call__(self, fraction: float) -> float:
        """The value when a fraction of the training is done."""
        done = min(max(fraction / self.over, 0.0), 1.0)
        return (1 - done) * self.start + done * self.end


@dataclass(frozen=True)
class Cyclical:
    """The same rise again and again: each cycle climbs in a straight line, then stays level until the next begins.

    Each return to the start lets the decoder lean on the codes anew, so that fewer of them die of the KL (Fu et al., 2019,
    https://arxiv.org/abs/1903.10145).

    Args:
        cycles: How many; the last one ends the training at the end value.
        rise: The part of a cycle that climbs, in (0, 1].
        start: The value at the beginning of a cycle.
        end: The value at the end of it.

    Raises:
        InputError: No cycles, a value that is negative or no number, or a part that is none.

    Example:
        >>> weight = Cyclical(cycles=2)
        >>> [weight(fraction) for fraction in (0.0, 0.125, 0.25, 0.4, 0.5, 0.625, 1.0)]
        [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0]
    """

    cycles: int = 4
    rise: float = 0.5
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no cycle and no weight."""
        _check_values(self.start, self.end)
        if self.cycles < 1 or not 0 < self.rise <= 1:
            raise InputError(
                f"cycles is {self.cycles} and rise {self.rise:g}; expected at least 1 cycle and a part of it in (0, 1]"
            )

    def __call__(self, fraction: float) -> float:
        """The value when a fraction of the training is done."""
        place = 1.0 if fraction >= 1 else max(fraction, 0.0) * self.cycles % 1
        return Linear(self.start, self.end, self.rise)(place)


def warm_up(over: float = 0.3) -> Linear:
    """From 0 to 1 over the first part of the training, then 1: for the weight of the KL.

    Without the KL the codes find something to say first; with all of it from the start they may never (Bowman et al., 2016,
    https://arxiv.org/abs/1511.06349; Sønderby et al., 2016, https://arxiv.org/abs/1602.02282).

    Raises:
        InputError: ``over`` is no part of the training.

    Example:
        >>> warm_up(over=0.2)
        Linear(start=0.0, end=1.0, over=0.2)
    """
    return Linear(0.0, 1.0, over)


def _check_values(start: float, end: float) -> None:
    if not (0 <= start < math.inf and 0 <= end < math.inf):
        raise InputError(f"a schedule from {start:g} to {end:g}; expected finite values of at least 0")
