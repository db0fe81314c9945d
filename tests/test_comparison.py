"""The main job: plan, train, measure, draw; crashes and what goes on after them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from lowerbound import comparison, fitting, loop, sources
from lowerbound.comparison import begin, go_on, images_of, more_epochs
from lowerbound.errors import DivergedError, InputError
from lowerbound.images import Images, ImageSet
from lowerbound.lock import lock
from lowerbound.plan import FOUR, Plan, choose_k, default_folder
from lowerbound.storage import Run


def noise(number=40, shape=(1, 6, 6), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *shape)).astype(np.uint8)


def image_set(number=40, shape=(1, 6, 6)):
    return ImageSet("noise", Images(noise(number, shape)), Images(noise(9, shape, seed=1)), source="noise.npy")


@pytest.fixture
def no_report(monkeypatch):
    """Figures take seconds; they have tests of their own."""
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)


def same(run, other):
    """Hold two runs to the same weights and measurements, seconds apart."""
    for stored in run.models:
        one, two = run.load(stored), other.load(stored)
        if stored.recipe == "pca":
            np.testing.assert_array_equal(one.components, two.components)
        else:
            for name, value in one.state_dict().items():
                assert torch.equal(value, two.state_dict()[name]), (stored.name, name)
        for name, column in run.history(stored).items():
            np.testing.assert_array_equal(column, other.history(stored)[name])
    strip = [[{**row, "seconds": 0} for row in each.metrics] for each in (run, other)]
    assert strip[0] == strip[1]


@pytest.mark.parametrize(
    ("shape", "number", "k", "words"),
    [
        ((1, 8, 8), 50, 8, "8 x 8"),
        ((1, 28, 28), 80, 20, "MNIST"),
        ((3, 32, 32), 256, 64, "colour"),
        ((3, 32, 32), 40, 10, "as few as 40 training images allow"),
        ((3, 32, 32), 3, 2, "as few as 3 training images allow"),
        ((3, 2, 2), 50, 12, "all that images of 12 values have"),
        ((1, 1, 1), 50, 1, "all that"),
    ],
)
def test_k_is_chosen_with_a_reason(shape, number, k, words):
    images = Images(noise(number, shape))
    chosen, reason = choose_k(ImageSet("noise", images, images[:1]))
    assert chosen == k
    assert reason.startswith(f"{k}, ")
    assert words in reason


def test_k_of_unusual_images_comes_from_their_variance():
    rng = np.random.default_rng(0)
    flat = 128 + 20 * rng.standard_normal((200, 5)) @ rng.standard_normal((5, 100))  # five directions, all told
    images = Images(flat.clip(0, 255).astype(np.uint8).reshape(-1, 1, 10, 10))
    k, reason = choose_k(ImageSet("five", images, images[:1]))
    assert 2 <= k <= 5
    assert "of the variance" in reason


@pytest.mark.parametrize("k", [0, -1, 37, 10**9])
def test_a_k_that_the_images_cannot_give_is_refused(k, tmp_path):
    with pytest.raises(InputError, match=f"k is {k}; expected 1 to 36"):
        begin(image_set(), Plan((k,)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_folder_says_source_model_and_k(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = default_folder("mnist", Plan((20,)))
    assert first.parent.name == "runs"
    assert first.name.startswith("mnist-k20-2")
    first.mkdir(parents=True)
    assert default_folder("mnist", Plan((20,))).name == first.name + "-2"
    assert default_folder("mnist", Plan((5, 10), ("conv",))).name.startswith("mnist-conv-k5-10-2")
    assert default_folder("mnist", Plan(tuple(range(1, 99)))).name.startswith("mnist-k1-to-98-2")


def test_what_was_chosen_is_stored(tmp_path, no_report):
    run = go_on(begin(image_set(), Plan((2,), ("pca",), reason="2, because"), tmp_path / "run"), image_set())
    assert "K: 2, because" in run.about["source"]["choices"]
    assert run.about["status"] == "complete"
    assert {"device", "threads", "torch"} <= set(run.about["machine"])
    assert run.metrics[0]["epochs"] == 0


@pytest.mark.parametrize("stop", range(6))
def test_a_run_that_stopped_anywhere_ends_as_one_that_did_not(stop, tmp_path, monkeypatch, no_report):
    """The process dies after a number of files; the run goes on, and no bit differs."""
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)  # a checkpoint after each epoch
    images, plan = image_set(), Plan((3,), FOUR, epochs=3)
    unbroken = go_on(begin(images, plan, tmp_path / "unbroken"), images)
    run = begin(images, plan, tmp_path / "broken")
    _die_after(monkeypatch, files=[1, 3, 5, 9, 13, 22][stop])
    with pytest.raises(KeyboardInterrupt):
        go_on(run, images)
    monkeypatch.undo()
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)
    with pytest.raises(InputError, match="not finished"):
        Run.open(run.path)
    same(unbroken, go_on(Run.open(run.path, unfinished=True), images))
    assert not list(run.path.rglob(".*"))


@pytest.mark.parametrize("files", range(1, 12, 2))
def test_more_epochs_that_stopped_anywhere_leave_no_old_numbers(files, tmp_path, monkeypatch, no_report):
    images = image_set()
    plan = Plan((3,), ("pca", "vae"), epochs=2)
    runs = [go_on(begin(images, plan, tmp_path / name), images) for name in ("one", "two")]
    for run in runs:
        more_epochs(run, 2, images)
    unbroken = go_on(runs[0], images)
    _die_after(monkeypatch, files)
    try:
        go_on(runs[1], images)
    except KeyboardInterrupt:
        monkeypatch.undo()
        monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)
        go_on(Run.open(runs[1].path, unfinished=True), images)
    same(unbroken, Run.open(runs[1].path))
    assert [row["epochs"] for row in unbroken.metrics] == [0, 4]
    assert len(unbroken.history(unbroken.models[1])["loss"]) == 4


def _die_after(monkeypatch, files):
    """Let a process stop as it begins to write one file more."""
    from lowerbound import checkpoints, storage

    def write(path, content, left=[files], **how):  # noqa: B006
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(path, content, **how)

    real = storage.write_whole
    monkeypatch.setattr(storage, "write_whole", write)
    monkeypatch.setattr(checkpoints, "write_whole", write)
    monkeypatch.setattr(fitting, "write_whole", write)


def test_more_epochs_are_refused_where_there_are_none(tmp_path, no_report):
    run = go_on(begin(image_set(), Plan((2,), ("pca",)), tmp_path / "run"), image_set())
    for more, words in ((0, "at least"), (-1, "at least"), (2, "PCA only")):
        with pytest.raises(InputError, match=words):
            more_epochs(run, more, image_set())
    assert Run.open(run.path).about["status"] == "complete"


def test_other_images_are_refused_and_leave_the_run_complete(tmp_path, no_report):
    run = go_on(begin(image_set(), Plan((2,), ("vae",), epochs=1), tmp_path / "run"), image_set())
    for act in (lambda: more_epochs(run, 2, image_set(41)), lambda: go_on(run, image_set(41))):
        with pytest.raises(InputError, match="other images"):
            act()
    assert Run.open(run.path).about["status"] == "complete"


def test_changed_images_are_gone_on_with_where_that_is_allowed(tmp_path, no_report):
    """What is trained stays and goes on; what was measured is measured anew; the run says so."""
    images, others = image_set(), replace(image_set(50), test=Images(noise(12, seed=3)))
    run = go_on(begin(images, Plan((2,), ("pca", "vae"), epochs=2), tmp_path / "run"), images)
    weights = run.load(run.models[1]).state_dict()
    before = run.metrics
    run.accept_images(images)  # the same: nothing changes
    assert "changes" not in run.about["source"]
    assert run.about["status"] == "complete"
    run.accept_images(others)
    run = Run.open(run.path, unfinished=True)
    with pytest.raises(InputError, match=r"holds other images .* --allow-data-change`"):
        go_on(run, images)
    go_on(run, others)
    source = Run.open(run.path).about["source"]
    (change,) = source["changes"]
    assert (change["sha256_before"], change["sha256"]) == (images.sha256(), others.sha256())
    assert source["sha256"] == others.sha256()
    assert (source["train"], source["test"]) == (50, 12)
    assert source["choices"][-1].startswith("the images changed on 2")
    assert all(torch.equal(value, weights[name]) for name, value in run.load(run.models[1]).state_dict().items())
    assert all(now["mse"] != then["mse"] for now, then in zip(run.metrics, before, strict=True))
    more_epochs(run, 1, others)
    assert [row["epochs"] for row in go_on(run, others).metrics] == [0, 3]


def test_more_epochs_on_changed_images(tmp_path, no_report):
    images, others = image_set(150), image_set(250)  # two steps an epoch, then three
    run = go_on(begin(images, Plan((2,), ("vae",), epochs=2), tmp_path / "run"), images)
    run.accept_images(others)
    more_epochs(run, 2, others)
    go_on(run, others)
    assert run.models[0].settings.epochs == 4
    assert len(run.history(run.models[0])["loss"]) == 12


def test_changed_images_of_another_size_are_refused(tmp_path):
    run = begin(image_set(), Plan((2,), ("vae",), epochs=1), tmp_path / "run")
    about = (run.path / "run.json").read_bytes()
    with pytest.raises(InputError, match=r"holds images of \[1, 5, 5\] now"):
        run.accept_images(image_set(shape=(1, 5, 5)))
    assert (run.path / "run.json").read_bytes() == about


@pytest.mark.parametrize("stop", range(4))
def test_a_change_of_images_that_stopped_anywhere_mixes_no_numbers(stop, tmp_path, monkeypatch, no_report):
    images, others = image_set(), image_set(50)
    run = go_on(begin(images, Plan((2,), ("pca",)), tmp_path / "run"), images)
    before = run.metrics
    _die_after(monkeypatch, files=stop)
    with contextlib.suppress(KeyboardInterrupt):
        run.accept_images(others)
    monkeypatch.undo()
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)
    run = Run.open(run.path, unfinished=True)
    if run.about["source"]["sha256"] == images.sha256():
        assert [{**row, "seconds": 0} for row in go_on(run, images).metrics] == [
            {**row, "seconds": 0} for row in before
        ]
        run.accept_images(others)
    changed = go_on(run, others).metrics
    fresh = go_on(begin(others, Plan((2,), ("pca",)), tmp_path / "fresh"), others).metrics
    assert [{**row, "seconds": 0} for row in changed] == [{**row, "seconds": 0} for row in fresh]


def test_a_run_that_another_process_trains_is_refused_and_untouched(tmp_path, no_report):
    images = image_set()
    run = go_on(begin(images, Plan((2,), ("vae",), epochs=1), tmp_path / "run"), images)
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    with lock(run.path):
        for act in (lambda: go_on(Run.open(run.path), images), lambda: more_epochs(Run.open(run.path), 2, images)):
            with pytest.raises(InputError, match=f"{run.path} is being trained by process {os.getpid()} "):
                act()
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_a_damaged_checkpoint_is_said_and_the_one_before_serves(tmp_path, monkeypatch, no_report):
    monkeypatch.setattr(loop, "SAVE_EVERY", -1.0)
    images, plan = image_set(), Plan((2,), ("vae",), epochs=4)
    unbroken = go_on(begin(images, plan, tmp_path / "unbroken"), images)
    run = begin(images, plan, tmp_path / "run")
    _die_after(monkeypatch, files=5)
    with pytest.raises(KeyboardInterrupt):
        go_on(run, images)
    monkeypatch.undo()
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)
    file = run.folder(run.models[0]) / "checkpoint.safetensors"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    said = []
    same(unbroken, go_on(Run.open(run.path, unfinished=True), images, warn=said.append))
    assert len(said) == 1
    assert said[0].endswith("; went on from the checkpoint before it")


@pytest.mark.parametrize("model", ["linear", "vae"])
def test_a_loss_that_is_no_number_leaves_the_run_unfinished(model, tmp_path, monkeypatch, no_report):
    run = begin(image_set(), Plan((2,), (model,), epochs=2), tmp_path / "run")
    settings = [replace(stored, settings=replace(stored.settings, learning_rate=1e18)) for stored in run.models]
    run.about["models"] = [stored.to_json() for stored in settings]
    run.write_about()
    with pytest.raises(DivergedError, match="stopped being a number"):
        go_on(run, image_set())
    with pytest.raises(InputError, match="not finished"):
        Run.open(run.path)


def test_images_are_found_again_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    np.save("noise.npy", noise(30))
    images = sources.load("noise.npy")
    run = begin(images, Plan((2,)), tmp_path / "run")
    monkeypatch.chdir(tmp_path / "there")
    again = images_of(run)
    assert again.source == "noise.npy"
    assert again.sha256() == images.sha256()
    np.save(tmp_path / "here" / "noise.npy", noise(30, seed=5))
    with pytest.raises(InputError, match="other images"):
        images_of(run)
    (tmp_path / "here" / "noise.npy").unlink()
    with pytest.raises(InputError, match="any more"):
        images_of(run)


def test_images_of_a_folder_are_found_again_at_their_size(tmp_path):
    from PIL import Image

    for n in range(4):
        Image.fromarray(noise(1, (1, 9, 9), seed=n)[0, 0]).save(tmp_path / f"{n}.png")
    images = sources.load(str(tmp_path), size=5)
    run = begin(images, Plan((2,)), tmp_path / "run", size=5, data_dir=tmp_path / "data")
    assert images_of(run).image_shape == (1, 5, 5)
    assert run.about["source"]["data_dir"] == str(tmp_path / "data")


def test_no_room_is_said_and_nothing_is_half_written(tmp_path, monkeypatch, no_report):
    images = image_set()
    run = begin(images, Plan((2,), ("vae",), epochs=2), tmp_path / "run")
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}

    def full(descriptor, sync=os.fsync):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"no space is left for .*; free some and run again"):
        go_on(run, images)
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before
    monkeypatch.undo()
    monkeypatch.setattr(comparison, "write_report", lambda run, images, progress: None)
    assert go_on(Run.open(run.path, unfinished=True), images).about["status"] == "complete"


TRAIN = (  # what runs in the background of a shell is deaf to Ctrl-C, and so is what it starts: listen again
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from lowerbound import loop; loop.SAVE_EVERY = -1.0; import sys; from lowerbound.__main__ import main; "
)


def start(*words, folder):
    """The command line in a process of its own that saves after every epoch."""
    code = f"{TRAIN}sys.argv = ['lowerbound', *{list(words)!r}]; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(process, *files, seconds=60):
    """Until all files are there."""
    end = time.monotonic() + seconds
    while not all(file.exists() for file in files):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run that nothing happened to, of images whose training can be met half way."""
    folder = tmp_path_factory.mktemp("unbroken")
    images = sources.digits()
    np.save(folder / "images.npy", np.concatenate([images.train.pixels, images.test.pixels])[:700])
    process = start("compare", "images.npy", "-k", "4", "--epochs", "12", "--out", "run", folder=folder)
    process.communicate()
    assert process.returncode == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_struck_down_ends_as_one_that_was_not(blow, unbroken):
    broken = unbroken / f"struck-{blow.name}"
    process = start("compare", "images.npy", "-k", "4", "--epochs", "12", "--out", broken.name, folder=unbroken)
    wait_for(process, broken / "models" / "conv-k4" / "checkpoint.safetensors")
    process.send_signal(blow)
    _, said = process.communicate()
    assert json.loads((broken / "run.json").read_text())["status"] == "training"
    if blow == signal.SIGINT:
        assert process.returncode == 130
        hint = f"lowerbound: interrupted; go on with `lowerbound train --resume {broken.name}`"
        assert said.splitlines()[-1].strip() == hint
        assert "Traceback" not in said
    resumed = start("train", "--resume", broken.name, folder=unbroken)
    _, said = resumed.communicate()
    assert resumed.returncode == 0, said
    same(Run.open(unbroken / "run"), Run.open(broken))
    assert (broken / "report.html").is_file()


@pytest.mark.slow
def test_ctrl_c_while_images_are_read_leaves_nothing(tmp_path):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    first = Image.fromarray(noise(1, (1, 900, 900))[0, 0])
    first.save(photos / "0.png")
    for n in range(1, 1500):
        os.link(photos / "0.png", photos / f"{n}.png")
    process = start("compare", "photos", "--size", "8", "--out", "run", folder=tmp_path)
    assert process.stderr.readline().startswith("reading headers")  # it has begun with the pixels
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "lowerbound: interrupted; nothing was left half-written"
    assert not (tmp_path / "run").exists()
