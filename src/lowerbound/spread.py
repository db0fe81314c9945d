"""Pictures of draws: codes around their circles, and gradients around their mean.

Every function takes arrays and returns a matplotlib Figure 8 inches wide, in the style that ``look.style`` chose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.look import CLASS_MARKERS, KL, RECONSTRUCTION, WIDTH, canvas, drawn, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["circles", "gradient_spread", "gradient_variance", "inside"]

# Okabe and Ito's; every line has a marker of its own, every row of the spread its name.
COLOURS = (RECONSTRUCTION, "#56B4E9", KL, "#E69F00", "#009E73", "#CC79A7")


def inside(phi: np.ndarray, codes: np.ndarray, sigmas: float = 2.0) -> np.ndarray:
    """The fraction of each q's draws that lie within a number of standard deviations of its mean: ``[n]``.

    Of an isotropic normal in two dimensions 1 - exp(-sigmas^2 / 2) is expected: 39.3 % within one, 86.5 % within two.

    Args:
        phi: (mu_1, mu_2, log sigma) of n isotropic normals, ``[n, 3]``.
        codes: Draws from each, ``[n, draws, 2]``.
        sigmas: The radius, in standard deviations.

    Raises:
        InputError: Arrays of other shapes.

    Example:
        >>> inside(np.zeros((1, 3)), np.array([[[0.0, 1.9], [3.0, 0.0]]]))
        array([0.5])
    """
    phi, codes = _circles(phi, codes)
    radius = np.linalg.norm(codes - phi[:, None, :2], axis=2) / np.exp(phi[:, 2:])
    return (radius < sigmas).mean(1)


@drawn
def circles(phi: np.ndarray, codes: np.ndarray) -> Figure:
    """Draws from isotropic normals in two dimensions, with the circles of one and of two standard deviations.

    Args:
        phi: (mu_1, mu_2, log sigma) of n isotropic normals, ``[n, 3]``; at most six are drawn.
        codes: Draws from each, ``[n, draws, 2]``.

    Raises:
        InputError: Arrays of other shapes.

    Example:
        >>> figure = circles(np.zeros((4, 3)), np.random.default_rng(0).normal(size=(4, 100, 2)))
        >>> len(figure.axes)
        4
    """
    from matplotlib.patches import Circle

    phi, codes = _circles(phi, codes)
    phi, codes = phi[:6], codes[:6]
    figure = canvas(WIDTH, 1.2 + WIDTH / max(len(phi), 3))
    figure.suptitle("draws from q(z; φ): 86.5 % are expected within two standard deviations", fontsize="medium")
    within = inside(phi, codes)
    for place, axes in enumerate(np.atleast_1d(figure.subplots(1, len(phi)))):
        mean, sigma = phi[place, :2], float(np.exp(phi[place, 2]))
        axes.scatter(*codes[place].T, s=7, color=RECONSTRUCTION, alpha=0.55, linewidths=0)
        axes.plot(*mean, marker="+", color=KL, markersize=9, markeredgewidth=2)
        for radius, line in ((1, "--"), (2, "-")):
            axes.add_patch(Circle(tuple(mean), radius * sigma, fill=False, edgecolor=KL, linewidth=1.6, linestyle=line))
        reach = 1.08 * max(2 * sigma, float(np.abs(codes[place] - mean).max(initial=0)))
        axes.set(xlim=(mean[0] - reach, mean[0] + reach), ylim=(mean[1] - reach, mean[1] + reach), aspect="equal")
        axes.set_xlabel("z₁")
        axes.set_ylabel("z₂" if place == 0 else "")
        axes.set_title(f"{100 * within[place]:.0f} % within", fontsize="small")
        axes.locator_params(nbins=3)
        axes.tick_params(labelsize="x-small")
    return figure


@drawn
def gradient_spread(draws: Mapping[str, np.ndarray], *, component: str = "one component of φ") -> Figure:
    """One component of the gradient, draw by draw, a row for each estimator.

    The axis is even within one standard deviation of the steadiest estimator around the common mean, and logarithmic
    beyond: else the steady ones would be a line.

    Args:
        draws: Of each estimator, gradients ``[draws]`` in nats per unit of phi.
        component: What the gradient is taken with respect to.

    Raises:
        InputError: No estimator, or draws that are not a row of two finite numbers or more.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=500)
        >>> figure = gradient_spread({"reparameterised": 3 + noise, "score function": 3 + 40 * noise})
    """
    rows = {one_line(name): _row(values, name, least=2) for name, values in draws.items()}
    if not rows:
        raise InputError("no gradients came; expected one estimator or more")
    steadiest = min(rows, key=lambda name: rows[name].std())
    centre = rows[steadiest].mean()
    width = rows[steadiest].std() or max(values.std() for values in rows.values()) / 100 or 1.0
    reach = max(float(np.abs(values - centre).max()) for values in rows.values()) or 1.0
    end = np.arcsinh(1.001 * reach / width)  # a hair more, else rounding drops the draw that lies farthest
    edges = width * np.sinh(np.linspace(-end, end, 61))
    figure = canvas(WIDTH, 1.3 + 0.95 * len(rows))
    panels = np.atleast_1d(figure.subplots(len(rows), 1, sharex=True))
    for place, (axes, (name, values)) in enumerate(zip(panels, rows.items(), strict=True)):
        shares = np.histogram(values - centre, edges)[0] / len(values)
        axes.stairs(shares, edges, fill=True, color=COLOURS[place % len(COLOURS)])
        axes.axvline(values.mean() - centre, color="black", linewidth=1.2, linestyle="--")
        axes.set_xscale("asinh", linear_width=width)
        axes.set_xlim(1.05 * edges[0], 1.05 * edges[-1])
        axes.set_yticks([])
        axes.set_title(f"{name}: standard deviation {values.std(ddof=1):.3g}", loc="left", fontsize="small")
    _asinh_ticks(panels[-1], width, reach)
    panels[-1].set_xlabel(f"gradient with respect to {component}, less {centre:.3g}: nats per unit, one draw each")
    return figure


@drawn
def gradient_variance(draws: np.ndarray, variances: Mapping[str, np.ndarray]) -> Figure:
    """How the variance of the gradient's estimate falls with the draws it is averaged over, on logarithmic axes.

    Args:
        draws: Numbers of draws ``[n]``.
        variances: Of each estimator, the variance summed over the components of phi, ``[n]``; in squared nats per squared
            unit of phi. Where it is zero nothing is drawn.

    Raises:
        InputError: No estimator, or rows of other lengths than ``draws``.

    Example:
        >>> figure = gradient_variance([1, 10], {"reparameterised": [2, 0.2], "score function": [800, 80]})
    """
    numbers = _row(draws, "draws")
    if not variances:
        raise InputError("no variances came; expected one estimator or more")
    figure = canvas(WIDTH, 4.0)
    axes = figure.subplots()
    for place, (name, values) in enumerate(variances.items()):
        row = _row(values, name)
        if len(row) != len(numbers):
            raise InputError(
                f"{name} has {len(row)} variances for {len(numbers)} numbers of draws; expected one for each"
            )
        colour, marker = COLOURS[place % len(COLOURS)], CLASS_MARKERS[place % len(CLASS_MARKERS)]
        seen = np.where(row > 0, row, np.nan)
        axes.plot(numbers, seen, label=one_line(name), color=colour, marker=marker, markersize=6)
    axes.set(xscale="log", yscale="log")
    axes.set(xlabel="draws of z for each estimate", ylabel="variance of the gradient, (nats per unit of φ)²")
    axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    axes.minorticks_off()
    large = axes.get_ylim()[1] >= 1e6  # then powers of ten are read faster
    axes.yaxis.set_major_formatter(lambda value, _: _power_of_ten(value) if large else f"{value:,g}")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _power_of_ten(value: float) -> str:
    """A power of ten as such."""
    raised = str.maketrans("-0123456789", "\N{SUPERSCRIPT MINUS}⁰¹²³⁴⁵⁶⁷⁸⁹")
    return "10" + f"{np.log10(value):.0f}".translate(raised)


def _asinh_ticks(axes: Axes, width: float, reach: float) -> None:
    """Zero and a few powers of ten on both sides, none near another."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    first, last = int(np.ceil(np.log10(width))), int(np.floor(np.log10(reach)))
    powers = [10.0**power for power in range(first, last + 1)][:: -max(1, -(-(last - first + 1) // 3))]
    axes.xaxis.set_major_locator(FixedLocator(sorted({0.0, *powers, *(-power for power in powers)})))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}")))


def _row(values: Any, name: str, least: int = 1) -> np.ndarray:
    """Values as float ``[n]``."""
    row = np.asarray(values, float)
    if row.ndim != 1 or len(row) < least or not np.isfinite(row).all():
        raise InputError(f"{name} has shape {list(row.shape)}; expected a row of {least} finite numbers or more")
    return row


def _circles(phi: Any, codes: Any) -> tuple[np.ndarray, np.ndarray]:
    """phi ``[n, 3]`` and draws ``[n, draws, 2]``."""
    phi, codes = np.asarray(phi, float), np.asarray(codes, float)
    shapes = phi.ndim == 2 and phi.shape[1] == 3 and codes.ndim == 3 and codes.shape[::2] == (len(phi), 2)
    if not shapes or not codes.size:
        raise InputError(
            f"phi has shape {list(phi.shape)} and codes {list(codes.shape)}; expected [n, 3] and [n, draws, 2]: K is 2"
        )
    return phi, codes
