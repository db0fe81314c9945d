"""All measurements of a model: which there are, that they agree with each other, and the verb that writes them."""

import json
import math

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from lowerbound import evaluation_verbs, measures, recipes, sources
from lowerbound.evaluation import evaluate
from lowerbound.images import Images
from lowerbound.likelihood import Bernoulli, DiscretizedLogistic
from lowerbound.measures import default_features, expected_seconds, measure, measurements, yardsticks
from lowerbound.pca import PCA
from lowerbound.realism import pixel_components
from lowerbound.storage import Run

ERRORS = {"mean squared error", "PSNR", "SSIM"}
CLASSES = {"5-nearest-neighbour accuracy", "linear-probe accuracy"}
SAMPLES = {f"two-sample {word}{which}" for word in ("accuracy", "p-value") for which in ("", ", coarse")}
SAMPLES |= {"Frechet distance: pixels on 50 principal components"}
BOUNDS = {"distortion", "rate", "ELBO", "active units", "importance-weighted bound", "images with 20 effective draws"}


@pytest.fixture(scope="module")
def digits():
    both = sources.load("digits")
    return both.train, both.test[:120]


def vae(train, k=4):
    torch.manual_seed(0)
    return recipes.vae(train.image_shape, k, start=PCA(k).fit(train.pixels)).eval()


def by_name(found):
    names = [each.name for each in found]
    assert len(set(names)) == len(names)
    assert all(each.unit and each.protocol and math.isfinite(each.value) for each in found)
    assert all(each.standard_error is not None for each in found if "p-value" not in each.name)
    return {each.name: each for each in found}


def test_pca_has_an_exact_density(digits):
    train, test = digits
    pca = PCA(4).fit(train.pixels)
    found = by_name(measure(pca, train, test))
    assert set(found) == ERRORS | CLASSES | SAMPLES | {"log p(x)"}
    assert found["log p(x)"].value == pytest.approx(pca.score(test.pixels))


def test_a_plain_autoencoder_has_no_density_and_no_samples(digits):
    train, test = digits
    model = recipes.conv(train.image_shape, 4)
    found = by_name(measure(model, train, test))
    assert set(found) == ERRORS | CLASSES
    assert found["mean squared error"].value == evaluate(model, test.pixels).mse.mean


def test_a_vae_has_all_and_its_bounds_are_in_order(digits):
    train, test = digits
    model = vae(train)
    state = torch.random.get_rng_state()
    found = by_name(measure(model, train, test, evidence_images=110, evidence_samples=30))
    assert torch.equal(state, torch.random.get_rng_state())
    assert set(found) == ERRORS | CLASSES | SAMPLES | BOUNDS
    assert found["ELBO"].value == pytest.approx(-found["distortion"].value - found["rate"].value)
    assert found["ELBO"].value == pytest.approx(model.score(test.pixels), abs=4 * found["ELBO"].standard_error)
    everywhere = by_name(measure(model, train, test, evidence_images=None, evidence_samples=30))
    assert "120 of 120" in everywhere["importance-weighted bound"].protocol
    exact = PCA(4).fit(train.pixels).score(test.pixels)  # what the VAE begins at is probabilistic PCA
    assert everywhere["ELBO"].value < everywhere["importance-weighted bound"].value < exact + 0.5
    again = measure(model, train, test, evidence_images=110, evidence_samples=30)
    assert [each.to_json() for each in again] == [each.to_json() for each in found.values()]


@pytest.mark.parametrize(("head", "name"), [(DiscretizedLogistic, "bits per dimension"), (Bernoulli, None)])
def test_probabilities_of_images_are_told_as_such(digits, head, name):
    train, test = digits
    model = vae(train)
    model.decoder = nn.Sequential(model.decoder[0], head())
    if name is None:
        test = Images(np.where(test.pixels > 127, 255, 0).astype(np.uint8), test.labels)
        name = "negative log-likelihood"
    found = by_name(measure(model, train, test, evidence_images=20, evidence_samples=5))
    bound, told = found["importance-weighted bound"], found[name]
    scale = 64 * math.log(2) if name == "bits per dimension" else 1
    assert told.value == pytest.approx(-bound.value / scale)
    assert told.standard_error == pytest.approx(bound.standard_error / scale)
    assert told.value > 0
    assert "no log-likelihood" not in bound.protocol


def test_without_labels_there_is_no_accuracy_and_few_images_have_no_samples(digits):
    train, test = (Images(part.pixels) for part in digits)
    pca = PCA(4).fit(train.pixels)
    assert not CLASSES & set(by_name(measure(pca, train, test)))
    assert not SAMPLES & {each.name for each in measure(pca, train, test[:3])}
    assert yardsticks(train, test[:3]) == []


def test_real_images_are_a_yardstick(digits):
    train, test = digits
    found = by_name(yardsticks(train, test))
    assert set(found) == CLASSES | SAMPLES
    accuracy = found["two-sample accuracy"]
    assert abs(accuracy.value - 0.5) < 4 * accuracy.standard_error
    frechet = "Frechet distance: pixels on 50 principal components"
    poor = by_name(measure(PCA(1).fit(train.pixels), train, test))
    assert found[frechet].value < poor[frechet].value
    assert found["two-sample p-value"].value > poor["two-sample p-value"].value


def test_features_of_the_user_take_the_place_of_ours(digits):
    train, test = digits
    pca = PCA(4).fit(train.pixels)
    mine = {"mine": lambda images: images.mean((2, 3))}
    names = [each.name for each in measure(pca, train, test, features=mine) if "Frechet" in each.name]
    assert names == ["Frechet distance: mine"]
    assert next(iter(default_features(train))) == "pixels on 50 principal components"
    assert pixel_components(train.pixels[:5], 50)(np.zeros((2, 1, 8, 8), np.float32)).shape == (2, 5)


def interrupted_after(blocks):
    left = iter(range(blocks))

    def evidence(*words, **how):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return measures_evidence(*words, **how)

    return evidence


measures_evidence = measures.evidence


def test_an_interruption_keeps_the_images_that_are_done(digits, monkeypatch):
    train, test = digits
    monkeypatch.setattr(measures, "evidence", interrupted_after(1))
    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(
            each for each in measurements(vae(train), train, test, evidence_samples=3) if not found.append(each)
        )
    last = {each.name: each for each in found}["importance-weighted bound"]
    assert "100 of 120" in last.protocol


def test_a_duration_is_said_for_all_images(digits):
    train, test = digits
    assert expected_seconds(vae(train), test.pixels, 10) > 0


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from lowerbound.comparison import begin, go_on
    from lowerbound.plan import Plan

    images = sources.load("digits")
    run = begin(images, Plan((2,), ("pca", "conv", "vae"), epochs=1), tmp_path_factory.mktemp("runs") / "run")
    return go_on(run, images).path


def evaluated(*words):
    app = typer.Typer(pretty_exceptions_enable=False)
    for name, verb in evaluation_verbs.VERBS:
        app.command(name)(verb)
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.mark.slow
def test_the_verb_writes_a_table_and_every_number(run):
    result = evaluated(run, "--images", 20, "--samples", 5)
    assert result.exit_code == 0, result.output
    stored = json.loads((run / "evaluation.json").read_text())
    assert stored["complete"]
    assert list(stored["models"]) == ["pca", "conv", "vae"]
    assert set(stored["models"]["vae"][0]) == {"name", "value", "standard_error", "unit", "protocol"}
    assert stored["yardsticks"]
    for each in stored["models"]["vae"]:
        assert each["name"].split()[0] in result.output
    Run.open(run)


@pytest.mark.slow
def test_the_verb_takes_features_and_says_how_long_all_takes(run, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation_verbs, "FULL_SAMPLES", 5)
    mine = tmp_path / "mine.py"
    mine.write_text("def brightness(images):\n    return images.mean((2, 3))\n")
    out = tmp_path / "found.json"
    words = (run, "--model", "vae", "--full", "--out", out, "--features", f"{mine}:brightness")
    result = evaluated(*words)
    assert result.exit_code == 0, result.output
    assert "will take about" in result.output
    stored = json.loads(out.read_text())
    assert list(stored["models"]) == ["vae"]
    assert any(each["name"] == "Frechet distance: mine.py:brightness" for each in stored["models"]["vae"])
    monkeypatch.setattr(measures, "evidence", interrupted_after(3))  # two of them to say how long
    assert evaluated(*words).exit_code != 0
    stored = json.loads(out.read_text())
    assert not stored["complete"]
    assert any("100 of" in each["protocol"] for each in stored["models"]["vae"])


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--full", "--images", 5), ("--out", "a.png"), ("--features", "nowhere.py:f")])
def test_the_verb_refuses_before_it_works(run, words):
    result = evaluated(run, *words)
    assert result.exit_code != 0
    assert "Error" in type(result.exception).__name__
