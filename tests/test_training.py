"""The training loop: a function of model, images, settings and seed, to the last bit, whatever interrupts it."""

import copy
import io
import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from lowerbound import recipes, sources, training
from lowerbound.objective import Terms
from lowerbound.training import (
    SCHEDULES,
    DivergedError,
    Settings,
    State,
    batched,
    batches,
    choose_device,
    constant,
    one_cycle,
    run,
    seed_of,
)

CPU = torch.device("cpu")
IMAGES = np.random.default_rng(0).integers(0, 256, (43, 1, 5, 4)).astype(np.uint8)
NUMBERED = np.arange(0, 253, 6, dtype=np.uint8).reshape(43, 1, 1, 1)


class Spy(nn.Module):
    """Learns one number and remembers the images it was shown."""

    def __init__(self, loss=lambda weight, images: (images.flatten(1).mean(1) - weight).square()):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.function, self.seen, self.modes = loss, [], []

    def loss(self, images, fraction):
        self.seen.append((images[:, 0, 0, 0] * 255).round().int().tolist())
        self.modes.append(self.training)
        loss = self.function(self.weight, images)
        return Terms(loss, loss.detach(), torch.zeros_like(loss))

    def gauges(self):
        return {"images": torch.tensor(float(len(self.seen[-1])))}


def model_of(name, seed=0):
    torch.manual_seed(seed)
    return getattr(recipes, name)((1, 5, 4), 2)


def bytes_of(model):
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


def stored(state):
    """A state that went to a file and came back."""
    file = io.BytesIO()
    torch.save(vars(state), file)
    file.seek(0)
    return State(**torch.load(file, weights_only=False))


def assert_same_state(one, other):
    assert one.epochs == other.epochs
    assert list(one.history) == list(other.history)
    for name, column in one.history.items():
        assert column.tobytes() == other.history[name].tobytes()
    assert one.optimizer.keys() == other.optimizer.keys()
    for place, remembered in one.optimizer.items():
        for name, value in remembered.items():
            assert torch.equal(value, other.optimizer[place][name])


@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(name, schedule):
    done = []
    for seed in (3, 3, 4):
        model = model_of(name)
        state = run(model, IMAGES, Settings(2, 10, seed=seed, schedule=schedule), device=CPU)
        done.append((bytes_of(model), state))
        torch.rand(7)  # whatever happens in between
    assert done[0][0] == done[1][0] != done[2][0]
    assert_same_state(done[0][1], done[1][1])


@pytest.mark.parametrize("name", ["linear", "vae"])
@pytest.mark.parametrize("pause", [0, 1, 2, 4])
def test_a_run_that_was_interrupted_ends_like_one_that_was_not(name, pause):
    settings = Settings(4, 10, schedule=one_cycle, weight_decay=1e-4)
    whole, interrupted, saved = model_of(name), model_of(name), []

    def interrupt(state):
        if state.epochs == pause:
            saved.append((stored(state), copy.deepcopy(interrupted.state_dict())))

    if pause:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "SAVE_EVERY", -1.0)  # after every epoch
            run(interrupted, IMAGES, settings, save=interrupt, device=CPU)
        (place, weights), interrupted = saved[0], model_of(name, seed=9)
        interrupted.load_state_dict(weights)
    else:
        place = State()
    before = stored(place)
    resumed = run(interrupted, IMAGES, settings, state=place, device=CPU)
    assert_same_state(run(whole, IMAGES, settings, device=CPU), resumed)
    assert bytes_of(whole) == bytes_of(interrupted)
    assert_same_state(place, before)  # the state that came in is as it was, fit to go on from again
    assert resumed.seconds >= place.seconds


def test_more_epochs_go_on_under_a_schedule_of_their_own():
    model = model_of("linear")
    state = run(model, IMAGES, Settings(2, 10, schedule=one_cycle), device=CPU)
    more = run(model, IMAGES, Settings(5, 10, schedule=one_cycle, begin=2), state=state, device=CPU)
    assert more.epochs == 5
    assert len(more.history["loss"]) == 5 * 5
    assert np.array_equal(more.history["loss"][:10], state.history["loss"])
    assert len(state.history["loss"]) == 10


@pytest.mark.parametrize("begin", [0, 1, 4])
def test_a_schedule_passes_from_0_to_1_from_where_it_begins(begin):
    passed = []
    settings = Settings(begin + 3, 10, schedule=lambda fraction: passed.append(fraction) or 1.0, begin=begin)
    run(Spy(), NUMBERED, settings, state=State(epochs=begin), device=CPU)
    assert passed == [step / 16 for step in range(1, 16)]  # 15 steps, neither end reached


def test_a_run_that_is_done_does_nothing():
    model = model_of("conv")
    settings = Settings(1, 10)
    state = run(model, IMAGES, settings, device=CPU)
    before, saved = bytes_of(model), []
    again = run(model, IMAGES, settings, state=state, save=saved.append, device=CPU)
    assert bytes_of(model) == before
    assert_same_state(again, state)
    assert len(saved) == 1


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(1, 43), st.integers(1, 60), st.integers(0, 3), st.integers(0, 99))
def test_every_image_is_seen_once_in_every_epoch(count, batch_size, epochs, seed):
    spy, settings = Spy(), Settings(epochs, batch_size, seed=seed)
    state = run(spy, NUMBERED[:count], settings, device=CPU)
    steps = math.ceil(count / batch_size)
    assert len(spy.seen) == settings.steps(count) == epochs * steps
    for epoch in range(epochs):
        shown = spy.seen[epoch * steps : (epoch + 1) * steps]
        assert sorted(itertools.chain(*shown)) == NUMBERED[:count].ravel().tolist()
        assert [len(batch) for batch in shown] == [
            min(batch_size, count - start) for start in range(0, count, batch_size)
        ]
        assert shown == [part.ravel().tolist() for part in batches(NUMBERED[:count], settings, epoch)]
    assert all(spy.modes)
    assert not spy.training
    assert {len(column) for column in state.history.values()} <= {len(spy.seen)}


def test_order_differs_between_epochs_and_seeds():
    orders = {
        tuple(np.concatenate(list(batches(NUMBERED, Settings(seed=seed), epoch))).ravel().tolist())
        for seed in (0, 1)
        for epoch in (0, 1, 2)
    }
    assert len(orders) == 6
    assert tuple(NUMBERED.ravel().tolist()) not in orders


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 50)] * 4), unique=True, min_size=2, max_size=30))
def test_every_place_has_a_seed_of_its_own(places):
    assert len({seed_of(*place) for place in places}) == len(places)


def test_noise_belongs_to_the_step():
    drawn = []
    spy = Spy(lambda weight, images: drawn.append(torch.rand(3).tolist()) or weight.square().expand(len(images)))
    run(spy, NUMBERED, Settings(2, 10), device=CPU)
    assert len({tuple(draw) for draw in drawn}) == 10
    first = list(drawn)
    drawn.clear()
    run(spy, NUMBERED, Settings(2, 10), device=CPU)
    assert drawn == first


@pytest.mark.parametrize("diverges", [False, True])
def test_the_random_numbers_of_the_caller_stay_as_they_were(diverges):
    states = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    spy = Spy(lambda weight, images: weight * torch.rand(len(images)) * (math.nan if diverges else 1))
    if diverges:
        with pytest.raises(DivergedError):
            run(spy, NUMBERED, Settings(1), device=CPU)
    else:
        run(spy, NUMBERED, Settings(1), device=CPU)
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert str(np.random.get_state()) == states[1]  # noqa: NPY002


@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
def test_the_history_has_every_batch_and_the_gauges(name):
    model = model_of(name)
    state = run(model, IMAGES, Settings(3, 10), device=CPU)
    gauges = ["sigma"] if name == "vae" else []
    assert list(state.history) == ["loss", "distortion", "rate", *gauges]
    for column in state.history.values():
        assert column.dtype == np.float32
        assert column.shape == (3 * 5,)
    terms = state.history["distortion"] + state.history["rate"]
    np.testing.assert_allclose(state.history["loss"], terms, rtol=1e-6)
    if gauges:
        assert state.history["sigma"][-1] == model.gauges()["sigma"].item()
        assert len(set(state.history["sigma"].tolist())) == 15


def test_a_first_step_of_adam_has_the_length_of_the_rate():
    for schedule in SCHEDULES.values():
        spy = Spy()
        run(spy, NUMBERED[:4], Settings(1, 4, learning_rate=0.01, schedule=schedule), device=CPU)
        assert abs(spy.weight.item() - 0.5) == pytest.approx(0.01 * schedule(1 / 2), rel=1e-4)  # one step, half way


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_weight_decay_pulls_towards_0_where_the_loss_is_flat(decay):
    spy = Spy(lambda weight, images: 0 * weight * images.flatten(1).mean(1))
    run(spy, NUMBERED, Settings(2, 10, learning_rate=0.01, weight_decay=decay), device=CPU)
    assert spy.weight.item() == pytest.approx(0.4 if decay else 0.5, abs=1e-3)  # Adam's ten steps of 0.01


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_schedules_stay_between_0_and_1(one, other):
    low, high = sorted([one, other])
    assert constant(one) == 1
    assert 0 <= one_cycle(one) <= 1
    if high <= 0.2:
        assert one_cycle(low) <= one_cycle(high)
    elif low >= 0.2:
        assert one_cycle(low) >= one_cycle(high)


def test_one_cycle_begins_and_ends_at_0_without_a_jump():
    assert one_cycle(0) == one_cycle(1) == 0
    assert one_cycle(0.2) == 1
    rates = [one_cycle(step / 1000) for step in range(1001)]
    assert max(abs(after - before) for before, after in itertools.pairwise(rates)) < 0.006


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": -1},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": math.nan},
        {"weight_decay": -1e-9},
        {"seed": -1},
    ],
    ids=str,
)
def test_settings_that_cannot_train_are_refused(wrong):
    with pytest.raises(ValueError, match="cannot train; expected"):
        Settings(**wrong)


@given(
    st.builds(
        Settings,
        epochs=st.integers(0, 1000),
        batch_size=st.integers(1, 1000),
        learning_rate=st.floats(1e-9, 10),
        weight_decay=st.floats(0, 1),
        schedule=st.sampled_from(list(SCHEDULES.values())),
        seed=st.integers(0, 2**40),
        begin=st.integers(0, 10),
    )
)
def test_settings_survive_json(settings):
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def nan_from(epoch, steps):
    """A loss that stops being a number in an epoch."""
    calls = iter(range(10**9))
    return lambda weight, images: (
        (weight * images.flatten(1).mean(1)).square() * (math.nan if next(calls) >= epoch * steps else 1)
    )


def steep_at(epoch, steps):
    """A loss that stays a number while its gradient is none, at the last step of an epoch."""
    calls = iter(range(10**9))

    def loss(weight, images):
        if next(calls) == (epoch + 1) * steps - 1:
            return (weight - weight.detach()).square().sqrt().expand(len(images))  # 0, with the slope 0 / 0
        return (weight - images.flatten(1).mean(1)).square()

    return loss


@pytest.mark.parametrize("breaks", [nan_from, steep_at])
@pytest.mark.parametrize("epoch", [0, 2, 3])
def test_what_diverged_is_never_saved(breaks, epoch, monkeypatch):
    monkeypatch.setattr(training, "SAVE_EVERY", -1.0)
    spy, saved = Spy(breaks(epoch, steps=5)), []

    def save(state):
        saved.append((state.epochs, spy.weight.item(), [float(value) for value in state.history["loss"]]))

    with pytest.raises(DivergedError, match=f"stopped being a number in epoch {epoch + 1}.*below 0.001"):
        run(spy, NUMBERED, Settings(4, 10), save=save, device=CPU)
    assert [epochs for epochs, *_ in saved] == list(range(1, epoch + 1))
    assert all(math.isfinite(number) for _, weight, losses in saved for number in [weight, *losses])


@pytest.mark.parametrize("name", ["linear", "vae"])
def test_weights_that_are_no_numbers_are_said_to_have_diverged(name):
    model, saved = model_of(name), []
    next(model.parameters()).data.fill_(math.nan)
    with pytest.raises(DivergedError, match="stopped being a number in epoch 1"):
        run(model, IMAGES, Settings(2, 10), save=saved.append, device=CPU)
    assert not saved


def test_saves_come_at_the_end_and_now_and_then(monkeypatch):
    for every, expected in [(1e9, [3]), (-1.0, [1, 2, 3])]:
        monkeypatch.setattr(training, "SAVE_EVERY", every)
        saved = []
        run(Spy(), NUMBERED, Settings(3, 10), save=lambda state, saved=saved: saved.append(state.epochs), device=CPU)
        assert saved == expected


def test_progress_counts_every_step():
    counted, totals = [], []

    class Bar:
        def __init__(self, task, total):
            totals.append((task, total))

        def __enter__(self):
            return lambda steps, word: counted.append(steps)

        def __exit__(self, *error):
            return None

    run(Spy(), NUMBERED, Settings(3, 10), progress=Bar, task="spying", device=CPU)
    assert totals == [("spying", 15)]
    assert sum(counted) == 15


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "conv", "vae"])
def test_it_learns(name):
    digits = sources.load("digits").train.pixels
    torch.manual_seed(0)
    model = getattr(recipes, name)((1, 8, 8), 8)
    rate = 1e-2 if name == "linear" else 3e-3
    loss = run(model, digits, Settings(6, 100, rate, schedule=one_cycle), device=CPU).history["loss"]
    assert loss[-10:].mean() < 0.75 * loss[0]


@hypothesis_settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(1, 25))
def test_blocks_give_what_the_whole_gives(count, size):
    rows = np.random.default_rng(count).random((count, 3), np.float32)
    sizes = []

    def function(block):
        sizes.append(len(block))
        assert not torch.is_grad_enabled()
        return (2 * block).sum(1)

    found = batched(function, rows, lambda block: block + 1, size)
    np.testing.assert_array_equal(found, (2 * (rows + 1)).sum(1))
    assert max(sizes) <= size


def test_a_device_is_chosen_that_computes():
    assert torch.zeros(1, device=choose_device()).item() == 0
