"""A film of a training is made of its moments, changes nothing of it, and has none missing after a break."""

import numpy as np
import pytest
import torch

from lowerbound import recipes
from lowerbound.film import MOMENTS, Camera, Film, marks
from lowerbound.settings import Settings, one_cycle
from lowerbound.state import in_memory
from lowerbound.training import run

pytestmark = pytest.mark.slow  # many figures, processes or trainings

PIXELS = np.random.default_rng(0).integers(0, 256, (100, 1, 6, 5)).astype(np.uint8)
SETTINGS = Settings(epochs=6, batch_size=10, learning_rate=1e-2, schedule=one_cycle)


def fresh(kind="vae"):
    torch.manual_seed(0)
    return getattr(recipes, kind)((1, 6, 5), 3)


def filmed(model, **more):
    camera = Camera(model, PIXELS[:30], 3, of_epoch=10)
    state = run(model, PIXELS, SETTINGS, watch=camera, device=torch.device("cpu"), **more)
    camera.end(state.step)
    return camera.film, state


@pytest.mark.parametrize("kind", ["linear", "conv", "vae"])
def test_filming_changes_nothing(kind):
    plain, watched = fresh(kind), fresh(kind)
    run(plain, PIXELS, SETTINGS, device=torch.device("cpu"))
    film, _ = filmed(watched)
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)
    assert (film.codes.shape[1:], film.reconstructions.shape[1:], film.samples.shape[1:]) == (
        (30, 3),
        (30, 1, 6, 5),
        (25, 1, 6, 5),
    )
    assert film.steps[0] == 0
    assert film.steps[-1] == 60
    assert (np.diff(film.steps) > 0).all()
    assert 10 <= len(film.steps) <= MOMENTS
    np.testing.assert_allclose(film.codes[-1], watched.transform(PIXELS[:30]), atol=2e-3, rtol=2e-3)
    last = watched.inverse_transform(watched.transform(PIXELS[:30]))
    assert np.abs(film.reconstructions[-1] / 255 - last.clip(0, 1)).max() < 0.51 / 255 + 1e-6


class BrokenOff(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("at", [1, 8, 40, 59])
def test_a_film_that_was_broken_off_goes_on_as_if_it_was_not(at):
    whole, _ = filmed(fresh())
    model = fresh()
    camera, kept = Camera(model, PIXELS[:30], 3, of_epoch=10), in_memory(model)

    def broken_off(step, fraction):
        camera(step, fraction)
        if step == at:
            raise BrokenOff

    with pytest.raises(BrokenOff):
        run(model, PIXELS, SETTINGS, watch=broken_off, keep=kept, device=torch.device("cpu"))
    np.testing.assert_array_equal(camera.film.steps, whole.until(at).steps)
    resumed, taken = Camera(model, PIXELS[:30], 3, of_epoch=10, film=whole.until(at)), []
    resumed._take = taken.append  # which steps it looks at is the question; what it sees there is known
    for step in range(at, 61):
        resumed(step, step / 60)
    assert taken == [step for step in whole.steps[:-1] if step > at]


def test_a_training_that_goes_on_keeps_every_second_moment():
    model = fresh()
    film, state = filmed(model)
    more = Camera(model, PIXELS[:30], 3, of_epoch=10, film=film, begin=6)
    run(model, PIXELS, Settings(epochs=9, batch_size=10, begin=6), state=state, watch=more, device=torch.device("cpu"))
    more.end(90)
    assert set(film.steps[::2]) - {60} <= set(more.film.steps)
    assert more.film.steps[-1] == 90
    assert len(more.film.steps) <= MOMENTS + 1
    assert len(marks(6)) == MOMENTS // 2


def test_the_losses_are_those_of_the_batches_before():
    film, state = filmed(fresh())
    loss = film.with_loss(state.history["loss"]).loss
    assert loss[0] == state.history["loss"][0]
    assert loss[-1] == pytest.approx(state.history["loss"][-20:].mean())


def test_weights_that_no_distribution_takes_are_not_filmed():
    model = fresh()
    camera = Camera(model, PIXELS[:30], 3, of_epoch=10)
    camera(0, 0.0)
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(torch.nan)
    camera(5, 0.5)
    assert list(camera.film.steps) == [0]


def test_of_large_images_fewer_are_kept():
    large = np.zeros((30, 3, 256, 256), np.uint8)
    model = recipes.linear((3, 256, 256), 2)
    camera = Camera(model, large, 2, of_epoch=1)
    camera(0, 0.0)
    assert camera.film.reconstructions.nbytes * MOMENTS <= 16_000_000
    assert camera.film.codes.shape == (1, 30, 2)


def test_a_film_comes_back_from_its_tensors():
    film, _ = filmed(fresh())
    again = Film.of(film.tensors())
    for name, array in vars(film).items():
        np.testing.assert_array_equal(getattr(again, name), array)
    with pytest.raises(ValueError, match="no film"):
        Film.of({"steps": torch.zeros(1)})
    with pytest.raises(ValueError, match="belong together"):
        Film.of({**film.tensors(), "steps": torch.zeros(1)})
