"""A figure of where the nats go: from reconstruction and KL to the ELBO, and from the ELBO over its two gaps to log p(x).

Takes arrays and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import KL, QUIET, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AMORTISATION", "APPROXIMATION", "nats"]

AMORTISATION = "#009E73"
APPROXIMATION = "#CC79A7"
HATCH = "////"  # of the approximation gap: no colour works alone
MINUS = "\N{MINUS SIGN}"


@drawn
def nats(
    rate: np.ndarray,
    encoder: np.ndarray,
    optimum: np.ndarray,
    log_p: np.ndarray,
    *,
    richer: Mapping[str, np.ndarray] | None = None,
    errors: tuple[float, float] | None = None,
) -> Figure:
    """Averages as steps from reconstruction down to the ELBO and up to log p(x); beside them, the gaps of every image.

    Args:
        rate: KL(q(z|x) || p(z)) of each image, nats ``[N]``.
        encoder: ELBO of the encoder's q ``[N]``.
        optimum: ELBO of the best q of its family ``[N]``.
        log_p: log p(x) ``[N]``.
        richer: ELBO of the best q of richer families, by name, each ``[N]``: marked within the approximation gap.
        errors: Standard errors of the mean amortisation gap and of the mean approximation gap.

    Raises:
        InputError: Rows that differ in length, no images, or numbers that are not finite.

    Example:
        >>> figure = nats(np.full(3, 20.0), np.array([90.0, 95, 99]), np.array([91.0, 98, 99]), np.full(3, 100.0))
        >>> len(figure.axes)
        2
    """
    rows = _rows({"rate": rate, "encoder": encoder, "optimum": optimum, "log_p": log_p, **(richer or {})})
    rate, encoder, optimum, log_p = (rows.pop(name) for name in ("rate", "encoder", "optimum", "log_p"))
    figure = canvas(WIDTH, 4.2)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    levels = [float(row.mean()) for row in (encoder + rate, encoder, optimum, log_p)]
    _steps(left, levels, errors)
    _marks(left, {name: float(row.mean()) for name, row in rows.items()})
    _images(right, optimum - encoder, log_p - optimum)
    return figure


def _rows(rows: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Rows of finite numbers, all of one length."""
    found = {name: np.asarray(row, float) for name, row in rows.items()}
    shapes = {name: list(row.shape) for name, row in found.items()}
    if len({tuple(shape) for shape in shapes.values()}) > 1 or any(
        row.ndim != 1 or not len(row) for row in found.values()
    ):
        raise InputError(f"rows have shapes {shapes}; expected [N] for all, one number for each image")
    if bad := [name for name, row in found.items() if not np.isfinite(row).all()]:
        raise InputError(f"{', '.join(bad)} holds numbers that are not finite; expected nats for every image")
    return found


def _steps(axes: Axes, levels: list[float], errors: tuple[float, float] | None) -> None:
    """Bars from one level to the next; levels are lines with their numbers."""
    top, elbo, optimum, end = levels
    span = max(max(levels) - min(levels), 1e-9)
    bars = (
        ("KL", top, elbo, KL, "", None),
        ("amortisation gap", elbo, optimum, AMORTISATION, "", errors and errors[0]),
        ("approximation gap", optimum, end, APPROXIMATION, HATCH, errors and errors[1]),
    )
    for place, (_, begin, to, colour, hatch, error) in enumerate(bars):
        axes.bar(place, to - begin, 0.6, bottom=begin, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
        sign = MINUS if to < begin else "+"
        words = f"{sign}{abs(to - begin):.2f}" + ("" if error is None else f" ± {error:.2f}")
        axes.text(place, max(begin, to) + 0.02 * span, words, ha="center", va="bottom", color=QUIET, fontsize="small")
    for begin, to, level in ((-0.45, 0.3, top), (-0.3, 1.3, elbo), (0.7, 2.3, optimum), (1.7, 2.45, end)):
        axes.plot([begin, to], [level, level], color="#333333", linewidth=1)
    named = (
        (-0.45, top, f"reconstruction {top:.1f}", RECONSTRUCTION, "left", "bottom"),
        (0.5, elbo, f"ELBO {elbo:.1f}", "#333333", "center", "top"),
        (1.75, end, f"log p(x) {end:.1f}", "#333333", "left", "bottom"),
    )
    for x, level, words, colour, side, above in named:
        away = {"top": -0.02, "bottom": 0.1 if above == "bottom" else 0}[above] * span
        axes.text(x, level + away, words, ha=side, va=above, color=colour, weight="bold")
    axes.set_xticks(range(3), [name.replace(" gap", "\ngap") for name, *_ in bars])
    axes.set(xlim=(-0.5, 3.1), ylim=(min(levels) - 0.14 * span, max(levels) + 0.24 * span), ylabel="nats per image")
    axes.set_title("mean over images")
    axes.grid(visible=False, axis="x")


def _marks(axes: Axes, levels: Mapping[str, float]) -> None:
    """How far the best q of richer families gets: a line each, and their names beside, the highest first."""
    if not levels:
        return
    for level in levels.values():
        axes.plot([1.62, 2.38], [level, level], color="#333333", linewidth=1, linestyle=(0, (3, 2)))
    highest_first = sorted(levels, key=lambda name: -levels[name])
    words = "\n".join(f"best {one_line(name, 12)} q\n{levels[name]:.1f}" for name in highest_first)
    middle = sum(levels.values()) / len(levels)
    axes.text(2.46, middle, words, va="center", fontsize="x-small", color=QUIET)
    axes.set_xlim(right=3.3)


def _images(axes: Axes, amortisation: np.ndarray, approximation: np.ndarray) -> None:
    """Both gaps of every image, one on the other, the widest first."""
    order = np.argsort(amortisation + approximation)[::-1]
    first, second = amortisation[order], approximation[order]
    below = np.maximum(first, 0)  # an encoder as good as the best q may be above it by noise: that shows below zero
    edges = np.arange(len(order) + 1) - 0.5
    axes.stairs(first, edges, fill=True, color=AMORTISATION, path_effects=[], label="amortisation gap")
    axes.stairs(below + second, edges, baseline=below, fill=True, facecolor=APPROXIMATION, hatch=HATCH, edgecolor="white",
                linewidth=0, path_effects=[], label="approximation gap")  # fmt: skip
    axes.set(xlim=(-0.5, len(order) - 0.5), xlabel=f"{len(order)} images, widest gap first", ylabel="nats")
    axes.set_xticks([])
    axes.set_title(f"log p(x) {MINUS} ELBO of each image")
    axes.legend(loc="upper right")
