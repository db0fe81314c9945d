"""Files of every released version load, and models give the numbers that they gave then; tests/golden/make.py wrote them."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from lowerbound.comparison import images_of
from lowerbound.course.handin import read_handin
from lowerbound.course.journal import Journal
from lowerbound.packed import open_packed
from lowerbound.storage import Run

GOLDEN = Path(__file__).parent / "golden"
RELEASES = sorted(folder for folder in GOLDEN.iterdir() if folder.is_dir() and folder.name[0].isdigit())
RUNS = ("run", "run-default")


def _make():
    """The module that makes the folders, whose ``values`` are what is compared."""
    spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=RELEASES, ids=lambda folder: folder.name)
def release(request, tmp_path):
    """A copy of what a version wrote."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def test_this_version_has_its_folder():
    """A release without one would not be held by the releases that follow."""
    assert version("lowerbound") in [folder.name for folder in RELEASES]


@pytest.mark.parametrize("name", RUNS)
def test_models_give_the_numbers_that_they_gave(name, release):
    expected = json.loads((release / "expected.json").read_text(encoding="utf-8"))[name]
    run = Run.open(release / name)
    images = open_packed(release / "images.npy")
    assert sorted(expected) == sorted(stored.name for stored in run.models)
    for stored in run.models:
        found = _make().values(run, stored, images.test.pixels[: len(expected[stored.name]["codes"])])
        for what, values in expected[stored.name].items():
            np.testing.assert_allclose(found[what], values, rtol=1e-6, atol=1e-6, err_msg=f"{stored.name} {what}")
            assert np.std(values) > 0.01  # or another model could give them, too


@pytest.mark.parametrize("name", RUNS)
def test_what_was_measured_is_read(name, release):
    run = Run.open(release / name)
    assert {row["name"] for row in run.metrics} == {stored.name for stored in run.models}
    errors = run.measured("squared_error", 2)
    for stored in run.models:
        assert errors[stored.recipe].shape == (1, 10)
        row = next(row for row in run.metrics if row["name"] == stored.name)
        assert row["mse"]["mean"] == pytest.approx(float(errors[stored.recipe].mean()), rel=1e-6)
        assert len(run.history(stored).get("loss", [])) == (0 if stored.recipe == "pca" else 2)


def test_a_run_finds_its_images_and_its_checkpoints(release, monkeypatch):
    monkeypatch.chdir(release)
    run = Run.open(release / "run")
    images = images_of(run)
    assert (len(images.train), len(images.test), images.image_shape) == (50, 10, (1, 4, 4))
    (linear,) = [stored for stored in run.models if stored.recipe == "linear"]
    model = linear.build()
    state = run.load_checkpoint(linear, model, pytest.fail)
    assert (state.step, len(state.history["loss"])) == (2, 2)
    np.testing.assert_array_equal(model.transform(images.test.pixels), run.load(linear).transform(images.test.pixels))
    assert len(run.film(linear).steps) > 1


def test_packed_images_are_read_with_names_and_classes(release):
    images = open_packed(release / "images.npy")
    assert images.class_names == ("above", "below")
    for name, label, pixels in zip(images.test.names, images.test.labels, images.test.pixels, strict=True):
        assert name.split("/")[0] == images.class_names[label]
        assert (float(pixels[0, 0].mean()) > pixels[0, -1].mean()) == (images.class_names[label] == "above")


def test_exported_codes_are_those_of_the_model(release):
    run, table = Run.open(release / "run"), pyarrow.parquet.read_table(release / "codes.parquet")
    images = open_packed(release / "images.npy").test
    assert table.column_names == ["name", "label", "z1", "z2"]
    assert table["name"].to_pylist() == list(images.names)
    codes = np.stack([table["z1"].to_numpy(), table["z2"].to_numpy()], axis=1)
    (vae,) = [stored for stored in run.models if stored.recipe == "vae"]
    np.testing.assert_allclose(run.load(vae).transform(images.pixels), codes, rtol=1e-5, atol=1e-5)


def test_a_hand_in_and_its_journal_are_read(release):
    found = read_handin(release / "handed" / "handin-Ada.json")
    assert (found.name, found.group, found.journal["broken"]) == ("Ada", "athena", [])
    answer = "Strict: it keeps the stroke.\nAnd “more”, says Zoë."
    assert found.lessons["05"]["responses"] == {"strict_or_lax": answer}
    assert found.lessons["05"]["checks"]["rsample"]["passed"] is True
    record = Journal(release / "course").read()
    assert found.journal["lines"] == record.lines
    assert record.latest("response") == {"strict_or_lax": answer}
    with (release / "handed" / "handin-Ada.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert answer in [row["value"] for row in rows]


def test_a_folder_that_is_there_is_not_written_again(capsys):
    before = {file: file.stat().st_mtime_ns for folder in RELEASES for file in folder.rglob("*")}
    assert _make().main() == 2
    assert "is there already" in capsys.readouterr().out
    assert {file: file.stat().st_mtime_ns for folder in RELEASES for file in folder.rglob("*")} == before
