"""One figure of a check-up: what was measured, and in red the panels that show what is wrong.

It takes arrays and words alone; a panel of which nothing came is left out.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import KL, QUIET, RECONSTRUCTION, WIDTH, canvas, drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PANELS", "checkup"]

AILING = "#B3261E"  # of what a finding is named at


@drawn
def checkup(
    panels: Mapping[str, Any], ailments: Mapping[str, str] | None = None, notes: Mapping[str, str] | None = None
) -> Figure:
    """Draw what a check-up measured.

    Args:
        panels: What to draw, by panel:
            "pictures": rows of images ``[n, C, H, W]`` in [0, 1], by name;
            "errors", "gaps", "pixels": means and standard errors, by name;
            "loss": of each training batch, ``[batches]``;
            "codes": a number for each dimension ``[K]``, and what it is, in words;
            "spectrum": the share of variance in the first 0, 1, 2 ... components; K; the share that the model keeps.
        ailments: Names of what is wrong, by the panel that shows it.
        notes: Names of what is good to know, likewise.

    Raises:
        InputError: No panel came, or one that is not known.

    Example:
        >>> len(checkup({"loss": np.ones(9), "errors": {"test": (0.1, 0.01)}}, {"loss": "not yet converged"}).axes)
        2
    """
    if not panels or set(panels) - set(PANELS):
        raise InputError(f"panels are {sorted(panels)}; expected some of {', '.join(PANELS)}")
    names = [name for name in PANELS if name in panels]
    first = int(names[0] == "pictures")  # these take a whole row
    rows = first + -(-(len(names) - first) // 2)
    figure = canvas(WIDTH, 2.5 * rows)
    grid = figure.add_gridspec(rows, 2)
    for place, name in enumerate(names):
        wide = first and not place
        axes = figure.add_subplot(grid[0, :] if wide else grid[(place + first) // 2, (place + first) % 2])
        title, draw = PANELS[name]
        draw(axes, panels[name])
        _title(axes, title, (ailments or {}).get(name), (notes or {}).get(name))
    return figure


def _title(axes: Axes, title: str, ailment: str | None, note: str | None) -> None:
    """What the panel is; or what is wrong there, in red; or what is noted, in bold."""
    words = "\n".join(textwrap.wrap(ailment or note or title, 30))
    axes.set_title(words, color=AILING if ailment else "black", weight="bold" if ailment or note else "normal")


def _pictures(axes: Axes, rows: Mapping[str, np.ndarray]) -> None:
    """Rows of images, under each other."""
    strips = [np.concatenate(list(np.clip(images, 0, 1)), axis=-1) for images in rows.values()]  # [C, H, n W]
    gap = np.ones((strips[0].shape[0], max(1, strips[0].shape[1] // 8), strips[0].shape[2]))
    stacked = [part for strip in strips for part in (strip, gap)][:-1]
    whole = np.concatenate(stacked, axis=1).transpose(1, 2, 0)
    axes.imshow(
        whole.squeeze(-1) if whole.shape[-1] == 1 else whole, cmap="gray", vmin=0, vmax=1, interpolation="nearest"
    )
    high, step = strips[0].shape[1], strips[0].shape[1] + gap.shape[1]
    axes.set_yticks([place * step + high / 2 for place in range(len(rows))], list(rows))
    axes.set_xticks([])
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _bars(axes: Axes, values: Mapping[str, tuple[float, float]], unit: str) -> None:
    """A bar for each, with its standard error."""
    means, errors = np.array(list(values.values()), float).reshape(-1, 2).T
    axes.barh(list(values), means, xerr=np.nan_to_num(errors), color=RECONSTRUCTION, ecolor=QUIET, height=0.6)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(unit)
    for place, mean in enumerate(means):
        axes.annotate(
            f" {mean:.3g}", (max(mean + np.nan_to_num(errors[place]), 0), place), va="center", fontsize="small"
        )
    axes.margins(x=0.2)


def _loss(axes: Axes, loss: np.ndarray) -> None:
    """Every batch pale, and a running mean; the first tenth may run out of the picture."""
    loss = np.asarray(loss, float)
    width = max(1, len(loss) // 40)
    smooth = np.convolve(loss, np.ones(width) / width, "valid")
    axes.plot(np.arange(1, len(loss) + 1), loss, color=QUIET, alpha=0.35, linewidth=0.8)
    axes.plot(np.arange(len(smooth)) + 1 + width / 2, smooth, color=RECONSTRUCTION)
    low, high = np.nanpercentile(loss[len(loss) // 10 :], [0, 99.5])
    margin = 0.05 * (high - low) or 1.0
    axes.set(ylim=(low - margin, high + margin), xlabel="training batch", ylabel="loss")


def _codes(axes: Axes, what: tuple[np.ndarray, str]) -> None:
    """A bar for each dimension, in order; those without anything stand out as gaps."""
    values, words = what
    axes.bar(np.arange(1, len(values) + 1), values, color=KL)
    axes.set(xlabel="dimension of the code", ylabel=words)
    axes.locator_params(axis="x", integer=True)


def _spectrum(axes: Axes, what: tuple[np.ndarray, int, float]) -> None:
    """The variance in the first components, with K and twice K pointed out, and what the model keeps."""
    explained, k, kept = what
    last = min(len(explained) - 1, max(4 * k, 8))
    axes.plot(np.arange(last + 1), explained[: last + 1], color=QUIET, label="PCA")
    for each, word in ((k, "K"), (2 * k, "2 K")):
        if each <= last:
            axes.plot(each, explained[each], "o", color=QUIET)
            axes.annotate(
                f"{word}: {explained[each]:.0%}", (each, explained[each]), (4, -12), textcoords="offset points"
            )
    axes.plot(k, kept, "D", color=KL, label=f"model: {kept:.0%}")
    axes.set(xlabel="numbers kept", ylabel="share of the variance", ylim=(min(0.0, kept), 1.02))
    axes.legend(loc="lower right")


def _errors(axes: Axes, values: Mapping[str, tuple[float, float]]) -> None:
    _bars(axes, values, "squared error per pixel")


def _gaps(axes: Axes, values: Mapping[str, tuple[float, float]]) -> None:
    _bars(axes, values, "nats per image")


def _shares(axes: Axes, values: Mapping[str, tuple[float, float]]) -> None:
    _bars(axes, values, "share")
    axes.set_xlim(0, 1.15)


PANELS: dict[str, tuple[str, Callable[[Axes, Any], None]]] = {
    "pictures": ("images", _pictures),
    "errors": ("reconstruction", _errors),
    "loss": ("training", _loss),
    "spectrum": ("K", _spectrum),
    "codes": ("codes", _codes),
    "gaps": ("where the nats go", _gaps),
    "pixels": ("pixels", _shares),
}
"""Of each panel, its title in health and what draws it."""
