"""Gradient ascent on phi, against posteriors that are known, and what it must leave alone."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import typer
from torch import nn
from torch.distributions import Independent, kl_divergence
from torch.distributions import Normal as NormalDistribution
from typer.testing import CliRunner

from lowerbound import inference_verbs, recipes
from lowerbound.amortisation import infer_for
from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.inference import infer, lower_bound
from lowerbound.likelihood import Normal
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal, FullNormal, IsotropicNormal, Point
from lowerbound.prior import StandardNormal

NORMALS = (IsotropicNormal, DiagonalNormal, FullNormal)


def some_images(number=4, side=6, seed=0):
    """Images with some structure: low-rank, and noise."""
    rng = np.random.default_rng(seed)
    smooth = rng.normal(size=(number, 3)) @ rng.normal(size=(3, side * side)) * 0.15 + 0.5
    return (
        (255 * np.clip(smooth + 0.02 * rng.normal(size=smooth.shape), 0, 1))
        .reshape(number, 1, side, side)
        .astype(np.uint8)
    )


def linear_decoder(k=3, side=6, dtype=torch.float32, scale=0.3):
    layers = nn.Sequential(nn.Linear(k, side * side), nn.Unflatten(-1, (1, side, side))).to(dtype)
    with torch.no_grad():
        layers[0].weight.normal_(std=scale)
    return layers


def exact(decoder, images, sigma):
    """p(z|x) of a linear decoder: N(S W'(x - b) / sigma^2, S), S^-1 = I + W'W / sigma^2."""
    w, b = decoder[0].weight.double(), decoder[0].bias.double()
    precision = torch.eye(w.shape[1]).double() + w.T @ w / sigma**2
    centred = torch.from_numpy(images.reshape(len(images), -1) / 255.0) - b
    mean = torch.linalg.solve(precision, (centred @ w / sigma**2).T).T.detach()
    evidence = torch.distributions.MultivariateNormal(b, w @ w.T + sigma**2 * torch.eye(len(w)).double())
    return mean, precision.detach(), evidence.log_prob(centred + b).detach()


@pytest.mark.parametrize(
    ("family", "dtype"), [*((each, torch.float64) for each in NORMALS), (FullNormal, torch.float32)]
)
def test_finds_the_best_member_of_the_family(family, dtype):
    """Closed forms of a normal posterior with precision A: full, A^-1; diagonal, 1 / A_kk; isotropic, K / trace A."""
    decoder, images, sigma = linear_decoder(dtype=dtype), some_images(), 0.4
    found = infer(decoder, images, StandardNormal(3).to(dtype), sigma=sigma, family=family, tolerance=0.003)
    mean, precision, evidence = exact(decoder, images, sigma)
    q = found.q()
    assert q.mean.dtype == dtype
    own = 1 / torch.linalg.inv(precision).diagonal().sqrt()
    assert ((q.mean - mean).abs() * own).max() < 0.12  # in standard deviations of the posterior
    best = {
        IsotropicNormal: (3 / precision.trace()).sqrt().expand(3),
        DiagonalNormal: precision.diagonal().rsqrt(),
        FullNormal: torch.linalg.inv(precision).diagonal().sqrt(),
    }[family]
    assert torch.allclose(q.stddev.double(), best.expand(4, 3), rtol=0.15)
    lost = evidence.numpy() - found.bound
    spread = torch.diag(best**2) if family is not FullNormal else torch.linalg.inv(precision)
    least = 0.5 * ((precision @ spread).trace() - 3 - torch.logdet(precision @ spread))
    assert np.abs(lost - least.item()).max() < 0.05 + 4 * found.standard_error.max()


def test_finds_the_exact_posterior_of_the_linear_vae():
    images = some_images(60)
    model = linear_vae(PCA(3).fit(images), torch.float64)
    p = model.prior()
    found = infer(model.decoder, images[:6], p, family=DiagonalNormal, tolerance=0.003)
    with torch.no_grad():
        posterior = model.encoder(torch.from_numpy(images[:6] / 255.0))
    assert kl_divergence(found.q(), posterior).max() < 0.03
    evidence = PCA(3).fit(images).score_samples(images[:6])
    assert np.abs(found.bound - evidence).max() < 0.03 + 4 * found.standard_error.max()


def test_from_the_exact_posterior_nothing_is_gained():
    images = some_images(60)
    compared = infer_for(PCA(3).fit(images), images[:5])
    assert np.abs(compared.gap).max() < 0.02
    assert compared.distance.max() < 0.05
    assert np.abs(compared.scale_ratio - 1).max() < 0.1


def test_stops_when_converged_and_says_so():
    decoder, images = linear_decoder(), some_images()
    found = infer(decoder, images, StandardNormal(3), sigma=0.4)
    assert (found.steps < 1000).all()
    assert len(found.elbo) == found.steps.max()
    for image, steps in enumerate(found.steps):
        assert np.isfinite(found.elbo[:steps, image]).all()
        assert np.isnan(found.elbo[steps:, image]).all()


def test_without_a_tolerance_all_steps_are_taken():
    found = infer(linear_decoder(), some_images(), StandardNormal(3), sigma=0.5, steps=45, tolerance=None)
    assert (found.steps == 45).all()
    assert found.elbo.shape == (45, 4)


def test_never_ends_below_its_start():
    decoder, images = linear_decoder(), some_images()
    mean, precision, _ = exact(decoder, images, 0.4)
    phi = torch.cat([mean, -0.5 * precision.diagonal().log().expand(4, 3)], 1).float()  # the optimum already
    found = infer(decoder, images, family=DiagonalNormal, phi=phi, sigma=0.4, learning_rate=0.5, steps=40)
    start, _ = lower_bound(decoder, images, DiagonalNormal.from_phi(phi), sigma=0.4)
    assert (found.bound > start - 0.05).all()


def test_strict_noise_narrows_q_and_lax_noise_widens_it():
    decoder, images = linear_decoder(), some_images()
    scales = [infer(decoder, images, StandardNormal(3), sigma=sigma).phi[:, -1].exp() for sigma in (0.1, 0.5, 2.0)]
    assert (scales[0] < scales[1]).all()
    assert (scales[1] < scales[2]).all()
    assert (scales[2] < 1).all()  # no wider than the prior


def test_the_decoder_and_the_callers_random_numbers_are_left_alone():
    decoder = linear_decoder()
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    state = torch.get_rng_state()
    first = infer(decoder, some_images(), StandardNormal(3), sigma=0.5, steps=30, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None and weight.requires_grad for weight in decoder.parameters())
    assert all(torch.equal(before[name], value) for name, value in decoder.state_dict().items())
    torch.rand(5)
    again = infer(decoder, some_images(), StandardNormal(3), sigma=0.5, steps=30, seed=3)
    assert torch.equal(first.phi, again.phi)
    assert not torch.equal(first.phi, infer(decoder, some_images(), StandardNormal(3), sigma=0.5, steps=30, seed=4).phi)


def test_a_likelihood_of_the_decoder_and_sigma_are_the_same_noise():
    decoder, images = linear_decoder(), some_images()
    plain = infer(decoder, images, StandardNormal(3), sigma=0.3, steps=40)
    headed = infer(nn.Sequential(decoder, Normal(0.3)), images, StandardNormal(3), steps=40)
    replaced = infer(nn.Sequential(decoder, Normal(7.0)), images, StandardNormal(3), sigma=0.3, steps=40)
    assert torch.allclose(plain.phi, headed.phi, atol=1e-4)
    assert torch.equal(plain.phi, replaced.phi)


def test_blocks_of_images_are_all_inferred(monkeypatch):
    decoder, images = linear_decoder(), some_images(5)
    monkeypatch.setattr("lowerbound.inference.VALUES", 2 * 16 * 36)  # two images at a time
    found = infer(decoder, images, StandardNormal(3), sigma=0.4)
    mean, precision, _ = exact(decoder, images, 0.4)
    assert ((found.q().mean - mean).abs() * precision.diagonal().sqrt()).max() < 0.3
    assert found.elbo.shape[1] == len(found.bound) == 5


def test_the_bound_is_below_the_evidence_and_its_error_is_honest():
    decoder, images = linear_decoder(), some_images(50)
    mean, precision, evidence = exact(decoder, images, 0.4)
    q = Independent(NormalDistribution(mean.float(), precision.diagonal().rsqrt().float()), 1)
    bound, error = lower_bound(decoder, images, q, sigma=0.4, samples=200, seed=0)
    far, _ = lower_bound(decoder, images, q, sigma=0.4, samples=5000, seed=1)
    assert (far < evidence.numpy()).all()
    assert 0.7 < np.std((bound - far) / error) < 1.4


def test_any_prior_and_any_family():
    """A prior that is a distribution without a closed KL: the rate is sampled."""
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(2)),
        Independent(NormalDistribution(torch.tensor([[-3.0, 0, 0], [3.0, 0, 0]]), 1.0), 1),
    )
    decoder, images = (
        linear_decoder(scale=0.0),
        some_images(),
    )  # says nothing of z: the best q is the best fit to the prior
    phi = torch.tensor([[0.5, 0, 0, 0, 0, 0]]).expand(4, 6)
    found = infer(decoder, images, mixture, phi=phi, sigma=1.0, family=DiagonalNormal)
    one_of_the_two = DiagonalNormal.from_phi(torch.tensor([[3.0, 0, 0, 0, 0, 0]]).expand(4, 6))
    bound, error = lower_bound(decoder, images, one_of_the_two, mixture, sigma=1.0)
    assert (found.bound > bound - 0.05 - 4 * (error + found.standard_error)).all()


def test_a_flow_does_as_well_as_its_base():
    flow = pytest.importorskip("lowerbound.flow")
    head = flow.FlowNormal(5, 2)
    decoder, images = linear_decoder(2), some_images(2)
    phi = torch.zeros(2, head.phi_size(2))
    start, _ = lower_bound(decoder, images, head.from_phi(phi), sigma=0.5)
    found = infer(decoder, images, family=head, phi=phi, sigma=0.5, steps=100)
    assert (found.bound > start).all()
    assert (found.bound < exact(decoder, images, 0.5)[2].numpy() + 4 * found.standard_error).all()


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"sigma": None}, "give sigma"),
        ({"sigma": -1.0}, "sigma is -1"),
        ({"prior": None}, "neither a prior nor phi"),
        ({"phi": torch.zeros(3, 4)}, r"expected \[4, P\]"),
        ({"phi": torch.zeros(4, 6)}, "expected one K"),
        ({"family": Point}, "one point"),
        ({"samples": 0}, "at least 1"),
        ({"tolerance": 0.0}, "tolerance"),
        ({"images": np.zeros((0, 1, 6, 6), np.uint8)}, "no images"),
    ],
)
def test_says_what_cannot_be(how, words):
    settings = {"images": some_images(), "prior": StandardNormal(3), "sigma": 0.5, **how}
    with pytest.raises(InputError, match=words):
        infer(linear_decoder(), **settings)


@pytest.mark.parametrize("family", [None, DiagonalNormal, FullNormal])
def test_any_fitted_model(family):
    images = some_images(side=8)
    for model, sigma in (
        (recipes.vae((1, 8, 8), 2), None),
        (recipes.conv((1, 8, 8), 2), 0.5),
        (PCA(2).fit(images), 0.2),
    ):
        for from_encoder in (True, False):
            found = infer_for(model, images, sigma=sigma, family=family, from_encoder=from_encoder, steps=40)
            assert found.mean.shape == found.scale.shape == found.h.shape == (4, 2)
            assert found.covariance(1).shape == (2, 2)
            assert np.allclose(np.sqrt(np.diag(found.covariance(1))), found.scale[1], rtol=1e-4)
            assert (found.gap is None) == (sigma == 0.5)
            assert np.allclose(found.distance, np.sqrt(((found.mean - found.h) ** 2).sum(1)))
            assert np.allclose(found.h, model.transform(images), atol=1e-4) or isinstance(model, PCA)


def test_around_a_plain_code_the_start_has_a_fitting_width():
    images = some_images(side=8)
    model = recipes.conv((1, 8, 8), 2)
    started = infer_for(model, images, sigma=0.5, steps=1)
    tried = [
        lower_bound(
            model.decoder, images, IsotropicNormal.from_phi(torch.tensor([[0.0, 0.0, s]]).expand(4, 3)), sigma=0.5
        )[0]
        for s in (-4.0,)
    ]
    assert (started.found.bound > tried[0] - 5).all()


@pytest.fixture
def verb(monkeypatch, tmp_path):
    """The command on fitted models, without a run on disk."""
    images = some_images(5, side=8)
    models = {"vae": recipes.vae((1, 8, 8), 3), "conv": recipes.conv((1, 8, 8), 3), "pca": PCA(3).fit(images)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        inference_verbs,
        "open_model",
        lambda run, name, k, *_: (run, SimpleNamespace(name=name or "vae"), models[name or "vae"]),
    )
    monkeypatch.setattr(inference_verbs, "images_for", lambda *_: Images(images))
    app = typer.Typer()
    app.command()(inference_verbs.infer)

    def call(*words):
        done = CliRunner().invoke(app, ["run", "--steps", "25", *words])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return call


@pytest.mark.slow
def test_the_command_prints_numbers_and_draws(verb):
    said = verb("--image", "0,3", "--json", "found.json")
    assert "encoder" in said
    assert "own" in said
    assert {path.name for path in Path().glob("*.png")} == {
        f"run-infer-{name}.png" for name in ("elbo", "codes", "images")
    }
    stored = json.loads(Path("found.json").read_text())
    assert stored["images"] == [0, 3]
    (found,) = stored["found"]
    assert np.allclose(np.subtract(found["bound"], found["encoder_bound"]), found["gap"])


@pytest.mark.slow
def test_the_command_takes_three_noises_for_an_autoencoder(verb):
    said = verb("-m", "conv", "--from", "zero", "--out", "a.svg")
    assert [line.split()[0] for line in said.splitlines() if "±" in line] == ["0.1", "0.5", "1"]
    assert Path("a-images.svg").is_file()
    assert "own" in verb("-m", "pca")


@pytest.mark.parametrize(
    "words", [("--image", "9"), ("--image", "x"), ("--sigma", "0"), ("--from", "here"), ("--json", "a.txt")]
)
def test_the_command_says_what_cannot_be(verb, words):
    with pytest.raises(InputError):
        verb(*words)
