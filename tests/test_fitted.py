"""Priors fitted to codes: in the codes' units, better than a normal where codes are not normal, and the same when rebuilt."""

import copy
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from lowerbound import fitted
from lowerbound.errors import InputError
from lowerbound.fitted import FITTED, fit, fit_prior, gaussian_mixture, normal, whitened
from lowerbound.posterior import DiagonalNormal, Point
from lowerbound.prior import Flow, Mixture, StandardNormal
from lowerbound.rebuilt import rebuild

SHAPE = (1, 2, 2)


def moons(n=1200, seed=0):
    from sklearn.datasets import make_moons

    return make_moons(n, noise=0.06, random_state=seed)[0]


def encoder(head=DiagonalNormal):
    with torch.random.fork_rng([]):
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), head(4, 2))


@pytest.fixture
def quick(monkeypatch):
    """Every fit by gradient takes 30 steps."""
    slow = fitted.fit
    monkeypatch.setattr(fitted, "fit", lambda *given, **how: slow(*given, **{**how, "steps": 30}))


def fitted_quickly(name, codes, **how):
    return fit_prior(name, codes, encoder=encoder(), image_shape=SHAPE, **how)


def test_the_normal_has_the_mean_and_covariance_of_the_codes():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(5000, 3)) @ rng.normal(size=(3, 3)) * [1e-2, 1, 1e2] + [3, -4, 500]
    found = normal(codes)
    p = found.prior()
    spread = codes.std(0)
    assert (np.abs(p.mean.numpy() - codes.mean(0)) < 0.05 * spread).all()
    expected, covariance = np.cov(codes.T), p.covariance_matrix.numpy()
    assert np.abs((covariance - expected) / np.outer(spread, spread)).max() < 0.05
    entropy = p.entropy().item()
    assert abs(found.log_likelihood.mean + entropy) < 5 * found.log_likelihood.standard_error


@pytest.mark.parametrize("name", FITTED)
def test_what_is_fitted_is_saved_and_rebuilt_the_same(name, quick):
    prior = fitted_quickly(name, moons(200)).prior
    state = torch.random.get_rng_state()
    twin = rebuild(name, load(save(prior.state_dict())), encoder=encoder())
    assert torch.equal(torch.random.get_rng_state(), state)
    z = torch.randn(50, 2)
    with torch.no_grad():
        assert torch.equal(prior().log_prob(z), twin().log_prob(z))
    torch.manual_seed(1)
    draws = prior().sample((7,))
    torch.manual_seed(1)
    assert torch.equal(twin().sample((7,)), draws)
    assert prior.latent_dim == twin.latent_dim == 2


@pytest.mark.parametrize("name", FITTED)
def test_fits_repeat_and_leave_the_callers_random_numbers_alone(name, quick):
    state, legacy = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again = (fitted_quickly(name, moons(200), seed=4) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (np.random.get_state()[1] == legacy).all()  # noqa: NPY002
    assert first.log_likelihood == again.log_likelihood
    for key, tensor in first.prior.state_dict().items():
        assert torch.equal(tensor, again.prior.state_dict()[key])


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("name", [name for name in FITTED if name != "vamp"])
def test_a_code_that_never_changes_or_is_far_out_does_no_harm(name, k, quick):
    codes = np.random.default_rng(0).normal(size=(60, k)).astype(np.float32) * 40 + 1000
    codes[:, -1] = 7.0
    found = fit_prior(name, codes)
    assert math.isfinite(found.log_likelihood.mean)
    z = found.prior().sample((500,))
    assert z.isfinite().all()
    assert (z[:, -1] - 7).abs().max() < 1
    rebuild(name, found.prior.state_dict())


def test_densities_are_of_the_codes_in_their_own_units():
    codes = moons(300) * [100, 0.01] + [5, -3]
    prior = whitened(Mixture(2, components=3), codes).double()
    grid = [torch.linspace(-400, 500, 301).double(), torch.linspace(-3.05, -2.95, 301).double()]
    area = (grid[0][1] - grid[0][0]) * (grid[1][1] - grid[1][0])
    with torch.no_grad():
        total = prior().log_prob(torch.stack(torch.meshgrid(*grid, indexing="ij"), -1)).exp().sum() * area
    assert total.item() == pytest.approx(1, abs=5e-3)
    z = prior().sample((4000,)).numpy()
    assert (np.abs(z.mean(0) - prior().mean.detach().numpy()) < 5 * z.std(0) / math.sqrt(4000)).all()


@pytest.mark.slow
def test_codes_of_two_moons_are_no_normal():
    codes = moons(3000)
    alone = fit(StandardNormalLike(), codes, steps=1).log_likelihood
    plain = normal(codes).log_likelihood
    mixture = gaussian_mixture(codes).log_likelihood
    learned = fit(whitened(Mixture(2), codes), codes, steps=300, learning_rate=0.03).log_likelihood
    for better in (mixture, learned):
        assert better.mean > plain.mean + 5 * (better.standard_error**2 + plain.standard_error**2) ** 0.5
    assert plain.mean > alone.mean


@pytest.mark.slow
def test_a_flow_learns_two_moons():
    codes = moons(3000)
    flow, plain = fit_prior("flow", codes).log_likelihood, normal(codes).log_likelihood
    assert flow.mean > plain.mean + 1


class StandardNormalLike(nn.Module):
    """N(0, s^2), which begins and, after one small step, nearly ends at the standard normal."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self):
        return torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), self.scale), 1)


def test_em_chooses_by_codes_it_has_not_seen():
    rng = np.random.default_rng(0)
    centres = np.array([[-20, 0], [20, 0], [0, 20], [0, -20], [0, 0]])
    clusters = centres[rng.integers(5, size=1000)] + rng.normal(size=(1000, 2))
    prior = gaussian_mixture(clusters, components=(1, 2, 5)).prior
    assert len(prior.weights) == 5
    nearest = np.linalg.norm(centres[:, None] - prior.means.numpy(), axis=-1).min(1)
    assert (nearest < 0.5).all()
    assert len(gaussian_mixture(rng.normal(size=(100, 3)), components=(1, 30)).prior.weights) == 1  # 30 learn by heart


def test_scores_are_of_codes_that_had_no_say():
    """Codes seen by nobody score as those held out do, within the stated error."""
    codes = moons(2000)
    found = gaussian_mixture(codes, components=(5,))
    with torch.no_grad():
        fresh = found.prior().log_prob(torch.from_numpy(moons(4000, seed=9)).float()).double()
    error = math.hypot(found.log_likelihood.standard_error, fresh.std().item() / math.sqrt(4000))
    assert abs(found.log_likelihood.mean - fresh.mean().item()) < 5 * error


def test_the_result_is_never_worse_than_the_start_even_when_steps_are_wild():
    codes = np.random.default_rng(0).normal(size=(2000, 2))
    flow = Flow(2, transforms=2, hidden=[8])
    start = copy.deepcopy(flow.state_dict())
    found = fit(flow, codes, steps=20, learning_rate=100.0)
    assert found.log_likelihood.mean > -4
    for key, tensor in found.prior.state_dict().items():
        assert torch.equal(tensor, start[key]), key


@pytest.mark.slow
def test_a_vamp_prior_is_fitted_without_touching_the_encoder():
    model = encoder()
    before = copy.deepcopy(model.state_dict())
    images = np.random.default_rng(0).integers(0, 256, (300, *SHAPE)).astype(np.uint8)
    with torch.no_grad():
        codes = model(torch.from_numpy(images).float() / 255).sample().numpy()
    found = fit_prior("vamp", codes, encoder=model, image_shape=SHAPE, images=images)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert all(weights.grad is None for weights in model.parameters())
    assert set(found.prior.state_dict()) == {"logits"}
    plain = normal(codes).log_likelihood
    assert found.log_likelihood.mean > plain.mean - 3 * plain.standard_error


def test_a_prior_without_parameters_is_only_told_what_it_is_worth():
    codes = np.random.default_rng(0).normal(size=(3000, 3))
    found = fit(StandardNormal(3), codes)
    exact = -1.5 * (1 + math.log(2 * math.pi))
    assert abs(found.log_likelihood.mean - exact) < 5 * found.log_likelihood.standard_error


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("gives a point", lambda: fit_prior("vamp", moons(50), encoder=encoder(Point), image_shape=SHAPE)),
        ('take "gmm" or "flow"', lambda: fit_prior("vamp", moons(50))),
        ('did you mean "flow"', lambda: fit_prior("flwo", moons(50))),
        ("at least 20", lambda: fit_prior("flow", moons(19))),
        ("codes have shape", lambda: normal(np.zeros(50))),
        ("not finite", lambda: normal(np.full((50, 2), np.nan))),
        ("components are", lambda: gaussian_mixture(moons(50), components=(400,))),
        ("needs the encoder", lambda: rebuild("vamp", {"logits": torch.zeros(3, *SHAPE)})),
        ("fit it again", lambda: rebuild("normal", {})),
        ("fit it again", lambda: rebuild("normal", {"loc": torch.zeros(3), "scale_tril": torch.eye(2)})),
        (
            "fit it again",
            lambda: rebuild("normal", {"loc": torch.zeros(2), "scale_tril": torch.full((2, 2), math.nan)}),
        ),
        ("fit it again", lambda: rebuild("flow", normal(moons(50)).prior.state_dict())),
        ("fit it again", lambda: rebuild("normal", gaussian_mixture(moons(50)).prior.state_dict())),
        (
            "fit it again",
            lambda: rebuild("mixture", {**whitened(Mixture(2), moons(50)).state_dict(), "more": torch.ones(1)}),
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(message, call):
    with pytest.raises(InputError, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
