"""Several seeds: how their numbers are averaged, and how models are held against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lowerbound import sources
from lowerbound.comparison import begin, go_on
from lowerbound.evaluation import Estimate
from lowerbound.plan import Plan
from lowerbound.replicates import averaged, differences, sentences
from lowerbound.storage import Run


def row(model, mean, error, seconds=1.0):
    return {"model": model, "k": 2, "seconds": seconds, "mse": {"mean": mean, "standard_error": error}, "told": None}


def test_one_seed_stays_as_it_was():
    one = row("pca", 1.0, 0.1)
    assert averaged([one]) == [{**one, "seeds": 1}]


def test_the_error_of_several_seeds_has_both_causes():
    (mean,) = averaged([row("vae", 1.0, 0.3), row("vae", 2.0, 0.3), row("vae", 3.0, 0.3)])
    assert mean["mse"]["mean"] == 2
    assert mean["mse"]["standard_error"] == pytest.approx(math.sqrt(1 / 3 + 0.3**2))
    assert mean["seeds"] == 3
    (unknown,) = averaged([row("vae", 1.0, None), row("vae", 2.0, None)])
    assert unknown["mse"]["standard_error"] is None  # of a single image


def test_models_and_ks_are_kept_apart():
    rows = [row("pca", 1.0, 0.1), row("vae", 2.0, 0.1), {**row("vae", 4.0, 0.1), "k": 3}]
    assert [(each["model"], each["k"], each["seeds"]) for each in averaged(rows)] == [
        ("pca", 2, 1),
        ("vae", 2, 1),
        ("vae", 3, 1),
    ]


def test_what_both_models_share_falls_out_of_a_difference():
    random = np.random.default_rng(0)
    hard = 10 * random.random((1, 500))  # what makes an image hard
    other = hard + 0.5 + 0.01 * random.standard_normal((3, 500))
    found = differences({"pca": hard, "vae": other})["pca", "vae"]
    assert found.mean == pytest.approx(0.5, abs=0.01)
    assert found.certain
    assert found.high - found.low < 0.05
    assert found.seeds == 3


def test_the_verdict_says_what_is_paid_and_what_is_bought():
    errors = np.random.default_rng(0).random((2, 300)) / 50
    told = {"vae": Estimate(0.8, 0.01), "pca": Estimate(0.99, 0.01)}
    paid, bought = sentences(7, {"pca": errors[:1], "conv": errors, "vae": 1.5 * errors}, told)
    assert paid.startswith("At K = 7 the VAE pays ")
    assert "50 % more" in paid
    assert "2 seeds" in paid
    assert "80.0 ± 1.0 %" in bought
    assert "probabilistic PCA" in bought
    assert sentences(7, {"pca": errors[:1], "vae": errors}, told) == []


@pytest.mark.slow
def test_a_comparison_over_seeds_keeps_every_one_and_shows_the_first(tmp_path):
    images = sources.load("digits")
    run = go_on(begin(images, Plan((3,), ("pca", "conv", "vae"), epochs=1, seeds=2), tmp_path / "run"), images)
    again = Run.open(run.path)
    assert [model.name for model in again.models] == [
        "pca-k3",
        "conv-k3",
        "conv-k3-seed1",
        "vae-k3",
        "vae-k3-seed1",
    ]
    assert [model.name for model in again.shown] == ["pca-k3", "conv-k3", "vae-k3"]
    errors, scores = again.measured("squared_error", 3), again.measured("score", 3)
    assert {name: len(values) for name, values in errors.items()} == {"pca": 1, "conv": 2, "vae": 2}
    assert set(scores) == {"pca", "vae"}
    first, second = (each for each in again.models if each.recipe == "vae")
    assert not np.array_equal(*(again.load(each).transform(images.test.pixels[:5]) for each in (first, second)))
    means = [each["mse"]["mean"] for each in again.metrics if each["model"] == "vae"]
    np.testing.assert_allclose(errors["vae"].mean(1), means)
    figures = run.path / "figures.html"  # where the live page's template is built, that is the report
    page = (figures if figures.is_file() else run.path / "report.html").read_text()
    assert "VAE, 2 seeds" in page
    assert "less PCA" in page
    assert "At K = 3 the VAE" in page
