"""How much of a training is done: by its steps, or by the clock.

A schedule is a function of the fraction that is done. With a number of epochs the fraction is steps over all steps. With a time
budget every step adds its part of what is left, (1 - fraction) / (steps that the time left allows at the speed measured so far):
a machine that slows down shortens the schedule, and it still ends on time at its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lowerbound.settings import Settings

__all__ = ["ByClock", "BySteps", "pace_of"]

FIRST = 5  # steps after which the speed is believed: the first of all sets up what later ones have
WINDOW = 0.2  # of the time so far, over which the speed is measured


@dataclass
class BySteps:
    """A training of a number of steps.

    Args:
        begin: Step at which the schedule begins.
        end: Steps of the whole training.

    Example:
        >>> pace = BySteps(begin=10, end=20)
        >>> pace.fraction(step=15, fraction=0.0, seconds=0.0), pace.ended(step=20, fraction=1.0, seconds=0.0)
        (0.5, True)
    """

    begin: int
    end: int

    def fraction(self, step: int, fraction: float, seconds: float) -> float:  # noqa: ARG002
        """How much is done after a number of steps."""
        return max(0.0, (step - self.begin) / max(1, self.end - self.begin))  # it may go on from before that step

    @property
    def stride(self) -> float:
        """What the next step adds."""
        return 1 / max(1, self.end - self.begin)

    def ended(self, step: int, fraction: float, seconds: float) -> bool:  # noqa: ARG002
        """Whether no step is left."""
        return step >= self.end


@dataclass
class ByClock:
    """A training of a number of seconds.

    Args:
        budget: Seconds of the whole training.
        stride: What the last step added, about what the next one will.

    Example:
        >>> now = iter(range(100))
        >>> pace, fraction, step = ByClock(budget=50), 0.0, 0
        >>> while not pace.ended(step, fraction, seconds=float(step)):  # a second for each step
        ...     step += 1
        ...     fraction = pace.fraction(step, fraction, seconds=float(step))
        >>> step, round(fraction, 6)
        (50, 1.0)
    """

    budget: float
    stride: float = 0.0
    _marks: list[tuple[int, float]] = field(default_factory=list, repr=False)

    def fraction(self, step: int, fraction: float, seconds: float) -> float:
        """How much is done after a step that ended at a number of seconds, when before it was ``fraction``."""
        if not self._marks or seconds - self._marks[-1][1] > 0.01 * self.budget or len(self._marks) < FIRST:
            self._marks.append((step, seconds))
        if len(self._marks) < FIRST:
            return min(1.0, seconds / self.budget)  # nothing is known yet
        since = next(mark for mark in self._marks if mark[1] >= (1 - WINDOW) * seconds or mark is self._marks[-2])
        each = max((seconds - since[1]) / max(1, step - since[0]), 1e-6)
        left = max(1.0, (self.budget - seconds) / each + 1)
        self.stride = (1 - fraction) / left
        return min(1.0, fraction + self.stride)

    def ended(self, step: int, fraction: float, seconds: float) -> bool:  # noqa: ARG002
        """Whether no time is left for a step."""
        return seconds >= self.budget or fraction >= 1


def pace_of(settings: Settings, steps: int) -> BySteps | ByClock:
    """The pace that settings ask for, with ``steps`` in an epoch."""
    if settings.minutes:
        return ByClock(60 * settings.minutes)
    return BySteps(settings.begin * steps, round(settings.epochs * steps))
