"""Curves: loss while training, the terms of the ELBO, variance and error against K.

Every function takes arrays and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose.
Models keep the colour and marker they have in every figure (``look.MODEL_STYLE``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import (
    KL,
    MODEL_STYLE,
    QUIET,
    RECONSTRUCTION,
    WIDTH,
    canvas,
    drawn,
    model_style,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

__all__ = ["eigenspectrum", "elbo_curves", "error_against_k", "losses"]


@drawn
def losses(curves: Mapping[str, np.ndarray], *, label: str = "mean squared error per pixel") -> Figure:
    """The loss of each training batch, all models on one axis, cut at twice the largest median.

    Args:
        curves: Of each model, the loss of each batch ``[batches]``, in the order of training.
        label: What the loss is, with its unit.

    Raises:
        InputError: No curve, or one that is not a row of numbers.

    Example:
        >>> figure = losses({"linear": [0.08, 0.04, 0.03], "conv": [0.07, 0.02, 0.01]})
        >>> float(figure.axes[0].get_ylim()[1])
        0.08
    """
    arrays = {model: _row(curve, model) for model, curve in curves.items()}
    if not arrays:
        raise InputError("no loss curve came; expected one or more, by model")
    figure = canvas(WIDTH, 3.8)
    axes = figure.subplots()
    for model, curve in arrays.items():
        look = model_style(model)
        _curve(axes, curve, look.colour, f"{look.label}: {_three_digits(_last(curve))} at the end")
    medians = [np.median(finite) for curve in arrays.values() if len(finite := curve[np.isfinite(curve)])]
    top = 2 * max(medians, default=0)
    axes.set(xlabel="training batch", ylabel=label, ylim=(0, top if top > 0 else 1))
    _batches(axes, max(map(len, arrays.values())))
    axes.legend(loc="upper right")
    return figure


@drawn
def elbo_curves(history: Mapping[str, np.ndarray]) -> Figure:
    """A VAE while it trains: the ELBO, and apart from each other its reconstruction term, its KL term and sigma.

    Args:
        history: "reconstruction" (E_q log p(x|z)) and "kl" (KL(q(z|x) || p(z))), nats per image, of each batch
            ``[batches]``; "sigma", the pixels' standard deviation with pixels in [0, 1], where the model has one.

    Raises:
        InputError: A term is missing, or the terms differ in length.

    Example:
        >>> figure = elbo_curves({"reconstruction": np.arange(9.0), "kl": np.ones(9), "sigma": np.ones(9)})
        >>> len(figure.axes)
        4
    """
    if missing := [term for term in ("reconstruction", "kl") if term not in history]:
        raise InputError(f"the history holds no {' and no '.join(missing)}; it has {sorted(history)}")
    terms = {name: _row(history[name], name) for name in ("reconstruction", "kl", "sigma") if name in history}
    lengths = {name: len(values) for name, values in terms.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"terms of the ELBO differ in length: {lengths}; expected one value of each per batch")
    small = {
        "reconstruction": ("reconstruction", "nats per image", RECONSTRUCTION),
        "kl": ("KL of q(z|x) from p(z)", "nats per image", KL),
        "sigma": ("sigma of p(x|z)", "pixels in [0, 1]", QUIET),
    }
    figure = canvas(WIDTH, 4.4)
    lowest = len(terms) - 1
    places = figure.add_gridspec(len(terms), 2, width_ratios=(1.5, 1))
    large = figure.add_subplot(places[:, 0])
    elbo = terms["reconstruction"] - terms["kl"]
    _curve(large, elbo, MODEL_STYLE["vae"].colour)
    large.set_title(f"ELBO = reconstruction \N{MINUS SIGN} KL: {_three_digits(_last(elbo))} at the end")
    large.set(ylabel="nats per image, higher is better", xlabel="training batch")
    _frame(large, elbo)
    for place, (name, values) in enumerate(terms.items()):
        title, unit, colour = small[name]
        axes = figure.add_subplot(places[place, 1], sharex=large)
        _curve(axes, values, colour)
        _frame(axes, values)
        axes.set_title(f"{title}: {_three_digits(_last(values))}", color=colour, fontsize="medium")
        axes.set_ylabel(unit, fontsize="small")
        axes.tick_params(labelbottom=place == lowest)
        axes.set_xlabel("training batch" if place == lowest else "")
    _batches(large, len(elbo), ticks=4)  # the narrow panels share them
    return figure


@drawn
def eigenspectrum(fraction: np.ndarray, k: int, *, largest: int = 200) -> Figure:
    """How much of the pixels' variance the first K principal components keep, against K.

    Args:
        fraction: ``[P + 1]``: entry K is the fraction of the variance that K components keep, from 0 at K = 0.
        k: The K to point out.
        largest: The curve ends at this K.

    Raises:
        InputError: Fractions outside [0, 1], or a K beyond them.

    Example:
        >>> figure = eigenspectrum([0, 0.5, 0.8, 1], k=2)
        >>> figure.axes[0].texts[0].get_text()
        '80.0 % at K = 2'
    """
    kept = _row(fraction, "fraction")
    if not 1 <= k < len(kept):
        raise InputError(f"K is {k}; expected 1 to {len(kept) - 1}, the number of components there are")
    if not (np.isfinite(kept).all() and kept.min() >= -1e-6 and kept.max() <= 1 + 1e-6):
        raise InputError(f"fractions of variance run from {kept.min():.3g} to {kept.max():.3g}; expected 0 to 1")
    end = max(min(largest, len(kept) - 1), k)
    figure = canvas(WIDTH, 3.8)
    axes = figure.subplots()
    look = MODEL_STYLE["pca"]
    axes.plot(range(end + 1), 100 * kept[: end + 1], color=look.colour)
    axes.plot([k, k, 0], [0, 100 * kept[k], 100 * kept[k]], color=RECONSTRUCTION, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot(k, 100 * kept[k], marker="o", color=RECONSTRUCTION, markersize=7, clip_on=False, zorder=5)
    # The curve rises and bends down, so there is room under it: right of K, or, near the end, left at half the height.
    right = k < 0.7 * end
    axes.annotate(
        f"{100 * kept[k]:.1f} % at K = {k}",
        (k, 100 * kept[k] if right else 50 * kept[k]),
        xytext=(12 if right else -8, 4 if kept[k] < 0.15 else -14),
        textcoords="offset points",
        ha="left" if right else "right",
        color=RECONSTRUCTION,
        weight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
    )
    axes.set(xlim=(0, end), ylim=(0, 103), xlabel="number of components K", ylabel="variance of the pixels kept, %")
    _whole_ticks(axes)
    return figure


@drawn
def error_against_k(models: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray | None]]) -> Figure:
    """Reconstruction error against K, both on logarithmic axes: a straight fall is a power law.

    Args:
        models: Of each model ``(ks, mse, standard error or None)``, each ``[n]``; mean squared error per pixel of
            test images, pixels in [0, 1]. The bars drawn span two standard errors each way.

    Raises:
        InputError: Arrays of one model that differ in length, or a K or an error that is not above 0.

    Example:
        >>> figure = error_against_k({"pca": ([1, 2, 4], [0.06, 0.04, 0.02], None), "vae": ([2], [0.01], [0.001])})
    """
    figure = canvas(WIDTH, 4.2)
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log")
    every_k: set[int] = set()
    for model, (k_given, mse_given, error_given) in models.items():
        look = model_style(model)
        ks, mse = _row(k_given, f"{model} K"), _row(mse_given, f"{model} error")
        spread = None if error_given is None else 2 * _row(error_given, f"{model} standard error")
        if len(ks) != len(mse) or (spread is not None and len(spread) != len(mse)):
            raise InputError(f"{model} has {len(ks)} values of K and {len(mse)} errors; expected one error for each K")
        if not (ks > 0).all() or not (mse > 0).all():
            raise InputError(
                f"{model} has a K or an error that is not above 0; expected K of 1 or more, errors above 0"
            )
        every_k.update(int(k) for k in ks)
        order = np.argsort(ks)
        axes.errorbar(
            ks[order],
            mse[order],
            None if spread is None else spread[order],
            label=look.label,
            color=look.colour,
            marker=look.marker,
            markersize=6,
            linewidth=1.5,
            capsize=3,
        )
    if not every_k:
        raise InputError("no errors came; expected one model or more")
    axes.set(xlabel="numbers per image K", ylabel="test error: mean squared error per pixel")
    _log_ticks(axes, sorted(every_k))
    axes.legend(loc="best")
    return figure


def _row(values: Any, name: str) -> np.ndarray:
    """Values as float ``[n]``, n of 1 or more."""
    row = np.asarray(values, float)
    if row.ndim != 1 or not len(row):
        raise InputError(f"{name} has shape {list(row.shape)}; expected a row of one number or more")
    return row


def _curve(axes: Axes, values: np.ndarray, colour: str, label: str | None = None) -> None:
    """A line; of many batches, the range of each two-hundredth part behind the line of its means."""
    batches = np.arange(1, len(values) + 1)
    if len(values) <= 300:
        marker = "o" if len(values) == 1 else ""
        axes.plot(batches, values, color=colour, label=label, marker=marker)
        return
    parts = np.array_split(np.where(np.isfinite(values), values, np.nan), 200)
    low, mean, high = np.array([_range(part) for part in parts]).T
    middle = [part.mean() for part in np.array_split(batches, 200)]
    axes.fill_between(middle, low, high, color=colour, alpha=0.25, linewidth=0, path_effects=[], sketch_params=None)
    axes.plot(middle, mean, color=colour, label=label)


def _range(part: np.ndarray) -> tuple[float, float, float]:
    """Least, mean and greatest of the numbers there are."""
    numbers = part[~np.isnan(part)]
    return (numbers.min(), numbers.mean(), numbers.max()) if len(numbers) else (np.nan, np.nan, np.nan)


def _last(curve: np.ndarray) -> float:
    """Mean of the last hundredth of a curve: one batch alone would be noise."""
    return float(curve[-max(1, len(curve) // 100) :].mean())


def _three_digits(number: float) -> str:
    """A number with three digits that count, also where the last is 0; in full from a thousand on."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:#.3g}".rstrip(".")


def _frame(axes: Axes, values: np.ndarray) -> None:
    """Show where the curve spends its time: the first plunge of a few batches would flatten all the rest."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    low, high = np.quantile(finite, (0.03, 0.97)) if len(finite) > 30 else (finite.min(), finite.max())
    room = 0.25 * (high - low) or 0.1 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")


def _batches(axes: Axes, batches: int, ticks: int = 8) -> None:
    """An axis of batches, to the last one, in whole numbers."""
    axes.set_xlim(0, max(2, batches))
    _whole_ticks(axes, ticks)


def _whole_ticks(axes: Axes, ticks: int = 8) -> None:
    """Ticks at whole numbers, thousands set apart."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(ticks, integer=True, steps=[1, 2, 2.5, 5, 10], min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _log_ticks(axes: Axes, ks: list[int]) -> None:
    """Plain numbers on logarithmic axes: the K there are (thinned so that none touch), and 1, 2, 5 times ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    plain: FuncFormatter = FuncFormatter(lambda value, _: f"{value:g}")
    ticks = [ks[0]]
    apart = max((ks[-1] / ks[0]) ** (1 / 14), 1.001)
    for k in ks[1:]:
        if k >= ticks[-1] * apart:
            ticks.append(k)
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_locator(NullLocator())
    if len(ks) == 1:
        axes.set_xlim(ks[0] / 2, ks[0] * 2)
