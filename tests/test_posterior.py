"""Heads to q(z|x): phi is exact, draws are what the distribution says, and nothing overflows."""

import math

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowerbound.bounding import softly_bounded
from lowerbound.posterior import LOG_SCALE_RANGE, DiagonalNormal, FullNormal, IsotropicNormal, Point, PointMass

LOW, HIGH = LOG_SCALE_RANGE


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9),
    st.floats(-12, 12, width=32),
    st.integers(1, 4),
)
def test_phi_is_the_means_and_the_log_standard_deviation_exactly(means, log_scale, batch):
    phi = torch.tensor([*means, log_scale]).repeat(batch, 1)
    q = IsotropicNormal.from_phi(phi)
    assert q.batch_shape == (batch,)
    assert q.event_shape == (len(means),)
    assert torch.equal(q.mean, phi[:, :-1])
    assert torch.equal(q.stddev, phi[:, -1:].exp().expand_as(q.mean))
    deviations = torch.tensor([math.exp(log_scale)], dtype=torch.float64).expand_as(q.mean)
    torch.testing.assert_close(q.stddev.double(), deviations, rtol=1e-5, atol=0)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 7))
def test_the_density_is_the_closed_form(batch, k):
    phi, z = torch.randn(batch, k + 1, dtype=torch.float64), torch.randn(batch, k, dtype=torch.float64)
    mean, log_scale = phi[:, :-1], phi[:, -1]
    squares = (z - mean).square().sum(1)
    expected = -k / 2 * math.log(2 * math.pi) - k * log_scale - squares / (2 * (2 * log_scale).exp())
    torch.testing.assert_close(IsotropicNormal.from_phi(phi).log_prob(z), expected)


@settings(max_examples=100, deadline=None)
@given(st.floats(-(2.0**100), 2.0**100, width=32))
@example(16777220.0)  # from 2^24 on the difference of two large numbers was 0 to 4
@example(-(2.0**100))
@example(2.0**100)
def test_bounds_hold_for_any_number(value):
    bounded = softly_bounded(torch.tensor(value), LOW, HIGH).item()
    assert LOW - 1e-5 <= bounded <= HIGH + 1e-5


@settings(max_examples=100, deadline=None)
@given(st.floats(LOW - 5, HIGH + 5), st.floats(1e-3, 1))
def test_bounds_are_soft_and_nearly_the_identity_inside(value, more):
    here = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    bounded = softly_bounded(here, LOW, HIGH)
    (slope,) = torch.autograd.grad(bounded, here)
    assert 0 < slope < 1
    assert softly_bounded(here.detach() + more, LOW, HIGH) > bounded
    inside = min(value - LOW, HIGH - value)
    if inside > 0:
        assert abs(bounded.item() - value) <= math.exp(-inside)


@pytest.mark.parametrize("size", [0.0, 1.0, 1e4, 1e30])
def test_a_head_gives_a_proper_distribution_for_any_features(size):
    head = IsotropicNormal(6, latent_dim=3)
    q = head(size * torch.randn(50, 6))
    assert q.stddev.min() >= math.exp(LOW) * 0.999
    assert q.stddev.max() <= math.exp(HIGH) * 1.001
    assert torch.isfinite(q.rsample()).all()
    assert torch.equal(q.stddev, q.stddev[:, :1].expand(50, 3))  # isotropic


def test_a_head_is_its_linear_layer_and_from_phi():
    head = IsotropicNormal(6, latent_dim=3)
    features = torch.randn(5, 6)
    *means, log_scale = head.linear(features).unbind(-1)
    assert head.linear.out_features == 3 + 1
    assert torch.equal(head(features).mean, torch.stack(means, -1))
    assert torch.equal(head(features).stddev[:, 0], softly_bounded(log_scale, LOW, HIGH).exp())


def test_draws_carry_gradients_to_mean_and_scale():
    phi = torch.randn(4, 3, requires_grad=True)
    noise_free = torch.manual_seed(0)
    z = IsotropicNormal.from_phi(phi).rsample((100,))
    assert z.shape == (100, 4, 2)
    (gradient,) = torch.autograd.grad(z.sum(), phi)
    noise = torch.randn(z.shape, generator=noise_free.manual_seed(0))  # z = mean + sigma e
    torch.testing.assert_close(gradient[:, :2], torch.full((4, 2), 100.0))
    torch.testing.assert_close(gradient[:, 2], noise.sum((0, 2)) * phi[:, 2].exp().detach(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("k", [1, 2, 20])
def test_draws_have_the_mean_and_deviation_of_phi(k):
    torch.manual_seed(k)
    draws, deviations = 20_000, torch.tensor([0.01, 1.0, 5.0])
    phi = torch.cat([torch.randn(3, k), deviations.log()[:, None]], 1)
    z = IsotropicNormal.from_phi(phi).sample((draws,)).double()
    errors = deviations[:, None] / math.sqrt(draws)
    assert ((z.mean(0) - phi[:, :-1]).abs() < 5 * errors).all()
    assert ((z.std(0) - deviations[:, None]).abs() < 5 * errors / math.sqrt(2)).all()


def test_a_circle_of_two_sigma_holds_86_percent_of_the_draws():
    torch.manual_seed(0)
    draws = 20_000
    q = IsotropicNormal.from_phi(torch.tensor([[3.0, -1.0, math.log(0.3)]]))
    radius = (q.sample((draws,)) - q.mean).norm(dim=-1) / 0.3
    for sigmas in (0.5, 1.0, 2.0, 3.0):
        inside = 1 - math.exp(-(sigmas**2) / 2)  # 0.865 for two sigma
        error = math.sqrt(inside * (1 - inside) / draws)
        assert abs((radius < sigmas).double().mean().item() - inside) < 5 * error


def test_a_point_mass_is_its_code():
    code = torch.randn(3, 2, requires_grad=True)
    q = PointMass(code)
    assert (q.batch_shape, q.event_shape) == ((3,), (2,))
    assert torch.equal(q.mean, code)
    assert not q.variance.any()
    assert not q.stddev.any()
    for shape in [(), (5,), (2, 4), torch.Size([1])]:
        assert torch.equal(q.rsample(shape), code.expand(*shape, 3, 2))
        assert torch.equal(q.sample(shape), code.expand(*shape, 3, 2))
    (gradient,) = torch.autograd.grad(q.rsample((5,)).sum(), code)
    assert torch.equal(gradient, torch.full((3, 2), 5.0))


def test_a_point_mass_has_no_density_and_checks_its_code():
    with pytest.raises(NotImplementedError):
        PointMass(torch.zeros(3, 2)).log_prob(torch.zeros(3, 2))
    with pytest.raises(ValueError, match="parameter code"):
        PointMass(torch.full((3, 2), math.nan), validate_args=True)


def test_a_point_head_is_linear():
    head = Point(4, latent_dim=2)
    one, other = torch.randn(3, 4), torch.randn(3, 4)
    zero = head(torch.zeros(3, 4)).mean
    torch.testing.assert_close(head(one + other).mean, head(one).mean + head(other).mean - zero)


HEADS = [IsotropicNormal, DiagonalNormal, FullNormal]


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("head", HEADS)
def test_phi_of_zero_is_the_standard_normal(head, k):
    q = head.from_phi(torch.zeros(3, head.phi_size(k)))
    assert torch.equal(q.mean, torch.zeros(3, k))
    assert torch.equal(q.stddev, torch.ones(3, k))
    z = torch.randn(5, 3, k)
    torch.testing.assert_close(q.log_prob(z), torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1))


@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_its_phi(head):
    made = head(10, 4)
    features = 100 * torch.randn(6, 10)
    q, phi = made(features), made.phi(features)
    assert phi.shape == (6, head.phi_size(4))
    assert phi[:, 4:8].min() >= LOG_SCALE_RANGE[0] - 1e-4 if head is not IsotropicNormal else True
    z = torch.randn(6, 4)
    torch.testing.assert_close(head.from_phi(phi).log_prob(z), q.log_prob(z))


def test_a_full_normal_has_the_covariance_that_phi_says():
    k = 4
    phi = torch.randn(5, FullNormal.phi_size(k), dtype=torch.float64)
    q = FullNormal.from_phi(phi)
    for one, covariance in zip(phi, q.covariance_matrix, strict=True):
        below = torch.eye(k, dtype=torch.float64)
        below[tuple(torch.tril_indices(k, k, -1))] = one[2 * k :]
        factor = torch.diag(one[k : 2 * k].exp()) @ below
        torch.testing.assert_close(covariance, factor @ factor.T)
    assert torch.equal(q.mean, phi[:, :k])


@pytest.mark.parametrize("scale", [-6.0, 0.0, 2.0])
def test_steps_below_the_diagonal_never_make_a_narrow_full_normal_singular(scale):
    """What moves q by as much whatever its width: 20 numbers below ones a tenth off leave M far from singular."""
    k = 20
    phi = torch.zeros(1, FullNormal.phi_size(k))
    phi[:, k : 2 * k], phi[:, 2 * k :] = scale, 0.1
    inverse = torch.linalg.inv(FullNormal.from_phi(phi).scale_tril / math.exp(scale))
    assert inverse.abs().max() < 2
