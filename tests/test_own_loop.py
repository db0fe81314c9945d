"""docs/own-loop.md: its loops run and learn, and what they keep is a run like any other."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lowerbound import __main__, load
from lowerbound.errors import InputError
from lowerbound.outside import load_function
from lowerbound.pca import PCA
from lowerbound.runs import keep_run
from lowerbound.settings import Settings
from lowerbound.storage import Run

TEXT = (Path(__file__).parents[1] / "docs" / "own-loop.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`(\w+\.py)`:\n\n```python\n(.*?)```", TEXT, re.DOTALL))
EPOCHS = 2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the page's files, where Python finds them; the loops take two epochs."""
    for name, code in FILES.items():
        (tmp_path / name).write_text(code.replace("EPOCHS = 20\n", f"EPOCHS = {EPOCHS}\n"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_model", None)


def test_every_block_of_the_page_is_a_file():
    assert list(FILES) == ["my_model.py", "plain.py", "with_lightning.py", "with_accelerate.py"]
    assert TEXT.count("```python") == len(FILES)
    assert all("EPOCHS = 20\n" in code for name, code in FILES.items() if name != "my_model.py")


def learned(folder, name, capsys):
    """What a loop has left: its run, which the command line's way of opening finds to have learned."""
    said = capsys.readouterr().out
    images, outside = load("digits"), load_function("my_model.py:make")
    run = Run.open(folder / "runs" / name, outside=outside)
    model = run.load(run.choose())
    begun = outside.make(images.image_shape, 8, PCA(8).fit(images.train.pixels))
    before, after = (each.score(images.test.pixels, samples=20) for each in (begun, model))
    assert after > before
    assert f"Estimate(mean={run.metrics[0]['score']['mean']:.3f}"[:-2] in said  # what evaluate printed
    history = run.history(run.choose())
    steps = EPOCHS * -(-len(images.train) // 100)
    assert {column: len(values) for column, values in history.items()} == dict.fromkeys(
        ("loss", "distortion", "rate", "sigma"), steps
    )
    # The warm-up: at the first step the rate is free; at the end the loss is the negative bound.
    assert history["loss"][0] == pytest.approx(history["distortion"][0], rel=1e-6)
    assert history["loss"][-1] == pytest.approx(history["distortion"][-1] + history["rate"][-1], rel=1e-5)
    bound = -(history["distortion"] + history["rate"])
    assert bound[-5:].mean() > bound[:5].mean()
    assert run.choose().settings.epochs == EPOCHS
    assert (run.path / "report.html").is_file()
    return run


@pytest.mark.slow
def test_the_plain_loop_learns_and_every_command_opens_what_it_keeps(folder, monkeypatch, capsys):
    runpy.run_path("plain.py")
    run = learned(folder, "plain", capsys)
    for command in re.findall(r"`(lowerbound [^`]*)`", TEXT):
        if "runs/plain" in command:
            monkeypatch.setattr("sys.argv", command.replace("+5", "+1").split())
            assert __main__.main() == 0, capsys.readouterr().err
    again = Run.open(run.path, outside=load_function("my_model.py:make"))
    assert again.metrics[0]["epochs"] == EPOCHS + 1
    assert again.metrics[0]["score"]["mean"] > run.metrics[0]["score"]["mean"] - 20


@pytest.mark.slow
def test_the_loop_of_accelerate_learns(folder, capsys):
    from accelerate.state import AcceleratorState

    try:
        runpy.run_path("with_accelerate.py")
    finally:  # what it remembers of this process would be there for other tests
        AcceleratorState._reset_state(reset_partial_state=True)
    learned(folder, "accelerate", capsys)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Lightning's own, of what it uses
def test_the_loop_of_lightning_learns(folder, capsys):
    pytest.importorskip("lightning")
    runpy.run_path("with_lightning.py")
    learned(folder, "lightning", capsys)


HISTORY = {"loss": [3.0, 2.0], "distortion": [2.0, 1.0], "rate": [1.0, 1.0], "sigma": [1.0, 0.9]}


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ({}, "0 of loss, 0 of distortion, 0 of rate, 0 of sigma"),
        (
            {"loss": [1.0]},
            "1 of loss, 0 of distortion, 0 of rate, 0 of sigma; expected as many of each, one for every step",
        ),
        ({**HISTORY, "seen": [1.0]}, "2 of loss, 2 of distortion, 2 of rate, 2 of sigma, 1 of seen"),
    ],
)
def test_a_history_that_is_none_is_refused(history, said, folder):
    images = load("digits")
    model = load_function("my_model.py:make").make(images.image_shape, 2)
    with pytest.raises(InputError, match=re.escape(said)):
        keep_run(model, images, "my_model.py:make", history)
    assert not (folder / "runs").exists()


def test_a_recipe_of_another_model_is_refused(folder):
    images = load("digits")
    other = FILES["my_model.py"].replace("DiagonalNormal", "IsotropicNormal")
    (folder / "other.py").write_text(other, encoding="utf-8")
    model = load_function("my_model.py:make").make(images.image_shape, 2)
    with pytest.raises(InputError, match=r"other\.py:make makes a model of other weights"):
        keep_run(model, images, "other.py:make", HISTORY)
    assert not (folder / "runs").exists()


@pytest.mark.slow
def test_what_is_kept_is_the_model_as_it_was(folder):
    images, outside = load("digits"), load_function("my_model.py:make")
    torch.manual_seed(1)
    model = outside.make(images.image_shape, 2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = Settings(batch_size=2_000, learning_rate=0.5, seed=4)
    run = keep_run(model, images, "my_model.py:make", HISTORY, settings=settings, seconds=7.5, out="kept")
    stored = run.choose()
    loaded = run.load(stored).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in before.items())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert (stored.settings.epochs, stored.settings.learning_rate, stored.settings.seed) == (2, 0.5, 4)
    assert run.metrics[0]["seconds"] == 7.5
    assert np.array_equal(run.history(stored)["loss"], np.float32(HISTORY["loss"]))
    with pytest.raises(InputError, match="kept exists"):
        keep_run(model, images, "my_model.py:make", HISTORY, out="kept")
