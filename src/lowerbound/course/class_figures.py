"""What a class did, in pictures: exercises passed, and time per section.

Every function takes what ``class_counts`` counted and returns a matplotlib Figure 8 inches wide, in the style that
``look.style`` chose. What does not fit is left out by a rule, and the page's tables have all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lowerbound.course.class_curves import plain
from lowerbound.errors import InputError
from lowerbound.look import CLASS_COLOURS, QUIET, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lowerbound.course.class_counts import ExerciseCount, SectionTime

__all__ = ["MOST_BARS", "exercises_passed", "section_times"]

MOST_BARS = 80
PASSED, OPEN = CLASS_COLOURS[0], CLASS_COLOURS[1]


@drawn
def exercises_passed(counts: Sequence[ExerciseCount], learners: int) -> Figure:
    """How many of a class passed each exercise, and how many tried and have not passed.

    Args:
        counts: As ``class_counts.exercises`` gives them, the first ``MOST_BARS`` are drawn.
        learners: How many there are in the class.

    Raises:
        InputError: No exercise.

    Example:
        >>> from lowerbound.course.class_counts import ExerciseCount
        >>> figure = exercises_passed([ExerciseCount("05", "rsample", 9, 7, 2.0, 0.5, 1, ())], 10)
        >>> figure.axes[0].texts[0].get_text()
        '7 of 9, 2 attempts'
    """
    from matplotlib.ticker import MaxNLocator

    if not counts:
        raise InputError("no exercise came; expected one or more that somebody tried")
    rows = counts[:MOST_BARS]
    names = [f"{one_line(row.lesson, 12)}  {one_line(row.name, 28)}" for row in rows]
    figure, axes = _rows(names, [row.lesson for row in rows], 0.27)
    places = np.arange(len(rows))
    passed = np.array([row.passed for row in rows])
    still = np.array([row.tried for row in rows]) - passed
    axes.barh(places, passed, 0.62, color=PASSED, label="passed")
    axes.barh(
        places[still > 0],
        still[still > 0],
        0.62,
        left=passed[still > 0],
        color="white",
        edgecolor=OPEN,
        hatch="//////",
        linewidth=1,
        label="tried, not passed",
    )
    for place, row in zip(places, rows, strict=True):
        attempts = f"{row.attempts:g} attempt{'' if row.attempts == 1 else 's'}"
        axes.annotate(
            f"{row.passed} of {row.tried}, {attempts}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=QUIET,
            fontsize="small",
        )
    axes.set_xlim(0, max(learners, 1))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_xlabel(f"learners, of {learners} in the class")
    axes.annotate(
        "passed, of those who\ntried; median attempts",
        (1, 1),
        xycoords="axes fraction",
        xytext=(8, 3),
        textcoords="offset points",
        color=QUIET,
        fontsize="small",
    )
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@drawn
def section_times(found: Sequence[SectionTime]) -> Figure:
    """How long a class took for each section: quartiles as a bar, the median as a point, the estimate as a tick.

    Args:
        found: As ``class_counts.times`` gives them, the first ``MOST_BARS`` are drawn.

    Raises:
        InputError: No section.

    Example:
        >>> from lowerbound.course.class_counts import SectionTime
        >>> figure = section_times([SectionTime("05", "1", 3, (4.0, 6.0, 9.0), 8.0)])
        >>> figure.axes[0].get_xlabel()
        'minutes'
    """
    if not found:
        raise InputError("no section came; expected one or more of a known time")
    rows = found[:MOST_BARS]
    names = [f"{one_line(row.lesson, 12)}  {one_line(row.section, 28)}" for row in rows]
    figure, axes = _rows(names, [row.lesson for row in rows], 0.21)
    low, middle, high = np.array([row.quartiles for row in rows]).T
    shown = [value for row in rows for value in (*row.quartiles, row.estimate) if value]
    log = bool(shown) and max(shown) / np.median(shown) > 8  # a section left open over night would flatten all others
    least = 0.1 if log else 0.0
    low, middle, high = (np.maximum(values, least) for values in (low, middle, high))
    places = np.arange(len(rows))
    axes.barh(
        places, high - low, 0.5, left=low, color=PASSED, alpha=0.45, label="half of the learners: between the quartiles"
    )
    axes.plot(middle, places, "o", color=PASSED, markersize=5, markeredgecolor="white", zorder=3, label="median")
    told = [(place, row.estimate) for place, row in enumerate(rows) if row.estimate]
    if told:
        axes.plot(
            [minutes for _, minutes in told],
            [place for place, _ in told],
            "|",
            zorder=2.5,
            color="#262626",
            markersize=11,
            markeredgewidth=2,
            label="estimate",
        )
    top = 1.06 * max(shown, default=1.0)
    if log:
        axes.set_xscale("log")
        _minutes(axes, min(shown), top)
    else:
        axes.set_xlim(0, top)
    axes.set_xlabel("minutes, on a logarithmic axis" if log else "minutes")
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _minutes(axes: Axes, low: float, high: float) -> None:
    """Ticks of a logarithmic axis of minutes."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xlim(max(0.1, 0.8 * low), 1.2 * high)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 1000 else (1,)))
    axes.xaxis.set_major_formatter(plain(",g"))
    axes.xaxis.set_minor_locator(NullLocator())


def _rows(names: Sequence[str], lessons: Sequence[str], height: float) -> tuple[Figure, Axes]:
    """Axes with a named row for each thing, the first on top, and a line between lessons."""
    figure = canvas(WIDTH, height * len(names) + 1.3)
    axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    for place in range(1, len(names)):
        if lessons[place] != lessons[place - 1]:
            axes.axhline(place - 0.5, color="#c8c8c8", linewidth=0.8, zorder=0.5)
    return figure, axes
