"""Pictures of images: samples, reconstructions, interpolations, and what decoders draw from random codes.

Every function takes arrays, ``[n, C, H, W]`` with 1 or 3 channels, 8-bit or float in [0, 1] (clipped for display only),
and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose. Places are given in inches from
the top left corner, so what is drawn never depends on how matplotlib would arrange it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import QUIET, WIDTH, canvas, drawn, model_style, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["interpolation", "labelled_rows", "reconstructions", "samples_grid", "samples_of"]

MARGIN = 0.12
LINE = 0.175  # inches from one line of text to the next


@drawn
def samples_of(
    images: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    *,
    title: str = "",
    columns: int = 10,
) -> Figure:
    """A sheet of images, the class under each.

    Args:
        images: ``[n, C, H, W]``, 8-bit or float in [0, 1].
        labels: Class of each image, ``[n]``; nothing is written under the images without it.
        class_names: What label 0, 1, ... means; the number is shown for a label without a name.
        title: Written above the sheet.
        columns: Most images in a row.

    Raises:
        InputError: Images of another shape, or labels that are not one per image.

    Example:
        >>> figure = samples_of(np.zeros((12, 1, 8, 8)), np.arange(12) % 3, ["cat", "dog"])
        >>> [text.get_text() for text in figure.axes[0].texts][:3]
        ['cat', 'dog', '2']
    """
    images = _shown(images, "images")
    if labels is not None and len(labels) != len(images):
        raise InputError(f"{len(labels)} labels came for {len(images)} images; expected one per image")
    columns = max(1, min(columns, len(images)))
    gap = 0.1
    width = min((WIDTH - 2 * MARGIN + gap) / columns - gap, 1.2)
    height = _cell_height(images, width)
    caption = 0.0 if labels is None else 1.25 * LINE
    top = MARGIN + (1.7 * LINE if title else 0.0)
    rows = math.ceil(len(images) / columns)
    axes = _sheet(top + rows * (height + caption + gap) - gap + MARGIN)
    if title:
        _write(axes, MARGIN, MARGIN + 0.6 * LINE, title, WIDTH - 2 * MARGIN, weight="bold")
    for n, image in enumerate(images):
        x = MARGIN + n % columns * (width + gap)
        y = top + n // columns * (height + caption + gap)
        _tile(axes, image, (x, y), (width, height))
        if labels is not None:
            name = _class_name(int(labels[n]), class_names)
            middle, below = x + width / 2, y + height + 0.6 * LINE
            _write(axes, middle, below, name, width + 0.6 * gap, ha="center", size="small", color=QUIET)
    return axes.get_figure(root=True)  # type: ignore[return-value]


@drawn
def reconstructions(
    original: np.ndarray,
    models: Mapping[str, np.ndarray],
    *,
    errors: Mapping[str, float] | None = None,
    k: int | None = None,
) -> Figure:
    """Each image above what every model makes of it from K numbers.

    Args:
        original: ``[n, C, H, W]``, 8-bit or float in [0, 1]; the first row.
        models: Of each model, the reconstructions ``[n, C, H, W]`` of the same images; one row each, in this order.
        errors: Of each model, its mean squared error per pixel over all test images, pixels in [0, 1].
        k: Numbers per image that the models keep.

    Raises:
        InputError: Reconstructions of another shape than the originals.

    Example:
        >>> blank = np.zeros((7, 1, 28, 28))
        >>> figure = reconstructions(blank, {"pca": blank, "vae": blank}, errors={"pca": 0.0123}, k=20)
    """
    keeps = [] if k is None else [f"K = {k}"]
    error = {model: f"test MSE {value:#.3g}" for model, value in (errors or {}).items()}
    rows = [("", "original", [], original)]
    for model, images in models.items():
        rows.append((model, model_style(model).label, keeps + ([error[model]] if model in error else []), images))
    return _rows(rows, heads=())


@drawn
def interpolation(rows: Mapping[str, np.ndarray]) -> Figure:
    """The way from one image, t = 0, to another, t = 1, in equal steps: through pixels, and through each model's codes.

    Args:
        rows: Of each way, its images ``[n, C, H, W]``: "pixels" or the name of a model; one row each, in this order.

    Raises:
        InputError: Rows of different shapes.

    Example:
        >>> figure = interpolation({"pixels": np.zeros((11, 1, 8, 8)), "vae": np.ones((11, 1, 8, 8))})
    """
    steps = len(next(iter(rows.values()), ()))
    heads = [f"{t:.2g}" for t in np.linspace(0, 1, steps)]
    named = [
        ("", "pixels", [], images) if way == "pixels" else (way, model_style(way).label, [], images)
        for way, images in rows.items()
    ]
    return _rows(named, heads=["t = 0", *heads[1:]])


@drawn
def samples_grid(models: Mapping[str, np.ndarray], prior: str = "") -> Figure:
    """What each decoder makes of the same random codes: square grids side by side.

    Args:
        models: Of each model, ``[n, C, H, W]``: image i of every model is decoded from the same z.
        prior: What the codes were drawn from, in words; by default N(0, I), the same for all.

    Raises:
        InputError: Models with images of different shapes.

    Example:
        >>> figure = samples_grid({"conv": np.zeros((25, 1, 28, 28)), "vae": np.ones((25, 1, 28, 28))})
    """
    shown = _alike({model: _shown(images, model) for model, images in models.items()})
    first = next(iter(shown.values()))
    columns = max(1, math.ceil(math.sqrt(len(first))))
    between, gap = 0.4, 0.05
    side = min((WIDTH - 2 * MARGIN - (len(shown) - 1) * between) / len(shown), 3.8)
    width = (side + gap) / columns - gap
    height = _cell_height(first, width)
    top = MARGIN + 3.2 * LINE
    axes = _sheet(top + math.ceil(len(first) / columns) * (height + gap) - gap + MARGIN)
    same = f"decoded from random codes z ~ {prior or 'N(0, I)'}"
    same += ", the same z at the same place" if len(shown) > 1 and not prior else ""
    _write(axes, MARGIN, MARGIN + 0.5 * LINE, same, WIDTH - 2 * MARGIN, size="small", color=QUIET)
    for place, (model, images) in enumerate(shown.items()):
        left = MARGIN + place * (side + between)
        _name(axes, left, MARGIN + 2.1 * LINE, model, label=model_style(model).label, width=side)
        for n, image in enumerate(images):
            corner = (left + n % columns * (width + gap), top + n // columns * (height + gap))
            _tile(axes, image, corner, (width, height))
    return axes.get_figure(root=True)  # type: ignore[return-value]


@drawn
def labelled_rows(
    rows: Mapping[str, np.ndarray], heads: Sequence[str] = (), notes: Mapping[str, Sequence[str]] | None = None
) -> Figure:
    """Rows of images under each other, the same image in each column, a label on the left of each.

    Args:
        rows: Of each label, ``[n, C, H, W]``.
        heads: Written above the columns.
        notes: Of some labels, lines of small print below them.

    Raises:
        InputError: Rows of different shapes.

    Example:
        >>> figure = labelled_rows({"noisy": np.zeros((5, 1, 8, 8)), "without noise": np.ones((5, 1, 8, 8))})
    """
    return _rows([("", label, list((notes or {}).get(label, ())), images) for label, images in rows.items()], heads)


def _rows(rows: Sequence[tuple[str, str, list[str], np.ndarray]], heads: Sequence[str]) -> Figure:
    """Rows of images ``(model or "", label, notes, images)``, labels on the left, ``heads`` above the columns."""
    shown = list(_alike({label: _shown(images, label) for _, label, _, images in rows}).values())
    left, gap = 1.55, 0.06
    width = min((WIDTH - left - MARGIN + gap) / max(1, len(shown[0])) - gap, 1.1)
    height = _cell_height(shown[0], width)
    most_lines = 1 + max(len(notes) for _, _, notes, _ in rows)
    pitch = max(height + gap, most_lines * LINE + 0.1)
    top = MARGIN + (1.3 * LINE if heads else 0.0)
    axes = _sheet(top + len(rows) * pitch - gap + MARGIN)
    for column, head in enumerate(heads):
        middle = left + column * (width + gap) + width / 2
        _write(axes, middle, MARGIN + 0.4 * LINE, head, width + gap, ha="center", size="small", color=QUIET)
    for place, ((model, label, notes, _), images) in enumerate(zip(rows, shown, strict=True)):
        y = top + place * pitch
        first_line = y + (pitch - gap) / 2 - len(notes) * LINE / 2
        _name(axes, MARGIN, first_line, model, label=label, width=left - 0.15)
        for n, note in enumerate(notes, start=1):
            _write(axes, MARGIN + 0.2, first_line + n * LINE, note, left - 0.35, size="small", color=QUIET)
        for column, image in enumerate(images):
            corner = (left + column * (width + gap), y + (pitch - gap - height) / 2)
            _tile(axes, image, corner, (width, height))
    return axes.get_figure(root=True)  # type: ignore[return-value]


def _shown(images: np.ndarray, name: str) -> np.ndarray:
    """Images as matplotlib takes them, float ``[n, H, W]`` or ``[n, H, W, 3]`` in [0, 1]; grey where not a number."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise InputError(
            f"{name} have shape {list(images.shape)}; expected [n, C, H, W] with 1 or 3 channels and one image or more"
        )
    values = images / 255 if images.dtype == np.uint8 else np.nan_to_num(images, nan=0.5, posinf=1, neginf=0)
    values = np.clip(values, 0, 1).transpose(0, 2, 3, 1)
    return values[..., 0] if values.shape[-1] == 1 else values


def _alike(named: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The same arrays, once they are known to be of one shape."""
    if not named:
        raise InputError("no images came; expected at least one row of images")
    shapes = {name: images.shape for name, images in named.items()}
    if len(set(shapes.values())) > 1:
        words = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise InputError(f"rows of images differ in shape ([n, height, width, channels]): {words}; expected one shape")
    return named


def _sheet(height: float) -> Axes:
    """Axes that fill a figure of full width, their units inches from the top left corner."""
    axes = canvas(WIDTH, height, layout=None).add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    axes.set_autoscale_on(False)
    return axes


def _cell_height(images: np.ndarray, width: float) -> float:
    """Inches that a row of images ``width`` inches wide takes; tall images are made narrower instead."""
    height, across = images.shape[1:3]
    return min(max(width * height / across, 0.05), 1.5 * width)


def _tile(axes: Axes, image: np.ndarray, corner: tuple[float, float], cell: tuple[float, float]) -> None:
    """One image in the middle of a cell, in its own proportions, within a hairline that shows where white ends."""
    (x, y), (width, height) = corner, cell
    scale = min(width / image.shape[1], height / image.shape[0])
    across, down = (max(scale * pixels, 0.05) for pixels in (image.shape[1], image.shape[0]))
    left, top = x + (width - across) / 2, y + (height - down) / 2
    axes.imshow(
        image,
        cmap="gray",
        vmin=0,
        vmax=1,
        extent=(left, left + across, top + down, top),
        aspect="auto",
        # Small images stay the pixels they are; large ones are averaged down, or fine patterns would alias.
        interpolation="none" if max(image.shape[:2]) <= 100 else "auto",
    )
    from matplotlib.patches import Rectangle

    frame = Rectangle((left, top), across, down, fill=False, edgecolor="#b5b5b5", linewidth=0.5)
    frame.set(sketch_params=None, path_effects=[])  # a hand-drawn frame would wander over the pixels
    axes.add_patch(frame)


def _name(axes: Axes, x: float, y: float, model: str, *, label: str, width: float) -> None:
    """A row's name, after the marker that stands for the model in every figure."""
    if model:
        look = model_style(model)
        axes.plot(x + 0.06, y, marker=look.marker, color=look.colour, markersize=6, path_effects=[])
    _write(axes, x + 0.2, y, label, width - 0.2, weight="bold")


def _write(axes: Axes, x: float, y: float, words: str, width: float, **font: Any) -> None:
    """One line of text, cut with an ellipsis where it would be wider than ``width`` inches."""
    text = axes.text(x, y, one_line(words, longest=200), va="center_baseline", **font)
    room = width * axes.get_figure(root=True).dpi  # type: ignore[union-attr]
    shown = text.get_text()
    while len(shown) > 1 and text.get_window_extent().width > room:
        shown = shown[: min(len(shown) - 1, max(1, int(len(shown) * room / text.get_window_extent().width)))]
        text.set_text(shown.rstrip() + "…")


def _class_name(label: int, class_names: Sequence[str]) -> str:
    """What a label is called, or its number."""
    return class_names[label] if 0 <= label < len(class_names) else str(label)
