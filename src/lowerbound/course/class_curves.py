"""The experiment of a class in a picture: its error and its ELBO against K, for every model and data set.

Takes what ``class_counts`` counted and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose. What
does not fit is left out by a rule, and the page's table has all of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.course.class_counts import FULL
from lowerbound.errors import InputError
from lowerbound.look import CLASS_COLOURS, CLASS_MARKERS, MODEL_STYLE, WIDTH, ModelStyle, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    from lowerbound.course.class_counts import Curve

__all__ = ["MOST_PANELS", "class_curves", "plain"]

MOST_PANELS = 8  # data sets; beyond, a page of panels is read by nobody
MOST_MODELS = 8  # more curves in one panel cannot be told apart
MOST_POINTS = 4_000  # faint points of one curve
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
        _k_axis(axes, np.concatenate([curve.ks for curve in here.values()]), 14 if across == 1 else 9)
        for number, (model, curve) in enumerate(here.items()):
            shown[model] = _points(axes, curve, looks[model], number - (len(here) - 1) / 2, full=model.endswith(FULL))
        axes.set_title(one_line(sets[place], 60 // across))
        axes.set_xlabel("numbers per image K")
        if place % across == 0:
            axes.set_ylabel(NAMES[measure])
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

    def beside(ks: np.ndarray) -> np.ndarray:
        """K a little to the side, alike all along the axis."""
        return ks * (1 + 0.015 * place) if axes.get_xscale() == "log" else ks + 0.006 * place * np.diff(axes.get_xlim())

    axes.plot(
        beside(curve.each_k[several][::step]),
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
    axes.xaxis.set_major_formatter(plain(",.0f"))
    axes.xaxis.set_minor_locator(NullLocator())


def _value_axis(axes: Axes, values: np.ndarray, *, log: bool) -> None:
    """The axis of what was measured: logarithmic for errors, and plain numbers at its ticks."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = float(values.min()), float(values.max())
    if not log:
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - room, high + room)
        axes.yaxis.set_major_formatter(plain(",g"))
        return
    axes.set_yscale("log", nonpositive="clip")
    room = max((high / low) ** 0.08, 1.1)
    axes.set_ylim(low / room, high * room)
    # In less than a factor of five too few of 1, 2, 5 times ten would be met; over hundreds they would crowd.
    ticks = LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,))
    axes.yaxis.set_major_locator(ticks if high / low > 5 else MaxNLocator(5))
    axes.yaxis.set_major_formatter(plain())
    axes.yaxis.set_minor_locator(NullLocator())


def plain(how: str = "g") -> FuncFormatter:
    """Numbers as one writes them, without powers of ten where they are short.

    Args:
        how: A format's specification.

    Example:
        >>> plain(",g")(-1500, 0)
        '\N{MINUS SIGN}1,500'
    """
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: f"{value:{how}}".replace("-", "\N{MINUS SIGN}"))
