"""The training loop: a function of model, images, settings and seed, to the last bit, whatever interrupts it."""

import copy
import io
import itertools
import json
import math
import signal
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import nn

from lowerbound import loop, recipes, sources
from lowerbound.devices import choose_device
from lowerbound.errors import DivergedError
from lowerbound.objective import Terms
from lowerbound.order import Order, seed_of
from lowerbound.settings import SCHEDULES, Settings, constant, one_cycle
from lowerbound.state import State
from lowerbound.training import run

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
    same = {"step", "fraction", "rate", "skipped", "rollbacks", "stopped", "best_step", "best_loss"}
    assert {n: v for n, v in one.numbers.items() if n in same} == {n: v for n, v in other.numbers.items() if n in same}
    for kind in ("average", "best"):
        assert getattr(one, kind).keys() == getattr(other, kind).keys()
        assert all(torch.equal(value, getattr(other, kind)[name]) for name, value in getattr(one, kind).items())
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


class Recorder:
    """A keep that remembers all it was given, as files would."""

    def __init__(self, model):
        self.model, self.kept = model, []

    def save(self, state):
        self.kept.append((stored(state), copy.deepcopy(self.model.state_dict())))

    def load(self):
        if not self.kept:
            return None
        state, weights = self.kept[-1]
        self.model.load_state_dict(weights)
        return stored(state)


def everything(**more):
    """Settings that use all there is."""
    return Settings(**{"epochs": 4, "batch_size": 10, "schedule": one_cycle, "weight_decay": 1e-4, **more})


@pytest.mark.parametrize("name", ["linear", "vae"])
@pytest.mark.parametrize("extra", [{}, {"average": 0.9, "clip": 3.0, "patience": 2}], ids=["plain", "all"])
def test_a_run_that_is_split_at_any_step_ends_like_one_that_was_not(name, extra, monkeypatch):
    settings, how = everything(**extra), {"device": CPU, "validation": IMAGES[:7] if extra else None}
    whole = model_of(name)
    recorder = Recorder(whole)
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)  # after every step
    finished = run(whole, IMAGES, settings, keep=recorder, **how)
    steps = [state.step for state, _ in recorder.kept]
    assert steps == [*range(20), 20]
    for pause in (0, 1, 7, 10, 19, 20):
        place, weights = recorder.kept[pause]
        resumed = model_of(name, seed=9)
        resumed.load_state_dict(weights)
        before = stored(place)
        again = run(resumed, IMAGES, settings, state=place, **how)
        assert_same_state(finished, again)
        assert bytes_of(whole) == bytes_of(resumed)
        assert_same_state(place, before)  # the state that came in is as it was, fit to go on from again
        assert again.seconds >= place.seconds


def test_more_epochs_go_on_under_a_schedule_of_their_own():
    model = model_of("linear")
    state = run(model, IMAGES, Settings(2, 10, schedule=one_cycle), device=CPU)
    more = run(model, IMAGES, Settings(5, 10, schedule=one_cycle, begin=2), state=state, device=CPU)
    assert more.step == 5 * 5
    assert len(more.history["loss"]) == 5 * 5
    assert np.array_equal(more.history["loss"][:10], state.history["loss"])
    assert len(state.history["loss"]) == 10


@pytest.mark.parametrize("begin", [0, 1, 4])
def test_a_schedule_passes_from_0_to_1_from_where_it_begins(begin):
    passed = []
    settings = Settings(begin + 3, 10, schedule=lambda fraction: passed.append(fraction) or 1.0, begin=begin)
    run(Spy(), NUMBERED, settings, state=State(step=5 * begin), device=CPU)
    assert passed == pytest.approx([(step + 0.5) / 15 for step in range(15)])  # the middle of each of 15 steps


def test_a_run_that_is_done_does_nothing():
    model = model_of("conv")
    settings = Settings(1, 10)
    state = run(model, IMAGES, settings, device=CPU)
    before, recorder = bytes_of(model), Recorder(model)
    again = run(model, IMAGES, settings, state=state, keep=recorder, device=CPU)
    assert bytes_of(model) == before
    assert_same_state(again, state)
    assert len(recorder.kept) == 1


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
        order = Order(count, batch_size, seed, image_bytes=1)
        assert shown == [NUMBERED[order.batch(epoch * steps + n)].ravel().tolist() for n in range(steps)]
    assert all(spy.modes)
    assert not spy.training
    assert {len(column) for column in state.history.values()} <= {len(spy.seen)}


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
        assert state.history["sigma"][0] == model_of(name).gauges()["sigma"].item()
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
        {"minutes": -0.1},
        {"clip": -1.0},
        {"average": 1.0},
        {"patience": -1},
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
        minutes=st.floats(0, 1e4),
        clip=st.floats(0, 1e4),
        average=st.floats(0, 0.9999),
        patience=st.integers(0, 9),
        precision=st.sampled_from(["float32", "bfloat16"]),
    )
)
def test_settings_survive_json(settings):
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def breaking(steps, what):
    """A loss that is broken at some steps, counted from the first that is tried."""
    calls = iter(range(10**9))

    def loss(weight, images):
        good = (weight - images.flatten(1).mean(1)).square()
        return what(weight, good) if next(calls) in steps else good

    return loss


def no_number(weight, good):
    return good * math.nan


def infinite(weight, good):
    return good + math.inf


def steep(weight, good):
    return good + (weight - weight.detach()).square().sqrt()  # the slope is 0 / 0, the loss a number


@pytest.mark.parametrize("what", [no_number, infinite, steep])
@pytest.mark.parametrize("steps", [{3}, {0}, {18}, {1, 5, 9, 12}], ids=str)
def test_a_step_that_is_not_finite_is_skipped_and_counted(what, steps):
    spy = Spy(breaking(steps, what))
    state = run(spy, NUMBERED, Settings(4, 10), device=CPU)
    assert (state.skipped, state.rollbacks, state.step) == (len(steps), 0, 20)
    assert len(state.history["loss"]) == 20 - len(steps)
    assert all(np.isfinite(column).all() for column in state.history.values())
    assert math.isfinite(spy.weight.item())


def test_it_does_not_end_on_weights_that_break():
    spy = Spy(breaking({19}, no_number))
    state = run(spy, NUMBERED, Settings(4, 10), device=CPU)
    assert (state.skipped, state.rollbacks, state.rate, state.step) == (1, 1, 0.5, 20)
    assert len(state.history["loss"]) == 20


def test_a_skipped_step_leaves_weights_and_memory_as_they_were(monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)
    recorder = Recorder(Spy(breaking({2}, steep)))
    run(recorder.model, NUMBERED, Settings(1, 10), keep=recorder, device=CPU)
    two = Spy()
    state = run(two, NUMBERED[:20], Settings(1, 10), device=CPU)
    assert recorder.kept[-1][0].skipped == 1
    assert [state.step for state, _ in recorder.kept] == [0, 1, 5]  # nothing is kept while it is not known to be good
    assert state.step == 2


@pytest.mark.parametrize("what", [no_number, steep])
def test_after_five_it_goes_back_at_half_the_rate(what, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)
    spy = Spy(breaking(set(range(7, 12)), what))
    recorder = Recorder(spy)
    state = run(spy, NUMBERED, Settings(4, 10), keep=recorder, device=CPU)
    assert (state.skipped, state.rollbacks, state.rate, state.step) == (5, 1, 0.5, 20)
    assert len(spy.seen) == 20 + 5 + 1  # five in vain, and one more that the last good state had not yet
    assert len(state.history["loss"]) == 20


@pytest.mark.parametrize("begins", [1, 7, 14])
def test_after_three_times_it_stops_with_the_last_good_model(begins, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)
    spy = Spy(breaking(set(range(begins, 1000)), no_number))
    recorder = Recorder(spy)
    with pytest.raises(DivergedError, match=f"20 times, at 3 halvings .* after step {begins - 1} is kept.*below 0.001"):
        run(spy, NUMBERED, Settings(4, 10), keep=recorder, device=CPU)
    for state, weights in recorder.kept:
        assert math.isfinite(weights["weight"])
        assert all(np.isfinite(column).all() for column in state.history.values())
    assert spy.weight.item() == recorder.kept[begins - 1][1]["weight"].item()


@pytest.mark.parametrize("name", ["linear", "vae"])
def test_weights_that_are_no_numbers_are_never_kept(name):
    model = model_of(name)
    next(model.parameters()).data.fill_(math.nan)
    recorder = Recorder(model)
    with pytest.raises(DivergedError, match="from the first step on"):
        run(model, IMAGES, Settings(2, 10), keep=recorder, device=CPU)
    assert not recorder.kept


def test_a_rate_that_is_far_too_high_ends_with_a_good_model():
    model = model_of("vae")
    with pytest.raises(DivergedError):
        run(model, IMAGES, Settings(20, 10, learning_rate=1e30), device=CPU)
    assert torch.isfinite(model.loss(torch.zeros(1, 1, 5, 4)).loss).all()


def test_a_mistake_in_a_loss_is_not_taken_for_a_number_that_is_none():
    def wrong(weight, images):
        raise ValueError("an axis too many")

    with pytest.raises(ValueError, match="an axis too many"):
        run(Spy(wrong), NUMBERED, Settings(1, 10), device=CPU)


def test_saves_come_at_the_beginning_now_and_then_and_at_the_end(monkeypatch):
    for every, expected in [(1e9, [0, 15]), (-1.0, [*range(15), 15])]:
        monkeypatch.setattr(loop, "SAVE_EVERY", every)
        recorder = Recorder(Spy())
        run(recorder.model, NUMBERED, Settings(3, 10), keep=recorder, device=CPU)
        assert [state.step for state, _ in recorder.kept] == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_the_step_and_what_was_done_is_kept(number):
    def interrupted(weight, images):
        if len(spy.seen) == 7:
            signal.raise_signal(number)
        return (images.flatten(1).mean(1) - weight).square()

    spy, before = Spy(interrupted), signal.getsignal(signal.SIGINT)
    recorder = Recorder(spy)
    with pytest.raises(KeyboardInterrupt):
        run(spy, NUMBERED, Settings(4, 10), keep=recorder, device=CPU)
    assert recorder.kept[-1][0].step == 7
    again, unbroken = Spy(), Spy()
    again.load_state_dict(recorder.kept[-1][1])
    run(again, NUMBERED, Settings(4, 10), state=recorder.kept[-1][0], device=CPU)
    run(unbroken, NUMBERED, Settings(4, 10), device=CPU)
    assert again.weight.item() == unbroken.weight.item()
    assert signal.getsignal(signal.SIGINT) is before


def test_clipped_gradients_are_no_longer_than_the_clip():
    """Adam's first step does not depend on the gradient's length; its memory of it does."""
    for clip, expected in [(0.0, 3.0), (0.5, 0.5), (7.0, 3.0)]:
        state = run(Spy(lambda w, x: 3 * w + 0 * x[:, 0, 0, 0]), NUMBERED, Settings(1, 50, clip=clip), device=CPU)
        assert state.optimizer["weight"]["exp_avg"].item() == pytest.approx(0.1 * expected, rel=1e-4)


def test_averaged_weights_are_what_the_formula_says():
    spy = Spy()
    recorder = Recorder(spy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "SAVE_EVERY", -1.0)
        state = run(spy, NUMBERED, Settings(3, 10, learning_rate=0.1, average=0.8), keep=recorder, device=CPU)
    raw = [weights["weight"].item() for _, weights in recorder.kept]
    average = raw[0]
    for step, weight in enumerate(raw[1:], start=1):
        decay = min(0.8, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
    assert spy.weight.item() == pytest.approx(average, rel=1e-5)
    assert state.average["weight"].item() == spy.weight.item()
    assert recorder.kept[-1][1]["weight"].item() == raw[-1] != spy.weight.item()  # what to go on from is not averaged


def test_training_stops_when_validation_images_say_so_and_keeps_the_best():
    def drifting(weight, images):  # learns to fit bright images, while those to validate with are dark
        return (images.flatten(1).mean(1) - weight).square()

    spy, dark = Spy(drifting), np.full((5, 1, 1, 1), 140, np.uint8)
    state = run(
        spy, np.full((40, 1, 1, 1), 255, np.uint8), Settings(50, 10, 0.02, patience=3), validation=dark, device=CPU
    )
    assert state.stopped
    epochs = state.validation[:, 0] / 4
    assert epochs.tolist() == list(range(1, len(epochs) + 1))
    best = int(state.validation[:, 1].argmin())
    assert len(epochs) == best + 1 + 3 < 50
    assert (spy.weight - 140 / 255).square().item() == pytest.approx(state.validation[best, 1], rel=1e-4)
    assert state.best_step == state.validation[best, 0]


@pytest.mark.slow
def test_a_time_budget_is_kept_and_the_schedule_passes_through_it_whole():
    passed = []

    def loss(weight, images):
        time.sleep(0.002 if len(spy.seen) < 200 else 0.004)  # a machine that becomes slower
        return (images.flatten(1).mean(1) - weight).square()

    spy = Spy(loss)
    state = run(spy, NUMBERED, Settings(minutes=0.03, schedule=lambda f: passed.append(f) or 1.0), device=CPU)
    assert 0.9 * 1.8 < state.seconds < 1.05 * 1.8
    assert all(after >= before for before, after in itertools.pairwise(passed))
    assert passed[0] < 0.1
    assert passed[-1] > 0.95


def test_what_is_measured_is_logged():
    logged = []
    state = run(Spy(), NUMBERED, Settings(3, 10), log=lambda step, means: logged.append((step, means)), device=CPU)
    assert logged[-1][0] == 15
    assert set(logged[0][1]) == set(state.history)
    last = state.history["loss"][-5:].mean() if len(logged) == 3 else None
    assert last is None or logged[-1][1]["loss"] == pytest.approx(last, rel=1e-5)


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


def test_a_device_is_chosen_that_computes():
    assert torch.zeros(1, device=choose_device()).item() == 0
