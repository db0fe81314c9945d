"""What every part keeps, clause by clause: one function each, that raises where a part breaks it.

A clause takes a maker of parts and draws its inputs itself. A distribution's density and its draws are held to each other
four ways: the density integrates to 1; draws have the distribution function that the density has; the mean of r(z) / q(z)
over draws is 1 for another density r; and the gradient through ``rsample`` is the one that ``log_prob`` implies.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, MultivariateNormal

__all__ = [
    "ContractError",
    "batch_independent",
    "density_agrees_with_draws",
    "density_of",
    "draws_are_the_callers",
    "every_parameter_learns",
    "expect",
    "finite",
    "gradient_agrees_with_density",
    "has_density",
    "integrates_to_one",
    "same_after_state_dict",
]

GRID = 20_001
DRAWS = 4_000
MANY = 20_000


class ContractError(AssertionError):
    """A part breaks the contract of its kind. The message names the clause, what came, and what was expected.

    Example:
        >>> raise ContractError('posterior MyPosterior breaks "shapes": mean came as [4], expected [4, 3]')
        Traceback (most recent call last):
        lowerbound.contract.ContractError: posterior MyPosterior breaks "shapes": mean came as [4], expected [4, 3]
    """


def expect(kept: bool | Tensor, came: str, expected: str) -> None:  # noqa: FBT001
    """Raise unless the clause is kept.

    Raises:
        ContractError: It is not.

    Example:
        >>> expect(1 + 1 == 2, "arithmetic that fails", "the other kind")
    """
    if not bool(kept):
        raise ContractError(f"{came} came, expected {expected}")


def finite(values: Tensor, name: str) -> None:
    """Hold numbers to being numbers.

    Raises:
        ContractError: Some are infinite or not a number.
    """
    bad = int((~torch.isfinite(values)).sum())
    expect(bad == 0, f"{name} with {bad} of {values.numel()} values infinite or not a number", "finite numbers only")


def has_density(distribution: Distribution) -> bool:
    """Whether a distribution defines ``log_prob``; a point mass does not.

    Example:
        >>> has_density(torch.distributions.Normal(0.0, 1.0))
        True
    """
    return type(distribution).log_prob is not Distribution.log_prob


def density_of(distribution: Distribution, z: Tensor, shape: tuple[int, ...]) -> Tensor:
    """log_prob of codes or images, held to its shape.

    Raises:
        ContractError: Another shape.
    """
    log_prob = distribution.log_prob(z)
    expect(
        tuple(log_prob.shape) == shape,
        f"log_prob of {list(log_prob.shape)} for values {list(z.shape)}",
        f"{list(shape)}: one number for each, in nats",
    )
    return log_prob


@torch.no_grad()
def integrates_to_one(distribution: Distribution) -> None:
    """The density of one number integrates to 1, and draws have its distribution function.

    Args:
        distribution: Event ``[1]``, batch ``[]`` or ``[1]``, in float64.

    Raises:
        ContractError: The integral is off by more than a hundredth, or the Kolmogorov-Smirnov distance of the draws is one
            that chance gives once in 100,000.
    """
    draws = distribution.sample(Size([DRAWS])).flatten()
    low, middle, high = draws.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=draws.dtype))
    # z = middle + spread * sinh(u): even steps within the bulk, and out to 600,000 spreads for heavy tails
    u = torch.linspace(-14, 14, GRID, dtype=draws.dtype)
    spread = (high - low).clamp(min=1e-12)
    z = middle + spread * u.sinh()
    columns = z.view(-1, *[1] * len(distribution.batch_shape), 1)
    weighted = distribution.log_prob(columns).flatten().exp() * spread * u.cosh()
    cumulative = torch.cumulative_trapezoid(weighted, u)
    total = float(cumulative[-1])
    expect(abs(total - 1) < 0.01, f"a density of one number that integrates to {total:.4g}", "1")
    expected = cumulative[(torch.searchsorted(z, draws.sort().values) - 1).clamp(0, GRID - 2)]
    steps = torch.arange(DRAWS + 1, dtype=draws.dtype) / DRAWS
    distance = float(torch.maximum((expected - steps[:-1]).abs(), (expected - steps[1:]).abs()).max())
    worst = math.sqrt(math.log(2 / 1e-5) / 2 / DRAWS)
    expect(
        distance < worst,
        f"draws whose distribution function is up to {distance:.3f} from that of log_prob",
        f"at most {worst:.3f}",
    )


@torch.no_grad()
def density_agrees_with_draws(distribution: Distribution) -> None:
    """E_q[r(z) / q(z)] = 1 for a normal r in the middle of the draws, in any number of dimensions.

    Args:
        distribution: Event ``[K]``, batch ``[]`` or ``[1]``, in float64.

    Raises:
        ContractError: The mean is more than five standard errors from 1.
    """
    z = distribution.sample(Size([MANY]))
    flat = z.reshape(MANY, -1)
    low, middle, high = flat.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=z.dtype), dim=0)
    radius = ((flat - middle) / (high - low).clamp(min=1e-12)).norm(dim=1)
    inner = flat[radius < radius.median()]
    covariance = inner.T.cov().reshape(flat.shape[1], flat.shape[1])
    r = MultivariateNormal(inner.mean(0), covariance + 1e-9 * covariance.diagonal().mean() * torch.eye(len(covariance)))
    weights = (r.log_prob(flat) - distribution.log_prob(z).flatten()).exp()
    mean, error = float(weights.mean()), float(weights.std() / math.sqrt(MANY))
    expect(
        abs(mean - 1) < 5 * error + 1e-6,
        f"a mean of r(z) / q(z) over draws of {mean:.3f} ± {error:.3f}, for a density r",
        "1: log_prob is of other draws, or not normalised",
    )


def gradient_agrees_with_density(density_at: Callable[[Tensor], Distribution], latent_dim: int) -> None:
    """d/dt E_q[g(z)] through ``rsample`` equals E_q[g(z) d/dt log q(z)] for a line of distributions q_t.

    Args:
        density_at: From t ``[n]`` to distributions with batch ``[n]`` and event ``[K]``, in float64.
        latent_dim: K.

    Raises:
        ContractError: No gradient, or two that are more than five standard errors apart.
    """
    t = torch.zeros(MANY, dtype=torch.float64, requires_grad=True)
    direction = torch.linspace(0.5, 1.0, latent_dim, dtype=torch.float64)

    def g(z: Tensor) -> Tensor:
        return (z @ direction).sin() + 0.1 * z.square().sum(-1).clamp(max=20)

    q = density_at(t)
    z = q.rsample()
    expect(z.requires_grad, "rsample without a gradient", "draws that depend on the features through rsample")
    (through,) = torch.autograd.grad(g(z).sum(), t)
    expect(through.any(), "a gradient of zero through rsample", "draws that move with the features")
    q = density_at(t)
    with torch.no_grad():
        z = q.sample()
        value = g(z)
    (score,) = torch.autograd.grad(((value - value.mean()) * q.log_prob(z)).sum(), t)
    difference = float(through.mean() - score.mean())
    error = math.sqrt(float(through.var() + score.var()) / MANY)
    expect(
        abs(difference) < 5 * error + 1e-6,
        f"a gradient through rsample of {float(through.mean()):.4f} where log_prob implies {float(score.mean()):.4f} "
        f"(± {error:.4f})",
        "the same: something between features and draws is detached, or log_prob is of another distribution",
    )


def every_parameter_learns(part: nn.Module, loss: Callable[[], Tensor]) -> None:
    """A loss that depends on all the part does moves all its parameters.

    Raises:
        ContractError: A parameter without a gradient, with one of zero, or with one that is not finite.
    """
    part.zero_grad()
    parameters = {name: value for name, value in part.named_parameters() if value.requires_grad}
    if not parameters:
        return
    loss().backward()
    for name, value in parameters.items():
        expect(
            value.grad is not None and bool(value.grad.any()), f"no gradient for {name}", "that every parameter is used"
        )
        finite(value.grad, f"the gradient of {name}")  # type: ignore[arg-type]
    part.zero_grad()


def same_after_state_dict(make: Callable[[], nn.Module], outcome: Callable[[nn.Module], Tensor]) -> None:
    """Another part of the same making gives the same after ``load_state_dict``: all that was learned is in there.

    Args:
        make: Makes a part with random weights of its own.
        outcome: What a part computes, without chance.

    Raises:
        ContractError: The other part still differs.
    """
    one = make()
    with torch.no_grad():
        for value in one.parameters():  # parts that begin at zero would all be alike
            value.add_(0.1 * torch.randn_like(value))
    other = make()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        distance = float((outcome(one) - outcome(other)).abs().max())
    expect(
        distance == 0,
        f"a part that after load_state_dict differs by up to {distance:.3g}",
        "the same: what is learned belongs into parameters and buffers",
    )


@torch.no_grad()
def draws_are_the_callers(draw: Callable[[], Tensor], still: Callable[[], object], *, chance: bool = True) -> None:
    """Draws come from torch's random state: the same seed gives the same, the next draw another, and nothing else moves it.

    Args:
        draw: Makes a part's random output.
        still: Does what must not draw, such as asking for the mean.
        chance: Whether the part draws at all.

    Raises:
        ContractError: The part seeds, draws from elsewhere, or draws where it should not.
    """
    torch.manual_seed(11)
    before = torch.get_rng_state()
    still()
    expect(
        torch.equal(before, torch.get_rng_state()),
        "a random state changed without a draw",
        "that forward and mean draw nothing",
    )
    one, next_one = draw(), draw()
    torch.manual_seed(11)
    again = draw()
    torch.manual_seed(12)
    other = draw()
    expect(torch.equal(one, again), "other draws from the same seed", "the same: draw with torch's own generator only")
    expect(
        not chance or not (torch.equal(one, next_one) or torch.equal(one, other)),
        "the same draws again, or from another seed",
        "new ones: the part must not seed the caller's generator",
    )


@torch.no_grad()
def batch_independent(function: Callable[[Tensor], Tensor], rows: Tensor, name: str) -> None:
    """What comes of a row does not depend on the rows beside it.

    Args:
        function: From ``[batch, ...]`` to ``[batch, ...]``.
        rows: ``[batch, ...]``.
        name: What the function gives, in words.

    Raises:
        ContractError: It does, beyond rounding.
    """
    together = function(rows)
    alone = torch.cat([function(rows[row : row + 1]) for row in range(len(rows))])
    distance = float((together - alone).abs().max())
    size = float(together.abs().max())
    expect(
        distance <= 1e-4 * (1 + size),
        f"{name} of an image that differs by {distance:.3g} with the images beside it",
        "the same as alone",
    )
