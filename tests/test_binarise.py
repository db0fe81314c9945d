"""Images of 0 and 1 from grey ones: with the probabilities that the grey levels say, by a seed, and with a published hash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import sources
from lowerbound.binarise import BLOCK, Binarised, binarised, binarised_set
from lowerbound.comparison import Plan, begin, images_of
from lowerbound.images import Images, ImageSet
from lowerbound.objective import Elbo, Terms
from lowerbound.parts import Parts
from lowerbound.recipes import NETWORKS, RECIPES, vae
from lowerbound.settings import Settings
from lowerbound.storage import Run
from lowerbound.training import run

CPU = torch.device("cpu")


def grey(number=40, shape=(1, 6, 6), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *shape)).astype(np.uint8)


def grey_set(number=40):
    return ImageSet("noise", Images(grey(number)), Images(grey(9, seed=1)), choices=("a choice",), source="noise.npy")


def all_levels(number):
    """Images ``[number, 1, 16, 16]`` with one pixel of each level."""
    return np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (number, 1, 16, 16))


def hold_to_levels(ones, number):
    """Hold counts of ones at each level ``[256]`` to v / 255, within five standard errors and exactly at both ends."""
    wanted = np.arange(256) / 255
    assert ones[0] == 0
    assert ones[255] == number
    z = (ones / number - wanted)[1:-1] / np.sqrt(wanted * (1 - wanted) / number)[1:-1]
    assert np.abs(z).max() < 5
    assert 0.7 < z.std() < 1.3
    assert abs(z.mean()) < 5 / np.sqrt(254)  # no level is off by one, up or down


def test_a_pixel_is_one_with_the_probability_of_its_level():
    number = 4000
    drawn = binarised(all_levels(number), 0)
    assert set(np.unique(drawn)) == {0, 255}
    hold_to_levels((drawn == 255).sum((0, 1)).reshape(256), number)


def test_no_level_is_rounded():
    """Of 254 in 255 cases one: with 256 in the place of 255 the lightest grey would be off by many standard errors."""
    number = 200_000
    for level in (1, 254):
        ones = (binarised(np.full((number // 100, 1, 10, 10), level, np.uint8), 3) == 255).sum()
        rare = ones if level == 1 else number - ones
        assert abs(rare - number / 255) < 5 * np.sqrt(number / 255)


def test_dynamic_draws_have_the_same_probabilities():
    number = 4000
    drawn = Binarised(lambda model, images, fraction: images)(None, torch.from_numpy(all_levels(number) / 255).float())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    hold_to_levels(drawn.sum((0, 1)).reshape(256).numpy(), number)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(1, 50), st.integers(1, 20))
def test_draws_are_fixed_by_the_seed_and_one_image_does_not_change_another(seed, number, fewer):
    images = grey(number)
    whole = binarised(images, seed)
    np.testing.assert_array_equal(binarised(images, seed), whole)
    assert whole.dtype == np.uint8
    few = min(fewer, number)
    np.testing.assert_array_equal(binarised(images[:few], seed), whole[:few])
    assert number < 3 or not np.array_equal(binarised(images, seed + 1), whole)


def test_draws_do_not_depend_on_how_many_images_follow():
    images = np.full((2 * BLOCK + 30, 1, 2, 2), 128, np.uint8)
    whole = binarised(images, 0, 1)
    for number in (BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 5):
        np.testing.assert_array_equal(binarised(images[:number], 0, 1), whole[:number])
    assert not np.array_equal(whole[:BLOCK], whole[BLOCK : 2 * BLOCK])  # each block is drawn anew
    assert not np.array_equal(binarised(images, 0, 0), whole)  # train and test, too


def test_the_given_images_stay_as_they_are_and_so_does_the_random_state():
    images, before, state = grey(), grey(), np.random.get_state()[1].copy()  # noqa: NPY002
    binarised(images, 0)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert len(binarised(images[:0], 0)) == 0


def test_images_of_0_and_1_stay_what_they_are():
    bits = (grey() > 128).astype(np.uint8) * 255
    np.testing.assert_array_equal(binarised(bits, 5), bits)


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_the_test_images_are_drawn_once_and_the_hash_is_published(kind):
    images = grey_set()
    done = binarised_set(images, kind, seed=3)
    assert set(np.unique(done.test.pixels)) == {0, 255}
    np.testing.assert_array_equal(done.test.pixels, binarised_set(images, kind, seed=3).test.pixels)
    assert not np.array_equal(done.test.pixels, binarised_set(images, kind, seed=4).test.pixels)
    assert done.sha256() == binarised_set(images, kind, seed=3).sha256()
    assert len({done.sha256(), images.sha256(), binarised_set(images, kind, seed=4).sha256()}) == 3
    assert done.choices[:-1] == images.choices
    assert f"({kind})" in done.choices[-1]
    assert "with seed 3" in done.choices[-1]
    assert done.choices[-1].endswith(f"sha256 {done.sha256()}")


def test_the_training_images_are_drawn_once_or_not_before_training():
    images = grey_set()
    static, dynamic = (binarised_set(images, kind) for kind in ("static", "dynamic"))
    assert set(np.unique(static.train.pixels)) == {0, 255}
    np.testing.assert_array_equal(dynamic.train.pixels, images.train.pixels)
    np.testing.assert_array_equal(
        static.test.pixels, dynamic.test.pixels
    )  # so that their numbers are of the same images
    same = replace(images, test=Images(images.train.pixels))
    both = binarised_set(same, "static")
    assert not np.array_equal(both.train.pixels, both.test.pixels)  # two streams of one seed


def recorded(seen):
    """An objective that keeps the images it is given."""

    def objective(model, images, fraction):
        seen.append(images.clone())
        return Elbo()(model, images, fraction)

    return Binarised(objective)


@pytest.mark.slow
def test_dynamic_draws_differ_at_every_step_and_repeat_with_the_seed():
    images = np.full((10, 1, 4, 4), 128, np.uint8)
    runs = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        seen = []
        run(
            vae((1, 4, 4), 2, objective=recorded(seen)), images, Settings(epochs=3, batch_size=5, seed=seed), device=CPU
        )
        runs.append(torch.stack(seen))
    assert runs[0].shape == (6, 5, 1, 4, 4)
    assert len({tuple(step.flatten().tolist()) for step in runs[0]}) == 6
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_dynamic_draws_are_of_the_grey_images_and_pass_on_the_fraction():
    told = []

    def objective(model, images, fraction):
        told.append((model, fraction))
        return Terms(images, images, images)

    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).double()
    terms = Binarised(objective)("a model", images, 0.25)
    assert told == [("a model", 0.25)]
    assert torch.equal(terms.loss, images)
    assert terms.loss.dtype == torch.float64


def test_a_bernoulli_vae_learns_from_dynamic_draws():
    """Its bound on test images of 0 and 1 rises, and is a log-probability: never above 0."""
    digits = binarised_set(sources.load("digits"), "dynamic")
    parts = Parts(likelihood="bernoulli", binarise="dynamic")
    model = RECIPES["vae"].build((1, 8, 8), 3, parts=parts, network=NETWORKS["dense"], images=300)
    before = model.score(digits.test.pixels)
    model.fit(digits.train.pixels[:300], Settings(epochs=3, batch_size=50, learning_rate=3e-3), device=CPU)
    assert before < model.score(digits.test.pixels) < 0


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_run_finds_its_binarised_images_again(kind, tmp_path):
    np.save(tmp_path / "noise.npy", grey(60, (1, 5, 5))[:, 0])
    images = sources.load(str(tmp_path / "noise.npy"))
    plan = Plan((2,), ("vae",), seed=4, parts={"likelihood": "bernoulli", "binarise": kind})
    drawn = binarised_set(images, kind, plan.seed)
    begin(drawn, plan, tmp_path / "run")
    opened = Run.open(tmp_path / "run", unfinished=True)
    assert opened.about["source"]["sha256"] == drawn.sha256()
    assert any(drawn.sha256() in choice for choice in opened.about["source"]["choices"])
    again = images_of(opened)
    np.testing.assert_array_equal(again.train.pixels, drawn.train.pixels)
    np.testing.assert_array_equal(again.test.pixels, drawn.test.pixels)
