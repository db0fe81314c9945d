"""Where and how precisely numbers are computed."""

import numpy as np
import pytest
import torch

from lowerbound import devices, recipes
from lowerbound.devices import (
    check_precision,
    choose_device,
    feeder,
    made_for_bfloat16,
    quickened,
    seeded,
    shared_by_threads,
)
from lowerbound.errors import InputError
from lowerbound.settings import Settings
from lowerbound.training import run

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)


def model(name="vae"):
    torch.manual_seed(0)
    return getattr(recipes, name)((1, 8, 8), 3)


def test_a_device_is_chosen_that_computes():
    assert torch.zeros(1, device=choose_device()).item() == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_images_are_fed_as_floats_in_0_to_1(order):
    pixels, places = np.asarray(IMAGES, order=order), np.array([5, 0, 59])
    fed = feeder(pixels, CPU)(places)
    assert fed.dtype == torch.float32
    np.testing.assert_allclose(fed.numpy(), IMAGES[places] / 255, rtol=1e-6)


def test_bfloat16_is_refused_with_the_reason_where_it_is_emulated(monkeypatch):
    monkeypatch.setattr(devices, "MADE_FOR", {"no such word"})
    assert not made_for_bfloat16(CPU)
    check_precision("float32", CPU)
    with pytest.raises(InputError, match="53 times as long"):
        check_precision("bfloat16", CPU)
    with pytest.raises(InputError, match="53 times as long"):
        run(model(), IMAGES, Settings(1, precision="bfloat16"), device=CPU)


@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
def test_backbones_alone_are_bfloat16_and_what_counts_stays_float32(name, monkeypatch):
    monkeypatch.setattr(devices, "made_for_bfloat16", lambda device: True)
    plain, x = model(name), torch.rand(16, 1, 8, 8)
    torch.manual_seed(1)
    expected = plain.loss(x).loss
    seen = []
    for each in plain.modules():
        if isinstance(each, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            each.register_forward_hook(lambda module, args, out: seen.append((module, out.dtype)))
    with quickened(plain, CPU, "bfloat16"):
        torch.manual_seed(1)
        terms = plain.loss(x)
    assert {value.dtype for value in vars(terms).values()} == {torch.float32}
    assert torch.bfloat16 in {dtype for _, dtype in seen}
    assert {dtype for module, dtype in seen if module is plain.encoder[-1].linear} == {torch.float32}
    assert torch.allclose(terms.loss, expected, rtol=0.1, atol=0.5)
    assert torch.isfinite(terms.loss).all()
    again = model(name)
    assert plain.loss(x).loss.dtype == again.loss(x).loss.dtype == torch.float32  # afterwards all is as it was
    assert all("forward" not in vars(each) for each in plain.backbones())


def test_training_in_bfloat16_ends_near_that_in_float32(monkeypatch):
    monkeypatch.setattr(devices, "made_for_bfloat16", lambda device: True)
    losses = []
    for precision in ("float32", "bfloat16"):
        state = run(model(), IMAGES, Settings(5, 20, precision=precision), device=CPU)
        losses.append(float(state.history["loss"][-1]))
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


@pytest.mark.slow
def test_compiled_backbones_compute_the_same():
    plain, x = model(), torch.rand(4, 1, 8, 8)
    torch.manual_seed(1)
    expected = plain.loss(x).loss
    try:
        with quickened(plain, CPU, compiled=True):
            torch.manual_seed(1)
            found = plain.loss(x).loss
    except (InputError, RuntimeError, OSError, Warning) as error:
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}: {str(error).splitlines()[0]}")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_training_on_a_card_agrees_with_the_processor():
    losses = [
        float(run(model("linear"), IMAGES, Settings(5, 20), device=device).history["loss"][-1])
        for device in (CPU, torch.device("cuda"))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.fixture
def three_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize(("device", "weights", "threads"), [("cpu", 1_000, 1), ("cpu", 10**6, 3), ("cuda", 1_000, 3)])
def test_small_steps_are_left_to_one_thread_and_the_others_come_back(device, weights, threads):
    with shared_by_threads(torch.device(device), weights, images=100):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_training_leaves_the_threads_as_they_were():
    seen = []
    run(model(), IMAGES, Settings(epochs=1), watch=lambda *_: seen.append(torch.get_num_threads()))
    assert set(seen) == {1}
    assert torch.get_num_threads() == 3


def test_seeds_of_a_device_are_those_of_torch():
    drawn = []
    for seed in (seeded, lambda _, number: torch.manual_seed(number)):
        seed(CPU, 2**62 + 3)
        drawn.append(torch.randn(5))
    assert torch.equal(*drawn)
