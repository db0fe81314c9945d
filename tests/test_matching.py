"""Objectives about all codes together, against sums written out, exact mixtures and identities."""

import math
from itertools import combinations
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from lowerbound.errors import InputError
from lowerbound.matching import MatchedCodes, MaximumMeanDiscrepancy, TotalCorrelation, mean_discrepancy, split_rate
from lowerbound.objective import Elbo, SquaredError
from lowerbound.posterior import PointMass
from lowerbound.prior import StandardNormal
from lowerbound.schedule import Linear

SHAPE = (1, 2, 3)
K = 2


def product(batch, k=K, width=1.0):
    mean, scale = torch.randn(batch, k).double(), width * (torch.rand(batch, k).double() + 0.2)
    return Independent(Normal(mean, scale), 1)


def standard(k=K):
    return StandardNormal(k).double()()


def model_of(q, prior=None):
    loadings = torch.randn(q.event_shape[0], 6).double()
    return SimpleNamespace(
        encoder=lambda x: q,
        decoder=lambda z: Independent(Normal((z @ loadings).unflatten(-1, SHAPE), 0.5), 3),
        prior=lambda: prior or standard(q.event_shape[0]),
    )


def mixture(k=K):
    parts = Independent(Normal(torch.tensor([[-1.0] * k, [2.0] * k]).double(), 0.7), 1)
    return MixtureSameFamily(Categorical(torch.ones(2).double()), parts)


def some_images(number=5):
    return torch.rand(number, *SHAPE).double()


def in_words(codes, others):
    """The discrepancy as a sum over pairs, one at a time."""

    def likeness(a, b):
        distance = sum((u - v) ** 2 for u, v in zip(a.tolist(), b.tolist(), strict=True))
        return sum(2 * len(a) * s / (2 * len(a) * s + distance) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    def within(sample):
        pairs = [likeness(a, b) for a, b in combinations(sample, 2)]
        return sum(pairs) / len(pairs)

    across = [likeness(a, b) for a in codes for b in others]
    return within(codes) + within(others) - 2 * sum(across) / len(across)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 6), st.integers(2, 6), st.integers(1, 4))
def test_the_discrepancy_is_the_mean_over_pairs(n, m, k):
    codes, others = torch.randn(n, k).double(), 2 * torch.randn(m, k).double() + 1
    value = mean_discrepancy(codes, others)
    assert value.item() == pytest.approx(in_words(codes, others))
    torch.testing.assert_close(mean_discrepancy(others, codes), value)
    torch.testing.assert_close(mean_discrepancy(codes[torch.randperm(n)] + 3, others + 3), value)


@pytest.mark.parametrize(("shift", "stretch", "same"), [(0, 1, True), (0.5, 1, False), (0, 2, False), (0, 0, False)])
def test_the_discrepancy_is_zero_on_average_where_the_distributions_are_one(shift, stretch, same):
    values = torch.stack(
        [mean_discrepancy(shift + stretch * torch.randn(10, 3), torch.randn(12, 3)) for _ in range(1000)]
    )
    mean, error = values.mean(), values.std() / math.sqrt(len(values))
    assert (mean.abs() < 4 * error) if same else (mean > 8 * error)


@pytest.mark.parametrize("number", [1, 2])
def test_few_codes_still_have_a_discrepancy(number):
    codes = torch.randn(number, 3, requires_grad=True)
    value = mean_discrepancy(codes, torch.randn(number, 3))
    assert value.isfinite()
    assert torch.autograd.grad(value, codes)[0].isfinite().all()


def test_a_normal_that_follows_the_discrepancy_becomes_the_prior():
    mean, scale = torch.tensor([2.0, -1.0], requires_grad=True), torch.tensor([0.3, 2.0], requires_grad=True)
    optimizer = torch.optim.Adam([mean, scale], lr=0.05)
    trail = []
    for _ in range(300):
        optimizer.zero_grad()
        mean_discrepancy(mean + scale * torch.randn(100, 2), torch.randn(100, 2)).backward()
        optimizer.step()
        trail.append(torch.stack([mean, scale.abs()]).detach().clone())
    expected = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    torch.testing.assert_close(torch.stack(trail[-150:]).mean(0), expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("prior", [None, mixture()])
@pytest.mark.parametrize(("weight", "rate_weight"), [(0.0, 1.0), (0.0, 0.3), (50.0, 0.0), (Linear(0.0, 80.0), 0.5)])
def test_the_loss_is_the_weighted_sum(weight, rate_weight, prior):
    model, images = model_of(product(5), prior), some_images()
    torch.manual_seed(4)
    terms = MaximumMeanDiscrepancy(weight, rate_weight)(model, images, 0.5)
    torch.manual_seed(4)
    elbo = Elbo()(model, images)
    torch.manual_seed(4)
    z = model.encoder(images).rsample((1,))[0]
    p = model.prior()
    others = p.sample((5,)) if prior else p.rsample((5,))
    torch.testing.assert_close(terms.distortion, elbo.distortion)
    torch.testing.assert_close(terms.rate, elbo.rate)
    number = weight(0.5) if callable(weight) else weight
    expected = elbo.distortion + rate_weight * elbo.rate + number * mean_discrepancy(z, others)
    torch.testing.assert_close(terms.loss, expected)


def plain_model():
    return SimpleNamespace(
        encoder=lambda x: PointMass(2 * x.flatten(1)), decoder=lambda z: z.unflatten(-1, SHAPE) / 2 + 0.1
    )


def test_matched_codes_add_the_discrepancy_to_the_squared_error():
    model, images = plain_model(), some_images()
    torch.manual_seed(4)
    terms = MatchedCodes(weight=0.5)(model, images)
    torch.manual_seed(4)
    codes = model.encoder(images).rsample()
    torch.testing.assert_close(terms.distortion, torch.full((5,), 0.01).double())
    torch.testing.assert_close(terms.loss, 0.01 + 0.5 * mean_discrepancy(codes, torch.randn_like(codes)).expand(5))
    assert not terms.rate.any()
    assert torch.equal(MatchedCodes(weight=0.0)(model, images).loss, SquaredError()(model, images).loss)


def test_codes_are_matched_to_the_prior_that_is_given():
    model, images = plain_model(), some_images(200)
    codes = model.encoder(images).rsample()
    near = Independent(Normal(codes.mean(0), codes.std(0)), 1)
    far, default = (MatchedCodes(1.0, prior)(model, images).loss[0] for prior in (lambda: near.expand(()), None))
    assert far < default


@settings(max_examples=20, deadline=None)
@given(batch=st.integers(1, 6), k=st.integers(1, 4), extra=st.integers(0, 1000))
def test_the_three_parts_are_the_rate_of_the_same_draws(batch, k, extra):
    q, p = product(batch, k), mixture(k)
    z = q.sample()
    parts = split_rate(q, p, z, batch + extra)
    assert all(part.shape == (batch,) for part in parts)
    torch.testing.assert_close(sum(parts), q.log_prob(z) - p.log_prob(z))


def test_of_the_whole_set_the_parts_are_exact():
    q, p = product(7), standard()
    z = q.sample()
    weights = Categorical(torch.ones(7).double())
    joint = MixtureSameFamily(weights, q).log_prob(z)
    margins = sum(MixtureSameFamily(weights, Normal(q.mean[:, j], q.stddev[:, j])).log_prob(z[:, j]) for j in range(K))
    expected = q.log_prob(z) - joint, joint - margins, margins - p.log_prob(z)
    for part, value in zip(split_rate(q, p, z, images=7), expected, strict=True):
        torch.testing.assert_close(part, value)


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_over_all_batches_with_an_image_the_density_of_its_code_is_right_on_average(batch):
    q, total = product(6), 6
    z = q.sample()
    exact = MixtureSameFamily(Categorical(torch.ones(total).double()), q).log_prob(z[0]).exp()
    guesses = []
    for others in combinations(range(1, total), batch - 1):
        rows = [0, *others]
        some = Independent(Normal(q.mean[rows], q.stddev[rows]), 1)
        mutual, _, _ = split_rate(some, standard(), z[rows], total)
        guesses.append((some.log_prob(z[rows]) - mutual)[0].exp())
    torch.testing.assert_close(torch.stack(guesses).mean(), exact)


def test_what_codes_know_is_at_most_log_n_and_nothing_where_all_q_are_one():
    q = product(50, width=1e-4)  # a code tells its image
    torch.testing.assert_close(split_rate(q, standard(), q.sample(), 50)[0], torch.full((50,), math.log(50)).double())
    one = product(1).expand((50,))
    mutual, correlation, _ = split_rate(one, standard(), one.sample(), 1000)
    torch.testing.assert_close(torch.stack([mutual, correlation]), torch.zeros(2, 50).double(), rtol=0, atol=1e-12)


def test_dimensions_that_say_the_same_have_a_total_correlation():
    size = torch.linspace(-2, 2, 200).double().unsqueeze(1)
    same, crossed = (
        Independent(Normal(torch.cat([size, other], 1), 0.1), 1) for other in (size, size[torch.randperm(200)])
    )
    one, other = (split_rate(q, standard(), q.sample(), 200)[1].mean() for q in (same, crossed))
    assert one > 1.5
    assert abs(other) < one - 1


def test_with_weights_of_one_the_loss_is_the_bound():
    model, images = model_of(product(5)), some_images()
    terms = TotalCorrelation(images=100, beta=1.0)(model, images)
    torch.testing.assert_close(terms.loss, terms.distortion + terms.rate)


def test_each_part_has_its_weight():
    q = product(5)
    model, images = model_of(q), some_images()
    torch.manual_seed(4)
    terms = TotalCorrelation(images=100, beta=Linear(0.0, 12.0), mutual=0.5, dimension=2.0)(model, images, 0.5)
    torch.manual_seed(4)
    z = q.rsample()
    mutual, correlation, dimension = split_rate(q, standard(), z, 100)
    torch.testing.assert_close(terms.loss - terms.distortion, 0.5 * mutual + 6 * correlation + 2 * dimension)
    torch.testing.assert_close(terms.distortion, -model.decoder(z).log_prob(images))


def test_a_posterior_that_does_not_factorise_has_no_total_correlation():
    q = MultivariateNormal(torch.zeros(5, K).double(), torch.eye(K).double())
    with pytest.raises(InputError, match=r"does not factorise.*take IsotropicNormal or DiagonalNormal") as caught:
        TotalCorrelation(images=100)(model_of(q), some_images())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TotalCorrelation(images=0),
        lambda: TotalCorrelation(images=10, beta=-1.0),
        lambda: TotalCorrelation(images=10, mutual=math.nan),
        lambda: MaximumMeanDiscrepancy(weight=-1.0),
        lambda: MaximumMeanDiscrepancy(rate_weight=math.inf),
        lambda: MatchedCodes(weight=-0.1),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        wrong()
