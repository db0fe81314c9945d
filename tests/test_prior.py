"""p(z): a standard normal over codes."""

import math

import pytest
import torch

from lowerbound.prior import StandardNormal


@pytest.mark.parametrize("k", [1, 2, 50])
def test_the_density_is_the_closed_form(k):
    z = torch.randn(7, 3, k, dtype=torch.float64)
    expected = -k / 2 * math.log(2 * math.pi) - z.square().sum(-1) / 2
    p = StandardNormal(k).double()()
    assert (p.batch_shape, p.event_shape) == ((), (k,))
    torch.testing.assert_close(p.log_prob(z), expected)


def test_total_probability_is_one():
    grid = torch.linspace(-8, 8, 401, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    total = StandardNormal(2).double()().log_prob(plane).exp().sum() * (grid[1] - grid[0]) ** 2
    assert total.item() == pytest.approx(1, abs=1e-9)


def test_draws_are_standard():
    torch.manual_seed(0)
    z = StandardNormal(3)().sample((20_000,)).double()
    assert z.shape == (20_000, 3)
    assert (z.mean(0).abs() < 5 / math.sqrt(20_000)).all()
    assert ((z.T.cov() - torch.eye(3)).abs() < 5 * math.sqrt(2 / 20_000)).all()


def test_it_holds_nothing_to_learn_or_to_store_and_follows_the_model():
    prior = StandardNormal(3)
    assert not list(prior.parameters())
    assert not prior.state_dict()
    assert prior.double()().mean.dtype == torch.float64
    assert prior.to("meta").zeros.device.type == "meta"
