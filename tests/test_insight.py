"""What a run knows of its VAE: ascents that rise to the best bound, findings, and nothing where there is nothing to know."""

import json

import numpy as np
import pytest
import torch

from lowerbound import recipes
from lowerbound.comparison import begin
from lowerbound.images import Images, ImageSet
from lowerbound.insight import REPLAYED, write_insight
from lowerbound.linear import linear_vae
from lowerbound.pca import PCA
from lowerbound.plan import Plan
from lowerbound.posterior import DiagonalNormal, FullNormal
from lowerbound.replay import MOMENTS, ascents
from lowerbound.sources import load


def low_rank(number, shape=(1, 5, 4), rank=3, seed=0):
    draw = np.random.default_rng(seed)
    flat = draw.standard_normal((number, rank)) @ draw.standard_normal((rank, np.prod(shape))) * 25 + 128
    return (flat + 5 * draw.standard_normal(flat.shape)).clip(0, 255).astype(np.uint8).reshape(number, *shape)


@pytest.mark.slow
def test_an_ascent_rises_from_nothing_to_the_best_bound():
    pixels = low_rank(60)
    torch.manual_seed(0)
    model = recipes.vae((1, 5, 4), 3, start=PCA(3).fit(pixels))
    for found in ascents(model, pixels, np.array([4, 7])):
        assert found["steps"] == list(MOMENTS)
        assert np.abs(found["phi_mean"][0]).max() == 0
        assert np.abs(found["phi_log_spread"][0]).max() == 0
        assert found["elbo"][-1] > found["elbo"][0]
        assert found["elbo"][-1] <= found["best_elbo"] + 1.0
        assert found["encoder_elbo"] <= found["best_elbo"] + 0.5
        assert len(found["encoder_mean"]) == 3
        json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(("posterior", "spreads"), [(DiagonalNormal, 3), (FullNormal, None)])
def test_spreads_are_those_of_the_family(posterior, spreads):
    pixels = low_rank(30)
    found = ascents(recipes.vae((1, 5, 4), 3, posterior=posterior), pixels, np.array([1]))
    assert [len(each["phi_log_spread"][0]) for each in found] == ([] if spreads is None else [spreads])


def test_only_a_vae_has_ascents():
    pixels = low_rank(30)
    assert ascents(recipes.conv((1, 5, 4), 3), pixels, np.array([1])) == []
    assert ascents(PCA(3).fit(pixels), pixels, np.array([1])) == []
    assert isinstance(ascents(linear_vae(PCA(3).fit(pixels)), pixels, np.array([1])), list)


@pytest.mark.slow
def test_a_run_keeps_what_is_known_of_its_vae(tmp_path):
    from lowerbound.fitting import fit
    from lowerbound.processes import Alone
    from lowerbound.progress import quiet

    images = load("digits")
    run = begin(images, Plan((3,), ("vae",), epochs=2), tmp_path / "run")
    fit(run, images, Alone(), quiet, str, str)
    write_insight(run, images)
    found = json.loads((run.path / "diagnosis.json").read_text())
    assert found["model"] == "vae-k3"
    assert all({"name", "evidence", "certainty", "advice"} <= each.keys() for each in found["findings"])
    replayed = json.loads((run.path / "posterior.json").read_text())["posterior"]
    assert len(replayed) == REPLAYED
    assert all(each["image"] < len(images.test) for each in replayed)


def test_a_run_without_a_vae_or_with_too_few_images_keeps_nothing(tmp_path):
    from lowerbound.fitting import fit
    from lowerbound.processes import Alone
    from lowerbound.progress import quiet

    pixels = low_rank(20)
    few = ImageSet("few", Images(pixels[:15]), Images(pixels[15:]))
    for models in (("pca",), ("vae",)):
        run = begin(few, Plan((2,), models, epochs=1), tmp_path / models[0])
        fit(run, few, Alone(), quiet, str, str)
        write_insight(run, few)
        assert not (run.path / "diagnosis.json").exists()
