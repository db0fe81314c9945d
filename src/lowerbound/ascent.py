"""Gradient ascent on phi, drawn: the ELBO on its way up, q beside the encoder's code, and what its draws decode to.

Every function takes arrays and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import KL, MODEL_STYLE, QUIET, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["codes", "elbo_ascent", "reconstructions"]

Q = MODEL_STYLE["vae"].colour
MINUS = "\N{MINUS SIGN}"


@drawn
def elbo_ascent(
    reconstruction: np.ndarray, kl: np.ndarray, *, encoder: float | None = None, bound: float | None = None
) -> Figure:
    """The ELBO while phi climbs, its two terms apart from each other, and the encoder's ELBO as a line.

    Args:
        reconstruction: E_q log p(x|z) at each step, nats, ``[steps]``.
        kl: KL(q || p(z)) at each step, nats, ``[steps]``.
        encoder: The ELBO at the encoder's phi.
        bound: The ELBO at the end.

    Raises:
        InputError: Terms of different lengths, or none.

    Example:
        >>> len(elbo_ascent(np.arange(9.0), np.ones(9), encoder=3.0).axes)
        3
    """
    terms = [np.asarray(term, np.float64) for term in (reconstruction, kl)]
    if terms[0].ndim != 1 or terms[0].shape != terms[1].shape or not len(terms[0]):
        raise InputError(
            f"reconstruction is {list(terms[0].shape)} and kl {list(terms[1].shape)}; expected [steps] each"
        )
    figure = canvas(WIDTH, 3.9)
    places = figure.add_gridspec(2, 2, width_ratios=(1.5, 1))
    large = figure.add_subplot(places[:, 0])
    elbo = terms[0] - terms[1]
    _climbing(large, elbo, Q)
    _frame(large, elbo, [value for value in (encoder, bound) if value is not None])
    for value, words, colour in ((encoder, "the encoder's q", "#262626"), (bound, "q at the end", Q)):
        if value is not None:
            large.axhline(value, color=colour, linestyle="--", linewidth=1.2, label=f"{words}: {value:.1f}")
    large.set_title(f"ELBO = reconstruction {MINUS} KL while phi climbs")
    large.set(xlabel="step", ylabel="nats, higher is better")
    if large.get_legend_handles_labels()[0]:
        large.legend(loc="center right")  # the encoder's line lies at the bottom, q's near the top
    small = (("reconstruction, E log p(x|z)", RECONSTRUCTION), ("KL of q(z) from p(z)", KL))
    for place, (values, (title, colour)) in enumerate(zip(terms, small, strict=True)):
        axes = figure.add_subplot(places[place, 1], sharex=large)
        _climbing(axes, values, colour)
        _frame(axes, values, [])
        axes.set_title(f"{title}: {values[-max(1, len(values) // 10) :].mean():.1f}", color=colour, fontsize="medium")
        axes.set_ylabel("nats", fontsize="small")
        axes.tick_params(labelbottom=place == 1)
    figure.axes[-1].set_xlabel("step")
    return figure


@drawn
def reconstructions(
    image: np.ndarray, decoded: np.ndarray, rows: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> Figure:
    """An image, what its code h decodes to, and for each noise what q's mean and q's draws decode to.

    Args:
        image: ``[C, H, W]``, 8-bit or float in [0, 1].
        decoded: The decoder's image of the encoder's h, ``[C, H, W]``.
        rows: By words such as "sigma 0.5, medium": the decoder's image of q's mean ``[C, H, W]``, and those of draws from q,
            ``[draws, C, H, W]``.

    Raises:
        InputError: No row, or rows with different numbers of draws.

    Example:
        >>> blank = np.zeros((1, 4, 4))
        >>> len(reconstructions(blank, blank, {"sigma 0.5": (blank, np.zeros((5, 1, 4, 4)))}).axes)
        8
    """
    numbers = {len(draws) for _, draws in rows.values()}
    if len(numbers) != 1:
        raise InputError(f"{len(rows)} rows came with {sorted(numbers)} draws; expected one row or more, alike")
    columns = 3 + numbers.pop()
    _, height, width = image.shape
    cell = WIDTH / (columns + 0.2)
    figure = canvas(WIDTH, len(rows) * (cell * height / width + 0.1) + 0.3)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    titles = ["x", "from h", "mean of q", *(f"draw {i + 1}" for i in range(columns - 3))]
    for row, (words, (mean, draws)) in enumerate(rows.items()):
        shown = [image if row == 0 else None, decoded if row == 0 else None, mean, *draws]
        for place, picture, title in zip(axes[row], shown, titles, strict=True):
            _image(place, picture)
            if row == 0:
                place.set_title(title, fontsize="medium", loc="center")
        axes[row, 2].set_ylabel(one_line(words).replace(", ", "\n"), fontsize="small", color=QUIET)
    return figure


@drawn
def codes(
    h: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    *,
    draws: np.ndarray,
    encoder_scale: np.ndarray | None = None,
    dimensions: Sequence[int] | None = None,
) -> Figure:
    """q beside the encoder's code: all dimensions with their spread, and two of them as a plane.

    Args:
        h: The encoder's code, ``[K]``.
        mean: q's mean, ``[K]``.
        covariance: q's covariance, ``[K, K]``.
        draws: Codes drawn from q, ``[draws, K]``.
        encoder_scale: Standard deviations of the encoder's q, ``[K]``, where it has one.
        dimensions: The two to draw as a plane, from 0; by default those in which mean and h are farthest apart.

    Raises:
        InputError: A plane of codes with one dimension only is left out; dimensions that are not there.

    Example:
        >>> len(codes(np.zeros(3), np.ones(3), np.eye(3), draws=np.zeros((9, 3))).axes)
        2
    """
    k = len(h)
    chosen = np.sort(np.argsort(-np.abs(mean - h), kind="stable")[:2]) if dimensions is None else np.array(dimensions)
    if dimensions is not None and (len(chosen) != 2 or chosen.min() < 0 or chosen.max() >= k):
        raise InputError(f"dimensions are {list(dimensions)}; expected two of 0 to {k - 1}")
    figure = canvas(WIDTH, 3.9)
    if k == 1:
        _profile(figure.subplots(), h, mean, np.sqrt(np.diag(covariance)), encoder_scale)
        return figure
    left, right = figure.subplots(1, 2, width_ratios=(1.35, 1))
    _profile(left, h, mean, np.sqrt(np.diag(covariance)), encoder_scale)
    _plane(right, h, mean, covariance, draws, encoder_scale, chosen)
    return figure


def _profile(axes: Axes, h: np.ndarray, mean: np.ndarray, scale: np.ndarray, encoder_scale: np.ndarray | None) -> None:
    """Each dimension of the code: h, and q's mean with two standard deviations either way."""
    place, apart = np.arange(1, len(h) + 1), 0.16
    spread: dict[str, Any] = {"yerr": 2 * encoder_scale} if encoder_scale is not None else {}
    words = "encoder's q" if encoder_scale is not None else "encoder's h"
    axes.axhline(0, color="#8c8c8c", linewidth=0.8)
    axes.errorbar(place - apart, h, fmt="s", color="#262626", markersize=4, elinewidth=1.3, label=words, **spread)
    axes.errorbar(place + apart, mean, yerr=2 * scale, fmt="o", color=Q, markersize=4, elinewidth=1.3, label="q found")
    axes.set(xlabel="dimension k of the code", ylabel="$z_k$")
    axes.set(xticks=place if len(h) <= 10 else place[4::5])
    axes.set_ylabel("value of the code", fontsize="medium")
    axes.set_title("mean and two standard deviations")
    axes.margins(y=0.18)
    axes.legend(loc="upper right", ncols=2, fontsize="small")


def _plane(
    axes: Axes,
    h: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    draws: np.ndarray,
    encoder_scale: np.ndarray | None,
    chosen: np.ndarray,
) -> None:
    """Two dimensions: q's ellipses of one and two standard deviations, draws from it, and h."""
    i, j = chosen
    axes.scatter(draws[:, i], draws[:, j], s=9, color=Q, alpha=0.45, linewidth=0, label="draws from q")
    inner = covariance[np.ix_(chosen, chosen)]
    for radius, style in ((1, "-"), (2, "--")):
        axes.plot(*_ellipse(mean[chosen], inner, radius), color=Q, linestyle=style, linewidth=1.5)
        if encoder_scale is not None:
            own = np.diag(encoder_scale[chosen] ** 2)
            axes.plot(*_ellipse(h[chosen], own, radius), color="#262626", linestyle=style, linewidth=1.1)
    axes.plot(h[i], h[j], "s", color="#262626", markersize=6, label="encoder's h", zorder=5)
    axes.plot(mean[i], mean[j], "o", color=Q, markeredgecolor="white", markersize=7, label="q's mean", zorder=5)
    axes.set(xlabel=f"dimension {i + 1}", ylabel=f"dimension {j + 1}")
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_title("1 and 2 standard deviations")
    axes.margins(0.12)
    axes.legend(loc="best", fontsize="small")


def _ellipse(mean: np.ndarray, covariance: np.ndarray, radius: float) -> np.ndarray:
    """Points ``[2, 181]`` at so many standard deviations from the mean."""
    angle = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    values, vectors = np.linalg.eigh(covariance)
    return mean[:, None] + radius * vectors @ (np.sqrt(np.maximum(values, 0))[:, None] * circle)


def _climbing(axes: Axes, values: np.ndarray, colour: str) -> None:
    """A curve with the noise of its draws pale behind its running mean."""
    steps = np.arange(1, len(values) + 1)
    width = max(1, len(values) // 25)
    axes.plot(steps, values, color=colour, alpha=0.3, linewidth=0.9)
    weights = np.ones(width)
    smooth = np.convolve(values, weights, "same") / np.convolve(np.ones(len(values)), weights, "same")
    axes.plot(steps, smooth, color=colour)
    axes.margins(x=0.02)


def _frame(axes: Axes, values: np.ndarray, also: list[float]) -> None:
    """Cut off the first steps where they lie so far off that the rest would be a flat line."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    late = finite[len(finite) // 20 :]
    low, high = min(late.min(), *also, late.max()), max(late.max(), *also, late.min())
    room = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - room, high + room)


def _image(axes: Axes, picture: np.ndarray | None) -> None:
    """One image without a frame's ticks; nothing where there is none."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if picture is None:
        return
    pixels = picture / 255 if picture.dtype == np.uint8 else picture
    shown = np.clip(np.moveaxis(pixels, 0, -1), 0, 1)
    axes.imshow(shown[..., 0] if shown.shape[-1] == 1 else shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
