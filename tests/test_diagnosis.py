"""The doctor: every ailment is caused in earnest on small images, and has to be what is named first."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from torch import nn

from lowerbound import recipes, sources
from lowerbound.diagnosis import CHECKS, FOLLOWS, Checked, Commands, Finding, check, diagnose, findings
from lowerbound.errors import InputError
from lowerbound.examination import examine
from lowerbound.findings_figure import PANELS, checkup
from lowerbound.likelihood import Bernoulli, Normal
from lowerbound.objective import Elbo
from lowerbound.parts import Parts
from lowerbound.pca import PCA
from lowerbound.posterior import DiagonalNormal
from lowerbound.recipes import NETWORKS
from lowerbound.settings import Settings, one_cycle
from lowerbound.symptoms import Codes

SHAPE = (1, 8, 8)
MISMATCH, BOUND, UNTRAINED, STUCK, COLLAPSE, OVERFIT, WEAK, SMALL, WORSE, LARGE, WEAK_Q, UNMATCHED, PIXELS = CHECKS


@pytest.fixture(scope="module")
def digits():
    images = sources.load("digits")
    return images.train.pixels, images.test.pixels


@pytest.fixture(scope="module")
def trained(digits):
    """A VAE as the recipe makes it."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return recipes.vae(SHAPE, 8, start=PCA(8).fit(digits[0])).fit(digits[0], cycle(15))


def cycle(epochs, rate=3e-3, batch=100):
    return Settings(epochs, batch, rate, schedule=one_cycle)


def symptoms_of(model, images, **how):
    return examine(model, *images, **({"images": 300, "steps": 40, "gaps": 0} | how))


def named(model, images, **how):
    """Names of all findings, and of the ailments among them."""
    found = diagnose(symptoms_of(model, images, **how))
    return [each.name for each in found], [each.name for each in found if each.severity == "ailment"]


def from_line(number, loadings, noise, seed):
    """Images that differ in a few directions, plus noise."""
    random = np.random.default_rng(seed)
    values = 128 + random.standard_normal((number, len(loadings))) @ loadings
    values += noise * random.standard_normal(values.shape)
    return values.clip(0, 255).round().astype(np.uint8).reshape(number, *SHAPE)


@pytest.mark.slow
def test_healthy_linear_models_get_a_clean_bill(digits):
    pca = PCA(8).fit(digits[0])
    assert named(pca, digits) == ([], [])
    linear = recipes.linear(SHAPE, 8, pca).fit(digits[0], cycle(150, 1e-2, 250))
    assert named(linear, digits) == ([UNMATCHED], [])  # it never saw a prior: a note


@pytest.mark.slow
def test_healthy_networks_get_a_clean_bill(digits, trained):
    names, ailments = named(trained, digits, gaps=8)
    assert not ailments
    assert set(names) <= {PIXELS, WEAK_Q, UNMATCHED}
    conv = recipes.conv(SHAPE, 8, start=PCA(8).fit(digits[0])).fit(digits[0], cycle(15))
    assert not named(conv, digits)[1]
    full = recipes.vae(SHAPE, 8, start=PCA(8).fit(digits[0]), posterior=DiagonalNormal).fit(digits[0], cycle(15))
    assert not named(full, digits)[1]
    dense = recipes.vae(SHAPE, 4, NETWORKS["dense"], start=PCA(4).fit(digits[0])).fit(digits[0], cycle(60))
    assert not named(dense, digits)[1]


@pytest.mark.slow
@pytest.mark.parametrize("make", [recipes.vae, recipes.conv])
def test_stuck_at_the_mean_image(digits, make):
    model = make(SHAPE, 8, NETWORKS["tutorial"])
    decoder = model.decoder[0] if make is recipes.vae else model.decoder
    with torch.no_grad():
        decoder.layers[0].bias.fill_(-30.0)  # dead units: no code gets through, and no gradient back
    found = diagnose(symptoms_of(model.fit(digits[0], cycle(20, 2e-2)), digits))
    assert found[0].name == STUCK
    assert found[0].certainty == "certain"
    assert "--seed 1" in found[0].advice
    assert all(each.follows for each in found[1:] if each.severity == "ailment")


@pytest.mark.slow
def test_worse_than_pca(digits):
    noisy = Normal(0.5, learned=False)  # far above what is left over: codes are shrunk
    model = recipes.vae(SHAPE, 8, start=PCA(8).fit(digits[0]), likelihood=noisy).fit(digits[0], cycle(15))
    found = diagnose(symptoms_of(model, digits), Commands("digits", parts=Parts(likelihood="fixed:0.5")))
    assert found[0].name == WORSE
    assert found[0].advice == "lowerbound train digits -k 8 --likelihood normal"


@pytest.mark.slow
@pytest.mark.parametrize(("beta", "posterior"), [(50.0, recipes.IsotropicNormal), (8.0, DiagonalNormal)])
def test_posterior_collapse(digits, beta, posterior):
    model = recipes.vae(SHAPE, 8, start=PCA(8).fit(digits[0]), posterior=posterior, objective=Elbo(beta=beta))
    found = diagnose(symptoms_of(model.fit(digits[0], cycle(30, rate=8e-3)), digits))
    assert found[0].name == COLLAPSE
    assert "8" in found[0].evidence.partition(": ")[2]  # the dimension of the least variance goes first
    assert "--objective elbo" in found[0].advice


@pytest.mark.slow
def test_k_too_small(digits):
    model = recipes.vae(SHAPE, 1, start=PCA(1).fit(digits[0])).fit(digits[0], cycle(20))
    found = diagnose(symptoms_of(model, digits))
    assert found[0].name == SMALL
    assert found[0].advice.endswith("-k 2")


@pytest.mark.slow
def test_k_too_large():
    loadings = np.random.default_rng(0).standard_normal((3, 64)) * 20
    images = from_line(1000, loadings, 4.0, 1), from_line(300, loadings, 4.0, 2)
    for posterior in (recipes.IsotropicNormal, DiagonalNormal):
        model = recipes.vae(SHAPE, 12, start=PCA(12).fit(images[0]), posterior=posterior)
        model.fit(images[0], cycle(15, rate=1e-3))
        assert named(model, images)[0][0] == LARGE
    assert named(PCA(12).fit(images[0]), images)[0] == [LARGE]


@pytest.mark.slow
def test_decoder_too_weak(digits):
    model = recipes.conv(SHAPE, 8, start=PCA(8).fit(digits[0]))
    model.encoder.requires_grad_(False)  # codes that hold what PCA's do ...
    model.decoder = nn.Sequential(nn.Linear(8, 2), nn.Tanh(), nn.Linear(2, 64), nn.Unflatten(-1, SHAPE))  # ... squeezed
    found = diagnose(symptoms_of(model.fit(digits[0], cycle(120, 1e-2)), digits))
    assert [each.name for each in found if each.severity == "ailment"] == [WEAK, WORSE]
    assert found[1].follows == WEAK


@pytest.mark.slow
def test_q_too_weak():
    loadings = np.random.default_rng(0).standard_normal((4, 64)) * np.array([[40], [20], [8], [3]])
    images = from_line(1000, loadings, 3.0, 1), from_line(300, loadings, 3.0, 2)
    model = recipes.vae(SHAPE, 4, start=PCA(4).fit(images[0]))
    model.decoder.requires_grad_(False)  # its posterior has variances that differ a hundredfold; q is isotropic
    found = diagnose(symptoms_of(model.fit(images[0], cycle(10)), images, gaps=8))
    assert [each.name for each in found] == [WEAK_Q]
    assert "--posterior diagonal" in found[0].advice


@pytest.mark.slow
def test_aggregate_posterior_far_from_the_prior(digits):
    model = recipes.vae(SHAPE, 8, start=PCA(8).fit(digits[0]), objective=Elbo(beta=1e-3))
    head, decoder = model.encoder[-1].linear, model.decoder[0]
    with (
        torch.no_grad()
    ):  # five times as wide and off centre, undone by the decoder, and hardly any rate to pull it back
        head.weight[:8] *= 5
        head.bias[:8] += 4
        decoder.linear.weight /= 5
        decoder.bias.bias -= (decoder.linear.weight @ torch.full((8,), 4.0)).view(SHAPE)
    found = diagnose(symptoms_of(model.fit(digits[0], cycle(20)), digits))
    assert [each.name for each in found if each.severity == "ailment"] == [UNMATCHED]
    assert "--prior gmm" in found[0].advice


@pytest.mark.slow
@pytest.mark.parametrize("make", [recipes.vae, recipes.conv])
def test_over_fitting(digits, make):
    few = digits[0][:60]
    model = make(SHAPE, 8, start=PCA(8).fit(few)).fit(few, cycle(250))
    assert named(model, (few, digits[1]))[0][0] == OVERFIT


@pytest.mark.slow
@pytest.mark.parametrize(("make", "network"), [(recipes.vae, "tutorial"), (recipes.conv, "dense")])
def test_not_yet_converged(digits, make, network):
    model = make(SHAPE, 8, NETWORKS[network]).fit(digits[0], Settings(2, 100, 1e-3))
    found = diagnose(symptoms_of(model, digits), Commands(run="runs/a"))
    assert found[0].name == UNTRAINED
    assert found[0].advice == "lowerbound train --resume runs/a --epochs +5"


def test_sigma_at_its_bound():
    random = np.random.default_rng(0)
    mix = np.abs(random.standard_normal((2, 64)))
    values = random.random((1300, 2)) @ (mix / mix.sum(0))  # two numbers hold all of an image but its rounding
    images = (255 * values).round().astype(np.uint8).reshape(-1, *SHAPE)
    model = recipes.vae(SHAPE, 2, start=PCA(2).fit(images[:1000])).fit(images[:1000], cycle(3, 1e-5))
    assert named(model, (images[:1000], images[1000:]))[0][0] == BOUND


@pytest.mark.slow
def test_saturated_pixels(digits):
    images = tuple((pixels > 127) * np.uint8(255) for pixels in digits)
    model = recipes.vae(SHAPE, 8, start=PCA(8).fit(images[0])).fit(images[0], cycle(15))
    found = {each.name: each for each in diagnose(symptoms_of(model, images))}
    assert found[PIXELS].severity == "note"
    assert "--likelihood bernoulli" in found[PIXELS].advice
    assert not [each for each in found.values() if each.severity == "ailment"]


def test_images_that_never_vary():
    images = np.full((60, *SHAPE), 77, np.uint8)
    found = diagnose(symptoms_of(PCA(2).fit(images), (images, images)))
    assert PIXELS in [each.name for each in found if each.severity == "ailment"]
    assert STUCK not in [each.name for each in found]


@pytest.mark.slow
@pytest.mark.parametrize("spoil", [lambda x: 255 - x, lambda x: np.rot90(x, 1, (2, 3)).copy()])
def test_train_test_mismatch(digits, trained, spoil):
    found = diagnose(symptoms_of(trained, (digits[0], spoil(digits[1]))))
    assert found[0].name == MISMATCH
    assert all(each.follows == MISMATCH for each in found[1:] if each.severity == "ailment")


@pytest.mark.slow
def test_examining_leaves_model_and_random_numbers_alone(digits, trained):
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    state = torch.get_rng_state()
    one, two = (symptoms_of(trained, digits, gaps=2, steps=5) for _ in range(2))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in before.items())
    assert not trained.training
    assert [each.words or each.finding for each in check(one)] == [each.words or each.finding for each in check(two)]
    assert {"density", "decoder"}.isdisjoint(one.skipped)


def test_grey_images_are_binarised_for_a_bernoulli_likelihood(digits):
    model = recipes.vae(SHAPE, 3, start=PCA(3).fit(digits[0]), likelihood=Bernoulli())
    found = symptoms_of(model, digits, steps=2)
    assert found.pixels.saturated == 1
    assert found.density is not None
    assert found.density.sigma is None


def test_too_few_images_are_refused(digits):
    with pytest.raises(InputError, match="expected at least 8"):
        examine(PCA(2).fit(digits[0]), digits[0][:5], digits[1])


def test_few_images_are_examined(digits):
    few = digits[0][:12]
    found = symptoms_of(PCA(8).fit(few), (few, digits[1][:8]))
    assert found.pixels.mismatch is None
    assert "decoder" in found.skipped
    assert len(check(found)) == len(CHECKS)
    assert symptoms_of(PCA(12).fit(few), (few, digits[1][:8])).reference is None


def test_certainty_follows_the_standard_error(digits):
    symptoms = symptoms_of(PCA(8).fit(digits[0]), digits)
    reference = symptoms.reference.errors[8]

    def worse(share, spread):
        rows = reference + reference.mean() * (share + spread * np.where(np.arange(len(reference)) % 2, 1, -1))
        return next((each for each in diagnose(replace(symptoms, errors=rows)) if each.name == WORSE), None)

    error = 1 / np.sqrt(len(reference))  # of a share whose values are one apart from their mean
    assert worse(0.005, 0.0) is None  # real, and too little to see
    assert worse(0.05, 0.05 / 2 / error) is None  # two standard errors
    assert worse(0.05, 0.0).certainty == "certain"
    assert worse(0.014, 0.002 / error).certainty == "likely"  # two beyond the threshold of 0.01
    assert worse(0.012, 0.002 / error).certainty == "possible"


def test_ailments_come_before_notes_and_name_their_cause():
    kinds = {PIXELS: "note", COLLAPSE: "ailment", WORSE: "ailment", UNMATCHED: "note"}
    given = [
        Checked(name, "", Finding(name, "", "certain", "", severity=kinds[name]))
        for name in (PIXELS, COLLAPSE, WORSE, UNMATCHED)
    ]
    found = findings(given)
    assert [each.name for each in found] == [COLLAPSE, WORSE, PIXELS, UNMATCHED]
    assert [each.follows for each in found] == ["", COLLAPSE, "", COLLAPSE]
    assert set(FOLLOWS) | {name for names in FOLLOWS.values() for name in names} <= set(CHECKS)


def test_dead_dimensions_neither_move_nor_cost():
    from lowerbound.evaluation import Estimate

    nothing = Estimate(0.0, 1.0)
    codes = Codes(np.array([1.0, 1e-3, 1e-3, 0.5]), np.array([1.0, 1e-3, 0.5, 1e-3]), nothing, nothing)
    assert codes.dead.tolist() == [2]
    assert replace(codes, kl=None, variances=np.array([1.0, 0.0])).dead.tolist() == [2]


def test_commands_keep_the_other_parts():
    parts = Parts(prior="mixture:20", objective="total-correlation")
    commands = Commands("mnist", parts=parts, network="dense")
    assert commands.train(5, likelihood="laplace") == (
        "lowerbound train mnist -k 5 --network dense "
        "--likelihood laplace --prior mixture:20 --objective total-correlation"
    )
    assert commands.train(5, posterior="full") == "lowerbound train mnist -k 5 --network dense --posterior full"
    assert (
        Commands("mnist", model="conv").train(5, more="--seed 1") == "lowerbound train mnist --model conv -k 5 --seed 1"
    )


@pytest.mark.slow
def test_every_panel_is_drawn(digits, trained):
    from lowerbound.diagnosis_verbs import _panels

    symptoms = symptoms_of(trained, digits, gaps=2, steps=5, history={"loss": np.linspace(5, 1, 100)})
    panels = _panels(symptoms)
    assert set(panels) == set(PANELS)
    figure = checkup(panels, {"loss": UNTRAINED})
    words = [text for axes in figure.axes for text in axes.findobj(Text) if text.get_text() == UNTRAINED]
    assert len(figure.axes) == len(PANELS)
    assert [text.get_color() for text in words] == ["#B3261E"]
    plain = _panels(symptoms_of(PCA(2).fit(digits[0]), digits))
    assert set(plain) == {"pictures", "errors", "spectrum", "codes", "pixels"}
    with pytest.raises(InputError, match="panels are"):
        checkup({})


@pytest.mark.slow
def test_the_verb_reports_and_writes(tmp_path, monkeypatch, capsys):
    import typer
    from typer.testing import CliRunner

    from lowerbound.cli import app
    from lowerbound.diagnosis_verbs import VERBS

    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    made = runner.invoke(app, ["train", "digits", "-k", "4", "--epochs", "2", "--out", "run"])
    assert made.exit_code == 0, made.output
    alone = typer.Typer()
    alone.command("diagnose")(VERBS[0][1])
    done = runner.invoke(alone, ["run", "--json", "found.json"])
    assert done.exit_code == 0, done.output
    assert "vae-k4: " in done.stdout
    assert "checked, and not found:" in done.stdout
    stored = json.loads((tmp_path / "found.json").read_text())
    assert len(stored["findings"]) + len(stored["not_found"]) == len(CHECKS)
    assert (tmp_path / "run-diagnosis.png").stat().st_size > 10_000
    for each in stored["findings"]:
        assert each["advice"].partition("lowerbound ")[2].split()[0] in ("train", "sample", "data")
