"""p(z): densities that total 1, draws that have them, gradients for all that is learned."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from lowerbound import prior as priors
from lowerbound.errors import InputError
from lowerbound.flow import FlowNormal
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal, Point
from lowerbound.prior import Flow, Mixture, MixtureDistribution, StandardNormal, VampPrior

SHAPE = (1, 3, 3)
HEADS = [IsotropicNormal, DiagonalNormal, FullNormal, FlowNormal]


def encoder(k, head=IsotropicNormal):
    how = {"hidden": [8], "context": 2} if head is FlowNormal else {}
    return nn.Sequential(nn.Flatten(), head(9, k, **how))


def vamp(k, head=IsotropicNormal):
    prior = VampPrior(encoder(k, head), SHAPE, components=4)
    prior.encoder.double()
    return prior


LEARNED = {
    "mixture": lambda k: Mixture(k, components=4),
    "vamp": vamp,
    "flow": lambda k: Flow(k, transforms=3, hidden=[8]),
}
for each in HEADS[1:]:
    LEARNED[f"vamp of {each.__name__}"] = lambda k, head=each: vamp(k, head)
EVERY = {"standard normal": StandardNormal, **LEARNED}


@pytest.fixture(params=EVERY, ids=str)
def make(request):
    return EVERY[request.param]


@pytest.mark.parametrize("k", [1, 2, 50])
def test_the_standard_density_is_the_closed_form(k):
    z = torch.randn(7, 3, k, dtype=torch.float64)
    expected = -k / 2 * math.log(2 * math.pi) - z.square().sum(-1) / 2
    p = StandardNormal(k).double()()
    assert (p.batch_shape, p.event_shape) == ((), (k,))
    torch.testing.assert_close(p.log_prob(z), expected)


def test_the_standard_normal_holds_nothing_to_learn_or_to_store_and_follows_the_model():
    prior = StandardNormal(3)
    assert not list(prior.parameters())
    assert not prior.state_dict()
    assert prior.double()().mean.dtype == torch.float64
    assert prior.to("meta").zeros.device.type == "meta"


@pytest.mark.parametrize("k", [1, 3])
def test_every_prior_takes_any_leading_axes(make, k):
    prior = make(k).double()
    p = prior()
    assert (prior.latent_dim, p.batch_shape, p.event_shape) == (k, (), (k,))
    assert p.mean.shape == (k,)
    for lead in [(), (4,), (2, 3, 5)]:
        z = p.sample(lead)
        assert (z.shape, z.dtype, z.requires_grad) == ((*lead, k), torch.float64, False)
        assert p.log_prob(z).shape == lead
    z = p.sample((2, 3))
    torch.testing.assert_close(p.log_prob(z)[1, 2], p.log_prob(z[1, 2]))


@pytest.mark.parametrize("k", [1, 2])
def test_total_probability_is_one(make, k):
    p = make(k).double()()
    grid = torch.linspace(-10, 10, 161, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*[grid] * k, indexing="ij"), -1)
    with torch.no_grad():
        total = p.log_prob(points).exp().sum() * (grid[1] - grid[0]) ** k
    assert total.item() == pytest.approx(1, abs=1e-3)


def test_draws_have_the_density_they_are_scored_with(make):
    p = make(2).double()()
    grid = torch.linspace(-10, 10, 161, dtype=torch.float64)
    plane = torch.stack(torch.meshgrid(grid, grid, indexing="ij"), -1)
    n = 20_000
    with torch.no_grad():
        density = p.log_prob(plane).exp() * (grid[1] - grid[0]) ** 2
        entropy = -(density * p.log_prob(plane)).sum()
        mean = (density[..., None] * plane).sum((0, 1))
        z = p.sample((n,))
        scores = p.log_prob(z)
    assert abs(scores.mean() + entropy) < 5 * scores.std() / math.sqrt(n) + 2e-3
    assert ((z.mean(0) - mean).abs() < 5 * z.std(0) / math.sqrt(n) + 2e-3).all()


def test_the_same_seed_draws_the_same(make):
    p = make(3).double()()
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(p.sample((6,)))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("name", LEARNED)
@pytest.mark.parametrize("k", [1, 4])
def test_every_parameter_gets_a_gradient(name, k):
    prior = LEARNED[name](k).double()
    (-prior().log_prob(torch.randn(20, k, dtype=torch.float64)).mean()).backward()
    parameters = list(prior.named_parameters())
    assert parameters
    for where, weights in parameters:
        assert 0 < weights.grad.abs().max() < math.inf, where


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_far_codes_and_wild_parameters_make_no_nan(make, size):
    prior = make(3).float()
    if isinstance(prior, VampPrior):
        prior.encoder.float()
    with torch.no_grad():
        for weights in prior.parameters():
            weights.add_(size * torch.randn_like(weights) / 10)
    z = (size * torch.randn(50, 3)).requires_grad_()
    scores = prior().log_prob(z)
    scores.mean().backward()
    assert scores.isfinite().all()
    assert z.grad.isfinite().all()
    assert all(weights.grad.isfinite().all() for weights in prior.parameters())
    assert prior().sample((50,)).isfinite().all()


def test_mixtures_agree_with_torchs(monkeypatch):
    means, scales, logits = torch.randn(5, 3), torch.rand(5, 3) + 0.2, torch.randn(5)
    components = Independent(Normal(means, scales), 1)
    theirs = MixtureSameFamily(Categorical(logits=logits), components)
    ours = MixtureDistribution(logits.log_softmax(-1), components)
    z = 2 * torch.randn(4, 9, 3)
    torch.testing.assert_close(ours.log_prob(z), theirs.log_prob(z))
    torch.testing.assert_close(ours.mean, theirs.mean)
    torch.testing.assert_close(ours.variance, theirs.variance)
    whole = ours.log_prob(z)
    monkeypatch.setattr(priors, "BLOCK", 5 * 3 * 7)  # blocks of seven codes
    torch.testing.assert_close(ours.log_prob(z), whole)
    draws = ours.sample((5000,))
    assert ((draws.mean(0) - ours.mean).abs() < 5 * ours.stddev / math.sqrt(5000)).all()


def test_draws_are_independent_of_their_place():
    far = Independent(Normal(torch.tensor([[-10.0], [0.0], [10.0]]), torch.ones(3, 1)), 1)
    p = MixtureDistribution(torch.tensor([0.2, 0.3, 0.5]).log(), far)
    came_from = (p.sample((6000,))[:, 0] / 10).round()
    for half in came_from.chunk(2):
        for value, weight in [(-1, 0.2), (0, 0.3), (1, 0.5)]:
            assert (half == value).float().mean().item() == pytest.approx(weight, abs=5 * 0.5 / math.sqrt(3000))
    assert p.sample((3000,)).unique().numel() > 2990  # no draw is given twice


def test_a_mixture_starts_near_the_standard_normal_with_unlike_components():
    p = Mixture(20, components=200)()
    assert p.mean.abs().max() < 0.2
    assert (p.variance - 1).abs().max() < 0.2
    assert torch.pdist(p.components.mean).min() > 0.1


@pytest.mark.parametrize("head", HEADS)
def test_a_vamp_prior_is_the_mean_posterior_of_its_images(head):
    prior = vamp(2, head).double()
    z = torch.randn(6, 2, dtype=torch.float64)
    each = torch.stack([prior.encoder(image[None]).log_prob(z) for image in prior.images])
    torch.testing.assert_close(prior().log_prob(z), each.logsumexp(0) - math.log(4))
    assert ((prior.images > 0) & (prior.images < 1)).all()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = encoder(2)
        self.prior = VampPrior(self.encoder, SHAPE, components=4)


def test_a_vamp_prior_uses_the_models_encoder_and_holds_no_copy():
    model = Model()
    assert set(model.prior.state_dict()) == {"logits"}
    assert sum(name.endswith("linear.weight") for name in model.state_dict()) == 1
    twin = copy.deepcopy(model)
    assert twin.prior.encoder is twin.encoder
    assert twin.encoder is not model.encoder
    before = model.prior().log_prob(torch.zeros(2))
    with torch.no_grad():
        twin.encoder[-1].linear.bias.add_(1)
    assert torch.equal(model.prior().log_prob(torch.zeros(2)), before)
    assert not torch.equal(twin.prior().log_prob(torch.zeros(2)), before)
    assert model.double().prior().log_prob(torch.zeros(2, dtype=torch.float64)).dtype == torch.float64


def test_a_vamp_prior_starts_from_images_and_can_leave_black_and_white():
    start = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (7, *SHAPE))
    prior = VampPrior(encoder(2), SHAPE, start=start)
    assert (prior.images - torch.from_numpy(start / 255)).abs().max() < 0.011
    (-prior().log_prob(torch.randn(50, 2)).mean()).backward()
    assert (prior.logits.grad.abs() > 0).all()


def test_a_vamp_prior_needs_a_density_and_fitting_images():
    with pytest.raises(InputError, match="gives a point"):
        VampPrior(encoder(2, Point), SHAPE)
    with pytest.raises(InputError, match="images have shape"):
        VampPrior(encoder(2), SHAPE, start=np.zeros((5, 1, 4, 4), np.uint8))
    with pytest.raises(InputError, match="no images"):
        VampPrior(encoder(2), SHAPE, start=np.zeros((0, *SHAPE), np.uint8))
