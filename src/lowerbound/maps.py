"""Maps of codes: where each model puts the same images, on the two directions in which its codes vary most."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import CLASS_COLOURS, CLASS_MARKERS, QUIET, WIDTH, canvas, drawn, model_style, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["codes_map"]

MOST_CLASSES_NAMED = 20
MOST_CODES_DRAWN = 3000


@drawn
def codes_map(
    models: Mapping[str, np.ndarray],
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    *,
    fractions: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Codes of the same images under each model, on the two directions in which they vary most, coloured by class.

    Of more than 3,000 images that many are drawn, chosen at random, and the figure says so: more would be mud.

    Args:
        models: Of each model, its codes' places ``[n, 2]`` along their first and second principal axis.
        labels: Class of each image ``[n]``; one colour without it.
        class_names: What label 0, 1, ... means; the number is shown for a label without a name.
        fractions: Of each model, the fractions of its codes' variance that lie along the two axes.

    Raises:
        InputError: Places of another shape, or labels that are not one per image.

    Example:
        >>> places = np.random.default_rng(0).normal(size=(50, 2))
        >>> figure = codes_map({"pca": places, "vae": places}, labels=np.arange(50) % 3)
    """
    places = {model: np.asarray(xy, float) for model, xy in models.items()}
    for model, xy in places.items():
        if xy.ndim != 2 or xy.shape[1] != 2 or (labels is not None and len(labels) != len(xy)):
            one_each = "" if labels is None else f" for {len(labels)} labels"
            raise InputError(f"{model} codes have shape {list(xy.shape)}{one_each}; expected [n, 2], one label each")
    if not places:
        raise InputError("no codes came; expected one model or more")
    columns = min(2, len(places))
    rows = math.ceil(len(places) / columns)
    entries = [] if labels is None else _class_entries(np.unique(labels), class_names)
    longest = max((len(str(entry.get_label())) for entry in entries), default=0)
    across = max(1, min(len(entries), 76 // (longest + 6)))  # about 76 letters fit the width; a marker takes six
    lines = math.ceil(len(entries) / across)
    across = math.ceil(len(entries) / max(1, lines))  # lines of equal length
    entries = [entries[n] for column in range(across) for n in range(column, len(entries), across)]  # read line by line
    figure = canvas(WIDTH, 0.4 + 3.1 * rows + 0.22 * lines)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (model, xy) in zip(grid, places.items(), strict=False):
        _scatter(axes, xy, labels)
        axes.set_title(model_style(model).label, weight="bold")
        along = (fractions or {}).get(model)
        first, second = ("", "") if along is None else (f" ({100 * part:.0f} % of variance)" for part in along)
        axes.set_xlabel(f"first principal axis of the codes{first}", fontsize="small")
        axes.set_ylabel(f"second principal axis{second}", fontsize="small")
    for axes in grid[len(places) :]:
        axes.set_axis_off()
    images = max(map(len, places.values()))
    note = f"{MOST_CODES_DRAWN:,} of {images:,} images, chosen at random" if images > MOST_CODES_DRAWN else ""
    if entries:
        words = [str(entry.get_label()) for entry in entries]  # handed over: a name like "_a" is else left out
        close = {"handlelength": 1, "handletextpad": 0.4, "columnspacing": 1.6}
        legend = figure.legend(entries, words, loc="outside lower center", ncols=across, title=note or None, **close)
        legend.get_title().set(fontsize="small", color=QUIET)
    elif note:
        figure.supxlabel(note, fontsize="small", color=QUIET)
    return figure


def _scatter(axes: Axes, xy: np.ndarray, labels: np.ndarray | None) -> None:
    """Points in random order, so that no class covers the others because it is drawn last."""
    shuffled = np.random.default_rng(0).permutation(len(xy))[:MOST_CODES_DRAWN]
    size = float(np.clip(16000 / max(1, len(xy)), 8, 22))
    classes = np.zeros(len(xy), int) if labels is None else np.unique(labels, return_inverse=True)[1]
    colours = np.array(CLASS_COLOURS)[classes % len(CLASS_COLOURS)]
    for turn in np.unique(classes // len(CLASS_COLOURS)):
        chosen = shuffled[classes[shuffled] // len(CLASS_COLOURS) == turn]
        axes.scatter(
            *xy[chosen].T,
            c=colours[chosen],
            s=size,
            alpha=0.75,
            marker=CLASS_MARKERS[turn % len(CLASS_MARKERS)],
            linewidths=0,
            rasterized=True,  # ten thousand points as shapes would make the SVG megabytes
            sketch_params=None,
            path_effects=[],
        )
    axes.set_aspect("equal", adjustable="datalim")  # so that a direction of little variance looks like one
    axes.axhline(0, color="#8c8c8c", linewidth=0.6, zorder=0)
    axes.axvline(0, color="#8c8c8c", linewidth=0.6, zorder=0)


def _class_entries(classes: np.ndarray, class_names: Sequence[str]) -> list[Line2D]:
    """What the legend of all panels holds; beyond twenty classes it says how many more there are."""
    from matplotlib.lines import Line2D

    def entry(place: int, label: int) -> Line2D:
        name = one_line(class_names[label] if 0 <= label < len(class_names) else label, longest=18)
        colour = CLASS_COLOURS[place % len(CLASS_COLOURS)]
        marker = CLASS_MARKERS[place // len(CLASS_COLOURS) % len(CLASS_MARKERS)]
        return Line2D([], [], color=colour, marker=marker, markersize=7, linestyle="", label=name, path_effects=[])

    entries = [entry(place, int(label)) for place, label in enumerate(classes[:MOST_CLASSES_NAMED])]
    if len(classes) > MOST_CLASSES_NAMED:
        entries.append(Line2D([], [], linestyle="", label=f"and {len(classes) - MOST_CLASSES_NAMED} more"))
    return entries
