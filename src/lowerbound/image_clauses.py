"""The contract of likelihoods, clause by clause. A clause is a function of what makes the part.

It raises where the part breaks it, and returns False where there is nothing to hold the part to. Weights are shaken first,
since a part may well begin at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from lowerbound.contract import (
    density_of,
    draws_are_the_callers,
    every_parameter_learns,
    expect,
    finite,
    same_after_state_dict,
)
from lowerbound.trials import (
    SHAPE,
    Clause,
    Make,
    doubled,
    held_to,
    of_shape,
    shaken,
    tiny_vae,
    trains,
)

__all__ = ["LIKELIHOOD"]

DRAWN = 4000

# p(x|z): make(image_shape) -> head; head(values [..., numbers * C, H, W]) -> distribution over images


def _values(head: Any, batch: tuple[int, ...], shape: tuple[int, int, int], size: float = 1.0) -> Tensor:
    return size * torch.randn(*batch, shape[0] * getattr(head, "numbers", 1), *shape[1:])


def likelihood_shapes(make: Make) -> None:
    for shape in ((1, 8, 8), (3, 5, 7), (1, 1, 1)):
        head = shaken(make(shape))
        for batch in ((4,), (2, 4), (1,)):
            p = head(_values(head, batch, shape))
            held_to(p, batch, shape)
            of_shape(p.mean, (*batch, *shape), "mean")
            of_shape(p.sample(), (*batch, *shape), "sample")
            density_of(p, torch.randint(0, 2, (batch[-1], *shape)).float(), batch)


def likelihood_finite(make: Make) -> None:
    head = shaken(make(SHAPE))
    for size in (0.0, 1.0, 30.0, 1e4):
        values = _values(head, (5,), SHAPE, size).requires_grad_()
        p = head(values)
        log_p = p.log_prob(torch.randint(0, 2, (5, *SHAPE)).float())
        finite(log_p, f"log_prob at values of size {size:g}")
        finite(p.mean, f"mean at values of size {size:g}")
        (gradient,) = torch.autograd.grad(log_p.sum(), values)
        finite(gradient, f"the gradient at values of size {size:g}")
        expect(gradient.any() or size == 0, "a gradient of zero for the decoder", "one that moves it")


def likelihood_learns(make: Make) -> None:
    head = shaken(make(SHAPE))
    images = torch.randint(0, 2, (9, *SHAPE)).float()
    every_parameter_learns(head, lambda: -head(_values(head, (9,), SHAPE)).log_prob(images).mean())


@torch.no_grad()
def likelihood_normalised(make: Make) -> None:
    """Over pixels of 0 and 1, over 256 levels, over [0, 1] or over all numbers: one of these, at every value.

    What it adds up over is what it says of itself, since its numbers are named after that.
    """
    head = shaken(make((1, 1, 1))).double().eval()
    unit, wide = torch.linspace(0, 1, 4001).double(), torch.linspace(-12, 12, 40_001).double()  # wide: in sinh
    totals: dict[str, list[float]] = {}
    for size in (0.3, 1.0, 3.0):
        p = head(_values(head, (), (1, 1, 1), size).double())

        def density(pixels: Tensor, p: Distribution = p) -> Tensor:
            return p.log_prob(pixels.view(-1, 1, 1, 1)).exp()

        middle = p.mean.flatten()
        sums: dict[str, Callable[[], Tensor]] = {
            "0 and 1": lambda d=density: d(torch.tensor([0.0, 1.0]).double()).sum(),
            "256 levels": lambda d=density: d(torch.arange(256).double() / 255).sum(),
            "[0, 1]": lambda d=density: torch.trapezoid(d(unit), unit),
            "all numbers": lambda d=density, m=middle: torch.trapezoid(
                d(m + 0.05 * wide.sinh()) * 0.05 * wide.cosh(), wide
            ),
        }
        for name, total in sums.items():
            try:
                totals.setdefault(name, []).append(float(total()))
            except ValueError:  # pixels that it refuses are none of its own
                totals.setdefault(name, []).append(math.nan)
    over = {name for name, found in totals.items() if all(abs(total - 1) < 1e-3 for total in found)}
    words = ", ".join(f"{name}: {'/'.join(f'{total:.3g}' for total in found)}" for name, found in totals.items())
    expect(
        bool(over),
        f"probabilities of one pixel that add up to ({words})",
        "1 over one of these, whatever the decoder says",
    )
    claimed = tuple(bool(getattr(head, name, False)) for name in ("discrete", "binary"))
    right = ("0 and 1" in over or "256 levels" in over, "0 and 1" in over)
    said = "discrete = {} and binary = {}"
    expect(
        claimed == right,
        f"{said.format(*claimed)} from a head whose probabilities add up over {'; '.join(over)}",
        said.format(*right),
    )


@torch.no_grad()
def likelihood_mean(make: Make) -> None:
    head = shaken(make(SHAPE)).eval()
    p = head(0.5 * _values(head, (), SHAPE))
    draws = p.sample(Size([DRAWN]))
    away = (draws.mean(0) - p.mean).abs() / (draws.std(0) / math.sqrt(DRAWN) + 1e-3)
    expect(float(away.max()) < 5, f"a mean that draws miss by up to {float(away.max()):.1f} standard errors", "under 5")


def likelihood_stored(make: Make) -> None:
    images = torch.randint(0, 2, (4, *SHAPE)).float()
    values = _values(make(SHAPE), (4,), SHAPE)
    same_after_state_dict(lambda: make(SHAPE).eval(), lambda head: head(values).log_prob(images))


def likelihood_chance(make: Make) -> None:
    head = shaken(make(SHAPE)).eval()
    values = _values(head, (2,), SHAPE)
    draws_are_the_callers(lambda: head(values).sample(Size([3])), lambda: head(values).mean)


def likelihood_double(make: Make) -> None:
    head = shaken(make(SHAPE)).double().eval()
    p = head(_values(head, (2,), SHAPE).double())
    doubled({"mean": p.mean, "log_prob": p.log_prob(torch.zeros(2, *SHAPE).double())})


def likelihood_trains(make: Make) -> None:
    trains(tiny_vae(likelihood=make))


LIKELIHOOD: dict[str, Clause] = {
    "shapes": likelihood_shapes,
    "float64": likelihood_double,
    "finite at large values": likelihood_finite,
    "every parameter learns": likelihood_learns,
    "probabilities add up to 1": likelihood_normalised,
    "mean agrees with draws": likelihood_mean,
    "state_dict holds all": likelihood_stored,
    "draws are the caller's": likelihood_chance,
    "trains": likelihood_trains,
}
