"""Contact sheets: what a search has found, as small images with their names and the number that matters.

Every function takes arrays ``[n, C, H, W]``, 8-bit or float in [0, 1] (clipped for display only), and returns a matplotlib Figure
8 inches wide, in the style that ``look.style`` chose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import QUIET, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST", "Row", "curve", "sheet"]

MOST = 64  # images on one sheet
MARGIN, LINE, GAP = 0.12, 0.165, 0.08  # inches


@dataclass(frozen=True)
class Row:
    """Images that belong together.

    Attributes:
        images: ``[n, C, H, W]``.
        captions: Lines under each image, two at most: ``n`` of them, or none.
        heading: A line above them; none where it is empty.
        marked: Which images have a coloured frame.
        apart: Images that stand together within the row, such as 3 for an original with what was made of it.
        places: The column of each image, rising, for rows with gaps that fit in one line; side by side where it is empty.
        signed: Whether the last of each ``apart`` images is an error, drawn from white to dark.
    """

    images: np.ndarray
    captions: Sequence[str] = ()
    heading: str = ""
    marked: Sequence[int] = ()
    apart: int = 1
    places: Sequence[int] = ()
    signed: bool = False


@drawn
def sheet(rows: Sequence[Row], title: str = "", *, columns: int = 8) -> Figure:
    """Rows of small images under each other; a row that is too long goes on in the next line.

    Args:
        rows: What belongs together, at most ``MOST`` images in all.
        title: Written above.
        columns: Images side by side.

    Raises:
        InputError: No images, too many, or images of another shape.

    Example:
        >>> figure = sheet([Row(np.zeros((3, 1, 8, 8)), ["a", "b", "c"], "three")], "all of them")
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['all of them', 'three', 'a', 'b', 'c']
    """
    count = sum(len(row.images) for row in rows)
    if not 1 <= count <= MOST:
        raise InputError(f"{count} images came for a sheet; expected 1 to {MOST}")
    shown = [_shown(row.images) for row in rows]
    width = (WIDTH - 2 * MARGIN + GAP) / columns - GAP
    height = min(max(width * shown[0].shape[1] / shown[0].shape[2], 0.05), 1.5 * width)
    places, down = [], MARGIN + (1.7 * LINE if title else 0.0)
    for row, images in zip(rows, shown, strict=True):
        lines = max((1 + text.count("\n") for text in row.captions), default=0)
        a_line = columns // row.apart * row.apart or columns
        places.append((down, lines, a_line))
        step = height + lines * LINE + GAP + 0.04
        down += (1.5 * LINE if row.heading else 0.0) + math.ceil(len(images) / a_line) * step
    axes = _page(down + MARGIN - GAP)
    if title:
        _write(axes, (MARGIN, MARGIN + 0.6 * LINE), title, WIDTH - 2 * MARGIN, weight="bold")
    for row, images, (top, lines, a_line) in zip(rows, shown, places, strict=True):
        if row.heading:
            _write(axes, (MARGIN, top + 0.6 * LINE), row.heading, WIDTH - 2 * MARGIN, size="small", weight="bold")
            top += 1.5 * LINE  # noqa: PLW2901  (of this row alone)
        for n, image in enumerate(images):
            column = row.places[n] if row.places else n % a_line
            x = MARGIN + column * (width + GAP) - (n % row.apart) * GAP * 0.6
            y = top + n // a_line * (height + lines * LINE + GAP + 0.04)
            signed = row.signed and n % row.apart == row.apart - 1
            _tile(axes, image, (x, y), (width, height), marked=n in row.marked, signed=signed)
            if row.captions and row.captions[n]:
                room = width + 0.5 * GAP if row.apart == 1 else row.apart * width
                for number, words in enumerate(row.captions[n].split("\n")):
                    at = (x, y + height + (0.55 + number) * LINE)
                    _write(axes, at, words, room, size="x-small", color=QUIET)
    return axes.get_figure(root=True)  # type: ignore[return-value]


@drawn
def curve(numbers: Sequence[int], values: np.ndarray, errors: np.ndarray, bic: np.ndarray, chosen: int) -> Figure:
    """How well mixtures of several sizes describe held-out codes, and what another criterion says.

    Args:
        numbers: Of clusters.
        values: Log-density of held-out codes, nats per image.
        errors: Standard errors of the differences to the best.
        bic: Bayesian information criterion per image.
        chosen: The number chosen.

    Example:
        >>> figure = curve([1, 2, 3], np.array([0.0, 1.0, 1.1]), np.array([0.1, 0.1, 0.0]), np.array([3.0, 1.0, 2.0]), 2)
        >>> figure.axes[0].get_ylabel()
        'nats per held-out image'
    """
    figure = canvas(WIDTH, 3.2)
    left, right = figure.subplots(1, 2)
    left.errorbar(numbers, values, yerr=errors, marker="o", color=RECONSTRUCTION, capsize=3)
    left.axvline(chosen, color=QUIET, linestyle="--", linewidth=1)
    left.set(xlabel="clusters", ylabel="nats per held-out image", title=f"held-out images: {chosen} chosen")
    right.plot(numbers, bic, marker="s", color=QUIET)
    right.set(xlabel="clusters", ylabel="BIC per image (lower is better)", title="Bayesian information criterion")
    return figure


def _shown(images: np.ndarray) -> np.ndarray:
    """Images as matplotlib takes them, float ``[n, H, W]`` or ``[n, H, W, 3]`` in [0, 1]."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise InputError(f"images have shape {list(images.shape)}; expected [n, C, H, W] with 1 or 3 channels")
    values = images / 255 if images.dtype == np.uint8 else np.nan_to_num(images, nan=0.5, posinf=1, neginf=0)
    values = np.clip(values, 0, 1).transpose(0, 2, 3, 1)
    return values[..., 0] if values.shape[-1] == 1 else values


def _page(height: float) -> Axes:
    """Axes that fill a figure of full width, their units inches from the top left corner."""
    axes = canvas(WIDTH, height, layout=None).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return axes


def _tile(
    axes: Axes,
    image: np.ndarray,
    corner: tuple[float, float],
    cell: tuple[float, float],
    *,
    marked: bool = False,
    signed: bool = False,
) -> None:
    """One image in its cell, in its own proportions, in a frame."""
    from matplotlib.patches import Rectangle

    (x, y), (width, height) = corner, cell
    image = image.mean(-1) if signed and image.ndim == 3 else image
    scale = min(width / image.shape[1], height / image.shape[0])
    across, down = scale * image.shape[1], scale * image.shape[0]
    extent = (x, x + across, y + down, y)
    how: dict[str, Any] = {"cmap": "magma_r" if signed else "gray", "vmin": 0, "vmax": 1}
    small = max(image.shape[:2]) <= 100
    axes.imshow(image, extent=extent, aspect="auto", interpolation="nearest" if small else "auto", **how)
    frame = Rectangle((x, y), across, down, fill=False)
    frame.set(edgecolor=RECONSTRUCTION if marked else "#b5b5b5", linewidth=2 if marked else 0.5)
    frame.set(sketch_params=None, path_effects=[])  # a hand-drawn frame would wander over the pixels
    axes.add_patch(frame)


def _write(axes: Axes, at: tuple[float, float], words: str, width: float, **font: Any) -> None:
    """One line of text, cut in its middle where it would be wider than ``width`` inches: names end in what tells them apart."""
    whole = one_line(words, longest=300)
    text = axes.text(*at, whole, va="center_baseline", parse_math=False, **font)
    room, kept = width * axes.get_figure(root=True).dpi, len(whole)  # type: ignore[union-attr]
    while kept > 2 and text.get_window_extent().width > room:
        kept = min(kept - 1, max(2, int(kept * room / text.get_window_extent().width)))
        text.set_text(whole[: kept // 2].rstrip() + "…" + whole[-(kept - kept // 2 - 1) :].lstrip())
