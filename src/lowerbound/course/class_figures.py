"""What a class did, in pictures: its error and its ELBO against K, exercises passed, time per section.

Every function takes what ``class_counts`` counted and returns a matplotlib Figure 8 inches wide, in the style that ``look.style``
chose. What does not fit is left out by a rule, and the page's tables have all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.course.class_counts import FULL
from lowerbound.errors import InputError
from lowerbound.look import (
    CLASS_COLOURS,
    CLASS_MARKERS,
    MODEL_STYLE,
    QUIET,
    WIDTH,
    ModelStyle,
    canvas,
    drawn,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    from lowerbound.course.class_counts import Curve, ExerciseCount, SectionTime

__all__ = ["MOST_BARS", "MOST_PANELS", "class_curves", "exercises_passed", "section_times"]

MOST_PANELS = 8  # data sets; beyond, a page of panels is read by nobody
MOST_MODELS = 8  # more curves in one panel cannot be told apart
MOST_BARS = 80
MOST_POINTS = 4_000  # faint points of one curve
PASSED, OPEN = CLASS_COLOURS[0], CLASS_COLOURS[1]
NAMES = {"test_mse": "test error: mean squared\nerror per pixel", "elbo": "test ELBO, nats per image"}


@drawn
def class_curves(curves: Mapping[tuple[str, str], Curve], measure: str) -> Figure:
    """What a class measured against K: a panel for each data set, a curve for each model.

    Faint points are single learners, the large ones means over them, and the bars two standard errors each way.

    Args:
        curves: By data set and model, as ``class_counts.experiment`` gives them; of more than ``MOST_PANELS`` data sets or
            ``MOST_MODELS`` models those that most learners ran are drawn.
        measure: "test_mse" (logarithmic axis) or "elbo".

    Raises:
        InputError: No curve.

    Example:
        >>> from lowerbound.course.class_counts import Curve
        >>> ks, ones = np.array([4, 8]), np.array([1, 1])
        >>> curve = Curve(ks, np.array([0.04, 0.02]), np.array([np.nan, np.nan]), ones, ks, np.array([0.04, 0.02]))
        >>> class_curves({("mnist", "pca"): curve}, "test_mse").axes[0].get_yscale()
        'log'
    """
    if not curves:
        raise InputError("no curve came; expected those of one model or more on one data set or more")
    sets, models = _most(curves, 0, MOST_PANELS), _most(curves, 1, MOST_MODELS)
    sets = [data for data in sets if any((data, model) in curves for model in models)]
    looks = _looks(models)
    across = 1 if len(sets) == 1 else 2
    down = -(-len(sets) // across)
    figure = canvas(WIDTH, (3.7 if across == 1 else 2.9) * down + 0.5)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    shown: dict[str, Any] = {}
    for place, axes in enumerate(panels):
        if place >= len(sets):
            axes.set_axis_off()
            continue
        here = {model: curves[sets[place], model] for model in models if (sets[place], model) in curves}
        for number, (model, curve) in enumerate(here.items()):
            shown[model] = _points(axes, curve, looks[model], number - (len(here) - 1) / 2, full=model.endswith(FULL))
        axes.set_title(one_line(sets[place], 60 // across))
        axes.set_xlabel("numbers per image K")
        if place % across == 0:
            axes.set_ylabel(NAMES[measure])
        _k_axis(axes, np.concatenate([curve.ks for curve in here.values()]), 14 if across == 1 else 9)
        values = np.concatenate([np.concatenate([curve.mean, _middle(curve.each)]) for curve in here.values()])
        _value_axis(axes, values, log=measure == "test_mse")
    marks = [(shown[model], one_line(looks[model].label, 30)) for model in models]
    figure.legend(
        [mark for mark, _ in marks],
        [label for _, label in marks],
        loc="outside lower center",
        ncols=min(3, len(marks)),
        handlelength=3,
    )
    return figure


def _most(curves: Mapping[tuple[str, str], Curve], part: int, most: int) -> list[str]:
    """Data sets (part 0) or models (part 1), at most so many: those run most often, in the order they came."""
    runs: dict[str, int] = {}
    for key, curve in curves.items():
        runs[key[part]] = runs.get(key[part], 0) + len(curve.each)
    kept = sorted(runs, key=lambda name: -runs[name])[:most]
    order = [name + recipe for name in MODEL_STYLE for recipe in ("", FULL)] if part else []
    return sorted(kept, key=lambda name: order.index(name) if name in order else len(order))


def _looks(models: Sequence[str]) -> dict[str, ModelStyle]:
    """How each model is drawn; those that are not the package's own get colours and markers of their own."""
    other = [name for name in dict.fromkeys(map(_plain_name, models)) if name not in MODEL_STYLE]
    own = {
        name: ModelStyle(one_line(name), CLASS_COLOURS[2 + place % 8], CLASS_MARKERS[4 + place % 6])
        for place, name in enumerate(other)
    }
    looks = {model: own.get(_plain_name(model)) or MODEL_STYLE[_plain_name(model)] for model in models}
    return {model: replace(look, label=look.label + model[len(_plain_name(model)) :]) for model, look in looks.items()}


def _plain_name(model: str) -> str:
    """A model without the word on its recipe."""
    return model.removesuffix(FULL)


def _points(axes: Axes, curve: Curve, look: ModelStyle, place: float, *, full: bool) -> Any:
    """One curve: each learner faintly, beside the K so that models do not hide each other, and the means."""
    several = np.isin(curve.each_k, curve.ks[curve.learners > 1])  # a single one is its own mean
    step = max(1, len(curve.each) // MOST_POINTS)
    axes.plot(
        curve.each_k[several][::step] * (1 + 0.015 * place),
        curve.each[several][::step],
        color=look.colour,
        marker=look.marker,
        markersize=3,
        markeredgewidth=0,
        linestyle="none",
        alpha=0.4,
        rasterized=len(curve.each) > 100,
        path_effects=[],
        zorder=1.5,
    )
    return axes.errorbar(
        curve.ks,
        curve.mean,
        2 * curve.error,
        color=look.colour,
        marker=look.marker,
        markersize=6,
        markerfacecolor="white" if full else look.colour,
        markeredgecolor=look.colour if full else "white",
        markeredgewidth=1.2 if full else 0.6,
        linestyle="--" if full else "-",
        linewidth=1.4,
        capsize=3,
        zorder=3,
    )


def _middle(values: np.ndarray) -> np.ndarray:
    """Where nearly all of the values lie: one that went astray shall not flatten the others."""
    return values if len(values) < 30 else np.quantile(values, (0.01, 0.99))


def _k_axis(axes: Axes, found: np.ndarray, most: int) -> None:
    """K as they are, thinned so that no two touch; on a logarithmic axis where they span much."""
    from matplotlib.ticker import FixedLocator, NullLocator

    ks = np.unique(found).astype(float)
    log = ks[-1] / ks[0] >= 6
    place = np.log(ks) if log else ks
    apart = max((place[-1] - place[0]) / most, 1e-9)
    ticks = [0]
    for number in range(1, len(ks)):
        if place[number] - place[ticks[-1]] >= apart:
            ticks.append(number)
    if log:
        axes.set_xscale("log")
    room = 0.06 * (place[-1] - place[0]) or (0.5 if log else max(1.0, 0.5 * ks[0]))
    ends = np.array([place[0] - room, place[-1] + room])
    axes.set_xlim(*(np.exp(ends) if log else ends))
    axes.xaxis.set_major_locator(FixedLocator(list(ks[ticks])))
    axes.xaxis.set_major_formatter(_plain())
    axes.xaxis.set_minor_locator(NullLocator())


def _value_axis(axes: Axes, values: np.ndarray, *, log: bool) -> None:
    """The axis of what was measured: logarithmic for errors, and plain numbers at its ticks."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = float(values.min()), float(values.max())
    if not log:
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_formatter(_plain(",g"))
        return
    axes.set_yscale("log", nonpositive="clip")
    room = max((high / low) ** 0.08, 1.1)
    axes.set_ylim(low / room, high * room)
    # In less than a factor of five too few of 1, 2, 5 times ten would be met.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high / low > 5 else MaxNLocator(5))
    axes.yaxis.set_major_formatter(_plain())
    axes.yaxis.set_minor_locator(NullLocator())


def _plain(how: str = "g") -> FuncFormatter:
    """Numbers as one writes them, without powers of ten where they are short."""
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:{how}}".replace("-", "\N{MINUS SIGN}"))


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
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['7 of 9, 2 attempts']
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
    axes.xaxis.set_major_formatter(_plain(",g"))
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
