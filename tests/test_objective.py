"""Objectives against closed forms: the exact KL, the exact evidence of a linear-Gaussian model, finite differences."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from lowerbound import recipes
from lowerbound.divergence import analytic_kl, draw, is_factorised, kl_per_dimension, sampled_kl
from lowerbound.errors import InputError
from lowerbound.importance import ImportanceWeighted
from lowerbound.matching import MatchedCodes, MaximumMeanDiscrepancy, TotalCorrelation
from lowerbound.objective import Denoising, Elbo, SquaredError, Terms
from lowerbound.posterior import IsotropicNormal, PointMass
from lowerbound.prior import StandardNormal
from lowerbound.schedule import Linear, warm_up

SHAPE = (1, 2, 3)


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x = W z + sigma e with orthogonal columns of W, so that the exact posterior is diagonal: all in closed form.

    q's mean and deviation are the exact posterior's, times or plus an error.
    """

    def __init__(self, shift=0.0, stretch=1.0, sigma=0.5):
        super().__init__()
        self.lengths = torch.tensor([2.0, 0.7], dtype=torch.float64)
        columns = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64))[0]
        self.loadings, self.sigma, self.shift, self.stretch = columns * self.lengths, sigma, shift, stretch
        self.precision = 1 + self.lengths**2 / sigma**2
        self.prior = StandardNormal(2).double()

    def encoder(self, images):
        mean = images.flatten(1) @ self.loadings / self.sigma**2 / self.precision + self.shift
        return Independent(Normal(mean, (self.stretch * self.precision.rsqrt()).expand_as(mean)), 1)

    def decoder(self, codes):
        return Independent(Normal((codes @ self.loadings.T).unflatten(-1, SHAPE), self.sigma), 3)

    def evidence(self, images):
        covariance = self.loadings @ self.loadings.T + self.sigma**2 * torch.eye(6)
        return MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance).log_prob(images.flatten(1))

    def gap(self):
        """KL(q || exact posterior), the same for every image."""
        ratio = torch.full((2,), self.stretch**2, dtype=torch.float64)
        return 0.5 * (ratio - 1 - ratio.log() + self.shift**2 * self.precision).sum().item()


def mean_and_error(values):
    return values.mean(0), values.std(0) / math.sqrt(len(values))


@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 10), log_scale=st.floats(-4, 1.5), seed=st.integers(0, 1000))
def test_the_rate_is_the_closed_form(k, log_scale, seed):
    mean = torch.randn(3, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q = IsotropicNormal.from_phi(torch.cat([mean, torch.full_like(mean[:, :1], log_scale)], 1))
    sigma2 = math.exp(2 * log_scale)
    expected = 0.5 * (mean.square().sum(1) + k * (sigma2 - 1 - 2 * log_scale))
    torch.testing.assert_close(kl_divergence(q, StandardNormal(k).double()()), expected)


@pytest.mark.parametrize("log_scale", [-2.0, 0.0, 1.0])
def test_the_rate_is_what_draws_say(log_scale):
    phi = torch.tensor([[0.5, -1.0, 2.0, log_scale], [0.0, 0.0, 0.0, log_scale]], dtype=torch.float64)
    q, p = IsotropicNormal.from_phi(phi), StandardNormal(3).double()()
    z = q.sample((20_000,))
    mean, error = mean_and_error(q.log_prob(z) - p.log_prob(z))
    assert ((kl_divergence(q, p) - mean).abs() <= 4 * error + 1e-9).all()


@pytest.mark.parametrize(("shift", "stretch"), [(0, 1), (0.3, 1), (0, 2), (-0.1, 0.5)])
def test_the_elbo_is_the_exact_evidence_less_the_gap_of_q(shift, stretch):
    model = LinearGaussian(shift, stretch)
    images = torch.randn(5, *SHAPE, dtype=torch.float64)
    draws = torch.stack([-Elbo(samples=100)(model, images).loss for _ in range(100)])
    bound, error = mean_and_error(draws)
    evidence = model.evidence(images)
    assert ((bound - (evidence - model.gap())).abs() < 4 * error).all()
    assert (bound - 4 * error < evidence).all()
    assert (model.gap() == 0) == ((shift, stretch) == (0, 1))


def vae(**how):
    return recipes.vae((1, 5, 4), latent_dim=3, **how).double()


@settings(max_examples=10, deadline=None)
@given(samples=st.integers(1, 5), batch=st.integers(1, 4))
def test_the_loss_is_distortion_plus_rate_and_every_draw_is_decoded(samples, batch):
    model, images, rows = vae(), torch.rand(batch, 1, 5, 4, dtype=torch.float64), []
    model.decoder.register_forward_hook(lambda part, codes, images: rows.append(tuple(codes[0].shape)))
    terms = Elbo(samples)(model, images)
    assert rows == [(samples, batch, 3)]
    assert terms.loss.shape == terms.distortion.shape == terms.rate.shape == (batch,)
    assert torch.equal(terms.loss, terms.distortion + terms.rate)
    assert (terms.rate >= 0).all()


def test_the_distortion_is_the_mean_over_the_draws():
    model, images = vae(), torch.rand(4, 1, 5, 4, dtype=torch.float64)
    torch.manual_seed(5)
    terms = Elbo(samples=7)(model, images)
    torch.manual_seed(5)
    z = model.encoder(images).rsample((7,))
    each = [-model.decoder(draw).log_prob(images) for draw in z]
    torch.testing.assert_close(terms.distortion, torch.stack(each).mean(0))


def test_more_draws_have_less_variance():
    model, images = LinearGaussian(stretch=2.0), torch.randn(3, *SHAPE, dtype=torch.float64)
    one, many = (
        torch.stack([Elbo(samples)(model, images).loss for _ in range(600)]).var(0).mean() for samples in (1, 16)
    )
    assert one / many == pytest.approx(16, rel=0.3)


@pytest.mark.parametrize("samples", [0, -1])
def test_no_draws_are_refused(samples):
    with pytest.raises(ValueError, match="at least 1 draw"):
        Elbo(samples=samples)


@settings(max_examples=25, deadline=None)
@given(st.tuples(st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)), st.integers(1, 5))
def test_the_squared_error_is_a_mean_over_pixels(shape, batch):
    images, others = torch.rand(batch, *shape), torch.rand(batch, *shape)
    model = SimpleNamespace(encoder=lambda x: PointMass(x.flatten(1)), decoder=lambda z: others)
    terms = SquaredError()(model, images)
    expected = np.square(images.numpy().astype(np.float64) - others.numpy()).mean((1, 2, 3))
    np.testing.assert_allclose(terms.loss.numpy(), expected, rtol=1e-5)
    assert torch.equal(terms.loss, terms.distortion)
    assert not terms.rate.any()


@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
def test_the_gradient_is_the_finite_difference(name):
    model = getattr(recipes, name)((1, 4, 3), 2).double()
    images = torch.rand(3, 1, 4, 3, dtype=torch.float64)

    def loss():
        torch.manual_seed(1)  # the same draws on either side
        return model.loss(images).loss.mean()

    loss().backward()
    for parameter in model.parameters():
        direction, step = torch.randn_like(parameter), 1e-6
        there = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(direction, alpha=sign * step)
            there.append(loss().item())
            with torch.no_grad():
                parameter.sub_(direction, alpha=sign * step)
        slope = (there[0] - there[1]) / (2 * step)
        assert (parameter.grad * direction).sum().item() == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_terms_name_what_they_hold():
    assert list(vars(Terms(torch.zeros(1), torch.zeros(1), torch.zeros(1)))) == ["loss", "distortion", "rate"]


def full(seed=0, k=3):
    factor = torch.randn(4, k, k, dtype=torch.float64).tril() * 0.5
    factor.diagonal(dim1=-2, dim2=-1).exp_()
    return MultivariateNormal(torch.randn(4, k, dtype=torch.float64), scale_tril=factor)


def diagonal(batch=(4,), k=3):
    return Independent(Normal(*(torch.randn(*batch, k, dtype=torch.float64), torch.rand(*batch, k).double() + 0.2)), 1)


POSTERIORS = {
    "isotropic": lambda: IsotropicNormal.from_phi(torch.randn(4, 4, dtype=torch.float64)),
    "diagonal": diagonal,
    "full": full,
}
PRIORS = {
    "standard": StandardNormal(3).double(),
    "normal": lambda: diagonal(batch=()),
    "full": lambda: MultivariateNormal(full().loc[0], scale_tril=full().scale_tril[0]),
}
every_pair = pytest.mark.parametrize(("q", "p"), [(q, p) for q in POSTERIORS for p in PRIORS])


@every_pair
def test_the_analytic_rate_is_what_draws_say(q, p):
    q, p = POSTERIORS[q](), PRIORS[p]()
    exact = analytic_kl(q, p)
    assert exact.shape == (4,)
    z = q.sample((20_000,))
    mean, error = mean_and_error(q.log_prob(z) - p.log_prob(z))
    assert ((exact - mean).abs() <= 4 * error).all()
    torch.testing.assert_close(sampled_kl(q, p, z), mean)


@every_pair
def test_the_analytic_rate_does_not_care_how_a_normal_is_written(q, p):
    q, p = POSTERIORS[q](), PRIORS[p]()
    written = [
        each if isinstance(each, MultivariateNormal) else MultivariateNormal(each.mean, each.variance.diag_embed())
        for each in (q, p)
    ]
    torch.testing.assert_close(analytic_kl(q, p), kl_divergence(*written))
    assert (analytic_kl(q, p) > 0).all()
    torch.testing.assert_close(analytic_kl(q, q), torch.zeros(4).double(), rtol=0, atol=1e-12)


def mixture():
    means = torch.tensor([[-1.0, 0.0, 2.0], [1.0, 1.0, -1.0]], dtype=torch.float64)
    return MixtureSameFamily(Categorical(torch.ones(2).double()), Independent(Normal(means, 0.7), 1))


def test_where_there_is_no_closed_form_there_is_none():
    assert analytic_kl(diagonal(), mixture()) is None
    assert analytic_kl(PointMass(torch.zeros(4, 3)), StandardNormal(3)()) is None


@settings(max_examples=25, deadline=None)
@given(k=st.integers(1, 8), batch=st.integers(1, 5))
def test_the_rate_of_a_product_is_a_sum_over_dimensions(k, batch):
    q, p = diagonal((batch,), k), diagonal((), k)
    each = kl_per_dimension(q, p)
    assert each.shape == (batch, k)
    assert (each >= 0).all()
    torch.testing.assert_close(each.sum(1), analytic_kl(q, p))


@pytest.mark.parametrize(("q", "p"), [(full, PRIORS["standard"]), (diagonal, PRIORS["full"])])
def test_the_rate_of_anything_else_is_no_sum(q, p):
    with pytest.raises(InputError, match="products of normals"):
        kl_per_dimension(q(), p())


def test_factorised_is_a_product_of_normals_over_one_code():
    assert is_factorised(diagonal())
    assert not is_factorised(full())
    assert not is_factorised(Independent(Normal(torch.zeros(3, 4, 5), 1.0), 2))
    assert not is_factorised(Independent(Laplace(torch.zeros(3, 4), 1.0), 1))


class Backwards:
    """A q that can only say its density along with its draws, like a flow that would have to be inverted."""

    has_rsample = True

    def __init__(self, q):
        self.q, self.event_shape = q, q.event_shape

    def rsample_and_log_prob(self, shape):
        z = self.q.rsample(shape)
        return z, self.q.log_prob(z)

    def log_prob(self, z):
        raise AssertionError("inverted for nothing")


def test_a_flow_is_drawn_along_with_its_density():
    q = diagonal()
    torch.manual_seed(2)
    z, log_q = draw(Backwards(q), 5)
    torch.manual_seed(2)
    expected = draw(q, 5)
    assert torch.equal(z, expected[0])
    assert torch.equal(log_q, expected[1])
    torch.testing.assert_close(log_q, q.log_prob(z))


def parts(q, prior=None, outputs=None):
    """A model of three functions: q as it is, a linear decoder with p(x|z) = N(f(z), 0.5^2)."""
    loadings = torch.randn(3, 6, dtype=torch.float64)

    def decoder(z):
        means = z @ loadings if outputs is None else z.sum(-1, keepdim=True) * 0 + outputs.expand(6)
        return Independent(Normal(means.unflatten(-1, SHAPE), 0.5), 3)

    return SimpleNamespace(encoder=lambda x: q, decoder=decoder, prior=lambda: prior or StandardNormal(3).double()())


@pytest.mark.parametrize("q", POSTERIORS)
def test_the_sampled_elbo_has_the_analytic_elbos_expectation(q):
    model, images = parts(POSTERIORS[q]()), torch.rand(4, *SHAPE).double()
    sampled, analytic = (
        torch.stack([Elbo(samples=50, analytic=how)(model, images).loss for _ in range(200)]) for how in (False, True)
    )
    (mean, error), (expected, other) = mean_and_error(sampled), mean_and_error(analytic)
    assert ((mean - expected).abs() <= 4 * (error**2 + other**2).sqrt()).all()
    assert not torch.equal(mean, expected)


@pytest.mark.parametrize("analytic", [True, False])
def test_a_rate_without_closed_form_is_sampled(analytic):
    q, prior = diagonal(), mixture()
    model, images = parts(q, prior), torch.rand(4, *SHAPE).double()
    torch.manual_seed(3)
    terms = Elbo(samples=6, analytic=analytic)(model, images)
    torch.manual_seed(3)
    z = q.rsample((6,))
    torch.testing.assert_close(terms.rate, sampled_kl(q, prior, z))
    torch.testing.assert_close(terms.distortion, -model.decoder(z).log_prob(images).mean(0))


@settings(max_examples=15, deadline=None)
@given(beta=st.floats(0, 50), fraction=st.floats(0, 1), analytic=st.booleans())
def test_distortion_and_rate_are_raw_whatever_the_weights(beta, fraction, analytic):
    model, images = parts(diagonal()), torch.rand(4, *SHAPE).double()
    runs = []
    for objective in (Elbo(analytic=analytic), Elbo(analytic=analytic, beta=warm_up(0.5)),
                      Elbo(analytic=analytic, beta=beta, free_bits=0.5), Elbo(analytic=analytic, capacity=3.0)):  # fmt: skip
        torch.manual_seed(3)
        runs.append(objective(model, images, fraction))
    for terms in runs[1:]:
        assert torch.equal(terms.distortion, runs[0].distortion)
        assert torch.equal(terms.rate, runs[0].rate)
    weight = min(1.0, 2 * fraction)
    torch.testing.assert_close(runs[1].loss, runs[0].distortion + weight * runs[0].rate)


def test_a_warm_up_begins_without_the_rate_and_ends_at_the_bound():
    model, images = parts(diagonal()), torch.rand(4, *SHAPE).double()
    objective = Elbo(beta=warm_up())
    terms = objective(model, images, 0.0)
    assert torch.equal(terms.loss, terms.distortion)
    terms = objective(model, images)
    torch.testing.assert_close(terms.loss, terms.distortion + terms.rate)


def test_the_loss_is_least_at_the_capacity_and_beta_is_its_pressure():
    size = torch.linspace(0.1, 3, 59, dtype=torch.float64)  # codes farther and farther out: rates from 0.005 to 4.5
    mean = torch.stack([size, 0 * size, 0 * size], 1)
    q = Independent(Normal(mean, 1.0), 1)
    images = torch.zeros(59, *SHAPE).double()
    model = parts(q, outputs=torch.zeros(1).double())
    terms = Elbo(beta=7.0, capacity=Linear(0.0, 2.0))(model, images)
    torch.testing.assert_close(terms.rate, size**2 / 2)
    torch.testing.assert_close(terms.loss - terms.distortion, 7 * (terms.rate - 2).abs())
    assert size[terms.loss.argmin()] == pytest.approx(2.0)
    early = Elbo(beta=7.0, capacity=Linear(0.0, 2.0))(model, images, 0.0)
    torch.testing.assert_close(early.loss, early.distortion + 7 * early.rate)


def floor_gradient(mean, objective, factor=None):
    """The gradient of loss - distortion in the means ``[batch, 3]`` of q with deviations of 1."""
    mean = mean.double().requires_grad_()
    q = Independent(Normal(mean, 1.0), 1) if factor is None else MultivariateNormal(mean, scale_tril=factor)
    model = parts(q, outputs=torch.zeros(1).double())
    terms = objective(model, torch.zeros(len(mean), *SHAPE).double())
    charged = (terms.loss - terms.distortion).mean()
    return charged.item(), torch.autograd.grad(charged, mean)[0]


def test_free_bits_leave_dimensions_below_them_alone():
    mean = torch.tensor([[0.1, 1.0, 4.0], [0.2, -2.0, 0.0]])  # rates 0.005 and 0.02, 0.5 and 2, 8 and 0
    charged, gradient = floor_gradient(mean, Elbo(free_bits=1.0))
    assert charged == pytest.approx(1.0 + 1.25 + 4.0)
    expected = mean.double() / 2 * torch.tensor([0, 1, 1])  # the first is below on average, the others above
    torch.testing.assert_close(gradient, expected)
    assert floor_gradient(mean, Elbo(free_bits=10.0)) == (
        pytest.approx(30.0),
        pytest.approx(torch.zeros(2, 3).double()),
    )
    plain = floor_gradient(mean, Elbo())
    assert plain[0] == pytest.approx(0.0125 + 1.25 + 4.0)
    torch.testing.assert_close(plain[1], mean.double() / 2)


@pytest.mark.parametrize(("free_bits", "below"), [(1.7, False), (1.8, True)])
def test_free_bits_of_a_rate_that_is_no_sum_are_free_together(free_bits, below):
    mean = torch.tensor([[0.1, 1.0, 4.0], [0.2, -2.0, 0.0]])  # 5.2625 nats on average, 3 x 1.754
    charged, gradient = floor_gradient(mean, Elbo(free_bits=free_bits), torch.eye(3).double())
    assert charged == pytest.approx(3 * free_bits if below else 5.2625)
    torch.testing.assert_close(gradient, torch.zeros(2, 3).double() if below else mean.double() / 2)


def test_sampled_free_bits_are_compared_by_dimension_too():
    mean = torch.tensor([[0.1, 1.0, 4.0], [0.2, -2.0, 0.0]])
    charged, gradient = floor_gradient(mean, Elbo(samples=20_000, analytic=False, free_bits=1.0))
    assert charged == pytest.approx(1.0 + 1.25 + 4.0, abs=0.1)
    assert not gradient[:, 0].any()
    assert gradient[:, 1:].any()


POINT = SimpleNamespace(encoder=lambda x: PointMass(x.flatten(1)), decoder=lambda z: z.unflatten(-1, SHAPE))


class Stepwise(Distribution):
    """Codes without gradients."""

    def log_prob(self, value):
        return value.sum(-1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (POINT, "q is PointMass: a point posterior has no density.* take IsotropicNormal"),
        (
            SimpleNamespace(encoder=lambda x: Stepwise(validate_args=False)),
            "q is Stepwise, whose draws have no gradient",
        ),
        (SimpleNamespace(encoder=lambda x: diagonal()), "SimpleNamespace has no prior"),
        (
            SimpleNamespace(encoder=lambda x: diagonal(), prior=StandardNormal(2)),
            r"codes \[3\] and the prior over \[2\]",
        ),
        (SimpleNamespace(**{**vars(parts(diagonal())), "decoder": lambda z: z}), "the decoder returns images"),
    ],
)
@pytest.mark.parametrize(
    "objective", [Elbo(), ImportanceWeighted(), MaximumMeanDiscrepancy(), TotalCorrelation(images=10)]
)
def test_parts_that_make_no_bound_are_refused_in_one_line(objective, model, message):
    with pytest.raises(InputError, match=message) as caught:
        objective(model, torch.rand(4, *SHAPE).double())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("objective", [SquaredError(), Denoising(), MatchedCodes()])
def test_a_squared_error_is_between_images(objective):
    with pytest.raises(InputError, match=r"returns Independent\(Normal\); a squared error is between images"):
        objective(parts(diagonal()), torch.rand(4, *SHAPE).double())


@pytest.mark.parametrize(
    "wrong",
    [{"beta": -1.0}, {"beta": math.nan}, {"beta": math.inf}, {"free_bits": -0.1}, {"capacity": -1.0},
     {"free_bits": 1.0, "capacity": 2.0}],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InputError, match=r"expected|choose one"):
        Elbo(**wrong)


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"noise": math.nan}, {"masked": 1.5}, {"masked": -0.1}])
def test_noise_that_is_none_is_refused(wrong):
    with pytest.raises(InputError, match="expected noise"):
        Denoising(**wrong)


def test_spoilt_images_have_the_noise_and_the_holes_that_were_asked_for():
    images = torch.rand(50, 3, 20, 20)
    noise = Denoising(noise=0.2).spoilt(images) - images
    assert noise.mean().item() == pytest.approx(0, abs=0.005)
    assert noise.std().item() == pytest.approx(0.2, rel=0.02)
    masked = Denoising(noise=0.0, masked=0.3).spoilt(images + 1)
    holes = masked == 0
    assert torch.equal(holes.all(1), holes.any(1))  # in all channels or in none
    assert holes.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(masked[~holes], (images + 1)[~holes])
    assert torch.equal(Denoising(noise=0.0).spoilt(images), images)


def test_denoising_compares_the_clean_image_with_what_is_made_of_the_spoilt_one():
    images, objective = torch.rand(4, *SHAPE), Denoising(noise=0.3, masked=0.2)
    torch.manual_seed(3)
    terms = objective(POINT, images)  # gives back what it sees
    torch.manual_seed(3)
    expected = (objective.spoilt(images) - images).square().mean((1, 2, 3))
    torch.testing.assert_close(terms.loss, expected)
    assert torch.equal(terms.loss, terms.distortion)
    assert not terms.rate.any()
    torch.testing.assert_close(Denoising(noise=0.0)(POINT, images).loss, torch.zeros(4))


class Tiny(nn.Module):
    """Linear maps to q and to p(x|z), for gradients."""

    def __init__(self, head, weights, loadings, *, density):
        super().__init__()
        self.head, self.weights, self.loadings, self.density = head, weights, loadings, density
        self.prior = StandardNormal(2).to(weights.dtype)

    def encoder(self, images):
        return self.head(images.flatten(1) @ self.weights)

    def decoder(self, codes):
        means = (codes @ self.loadings).unflatten(-1, SHAPE)
        return Independent(Normal(means, 0.5), 3) if self.density else means


def factorised_head(features):
    return Independent(Normal(features[..., :2], features[..., 2:4].clamp(-7, 3).exp()), 1)


def full_head(features):
    factor = torch.diag_embed(features[..., 2:4].clamp(-7, 3).exp())
    factor = factor + torch.nn.functional.pad(features[..., 4:5].unsqueeze(-1), (0, 1, 1, 0))
    return MultivariateNormal(features[..., :2], scale_tril=factor)


BOUNDS = [
    Elbo(),
    Elbo(samples=3, analytic=False, beta=warm_up()),
    Elbo(free_bits=0.1),
    Elbo(free_bits=0.1, analytic=False),
    Elbo(beta=20.0, capacity=Linear(0.0, 25.0)),
    ImportanceWeighted(samples=4),
    MaximumMeanDiscrepancy(),
    MaximumMeanDiscrepancy(rate_weight=0.5),
    TotalCorrelation(images=1000),
]
PLAIN = [SquaredError(), Denoising(masked=0.3), MatchedCodes()]
EVERY = [
    *[(objective, factorised_head) for objective in BOUNDS],
    *[(objective, full_head) for objective in BOUNDS if not isinstance(objective, TotalCorrelation)],
    *[(objective, lambda features: PointMass(features[..., :2])) for objective in PLAIN],
]


@pytest.mark.parametrize(("objective", "head"), EVERY)
def test_every_gradient_is_the_finite_difference(objective, head):
    images = torch.rand(3, *SHAPE).double()

    def loss(weights, loadings):
        torch.manual_seed(1)  # the same draws on either side
        return objective(Tiny(head, weights, loadings, density=objective not in PLAIN), images, 0.4).loss

    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((6, 5), (2, 6))]
    assert torch.autograd.gradcheck(loss, inputs)


class Constant(nn.Module):
    """The same output everywhere, learned."""

    def __init__(self, values):
        super().__init__()
        self.values = nn.Parameter(values)

    def forward(self, codes):
        return self.values + 0 * codes.mean(-1, keepdim=True)


class Extreme(nn.Module):
    def __init__(self, head, mean, log_scale, output, *, density):
        super().__init__()
        features = torch.tensor([mean, -mean, log_scale, log_scale, mean])
        self.encoder = nn.Sequential(nn.Flatten(), Constant(features), Head(head))
        self.pixels = Constant(torch.full((6,), output))
        self.prior, self.density = StandardNormal(2), density

    def decoder(self, codes):
        means = self.pixels(codes).unflatten(-1, SHAPE)
        return Independent(Normal(means, 0.001), 3) if self.density else means


class Head(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, features):
        return self.head(features)


@pytest.mark.parametrize(("objective", "head"), [*EVERY, (ImportanceWeighted(4, doubly=True), factorised_head)])
@pytest.mark.parametrize("batch", [1, 4])
def test_nothing_becomes_nan_at_the_ends_of_float32(objective, head, batch):
    for mean in (0.0, 1e4):
        for log_scale in (-7.0, 3.0):
            for output in (0.0, 1e4):
                model = Extreme(head, mean, log_scale, output, density=objective not in PLAIN)
                for fraction in (0.0, 1.0):
                    terms = objective(model, torch.rand(batch, *SHAPE), fraction)
                    assert all(value.shape == (batch,) and value.isfinite().all() for value in vars(terms).values())
                    terms.loss.mean().backward()
                    assert all(w.grad is None or w.grad.isfinite().all() for w in model.parameters())
