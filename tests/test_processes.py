"""Several processes learn what one does; those that do not come, or leave, are named.

Under ``torchrun`` this file is a program that trains every case of ``CASES`` and stores what came out.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lowerbound import pulse, together
from lowerbound.eigen import principal
from lowerbound.errors import InputError, LostProcessError
from lowerbound.moments import PixelMoments, PixelSums
from lowerbound.order import share
from lowerbound.processes import Alone, Together, here
from lowerbound.pulse import Pulse
from lowerbound.recipes import RECIPES
from lowerbound.settings import Settings, one_cycle
from lowerbound.stored import StoredModel
from lowerbound.training import run

SHAPE = (1, 5, 4)
IMAGES = np.random.default_rng(0).integers(0, 256, (43, *SHAPE)).astype(np.uint8)
OTHERS = np.random.default_rng(1).integers(0, 256, (9, *SHAPE)).astype(np.uint8)
TOLERANCE = (
    1e-4  # of the largest entry: float32 sums in another order, where Adam divides small gradients by small ones
)

CASES = {  # recipe, parts, settings; the batches of 43 images are odd, or their last one is of 1 image
    "linear": ("linear", {}, {}),
    "conv": ("conv", {}, {"batch_size": 7}),
    "denoising": ("conv", {"objective": "denoising:0.3"}, {}),
    "isotropic": ("vae", {}, {"batch_size": 7}),
    "diagonal": ("vae", {"posterior": "diagonal", "likelihood": "per-pixel"}, {}),
    "full": ("vae", {"posterior": "full", "prior": "mixture:3"}, {}),
    "flow": ("vae", {"posterior": "flow"}, {}),
    "vamp": ("vae", {"prior": "vamp:4"}, {}),
    "decoded": ("vae", {"likelihood": "decoded", "objective": "warm-up"}, {}),
    "importance": ("vae", {"objective": "iw:3"}, {}),
    "doubly": ("vae", {"objective": "dreg:3"}, {}),
    "dynamic": ("vae", {"binarise": "dynamic", "likelihood": "bernoulli"}, {}),
    "all": ("vae", {}, {"average": 0.9, "clip": 1.0, "weight_decay": 1e-3, "schedule": one_cycle, "patience": 9}),
    "batch of one": ("vae", {}, {"batch_size": 1, "epochs": 1}),
    "stopped": ("linear", {}, {"patience": 1, "epochs": 30, "learning_rate": 0.3}),
}
WHOLE_BATCH = {
    "free bits": ("vae", {"objective": "free-bits:0.5"}),
    "free bits of drawn images": (
        "vae",
        {"objective": "free-bits:0.5", "likelihood": "bernoulli", "binarise": "dynamic"},
    ),
    "optimal sigma": ("vae", {"likelihood": "optimal"}),
    "MMD": ("vae", {"objective": "mmd"}),
    "MMD of codes": ("conv", {"objective": "matched"}),
    "total correlation": ("vae", {"objective": "total-correlation"}),
}


def model_of(recipe, parts):
    parts = replace(RECIPES[recipe].parts, **parts)
    return StoredModel(recipe, 2, SHAPE, settings=Settings(), parts=parts, images=len(IMAGES)).build()


def trained(case, together):
    """Weights and all that is known of the training, by name."""
    recipe, parts, more = CASES[case]
    settings = Settings(**{"epochs": 3, "batch_size": 14, "seed": 5, **more})
    model = model_of(recipe, parts)
    validation = OTHERS if settings.patience else None
    state = run(model, IMAGES, settings, processes=together, validation=validation)
    found = {f"weights {name}": value.detach().numpy() for name, value in model.named_parameters()}
    found |= {f"history {name}": column for name, column in state.history.items()}
    return found | {"validation": state.validation, "step": np.array([state.step, state.best_step, state.stopped])}


def refusal_of(recipe, parts, together):
    """What is said of a model that several processes cannot train."""
    try:
        run(model_of(recipe, parts), IMAGES, Settings(1, 14), processes=together)
    except InputError as error:
        return str(error)
    return ""


def moments_of(reduce, mine):
    """What is found of the images of all processes, by name."""
    images = IMAGES[mine]
    sums, moments = PixelSums(SHAPE).add(images), PixelMoments(SHAPE).add(images)
    sums, moments = (sums, moments) if reduce is None else (sums.reduced(reduce), moments.reduced(reduce))
    spectrum = principal(images, 4, reduce=reduce)
    return {
        "mean": sums.mean,
        "covariance": moments.covariance,
        "values": spectrum.values,
        "vectors": spectrum.vectors,
        "variance": np.array([sums.total_variance, moments.total_variance, spectrum.total_variance]),
    }


def of_a_minute(together):
    """A training by the clock: rates, steps and weights are the same in all processes."""
    model = model_of("linear", {})
    state = run(model, IMAGES, Settings(minutes=0.01, batch_size=14, schedule=one_cycle), processes=together)
    weights = torch.cat([value.flatten() for value in model.parameters()]).detach().double()
    return {"clock": torch.cat([weights, torch.tensor([state.step, state.fraction, state.seconds])]).numpy()}


def program(folder):
    """Train everything in one of several processes, and store it."""
    together = here(cpu=True)
    try:
        with together.watched():
            found = {case: trained(case, together) for case in CASES}
            found["moments"] = moments_of(together.total, share(len(IMAGES), together.rank, together.size))
            found["minutes"] = of_a_minute(together)
            said = {name: refusal_of(*parts, together) for name, parts in WHOLE_BATCH.items()}
            said["told"] = together.tell([1, {"of": "all"}] if together.main else None)
            together.remember("word", "kept")
            together.total(np.zeros(1))
            said["recalled"] = [together.recall("word"), together.recall("another word")]
    finally:
        together.close()
    flat = {f"{case}/{name}": value for case, values in found.items() for name, value in values.items()}
    np.savez(folder / f"{together.rank}.npz", **flat)
    (folder / f"{together.rank}.json").write_text(json.dumps(said))


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.soak)])
def learned(request, tmp_path_factory):
    """What processes have stored, one after another: arrays by name, and words."""
    folder = tmp_path_factory.mktemp("learned")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(request.param)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, __file__, folder], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return [
        (dict(np.load(folder / f"{rank}.npz")), json.loads((folder / f"{rank}.json").read_text()))
        for rank in range(request.param)
    ]


def those(learned, case):
    return [
        {name.partition("/")[2]: value for name, value in arrays.items() if name.startswith(f"{case}/")}
        for arrays, _ in learned
    ]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_several_processes_learn_what_one_does(case, learned):
    one, found = trained(case, Alone(torch.device("cpu"))), those(learned, case)
    for process in found:
        assert process.keys() == one.keys()
        assert np.array_equal(process["step"], one["step"])
        for name, value in one.items():
            scale = max(1.0, float(np.abs(value).max(initial=0)))
            assert np.allclose(process[name], value, rtol=0, atol=TOLERANCE * scale), (
                name,
                np.abs(process[name] - value).max() / scale,
            )
            assert process[name].tobytes() == found[0][name].tobytes(), name  # and of one another to the last bit


@pytest.mark.slow
def test_moments_and_components_of_several_processes_are_those_of_one_to_the_last_bit(learned):
    one = moments_of(None, slice(None))
    for process in those(learned, "moments"):
        assert {name: value.tobytes() for name, value in process.items()} == {
            name: value.tobytes() for name, value in one.items()
        }


@pytest.mark.slow
def test_by_the_clock_all_processes_take_the_same_steps(learned):
    first, *rest = (process["clock"] for process in those(learned, "minutes"))
    assert first[-3] > 1
    assert 0.99 < first[-2] <= 1
    assert all(other.tobytes() == first.tobytes() for other in rest)


@pytest.mark.slow
def test_a_loss_of_the_whole_batch_is_refused_by_all(learned):
    for _, said in learned:
        for name in WHOLE_BATCH:
            assert "whole batch" in said[name]
            assert "one process" in said[name]


@pytest.mark.slow
def test_what_the_main_process_says_is_heard_by_all(learned):
    for _, said in learned:
        assert said["told"] == [1, {"of": "all"}]
        assert said["recalled"] == ["kept", None]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture
def promised(monkeypatch):
    """Two processes are promised, and this is the first."""
    for name in ("TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, word in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}.items():
        monkeypatch.setenv(name, word)
    monkeypatch.setenv("LOWERBOUND_TIMEOUT", "0.5")
    return monkeypatch


def test_a_process_that_was_promised_and_does_not_come_is_named(promised):
    with pytest.raises(InputError, match=r"process 1 of 2 .* did not come within 0.5 s"):
        here(cpu=True)


@pytest.mark.parametrize("name", ["RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_what_the_launcher_left_out_is_named(promised, name):
    promised.delenv(name)
    with pytest.raises(InputError, match=rf"WORLD_SIZE is 2, but {name} is not set; start with torchrun"):
        here(cpu=True)


@pytest.mark.parametrize(
    ("name", "word"), [("WORLD_SIZE", "two"), ("RANK", "-1"), ("RANK", "2"), ("LOWERBOUND_TIMEOUT", "soon")]
)
def test_what_the_launcher_cannot_have_meant_is_refused(promised, name, word):
    promised.setenv(name, word)
    with pytest.raises(InputError, match=f"{name} is {word}"):
        here(cpu=True)


@pytest.mark.slow
def test_nobody_at_the_address_is_said_within_the_time(promised):
    promised.setenv("RANK", "1")
    with pytest.raises(InputError, match=r"process 1 of 2 finds nobody at 127\.0\.0\.1"):
        here(cpu=True)


@pytest.mark.parametrize("size", ["0", "1", None])
def test_without_a_promise_one_process_works_alone(promised, size):
    promised.delenv("WORLD_SIZE") if size is None else promised.setenv("WORLD_SIZE", size)
    assert isinstance(here(cpu=True), Alone)


class Half(Together):
    """One of two processes as far as the store goes: no gradients are averaged, so that both live in this one."""

    def __init__(self, rank, store, timeout=1.0):
        self.rank, self.size, self.main, self.timeout, self._told = rank, 2, rank == 0, timeout, 0
        self.attempt, self._kept, self._store = 0, store, store
        self._pulse = Pulse(store.clone(), rank, timeout / 10)


@pytest.fixture
def halves(monkeypatch):
    """Two processes, joined by a store."""
    from torch.distributed import PrefixStore, TCPStore

    for module in (together, pulse):
        monkeypatch.setattr(module, "GRACE", 0.3)
    server = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    pair = [Half(rank, PrefixStore("test", server.clone())) for rank in (0, 1)]
    yield pair
    for each in pair:
        each._pulse.stop()


def test_a_word_waits_for_its_hearers_and_they_for_it(halves):
    main, other = halves
    heard = []
    thread = threading.Thread(target=lambda: heard.extend(other.tell(None) for _ in range(2)))
    thread.start()
    time.sleep(0.1)
    assert not heard
    assert main.tell("one") == "one"
    assert main.tell({"two": 2}) == {"two": 2}
    thread.join()
    assert heard == ["one", {"two": 2}]


@pytest.mark.slow
def test_a_process_that_lives_is_waited_for_longer_than_the_timeout(halves):
    main, other = halves
    main.timeout = other.timeout = 0.3
    heard = []
    thread = threading.Thread(target=lambda: heard.append(other.tell(None)))
    thread.start()
    time.sleep(0.8)
    main.tell("late")
    thread.join()
    assert heard == ["late"]


@pytest.mark.parametrize("waiting", [0, 1])
def test_a_process_that_has_died_is_named_by_those_who_wait_for_it(halves, waiting):
    halves[1 - waiting]._pulse.stop()
    halves[waiting].timeout = 0.5
    with pytest.raises(LostProcessError, match=rf"process {1 - waiting} of 2 \(counted from 0\) did not answer;"):
        halves[waiting].tell("nobody hears")


@pytest.mark.parametrize("words", ["[gloo/transport] Timed out", "Connection closed by peer [127.0.0.1]:1"])
def test_a_broken_step_names_the_process_that_does_not_notice(halves, words):
    with (
        pytest.raises(LostProcessError, match=r"process 1 of 2 .* did not answer at step 7; .* --resume"),
        halves[0].watched(7),
    ):
        raise RuntimeError(words)


def test_an_error_of_ones_own_is_no_lost_process(halves):
    with pytest.raises(RuntimeError, match="could not restore"), halves[0].watched(7):
        raise RuntimeError("could not restore the peer's store")


@pytest.mark.parametrize(("code", "kind"), [(130, KeyboardInterrupt), (2, InputError), (1, LostProcessError)])
def test_one_process_leaves_as_another_has(halves, code, kind):
    main, other = halves
    assert other.speaks(code) == (code != 130)
    with pytest.raises(kind):
        main.tell("nobody hears")
    with pytest.raises(kind), main.watched(3):
        raise RuntimeError("gloo: Connection closed by peer")
    assert main.speaks(code) == (code == 130)
    other._pulse.stop()  # before it asks this process to end, too
    main._pulse.stop()


def test_the_first_to_fail_speaks_for_all(halves):
    assert [each.speaks(2) for each in halves] == [True, False]
    for each in halves:
        each._pulse.stop()


if __name__ == "__main__":
    program(Path(sys.argv[1]))
