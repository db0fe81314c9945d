"""Folders that are not kind to the verbs: files that go while they are read, are empty, or have names that break things.

The missing ones are named, the rest goes on, and results are whole or not there; so they are when Ctrl-C comes.
"""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowerbound import load, streams
from tests.command_line import HOSTILE, lowerbound, refused

pytestmark = pytest.mark.slow

GOES = ("004.png", HOSTILE[1], HOSTILE[4])
VERBS = {
    "outliers": ("outliers", "run", "going", "--out", "out"),
    "neighbours": ("neighbours", "run", "calm.png", "going", "-n", "4", "--out", "out"),
    "each other's neighbours": ("neighbours", "run", "going", "-n", "3", "--out", "out"),
    "duplicates": ("duplicates", "run", "going", "--out", "out"),
    "duplicates without a run": ("duplicates", "going", "--out", "out"),
    "cluster": ("cluster", "run", "going", "-n", "2", "--out", "out"),
    "denoise": ("denoise", "run", "going", "--sigma", "0.1", "--out", "out"),
    "inpaint": ("inpaint", "run", "going", "--mask", "0,0,4,4", "-n", "1", "--out", "out"),
}
SHEETS = {".csv", ".json", ".png", ".svg"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A PCA of the digits."""
    place = tmp_path_factory.mktemp("vanishing")
    here = Path.cwd()
    os.chdir(place)
    try:
        assert lowerbound("train", "digits", "--model", "pca", "-k", "8", "--out", "run") == 0
    finally:
        os.chdir(here)
    return place / "run"


@pytest.fixture(autouse=True)
def going(run, tmp_path, monkeypatch):
    """A folder of 40 digits in grey and colour and of several sizes, one of them there twice, one file empty."""
    monkeypatch.chdir(tmp_path)
    Path("run").symlink_to(run)
    folder, digits = Path("going"), load("digits").test.pixels[:, 0]
    folder.mkdir()
    for n, name in enumerate([*HOSTILE, *(f"{n:03}.png" for n in range(33))]):
        image = Image.fromarray(digits[n])
        image = image.convert("RGB") if n % 5 == 0 else image
        image.resize((17, 12)).save(folder / name) if n % 7 == 0 else image.save(folder / name)
    Image.fromarray(digits[30]).save(folder / "once more.png")
    Image.fromarray(digits[39]).save("calm.png")
    (folder / "empty.png").touch()
    return folder


@pytest.fixture
def vanishing(going, monkeypatch):
    """Makes files go as soon as the first of the folder is read."""
    real = streams.read_pixels

    def makes(names):
        def reader(file, shape):
            if isinstance(file, Path) and file.parent.name == going.name:
                for name in names:
                    (going / name).unlink(missing_ok=True)
            return real(file, shape)

        monkeypatch.setattr(streams, "read_pixels", reader)

    return makes


def made():
    return {str(file) for file in Path().rglob("*") if file.parts[0] not in ("going", "run", "calm.png")}


@pytest.mark.parametrize("verb", VERBS)
def test_what_goes_is_named_and_the_rest_is_there(verb, going, vanishing, capsys):
    vanishing(GOES)
    stay = {file.name for file in going.iterdir()} - {*GOES, "empty.png"}
    assert lowerbound(*VERBS[verb]) == 0
    said = capsys.readouterr()
    assert "left out" in said.err
    assert sum(name.split("\n")[0] in said.err for name in (*GOES, "empty.png")) >= 3, "the others are counted"
    if verb == "denoise":
        assert {file.name for file in Path("out").iterdir()} == stay
    elif verb == "inpaint":
        for kind in ("mean", "std", "draw-1"):
            assert {file.name for file in Path("out", kind).iterdir()} == stay
    else:
        with Path("out.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = {row["query" if verb == "each other's neighbours" else "name"] for row in rows}
        assert names <= stay
        expected = {
            "neighbours": 4,
            "each other's neighbours": 3 * len(stay),
            "outliers": len(stay),
            "cluster": len(stay),
        }
        assert len(rows) == expected.get(verb, len(rows))
        if verb.startswith("duplicates"):
            assert {"023.png", "once more.png"} <= names


@pytest.mark.parametrize("verb", VERBS)
def test_where_all_goes_nothing_is_written(verb, going, vanishing, capsys):
    vanishing([file.name for file in going.iterdir()])
    assert "none of the" in refused(capsys, *VERBS[verb])
    assert made() == set()


@pytest.mark.parametrize("verb", VERBS)
def test_one_image_alone(verb, going, capsys):
    for file in going.iterdir():
        if file.name != HOSTILE[2]:
            file.unlink()
    if verb == "duplicates without a run":
        assert "need at least 2" in refused(capsys, *VERBS[verb])
    elif verb == "cluster":
        assert "expected 1 to 1" in refused(capsys, *VERBS[verb])
        assert lowerbound("cluster", "run", "going", "--out", "out") == 0
    else:
        assert lowerbound(*VERBS[verb]) == 0
        return
    assert lowerbound("morph", "run", f"going/{HOSTILE[2]}", "calm.png", "--steps", "3", "--out", "way.gif") == 0
    assert Path("way.gif").is_file()


def test_a_file_that_is_gone_cannot_become_another(going, vanishing, capsys):
    vanishing(["003.png"])
    assert "003.png" in refused(capsys, "morph", "run", "going/003.png", "calm.png", "--out", "way.gif")
    assert made() == set()


HELD = """
import importlib, sys, time
def held(*words, **more):
    print("held", flush=True)
    time.sleep(600)
setattr(importlib.import_module(sys.argv[1]), sys.argv[2], held)
sys.argv = ["lowerbound", *sys.argv[3:]]
from lowerbound.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("verb", "module", "function"),
    [
        ("outliers", "lowerbound.outliers", "squared_errors"),
        ("duplicates", "lowerbound.duplicates", "residuals"),
        ("inpaint", "lowerbound.inpainting", "_conditional"),
    ],
)
def test_ctrl_c_leaves_nothing_half_written(verb, module, function):
    """To the real process, when it has read the images and is at its longest work."""
    command = [sys.executable, "-c", HELD, module, function, *VERBS[verb]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while (line := process.stdout.readline()) != "held\n":
            assert line, process.communicate()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "lowerbound: interrupted; nothing was left half-written"
    assert "Traceback" not in said
    assert made() == set()


def test_names_are_what_they_were_in_a_table_of_copies():
    for name in HOSTILE:
        Image.fromarray(np.asarray(Image.open(Path("going") / name).convert("L"))).save(Path("going") / f"2 {name}")
    assert lowerbound("duplicates", "run", "going", "--out", "out") == 0
    with Path("out.csv").open(newline="", encoding="utf-8") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    assert {*HOSTILE, *(f"2 {name}" for name in HOSTILE)} <= names
    assert {file.suffix for file in Path().glob("out.*")} == SHEETS
