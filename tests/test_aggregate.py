"""The aggregate posterior: the split adds up, and agrees with closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Categorical as Choice
from torch.distributions import Independent, Laplace, MixtureSameFamily, MultivariateNormal, Normal

from lowerbound import recipes
from lowerbound.aggregate import Aggregate, active_units, decompose, per_dimension_kl
from lowerbound.errors import InputError
from lowerbound.prior import StandardNormal, VampPrior


class Given(nn.Module):
    """An encoder whose q is a function of the pixels, and a prior: all that a split needs."""

    def __init__(self, q_of, latent_dim, prior=None):
        super().__init__()
        self.q_of, self.prior = q_of, prior or StandardNormal(latent_dim)
        self.image_shape = (1, 1, latent_dim)
        self.encoder = Encoder(q_of)

    def transform(self, images):
        with torch.no_grad():
            return self.encoder(torch.from_numpy(images)).mean.numpy()


class Encoder(nn.Module):
    def __init__(self, q_of):
        super().__init__()
        self.q_of = q_of

    def forward(self, images):
        return self.q_of(images.flatten(1))


class MixturePrior(nn.Module):
    def forward(self):
        parts = Independent(Normal(torch.randn(3, 2).double(), 1.0), 1)
        return MixtureSameFamily(Choice(logits=torch.zeros(3).double()), parts)


def diagonal(scale):
    return lambda pixels: Independent(Normal(pixels, torch.as_tensor(scale, dtype=pixels.dtype).expand_as(pixels)), 1)


def as_images(codes):
    """Codes that the stub encoder reads as the means of q: ``[N, 1, 1, K]``."""
    return np.asarray(codes, np.float32)[:, None, None, :]


def full(pixels):
    """A full normal whose correlation depends on the image."""
    k = pixels.shape[1]
    lower = 0.3 * torch.eye(k, dtype=pixels.dtype) + 0.2 * torch.tril(pixels.unsqueeze(2).tanh().expand(-1, k, k), -1)
    return MultivariateNormal(pixels, scale_tril=lower)


FAMILIES = {
    "diagonal": diagonal([0.3, 0.5, 0.1]),
    "laplace": lambda pixels: Independent(Laplace(pixels, 0.4), 1),
    "full": full,
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_terms_add_up_to_the_rate(family, samples):
    images = as_images(np.random.default_rng(0).normal(size=(70, 3)))
    split = decompose(Given(FAMILIES[family], 3), images, samples=samples)
    assert split.total_correlation is not None
    assert split.dimension_wise_kl is not None
    assert split.dimensions is not None
    terms = split.mutual_information.mean + split.total_correlation.mean + split.dimension_wise_kl.mean
    assert terms == pytest.approx(split.rate.mean, abs=1e-9)
    assert split.mutual_information.mean + split.divergence.mean == pytest.approx(split.rate.mean, abs=1e-9)
    assert split.dimensions.sum() == pytest.approx(split.dimension_wise_kl.mean, abs=1e-9)
    assert (split.images, split.samples, split.reason) == (70, samples, "")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mixture_is_the_mixture(family, monkeypatch):
    """log q(z) by matrix products and in blocks is what torch's own mixture says."""
    monkeypatch.setattr("lowerbound.aggregate.BLOCK", 16)
    monkeypatch.setattr("lowerbound.densities.HELD", 4000)
    pixels = torch.randn(50, 3).double()
    model = Given(FAMILIES[family], 3)
    images = as_images(pixels.numpy())
    split = decompose(model, images, samples=2, seed=5)
    q = model.encoder(torch.from_numpy(images).double())
    torch.manual_seed(5)
    z = torch.cat([model.encoder(block.double()).sample((2,)) for block in torch.from_numpy(images).split(16)], 1)
    mixture = MixtureSameFamily(Choice(logits=torch.zeros(50).double()), q)
    assert split.mutual_information.mean == pytest.approx((q.log_prob(z) - mixture.log_prob(z)).mean().item(), abs=1e-9)


def test_a_posterior_that_is_the_prior_has_nothing_to_split():
    split = decompose(Given(lambda pixels: diagonal(1.0)(torch.zeros_like(pixels)), 3), as_images(np.ones((40, 3))))
    for term in (
        split.rate,
        split.mutual_information,
        split.divergence,
        split.total_correlation,
        split.dimension_wise_kl,
    ):
        assert term is not None
        assert abs(term.mean) < 1e-9
        assert term.standard_error < 1e-9
    assert split.warning == ""


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(0, 99))
def test_codes_far_apart_tell_which_image_they_came_from(images, k, seed):
    far = np.arange(images)[:, None] * np.ones(k)
    split = decompose(Given(diagonal(1e-3), k), as_images(far), seed=seed)
    assert split.mutual_information.mean == pytest.approx(math.log(images), abs=1e-6)
    assert split.limit == math.log(images)
    assert f"at most log {images}" in split.warning


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.floats(0.01, 3), st.integers(0, 99))
def test_mutual_information_never_passes_its_limit(images, scale, seed):
    means = np.random.default_rng(seed).normal(size=(images, 2))
    split = decompose(Given(diagonal(scale), 2), as_images(means), seed=seed, samples=2)
    assert split.mutual_information.mean <= math.log(images) + 1e-9


def test_total_correlation_of_correlated_means_is_the_closed_form():
    """q(z) = N(0, S) with correlation r: TC is -log(1 - r^2) / 2, the rest KL of normals and I(x; z)."""
    r, noise, n = 0.8, 0.6, 2000
    rng = np.random.default_rng(1)
    covariance = np.array([[1.0, r], [r, 1.0]])
    means = rng.multivariate_normal([0, 0], covariance - noise**2 * np.eye(2) * (1 - r), size=n)
    model = Given(diagonal(noise * math.sqrt(1 - r)), 2)  # means' covariance and q's add up to the whole
    split = decompose(model, as_images(means), samples=2)
    assert split.total_correlation is not None
    assert split.dimension_wise_kl is not None
    assert split.total_correlation.mean == pytest.approx(-math.log(1 - r**2) / 2, abs=0.05)
    assert split.dimension_wise_kl.mean == pytest.approx(0, abs=0.02)
    information = (math.log(1 - r**2) - 4 * math.log(noise * math.sqrt(1 - r))) / 2
    assert split.mutual_information.mean == pytest.approx(information, abs=0.1)


def test_standard_errors_cover_the_truth():
    """The rate of random posteriors is known exactly: estimates lie within 4 standard errors, and mostly within 2."""
    means = np.random.default_rng(0).normal(size=(300, 2))
    exact = (means**2).sum(1).mean() / 2 + 2 * (0.25 - 1 - math.log(0.25)) / 2
    images = as_images(means)
    model = Given(diagonal(0.5), 2)
    away = []
    for seed in range(20):
        rate = decompose(model, images, seed=seed).rate
        away.append(abs(rate.mean - exact) / rate.standard_error)
    assert max(away) < 4
    assert np.mean(np.array(away) < 2) > 0.8


def test_without_independent_dimensions_there_is_one_split_and_a_reason():
    images = as_images(np.random.default_rng(0).normal(size=(30, 2)))
    mixed = decompose(Given(diagonal(0.5), 2, MixturePrior()), images)
    assert "prior" in mixed.reason
    mixture_q = Given(
        lambda pixels: MixtureSameFamily(
            Choice(logits=pixels.new_zeros(len(pixels), 2)),
            Independent(Normal(torch.stack([pixels, -pixels], 1), 0.3), 1),
        ),
        2,
    )
    unknown = decompose(mixture_q, images)
    assert "one dimension is not known" in unknown.reason
    for split in (mixed, unknown):
        assert split.total_correlation is split.dimension_wise_kl is split.dimensions is None
        assert split.mutual_information.mean + split.divergence.mean == pytest.approx(split.rate.mean, abs=1e-9)
    assert per_dimension_kl(mixture_q, images) is None


def test_kl_of_each_dimension_is_the_closed_form_and_by_draws_near_it():
    means, scale = np.random.default_rng(0).normal(size=(600, 3)), np.array([0.2, 1.0, 0.5])
    expected = ((means**2).mean(0) + scale**2 - 1) / 2 - np.log(scale)
    found = per_dimension_kl(Given(diagonal(scale), 3), as_images(means))
    np.testing.assert_allclose(found, expected, rtol=1e-5)

    class Plain(Normal):
        """A normal for which no closed form is registered."""

    laplace = lambda pixels: Independent(Laplace(pixels, 0.4), 1)  # noqa: E731
    closed = per_dimension_kl(Given(laplace, 3), as_images(means))
    by_hand = (means**2).mean(0) / 2 + 0.4**2 - 1 - math.log(2 * 0.4) + math.log(2 * math.pi) / 2
    np.testing.assert_allclose(closed, by_hand, rtol=1e-5)


def test_without_a_closed_form_draws_take_its_place():
    means = np.random.default_rng(0).normal(size=(600, 2))

    class LaplacePrior(nn.Module):
        def forward(self):
            return Independent(Laplace(torch.zeros(2).double(), 1.0), 1)

    found = per_dimension_kl(Given(diagonal(0.3), 2, LaplacePrior()), as_images(means))
    entropy = math.log(0.3) + (1 + math.log(2 * math.pi)) / 2
    absolute = 0.3 * math.sqrt(2 / math.pi) * np.exp(-(means**2) / (2 * 0.3**2))
    absolute += means * np.vectorize(math.erf)(means / (0.3 * math.sqrt(2)))  # E|z| of a folded normal
    np.testing.assert_allclose(found, absolute.mean(0) + math.log(2) - entropy, atol=0.04)


def test_active_units_are_those_that_move():
    means = np.random.default_rng(0).normal(size=(500, 4)) * [1.0, 0.05, 0.2, 0.0]
    units = active_units(Given(diagonal(1.0), 4), as_images(means))
    assert units.mask.tolist() == [True, False, True, False]
    assert units.number == 2
    np.testing.assert_allclose(units.variances, means.var(0, ddof=1), rtol=1e-5)
    assert active_units(Given(diagonal(1.0), 4), as_images(means), threshold=1e-4).number == 3


def test_the_same_seed_gives_the_same_split_and_leaves_the_callers_draws_alone():
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    model = recipes.vae((1, 8, 8), latent_dim=3)
    state = torch.get_rng_state()
    one, same = (decompose(model, images, number=40, seed=3) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert one.rate == same.rate
    assert one.images == 40
    assert decompose(model, images, number=40, seed=4).rate != one.rate
    assert next(model.parameters()).dtype == torch.float32  # the model itself stays as it was


def test_a_prior_that_is_made_of_the_encoder_is_split_once():
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
    model = recipes.vae((1, 8, 8), latent_dim=3)
    model.prior = VampPrior(model.encoder, (1, 8, 8), components=4)
    split = decompose(model, images)
    assert split.mutual_information.mean + split.divergence.mean == pytest.approx(split.rate.mean, abs=1e-9)
    assert "prior" in split.reason


def test_what_cannot_be_split_is_refused_with_the_right_words():
    images = np.random.default_rng(0).integers(0, 256, (9, 1, 8, 8)).astype(np.uint8)
    vae, plain = recipes.vae((1, 8, 8), latent_dim=3), recipes.linear((1, 8, 8), latent_dim=3)
    for words, call in {
        "1 images and 1 draws": lambda: decompose(vae, images[:1]),
        "9 images and 0 draws": lambda: decompose(vae, images, samples=0),
        "Autoencoder has no prior": lambda: decompose(plain, images),
        "1 images have no variance": lambda: active_units(vae, images[:1]),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
    plain.prior = StandardNormal(3)
    with pytest.raises(InputError, match="no density over codes"):
        decompose(plain, images)


def test_the_warning_is_silent_below_the_limit():
    from lowerbound.evaluation import Estimate

    assert Aggregate(1000, 1, *(Estimate(value, 0.1) for value in (25.0, 5.8, 19.2))).warning == ""
