"""Under load nothing is lost, mixed or half-written; the full numbers are in docs/reliability.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lowerbound.comparison import begin
from lowerbound.errors import TakenError
from lowerbound.images import Images, ImageSet
from lowerbound.plan import Plan, default_folder
from lowerbound.storage import Run

ROOT = Path(__file__).parents[1]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="its children are forked")


def load(*words):
    """The benchmark as a program, in a process that has computed nothing; it fails where anything is lost."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *words],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@needs_fork
def test_a_little_load():
    """Without figures: what is counted is whole without them."""
    words = ("--without-figures", "--begun", "3", "--opened", "4", "--interrupted", "3", "--images", "10000")
    said = load(*words)
    assert "'runs': 3, 'folders': 3" in said
    assert "'processes': 4" in said
    assert "'interruptions': 3, 'killed': 2, 'asked to stop': 1" in said


@pytest.mark.soak
@needs_fork
def test_fifty_runs_begin_at_once():
    assert "'runs': 50, 'folders': 50" in load("--begun", "50")


@pytest.mark.soak
@needs_fork
def test_two_hundred_open_a_run_at_once():
    assert "'processes': 200" in load("--opened", "200")


@pytest.mark.soak
@needs_fork
def test_a_million_images_interrupted_fifty_times():
    assert "'interruptions': 50" in load("--interrupted", "50", "--images", "1000000")


@pytest.fixture
def images():
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (8, 1, 4, 4), dtype=np.uint8)
    return ImageSet("few", Images(pixels[:6]), Images(pixels[6:]), source="few")


def test_who_is_quicker_gets_the_name_and_the_other_the_next(images, tmp_path, monkeypatch):
    """The other's folder appears between the choice of a name and the making of the folder."""
    monkeypatch.chdir(tmp_path)
    plan, quicker, remembered = Plan((2,), ("pca",)), [], []
    create = Run.create.__func__

    def late(cls, path, about, outside=None):
        if not quicker:
            quicker.append(create(cls, path, about, outside))
        return create(cls, path, about, outside)

    monkeypatch.setattr(Run, "create", classmethod(late))
    run = begin(images, plan, remember=remembered.append)
    assert run.path.name == f"{quicker[0].path.name}-2"
    assert remembered == [quicker[0].path, run.path]
    assert sorted(each.name for each in Path("runs").iterdir()) == sorted([quicker[0].path.name, run.path.name])
    assert default_folder("few", plan).name == f"{quicker[0].path.name}-3"


def test_a_name_that_was_given_is_not_changed(images, tmp_path):
    begin(images, Plan((2,), ("pca",)), tmp_path / "run")
    with pytest.raises(TakenError, match="exists already"):
        begin(images, Plan((2,), ("pca",)), tmp_path / "run")
    assert [each.name for each in tmp_path.iterdir()] == ["run"]


def test_a_name_that_can_never_be_made_ends_in_a_refusal(images, tmp_path, monkeypatch):
    """A dangling link is not there for whoever looks, and is there for whoever writes."""
    monkeypatch.chdir(tmp_path)
    folder = default_folder("few", Plan((2,), ("pca",)))
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "nowhere")
    with pytest.raises(TakenError):
        begin(images, Plan((2,), ("pca",)))
