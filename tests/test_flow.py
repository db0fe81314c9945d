"""Flows: invertible, with the right determinant, a density of total 1, started at the normal, and quiet about zuko."""

import copy
import math
import subprocess
import sys

import pytest
import torch
from torch.distributions import Independent, Normal

from lowerbound.flow import FlowDistribution, FlowNormal, coupling
from lowerbound.posterior import LOG_SCALE_RANGE
from lowerbound.prior import Flow


def far_from_its_start(module):
    """Weights as training might leave them: the map is no longer near the identity."""
    with torch.no_grad():
        for weights in module.transform.parameters():
            weights.add_(0.4 * torch.randn_like(weights))
    return module.double()


def a_posterior(k, batch=4, context=3):
    head = far_from_its_start(FlowNormal(5, k, context=context, hidden=[8]))
    return head, head(torch.randn(batch, 5, dtype=torch.float64))


@pytest.mark.slow
@pytest.mark.parametrize("checked", [True, False])
def test_torchs_checks_stay_as_they_were(checked):
    code = f"""
import torch
from torch.distributions import Distribution, Normal
Distribution.set_default_validate_args({checked})
from lowerbound.flow import FlowNormal
import sys
assert "zuko" not in sys.modules
for _ in range(2):
    q = FlowNormal(3, 2)(torch.zeros(4, 3))
    q.log_prob(q.rsample((2,)))
assert "zuko" in sys.modules
print(Distribution._validate_args)
try:
    Normal(0.0, -1.0)
    print("unchecked")
except ValueError:
    print("checked")
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(checked), "checked" if checked else "unchecked"]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_map_inverts_and_its_determinant_is_the_jacobians(k):
    _, q = a_posterior(k, batch=1)
    z = 2 * torch.randn(6, 1, k, dtype=torch.float64)
    noise, log_determinant = q.transform.call_and_ladj(z)
    torch.testing.assert_close(q.transform.inv(noise), z)
    assert (noise - z).abs().max() > 0.1  # else this test would pass for the identity
    for at, expected in zip(z, log_determinant, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda z: q.transform(z[None])[0], at[0])
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, expected[0])


def test_total_probability_is_one_in_one_and_two_dimensions():
    for k, at_most in [(1, 30), (2, 12)]:
        p = far_from_its_start(Flow(k, transforms=3, hidden=[8]))()
        grid = torch.linspace(-at_most, at_most, 301 if k == 2 else 20_001, dtype=torch.float64)
        points = torch.stack(torch.meshgrid(*[grid] * k, indexing="ij"), -1)
        with torch.no_grad():
            total = p.log_prob(points).exp().sum() * (grid[1] - grid[0]) ** k
        assert total.item() == pytest.approx(1, abs=2e-3)


def test_draws_have_the_density_they_are_scored_with():
    p = far_from_its_start(Flow(2, transforms=3, hidden=[8]))()
    grid = torch.linspace(-12, 12, 301, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    with torch.no_grad():
        area = (grid[1] - grid[0]) ** 2
        density = p.log_prob(plane).exp()
        entropy = -(density * density.log()).nansum() * area
        mean = (density[..., None] * plane).sum((0, 1)) * area
        z = p.sample((20_000,))
        scores = p.log_prob(z)
    assert abs(scores.mean() + entropy) < 5 * scores.std() / math.sqrt(20_000) + 5e-3
    assert ((z.mean(0) - mean).abs() < 5 * z.std(0) / math.sqrt(20_000) + 5e-3).all()


@pytest.mark.parametrize("k", [1, 2, 20])
def test_q_starts_as_the_diagonal_normal(k):
    head = FlowNormal(5, k)
    phi = head.phi(torch.randn(64, 5)).detach()
    q = head.from_phi(phi)
    start = Independent(Normal(phi[:, :k], phi[:, k : 2 * k].exp()), 1)
    z = q.sample((200,))
    with torch.no_grad():
        divergence = (q.log_prob(z) - start.log_prob(z)).mean()
    assert -0.02 * k < divergence < 0.05 * k
    assert ((q.mean - phi[:, :k]).abs() < 0.3 * phi[:, k : 2 * k].exp()).all()


@pytest.mark.parametrize("k", [1, 3])
def test_phi_is_exact_and_fixes_q(k):
    head, _ = a_posterior(k)
    features = torch.randn(2, 6, 5, dtype=torch.float64)
    z = torch.randn(7, 2, 6, k, dtype=torch.float64)
    phi = head.phi(features)
    assert phi.shape == (2, 6, head.phi_size(k))
    torch.testing.assert_close(head(features).log_prob(z), head.from_phi(phi).log_prob(z), rtol=0, atol=0)
    for place in range(head.phi_size(k)):  # every number of phi matters
        moved = phi.clone()
        moved[..., place] += 0.5
        assert (head.from_phi(moved).log_prob(z) - head.from_phi(phi).log_prob(z)).abs().max() > 1e-6
    shifted = phi.clone()
    shifted[..., :k] += 1.5  # the mean moves q as a whole
    torch.testing.assert_close(head.from_phi(shifted).log_prob(z + 1.5), head.from_phi(phi).log_prob(z))


def test_each_image_has_its_own_q():
    head, q = a_posterior(2)
    phi = torch.randn(3, head.phi_size(2), dtype=torch.float64)
    z = torch.randn(5, 3, 2, dtype=torch.float64)
    together = head.from_phi(phi).log_prob(z)
    apart = torch.stack([head.from_phi(phi[n]).log_prob(z[:, n]) for n in range(3)], 1)
    torch.testing.assert_close(together, apart)
    assert q.rsample().shape == q.mean.shape == (4, 2)
    assert torch.equal(q.mean, q.mean)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_gradients_reach_phi_and_every_weight(k):
    head = FlowNormal(5, k, hidden=[8])
    q = head(torch.randn(16, 5))
    (q.log_prob(q.rsample((3,))) + q.rsample().square().sum(-1)).mean().backward()
    for name, weights in head.named_parameters():
        assert 0 < weights.grad.abs().max() < math.inf, name


def test_the_reparameterised_gradient_is_that_of_finite_differences():
    head, _ = a_posterior(2)
    phi = torch.randn(1, head.phi_size(2), dtype=torch.float64, requires_grad=True)

    def loss(phi):
        torch.manual_seed(3)
        q = head.from_phi(phi)
        z = q.rsample((4,))
        return (q.log_prob(z) + z.square().sum(-1)).mean()

    assert torch.autograd.gradcheck(loss, phi)


@pytest.mark.parametrize("size", [1e3, 1e5])
@pytest.mark.parametrize("k", [1, 4])
def test_nothing_overflows(k, size):
    head = FlowNormal(3, k)
    q = head(size * torch.randn(10, 3))
    z = q.rsample((5,))
    (q.log_prob(z) + q.log_prob(size * torch.randn(5, 10, k)).clamp(-1e30)).sum().backward()
    assert z.isfinite().all()
    assert all(weights.grad.isfinite().all() for weights in head.parameters())
    low, high = LOG_SCALE_RANGE
    log_scale = q.scale.log()
    assert log_scale.min() >= low - 1e-4
    assert log_scale.max() <= high + 1e-4


def test_a_bad_code_or_scale_is_refused_while_torch_checks():
    p = FlowDistribution(torch.zeros(2), torch.ones(2), coupling(2, transforms=1, hidden=[4])())
    with pytest.raises(ValueError, match="support"):
        p.log_prob(torch.tensor([math.nan, 0.0]))
    with pytest.raises(ValueError, match="scale"):
        FlowDistribution(torch.zeros(2), -torch.ones(2), None)


def test_a_copy_is_independent_and_the_same():
    head, _ = a_posterior(2)
    twin = copy.deepcopy(head)
    features, z = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    assert torch.equal(head(features).log_prob(z), twin(features).log_prob(z))
    other = FlowNormal(5, 2, context=3, hidden=[8]).double()
    other.load_state_dict(head.state_dict())
    assert torch.equal(head(features).log_prob(z), other(features).log_prob(z))
