"""How many numbers an image needs, in one figure: the variance that PCA explains, what is recognised, and the pictures.

Several sets of images share the axes, for the point lies in comparing them: curves of variance that look alike, and pictures
that do not, at the same share of variance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import KL, QUIET, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["Shown", "choosing"]

COLOURS = (RECONSTRUCTION, KL, "#333333")  # of the sets; a legend and the order of the pictures name them too
LINES = ("-", (0, (4, 1.5)))  # of the classifiers
MARKS = ("o", "s", "^", "D")
GAP = 1  # pixels between pictures


@dataclass(frozen=True)
class Shown:
    """What is shown of one set of images.

    Attributes:
        name: Of the set.
        explained: The share of variance in the first 0, 1, 2 ... components ``[M + 1]``.
        marks: What a criterion is called -> the K it finds.
        ks: K at which classifiers read reconstructions ``[R]``; empty without classes.
        agreement: A classifier's name -> the fraction of images named as their originals are ``[R]``.
        errors: A classifier's name -> standard errors of that ``[R]``.
        pictures: A caption -> some images in [0, 1] ``[n, C, H, W]``, the same ones under each caption, left to right.
    """

    name: str
    explained: np.ndarray
    marks: Mapping[str, int] = field(default_factory=dict)
    ks: Sequence[int] = ()
    agreement: Mapping[str, np.ndarray] = field(default_factory=dict)
    errors: Mapping[str, np.ndarray] = field(default_factory=dict)
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)


@drawn
def choosing(sets: Sequence[Shown], *, enough: float = 0.8) -> Figure:
    """Variance and recognition against K, and below, for each set, what images look like at some K.

    Args:
        sets: One to three.
        enough: Agreement from which on images count as recognised; a line marks it.

    Raises:
        InputError: No sets or more than three, or curves of unequal lengths.

    Example:
        >>> share = 1 - 0.8 ** np.arange(30)
        >>> blank = Shown("blank", share, {"Minka": 9}, pictures={"K = 4": np.zeros((6, 1, 8, 8))})
        >>> len(choosing([blank]).axes)
        2
    """
    if not 1 <= len(sets) <= len(COLOURS):
        raise InputError(f"{len(sets)} sets of images came; expected 1 to {len(COLOURS)}")
    for one in sets:
        _check(one)
    pictured = [one for one in sets if one.pictures]
    heights = [3.9, *(_height(one) for one in pictured)]
    figure = canvas(WIDTH, sum(heights))
    parts = np.atleast_1d(np.asarray(figure.subfigures(len(heights), 1, height_ratios=heights), dtype=object))
    read = any(one.agreement for one in sets)
    axes = np.atleast_1d(parts[0].subplots(1, 2 if read else 1))
    _variance(axes[0], sets)
    if read:
        _recognition(axes[1], sets, enough)
    for part, one in zip(parts[1:], pictured, strict=True):
        _pictures(part, one, COLOURS[list(sets).index(one)])
    return figure


def _check(one: Shown) -> None:
    """Refuse curves that do not fit together."""
    if np.ndim(one.explained) != 1 or len(one.explained) < 2:
        raise InputError(f"the variance explained has shape {list(np.shape(one.explained))}; expected [M + 1], M >= 1")
    for kind in (one.agreement, one.errors):
        for name, curve in kind.items():
            if np.shape(curve) != (len(one.ks),):
                raise InputError(f"{name} has shape {list(np.shape(curve))}; expected one number for each of the K")
    for k in one.marks.values():
        if not 0 <= k < len(one.explained):
            raise InputError(f"a mark is at K = {k}; expected 0 to {len(one.explained) - 1}")


def _variance(axes: Axes, sets: Sequence[Shown]) -> None:
    """The share of variance against K, and where each criterion puts K."""
    from matplotlib.lines import Line2D

    marks = list(dict.fromkeys(name for one in sets for name in one.marks))[: len(MARKS)]
    for one, colour in zip(sets, COLOURS, strict=False):
        axes.plot(np.arange(1, len(one.explained)), one.explained[1:], color=colour, label=one_line(one.name, 24))
        for name, marker in zip(marks, MARKS, strict=False):
            if one.marks.get(name, 0) > 0:
                k = one.marks[name]
                axes.plot(k, one.explained[k], marker, color=colour, markersize=6, markeredgecolor="white", zorder=3)
    axes.set(title="variance explained", xlabel="components K", ylim=(0, 1.03))
    _log_k(axes, max(len(one.explained) - 1 for one in sets))
    symbols = [
        Line2D([], [], color=QUIET, marker=m, linestyle="", label=name) for name, m in zip(marks, MARKS, strict=False)
    ]
    lines = axes.get_legend_handles_labels()[0] if len(sets) > 1 or not symbols else []
    axes.legend(handles=[*lines, *symbols], loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=8.5)


def _recognition(axes: Axes, sets: Sequence[Shown], enough: float) -> None:
    """The fraction of reconstructions that are named as their originals are, against K."""
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(name for one in sets for name in one.agreement))[: len(LINES)]
    for one, colour in zip(sets, COLOURS, strict=False):
        for name, line in zip(names, LINES, strict=False):
            if name in one.agreement:
                spread: Any = 2 * np.asarray(one.errors[name]) if name in one.errors else None
                axes.errorbar(
                    one.ks, one.agreement[name], spread, color=colour, linestyle=line, capsize=0, elinewidth=1
                )
    axes.axhline(enough, color=QUIET, linewidth=0.8)
    axes.text(1.05, enough + 0.015, f"{enough:.0%}", color=QUIET, fontsize=8.5)
    axes.set(title="reconstructions named as their originals", xlabel="components K", ylim=(0, 1.03))
    _log_k(axes, max(len(one.explained) - 1 for one in sets))  # as beside it
    handles = [
        Line2D([], [], color=QUIET, linestyle=line, label=name) for name, line in zip(names, LINES, strict=False)
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=1, fontsize=8.5)


def _log_k(axes: Axes, most: int) -> None:
    """A logarithmic axis of K, in plain numbers, from 1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_xlim(1, max(2, most))
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if most > 1000 else (1, 3)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))


def _pictures(part: SubFigure, one: Shown, colour: str) -> None:
    """Sheets of the same images side by side, a caption above each."""
    part.suptitle(one_line(one.name, 40), x=0.01, ha="left", color=colour, weight="bold", fontsize=10)
    columns = np.atleast_1d(part.subplots(1, len(one.pictures)))
    for axes, (caption, images) in zip(columns, one.pictures.items(), strict=True):
        axes.imshow(_montage(images), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        axes.set_title(caption, fontsize=8.5, loc="center")
        axes.set_axis_off()


def _height(one: Shown) -> float:
    """Inches that the pictures of a set take, with captions."""
    rows, columns = _montage(next(iter(one.pictures.values()))).shape[:2]
    return min(4.0, 0.75 + (WIDTH - 1.1) / max(len(one.pictures), 3) * rows / columns)


def _montage(images: np.ndarray) -> np.ndarray:
    """Images ``[n, C, H, W]`` as one picture ``[rows, columns, 1 or 3]``, three to a row, white between them."""
    images = np.clip(np.asarray(images, float), 0, 1)
    number, channels, height, width = images.shape
    across = min(3, number)
    down = -(-number // across)
    sheet = np.ones((down * (height + GAP) - GAP, across * (width + GAP) - GAP, channels))
    for n, image in enumerate(images):
        top, left = n // across * (height + GAP), n % across * (width + GAP)
        sheet[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return sheet
