"""Pictures of what the rate is made of: the terms of its split, and what each dimension of the code carries.

Every function takes arrays and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import KL, QUIET, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

__all__ = ["kl_by_dimension", "rate_split"]

TERM_COLOURS = (RECONSTRUCTION, "#E69F00", "#CC79A7", "#009E73")


@drawn
def rate_split(
    rate: tuple[float, float], terms: Mapping[str, tuple[float, float]], *, limit: tuple[str, float] | None = None
) -> Figure:
    """The rate, and under it its terms, each beginning where the one before it ends.

    Args:
        rate: Mean and standard error, nats per image.
        terms: Mean and standard error of each term; they add up to the rate. The lines drawn span two standard errors
            each way.
        limit: What the first term cannot pass, in words, and where it lies.

    Raises:
        InputError: No term, or terms that do not add up to the rate.

    Example:
        >>> terms = {"mutual information": (6.0, 0.1), "total correlation": (1.0, 0.2), "dimension-wise KL": (0.5, 0.1)}
        >>> figure = rate_split((7.5, 0.1), terms, limit=("log N", 6.2))
    """
    if not terms:
        raise InputError("no term of the rate came; expected one or more")
    total = sum(mean for mean, _ in terms.values())
    if not np.isclose(total, rate[0], rtol=1e-3, atol=1e-3):
        raise InputError(f"the terms add up to {total:.4g} nats and the rate is {rate[0]:.4g}; expected one number")
    rows = {"rate": rate, **{one_line(name): value for name, value in terms.items()}}
    starts = [0.0, 0.0, *np.cumsum([mean for mean, _ in terms.values()])[:-1]]
    ends = [start + mean for start, (mean, _) in zip(starts, rows.values(), strict=True)]
    errors = [2 * error for _, error in rows.values()]
    figure = canvas(WIDTH, 1.1 + 0.5 * len(rows))
    axes = figure.subplots()
    colours = [KL, *(TERM_COLOURS[place % len(TERM_COLOURS)] for place in range(len(terms)))]
    places = np.arange(len(rows))
    axes.barh(places, [mean for mean, _ in rows.values()], 0.62, left=starts, color=colours)
    axes.errorbar(ends, places, xerr=errors, fmt="none", ecolor="black", capsize=3, elinewidth=1.2)
    for place, (mean, _) in enumerate(rows.values()):
        right = max(starts[place], ends[place]) + errors[place]
        axes.annotate(
            f"{mean:.2f}", (right, place), xytext=(6, 0), textcoords="offset points", va="center", fontsize="small"
        )
    low, high = min(0.0, *starts, *ends), max(*starts, *ends) + max(errors)
    if limit is not None:
        axes.plot([limit[1]] * 2, [0.55, 1.45], color="black", linewidth=1.5, linestyle=":")
        axes.annotate(
            one_line(limit[0]),
            (max(limit[1], ends[1] + errors[1]), 1),
            xytext=(8 if limit[1] > ends[1] + errors[1] + 0.12 * high else 44, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color=QUIET,
        )
        high = max(high, limit[1])
    axes.set_yticks(places, list(rows))
    axes.invert_yaxis()
    axes.set(xlim=(low, low + 1.3 * ((high - low) or 1.0)), xlabel="nats per image")
    axes.grid(visible=False, axis="y")
    return figure


@drawn
def kl_by_dimension(kl: np.ndarray, active: np.ndarray, *, threshold: float = 0.01) -> Figure:
    """What each dimension of the code carries, the most first; the dimensions that do not move with the image are hatched.

    Args:
        kl: E_x KL(q(z_k|x) || p(z_k)) of each dimension, nats per image: ``[K]``.
        active: Whether each dimension is active: bool ``[K]``.
        threshold: The variance of the code's mean from which on it is.

    Raises:
        InputError: Rows that are empty or differ in length.

    Example:
        >>> figure = kl_by_dimension([0.0, 2.1, 1.3], [False, True, True])
    """
    values, mask = _row(kl, "kl"), np.asarray(active, bool)
    if mask.shape != values.shape:
        raise InputError(
            f"active has shape {list(mask.shape)} and kl {list(values.shape)}; expected one of each per dimension"
        )
    order = np.argsort(-values, kind="stable")
    figure = canvas(WIDTH, 3.4)
    axes = figure.subplots()
    places = np.arange(1, len(order) + 1)
    for state, look in {
        True: {"color": KL, "label": f"active: variance of E[z|x] over {threshold:g}"},
        False: {"facecolor": "white", "edgecolor": QUIET, "hatch": "////", "label": "not active"},
    }.items():
        chosen = mask[order] == state
        if chosen.any():
            axes.bar(places[chosen], values[order][chosen], 0.8, **look)  # type: ignore[arg-type]
    axes.set(xlabel="dimension of the code (its number)", ylabel="KL, nats per image", xlim=(0.3, len(order) + 0.7))
    shown = np.arange(0, len(order), -(-len(order) // 20))
    axes.set_xticks(places[shown], [str(order[place] + 1) for place in shown])
    axes.set_ylim(min(0.0, 1.1 * float(values.min())), 1.3 * max(float(values.max()), 1e-3))
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set_title(f"{mask.sum()} of {len(mask)} dimensions are active, {values.sum():.2f} nats in all")
    axes.legend(loc="upper right")
    return figure


def _row(values: Any, name: str) -> np.ndarray:
    """Values as float ``[n]``, n of 1 or more."""
    row = np.asarray(values, float)
    if row.ndim != 1 or not len(row) or not np.isfinite(row).all():
        raise InputError(f"{name} has shape {list(row.shape)}; expected a row of one finite number or more")
    return row
