"""The contract: every part of the package keeps it, and a part that breaks a clause is told which."""

import functools
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from lowerbound import importance, likelihood, objective, posterior, prior
from lowerbound.backbone import (
    ConvDecoder,
    ConvEncoder,
    DenseDecoder,
    DenseEncoder,
    LinearDecoder,
    StridedDecoder,
    StridedEncoder,
)
from lowerbound.errors import InputError
from lowerbound.testing import CLAUSES, ContractError, check_part

PAGE = Path(__file__).parents[1] / "docs" / "own-part.md"
SHAPE = (1, 6, 6)


def of_module(module, names):
    return {name: getattr(module, name) for name in names if hasattr(module, name)}


POSTERIORS = of_module(posterior, ["Point", "IsotropicNormal", "DiagonalNormal", "FullNormal"])
LIKELIHOODS = of_module(
    likelihood,
    [
        *("Normal", "PixelNormal", "DecodedNormal", "OptimalNormal", "Laplace"),
        *("Bernoulli", "ContinuousBernoulli", "DiscretizedLogistic"),
    ],
)
ENCODERS = {part.__name__: part for part in (ConvEncoder, DenseEncoder, StridedEncoder)}
DECODERS = {part.__name__: part for part in (ConvDecoder, DenseDecoder, LinearDecoder, StridedDecoder)}
OBJECTIVES = {
    "squared": objective.SquaredError(),
    "denoising": objective.Denoising(),
    "elbo": objective.Elbo(),
    "sampled": objective.Elbo(samples=3, analytic=False, beta=2.0),
    "free bits": objective.Elbo(free_bits=0.1),
    "importance": importance.ImportanceWeighted(5),
}


class Vamp(nn.Module):
    """A VampPrior, which is made of the model's encoder, together with one."""

    def __init__(self, latent_dim):
        super().__init__()
        backbone = DenseEncoder(SHAPE)
        self.encoder = nn.Sequential(backbone, posterior.DiagonalNormal(backbone.out_features, latent_dim))
        self.prior = prior.VampPrior(self.encoder, SHAPE, 5)

    def forward(self):
        return self.prior()


PRIORS = of_module(prior, ["StandardNormal", "Flow"])
if hasattr(prior, "Mixture"):
    PRIORS["Mixture"] = functools.partial(prior.Mixture, components=4)
    PRIORS["VampPrior"] = Vamp
KINDS = {"posterior": POSTERIORS, "prior": PRIORS, "likelihood": LIKELIHOODS, "encoder": ENCODERS, "decoder": DECODERS}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, parts in KINDS.items() for name in parts])
def test_every_part_keeps_the_contract(kind, name):
    state = torch.get_rng_state()
    checked = check_part(KINDS[kind][name])
    assert torch.equal(torch.get_rng_state(), state)
    missing = set(CLAUSES[kind]) - set(checked)
    densities = {"density integrates to 1", "log_prob agrees with draws", "rsample is differentiable"}
    assert missing == (densities if name == "Point" else set())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_keeps_the_contract(name):
    assert set(check_part(OBJECTIVES[name])) == set(CLAUSES["objective"])


@pytest.mark.slow
def test_a_conditional_flow_keeps_the_contract():
    flow = pytest.importorskip("lowerbound.flow")
    assert set(check_part(flow.FlowNormal)) >= set(CLAUSES["posterior"]) - {"from_phi undoes phi"}


class Whole(nn.Module):
    """A posterior that keeps every clause; each part below breaks one."""

    def __init__(self, in_features, latent_dim):
        super().__init__()
        self.linear = nn.Linear(in_features, 2 * latent_dim)

    def phi(self, features):
        mean, log_scale = self.linear(features).chunk(2, -1)
        return torch.cat([mean, 3 * torch.tanh(log_scale / 3)], -1)

    @staticmethod
    def from_phi(phi):
        mean, log_scale = phi.chunk(2, -1)
        return Independent(Normal(mean, log_scale.exp()), 1)

    def forward(self, features):
        return self.from_phi(self.phi(features))


class WrongEvent(Whole):
    def forward(self, features) -> Any:
        return super().forward(features).base_dist


class Overflowing(Whole):
    def phi(self, features):
        return self.linear(features)

    def forward(self, features):
        return self.from_phi(self.phi(features))


class Ignored(Whole):
    def __init__(self, in_features, latent_dim):
        super().__init__(in_features, latent_dim)
        self.unused = nn.Linear(in_features, latent_dim)


class Unnormalised(Whole):
    def forward(self, features):
        return TwiceTheDensity(super().forward(features).base_dist, 1)


class TwiceTheDensity(Independent):
    def log_prob(self, value):
        return super().log_prob(value) + math.log(2)


class TwiceAsWide(Whole):
    def forward(self, features):
        return WiderDraws(super().forward(features).base_dist, 1)


class WiderDraws(Independent):
    def rsample(self, sample_shape=()):
        return 2 * super().rsample(sample_shape) - self.mean

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class Correlated(Whole):
    """Draws of one eps for all dimensions: each alone is right, all together are not those of log_prob."""

    def forward(self, features):
        return OneEps(super().forward(features).base_dist, 1)


class OneEps(Independent):
    def rsample(self, sample_shape=()):
        eps = torch.randn(*sample_shape, *self.batch_shape, 1, dtype=self.mean.dtype)
        return self.mean + self.base_dist.scale * eps

    def sample(self, sample_shape=()):
        return self.rsample(sample_shape).detach()


class DetachedScale(Whole):
    def forward(self, features):
        return Detached(super().forward(features).base_dist, 1)


class Detached(Independent):
    def rsample(self, sample_shape=()):
        eps = torch.randn(*sample_shape, *self.mean.shape, dtype=self.mean.dtype)
        return self.mean + self.base_dist.scale.detach() * eps


class NoGradient(Whole):
    """Draws are right, and nothing flows through them."""

    def forward(self, features):
        return Drawn(super().forward(features).base_dist, 1)


class Drawn(Independent):
    def rsample(self, sample_shape=()):
        return super().rsample(sample_shape).detach()


class Rounded(Whole):
    @staticmethod
    def from_phi(phi):
        return Whole.from_phi(0.9 * phi)

    def forward(self, features):
        return Whole.from_phi(self.phi(features))


class Forgetful(Whole):
    def __init__(self, in_features, latent_dim):
        super().__init__(in_features, latent_dim)
        self.offset = torch.randn(2 * latent_dim)  # neither parameter nor buffer

    def phi(self, features):
        return super().phi(features) + self.offset.to(features.dtype)


class Seeding(Whole):
    def forward(self, features):
        torch.manual_seed(0)
        return super().forward(features)


class Drawing(Whole):
    def forward(self, features):
        torch.rand(1)
        return super().forward(features)


class Single(Whole):
    def forward(self, features):
        return self.from_phi(self.phi(features).float())


class Crowded(Whole):
    def phi(self, features):
        return super().phi(features - features.mean(0, keepdim=True))


@pytest.mark.parametrize(
    ("part", "clause"),
    [
        (WrongEvent, "shapes"),
        (Overflowing, "finite at large features"),
        (Ignored, "every parameter learns"),
        (Unnormalised, "density integrates to 1"),
        (TwiceAsWide, "density integrates to 1"),
        (Correlated, "log_prob agrees with draws"),
        (DetachedScale, "rsample is differentiable"),
        (NoGradient, "rsample is differentiable"),
        (Rounded, "from_phi undoes phi"),
        (Forgetful, "state_dict holds all"),
        (Seeding, "draws are the caller's"),
        (Drawing, "draws are the caller's"),
        (Single, "float64"),
        (Crowded, "an image alone"),
    ],
)
def test_a_broken_posterior_is_told_which_clause(part, clause):
    state = torch.get_rng_state()
    with pytest.raises(ContractError, match=re.escape(f'posterior {part.__name__} breaks "{clause}"')) as broken:
        check_part(part, kind="posterior")
    assert isinstance(broken.value, AssertionError)
    assert "expected" in str(broken.value) or "came" in str(broken.value)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_whole_one_is_whole():
    assert check_part(Whole) == list(CLAUSES["posterior"])
    with pytest.raises(ContractError, match="shapes"):  # the kind is found although the part is broken
        check_part(WrongEvent)


class ShiftedPrior(nn.Module):
    """log_prob is that of another place than the draws'."""

    def __init__(self, latent_dim):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(latent_dim))

    def forward(self):
        return Shifted(Normal(self.mean, torch.ones_like(self.mean)), 1)


class Shifted(Independent):
    def log_prob(self, value):
        return super().log_prob(value + 0.3)


class Batched(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim

    def forward(self):
        return Independent(Normal(torch.zeros(1, self.latent_dim), 1.0), 1)


class Boxed(nn.Module):
    """Gives nothing to codes beyond its box."""

    def __init__(self, latent_dim):
        super().__init__()
        self.register_buffer("edge", torch.full((latent_dim,), 4.0))

    def forward(self):
        return Independent(torch.distributions.Uniform(-self.edge, self.edge), 1)


class PixelByPixel(nn.Module):
    """A density for each pixel, not for the image."""

    def forward(self, images):
        return Normal(images, 0.3)


class Exploding(nn.Module):
    """An unbounded sigma, which overflows."""

    def forward(self, images):
        return Independent(Normal(images, images.exp()), 3)


class CrossEntropy(nn.Module):
    """The Bernoulli's formula on grey pixels, and for binary ones half of it: no distribution."""

    def forward(self, images):
        return HalfCrossEntropy(torch.distributions.Bernoulli(logits=images, validate_args=False), 3)


class HalfCrossEntropy(Independent):
    def log_prob(self, value):
        return super().log_prob(value) / 2


class NoSigma(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, images):
        return Independent(Normal(images, 0.1), 3)


class Levels(nn.Module):
    """Probabilities of 256 levels, called a density."""

    def forward(self, images):
        return likelihood.DiscretizedLogistic()(images)


class CalledBinary(likelihood.Normal):
    """A density, called the probability of black and white."""

    discrete = binary = True


class Summed:
    def __call__(self, model, images, fraction=1.0):
        terms = objective.Elbo()(model, images)
        return objective.Terms(terms.loss.sum(), terms.distortion, terms.rate)


class DecoderOnly:
    """Forgets the rate and detaches the code: the encoder learns nothing."""

    def __call__(self, model, images, fraction=1.0):
        z = model.encoder(images).rsample().detach()
        distortion = -model.decoder(z).log_prob(images)
        return objective.Terms(distortion, distortion, 0 * distortion)


class Timeless:
    """Cannot be told how far training is."""

    def __call__(self, model, images):
        return objective.Elbo()(model, images)


class Rising:
    def __call__(self, model, images, fraction=1.0):
        terms = objective.Elbo()(model, images)
        return objective.Terms(terms.loss.detach() - (terms.loss - terms.loss.detach()), terms.distortion, terms.rate)


class LogOfDarkness:
    """Weighs images by how dark they are, and a white one by minus infinity."""

    def __call__(self, model, images, fraction=1.0):
        terms = objective.Elbo()(model, images)
        return objective.Terms(terms.loss * (1 - images.mean((1, 2, 3))).log(), terms.distortion, terms.rate)


class Centred(DenseEncoder):
    """Sees an image beside the others of its batch."""

    def forward(self, images):
        return super().forward(images - images.mean(0))


class Unbounded(nn.Module):
    def __init__(self, image_shape):
        super().__init__()
        self.out_features = 3
        self.linear = nn.Linear(math.prod(image_shape), 3)

    def forward(self, images):
        return self.linear(images.flatten(1)).exp()


class Noisy(DenseDecoder):
    """Draws the pixels' noise, which is the likelihood's to draw."""

    def forward(self, codes):
        images = super().forward(codes)
        return images + 0.1 * torch.randn_like(images)


class ShortEncoder(nn.Module):
    def __init__(self, image_shape):
        super().__init__()
        self.out_features = math.prod(image_shape) + 1

    def forward(self, images):
        return images.flatten(1)


class FlatDecoder(nn.Module):
    def __init__(self, image_shape, latent_dim):
        super().__init__()
        self.linear = nn.Linear(latent_dim, math.prod(image_shape))

    def forward(self, codes):
        return self.linear(codes)


@pytest.mark.parametrize(
    ("kind", "part", "clause"),
    [
        ("prior", ShiftedPrior, "density integrates to 1"),
        ("prior", Batched, "shapes"),
        ("prior", Boxed, "finite at far codes"),
        ("likelihood", PixelByPixel, "shapes"),
        ("likelihood", Exploding, "finite at large values"),
        ("objective", LogOfDarkness(), "finite"),
        ("encoder", Centred, "an image alone"),
        ("encoder", Unbounded, "finite at large inputs"),
        ("decoder", Noisy, "draws nothing"),
        ("likelihood", CrossEntropy, "probabilities add up to 1"),
        ("likelihood", NoSigma, "every parameter learns"),
        ("likelihood", Levels, "probabilities add up to 1"),
        ("likelihood", CalledBinary, "probabilities add up to 1"),
        ("objective", Timeless(), "takes a fraction"),
        ("objective", Summed(), "shapes"),
        ("objective", DecoderOnly(), "every parameter learns"),
        ("objective", Rising(), "trains"),
        ("encoder", ShortEncoder, "shapes"),
        ("decoder", FlatDecoder, "shapes"),
    ],
)
def test_broken_parts_of_every_kind_are_told_which_clause(kind, part, clause):
    with pytest.raises(ContractError, match=re.escape(f'breaks "{clause}"')) as broken:
        check_part(part)
    assert str(broken.value).startswith(kind)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Levels, "discrete = False and binary = False from a head whose probabilities add up over 256 levels"),
        (CalledBinary, "discrete = True and binary = True from a head whose probabilities add up over all numbers"),
    ],
)
def test_a_likelihood_is_what_it_says_it_is(part, said):
    with pytest.raises(ContractError, match=said):
        check_part(part, kind="likelihood")


def test_what_is_no_part_is_refused_with_the_right_words():
    with pytest.raises(InputError, match='no kind of part "posteror"; did you mean "posterior"'):
        check_part(Whole, kind="posteror")
    with pytest.raises(InputError, match="made already"):
        check_part(Whole(3, 2))
    with pytest.raises(InputError, match="cannot tell what kind of part dict is"):
        check_part(dict)
    with pytest.raises(ContractError, match='prior Whole breaks "shapes": TypeError'):
        check_part(Whole, kind="prior")


def test_settings_of_torch_that_a_part_changes_are_put_back():
    class Meddling(Whole):
        def forward(self, features):
            torch.set_default_dtype(torch.float64)
            return super().forward(features)

    with pytest.raises(ContractError):
        check_part(Meddling, kind="posterior")
    assert torch.get_default_dtype() == torch.float32


def block_of(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_failure_on_the_page_is_the_one_that_comes():
    text = block_of(PAGE, "text")[0]
    with pytest.raises(ContractError) as broken:
        check_part(TwiceAsWide)
    shown = " ".join(text.split()).removeprefix("lowerbound.contract.ContractError: ")
    assert re.sub(r"[\d.]+", "#", shown) == re.sub(r"[\d.]+", "#", str(broken.value))


def test_a_check_takes_seconds():
    start = time.monotonic()
    check_part(Whole)
    assert time.monotonic() - start < 30
