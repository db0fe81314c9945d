"""The contract of posteriors and priors, clause by clause. A clause is a function of what makes the part.

It raises where the part breaks it, and returns False where there is nothing to hold the part to. Weights are shaken first,
since a part may well begin at zero.
"""

from __future__ import annotations

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from lowerbound.contract import (
    batch_independent,
    density_agrees_with_draws,
    density_of,
    draws_are_the_callers,
    every_parameter_learns,
    expect,
    finite,
    gradient_agrees_with_density,
    has_density,
    integrates_to_one,
    same_after_state_dict,
)
from lowerbound.trials import (
    FEATURES,
    Clause,
    K,
    Make,
    doubled,
    held_to,
    of_shape,
    shaken,
    tiny_autoencoder,
    tiny_vae,
    trains,
)

__all__ = ["POSTERIOR", "PRIOR"]


# q(z|x): make(in_features, latent_dim) -> head; head(features) -> distribution over codes


def posterior_shapes(make: Make) -> None:
    for features, k, batch in ((11, 3, (4,)), (5, 1, (1,)), (7, 6, (2, 3))):
        q = shaken(make(features, k))(torch.randn(*batch, features))
        held_to(q, batch, (k,))
        z = q.rsample(Size([6]))
        of_shape(z, (6, *batch, k), "rsample of 6")
        of_shape(q.mean, (*batch, k), "mean")
        if has_density(q):
            density_of(q, z, (6, *batch))


def posterior_finite(make: Make) -> None:
    for size in (0.0, 1.0, 1e2, 1e4):
        head = shaken(make(FEATURES, K))
        q = head(size * torch.randn(5, FEATURES))
        z = q.rsample(Size([4]))
        log_q = q.log_prob(z) if has_density(q) else torch.zeros(())
        for name, values in {"mean": q.mean, "rsample": z, "log_prob": log_q}.items():
            finite(values, f"{name} at features of size {size:g}")
        (z.square().mean() + log_q.mean()).backward()
        for name, value in head.named_parameters():
            if value.grad is not None:
                finite(value.grad, f"the gradient of {name} at features of size {size:g}")


def posterior_learns(make: Make) -> None:
    head = shaken(make(FEATURES, K))

    def loss() -> Tensor:
        q = head(torch.randn(50, FEATURES))
        z = q.rsample()
        return z.square().sum() + z.sin().sum() + (q.log_prob(z).sum() if has_density(q) else 0)

    every_parameter_learns(head, loss)


def _q(make: Make, latent_dim: int) -> Distribution:
    return shaken(make(FEATURES, latent_dim)).double().eval()(torch.randn(1, FEATURES).double())


def posterior_normalised(make: Make) -> bool | None:
    if not has_density(_q(make, 1)):
        return False
    for _ in range(3):
        integrates_to_one(_q(make, 1))
    return None


def posterior_agrees(make: Make) -> bool | None:
    if not has_density(_q(make, K)):
        return False
    for _ in range(3):
        density_agrees_with_draws(_q(make, K))
    return None


def posterior_differentiable(make: Make) -> bool | None:
    if not has_density(_q(make, 2)):
        return False
    for _ in range(3):
        head = shaken(make(FEATURES, 2)).double().eval()
        here, there = torch.randn(2, FEATURES).double()
        gradient_agrees_with_density(lambda t, h=head, a=here, b=there: h(a + t.unsqueeze(-1) * b), 2)
    return None


def posterior_phi(make: Make) -> bool | None:
    head, features = shaken(make(FEATURES, K)).eval(), torch.randn(4, FEATURES)
    if not (hasattr(head, "phi") and hasattr(head, "from_phi")):
        return False
    phi, q = head.phi(features), head(features)
    again = head.from_phi(phi)
    expect(phi.ndim == 2 and len(phi) == 4, f"phi of {list(phi.shape)} for 4 images", "[4, P]")
    held_to(again, (4,), (K,))
    torch.manual_seed(0)
    one = q.sample(Size([5]))
    torch.manual_seed(0)
    other = again.sample(Size([5]))
    same = torch.allclose(q.mean, again.mean) and torch.allclose(one, other)
    if has_density(q):
        same = same and torch.allclose(q.log_prob(one), again.log_prob(one), atol=1e-5)
    expect(same, "from_phi(phi(features)) unlike the head's own distribution", "the same one")
    if hasattr(head, "phi_size"):
        expect(head.phi_size(K) == phi.shape[1], f"phi_size of {head.phi_size(K)}", f"{phi.shape[1]}, the size of phi")
    return None


def _told(q: Distribution, batch: int) -> Tensor:
    """The mean, and the density at some codes, in one row for each image."""
    if not has_density(q):
        return q.mean
    codes = torch.linspace(-1, 1, 4, dtype=q.mean.dtype).view(4, 1, 1)
    return torch.cat([q.mean, q.log_prob(codes.expand(4, batch, q.event_shape[0])).T], 1)


def posterior_stored(make: Make) -> None:
    features = torch.randn(4, FEATURES)
    same_after_state_dict(lambda: make(FEATURES, K).eval(), lambda head: _told(head(features), 4))


def posterior_chance(make: Make) -> None:
    head, features = shaken(make(FEATURES, K)).eval(), torch.randn(4, FEATURES)
    chance = has_density(head(features))
    draws_are_the_callers(lambda: head(features).rsample(Size([3])), lambda: head(features).mean, chance=chance)


def posterior_double(make: Make) -> None:
    q = _q(make, K)
    z = q.rsample()
    doubled({"mean": q.mean, "rsample": z} | ({"log_prob": q.log_prob(z)} if has_density(q) else {}))


def posterior_alone(make: Make) -> None:
    head = shaken(make(FEATURES, K)).eval()
    rows = torch.randn(6, FEATURES)
    batch_independent(lambda features: _told(head(features), len(features)), rows, "q(z|x)")


def posterior_trains(make: Make) -> None:
    dense = has_density(_q(make, K))
    trains(tiny_vae(posterior=make) if dense else tiny_autoencoder(posterior=make))


# p(z): make(latent_dim) -> prior; prior() -> distribution over one code


def prior_shapes(make: Make) -> None:
    for k in (1, 2, 5):
        p = shaken(make(k))()
        held_to(p, (), (k,))
        for shape in ((4,), (2, 3)):
            z = p.sample(Size(shape))
            of_shape(z, (*shape, k), f"sample of {list(shape)}")
            density_of(p, z, shape)


def prior_finite(make: Make) -> None:
    p = shaken(make(K))()
    for size in (0.0, 1.0, 30.0, 1e3):
        finite(p.log_prob(size * torch.randn(20, K)), f"log_prob of codes of size {size:g}")


def prior_learns(make: Make) -> None:
    prior = shaken(make(K))
    every_parameter_learns(prior, lambda: -prior().log_prob(2 * torch.randn(200, K)).mean())


def _p(make: Make, latent_dim: int) -> Distribution:
    return shaken(make(latent_dim)).double().eval()()


def prior_normalised(make: Make) -> None:
    for _ in range(2):
        integrates_to_one(_p(make, 1))


def prior_agrees(make: Make) -> None:
    for _ in range(2):
        density_agrees_with_draws(_p(make, K))


def prior_stored(make: Make) -> None:
    codes = torch.randn(9, K)
    same_after_state_dict(lambda: make(K).eval(), lambda prior: prior().log_prob(codes))


def prior_chance(make: Make) -> None:
    prior = shaken(make(K)).eval()
    draws_are_the_callers(lambda: prior().sample(Size([3])), prior)


def prior_double(make: Make) -> None:
    p = _p(make, K)
    z = p.sample()
    doubled({"sample": z, "log_prob": p.log_prob(z)})


def prior_trains(make: Make) -> None:
    trains(tiny_vae(prior=make))


POSTERIOR: dict[str, Clause] = {
    "shapes": posterior_shapes,
    "float64": posterior_double,
    "finite at large features": posterior_finite,
    "every parameter learns": posterior_learns,
    "density integrates to 1": posterior_normalised,
    "log_prob agrees with draws": posterior_agrees,
    "rsample is differentiable": posterior_differentiable,
    "from_phi undoes phi": posterior_phi,
    "state_dict holds all": posterior_stored,
    "draws are the caller's": posterior_chance,
    "an image alone": posterior_alone,
    "trains": posterior_trains,
}
PRIOR: dict[str, Clause] = {
    "shapes": prior_shapes,
    "float64": prior_double,
    "finite at far codes": prior_finite,
    "every parameter learns": prior_learns,
    "density integrates to 1": prior_normalised,
    "log_prob agrees with draws": prior_agrees,
    "state_dict holds all": prior_stored,
    "draws are the caller's": prior_chance,
    "trains": prior_trains,
}
