"""Codes of any number of images: resumed after a kill they are the same file, and no image is encoded twice."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from lowerbound import PCA, encoding
from lowerbound.encoding import encode
from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.sources import stream
from lowerbound.streams import stream_of

PIXELS = np.random.default_rng(0).integers(0, 256, (4500, 1, 4, 4)).astype(np.uint8)
NAMES = tuple(f"{number}.png" for number in range(4500))
MODEL = PCA(3).fit(PIXELS)

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from lowerbound import PCA, encoding
from lowerbound.images import Images
from lowerbound.streams import stream_of

encoding.PART = 1000
pixels = np.random.default_rng(0).integers(0, 256, (4500, 1, 4, 4)).astype(np.uint8)
pca, left = PCA(3).fit(pixels), [int(sys.argv[2])]
class Killing:
    def transform(self, images):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return pca.transform(images)
images = Images(pixels, np.arange(4500) % 7, tuple(f"{number}.png" for number in range(4500)))
encoding.encode(Killing(), stream_of(images, "noise"), Path(sys.argv[1]), stamp="pca")
"""


class Counted:
    """A model that counts the images it is given."""

    def __init__(self):
        self.images = 0

    def transform(self, images):
        self.images += len(images)
        return MODEL.transform(images)


def images():
    return Images(PIXELS, np.arange(4500) % 7, NAMES)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(encoding, "PART", 1000)


def test_codes_are_those_of_transform_in_both_formats(tmp_path):
    for name in ("codes.npy", "codes.parquet"):
        done = encode(MODEL, stream_of(images(), "noise"), tmp_path / name, stamp="pca")
        assert (done.rows, done.found, done.anew, done.skipped) == (4500, 0, False, ())
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), MODEL.transform(PIXELS), rtol=1e-5, atol=1e-6)
    np.save(tmp_path / "again.npy", np.load(tmp_path / "codes.npy"))
    assert (tmp_path / "again.npy").read_bytes() == (tmp_path / "codes.npy").read_bytes()
    file = pyarrow.parquet.ParquetFile(tmp_path / "codes.parquet")
    assert file.num_row_groups == 5  # 4 of 1,000 and the rest
    table = file.read()
    assert table.column_names == ["name", "label", "z1", "z2", "z3"]
    assert table["name"].to_pylist() == list(NAMES)
    np.testing.assert_array_equal(table["label"], np.arange(4500) % 7)
    np.testing.assert_array_equal(table["z2"], np.load(tmp_path / "codes.npy")[:, 1])
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.npy", "codes.npy", "codes.parquet"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["codes.npy", "codes.parquet"])
def test_encoding_killed_and_resumed_gives_the_same_bytes(tmp_path, name):
    encode(MODEL, stream_of(images(), "noise"), tmp_path / f"unbroken-{name}", stamp="pca")
    for left in (1, 2):
        words = [sys.executable, "-c", KILLED, str(tmp_path / name), str(left)]
        assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
        assert not (tmp_path / name).exists()
    counted = Counted()
    done = encode(counted, stream_of(images(), "noise"), tmp_path / name, stamp="pca")
    assert (done.found, done.anew, counted.images) == (3000, False, 1500)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"unbroken-{name}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


class BrokenOffError(Exception):
    """What the test breaks with."""


class Breaking:
    """A model that gives up at its second block."""

    def __init__(self):
        self.blocks = 0

    def transform(self, images):
        self.blocks += 1
        if self.blocks == 2:
            raise BrokenOffError
        return MODEL.transform(images)


@pytest.mark.parametrize(("stamp", "source"), [("another", "noise"), ("pca", "other images")])
def test_another_model_or_other_images_begin_anew(tmp_path, stamp, source):
    with pytest.raises(BrokenOffError):
        encode(Breaking(), stream_of(images(), "noise"), tmp_path / "codes.npy", stamp="pca")
    counted = Counted()
    done = encode(counted, stream_of(images(), source), tmp_path / "codes.npy", stamp=stamp)
    assert (done.found, done.anew, counted.images) == (0, True, 4500)


def test_a_part_that_is_missing_is_made_again(tmp_path):
    with pytest.raises(BrokenOffError):
        encode(Breaking(), stream_of(images(), "noise"), tmp_path / "codes.npy", stamp="pca")
    (part,) = (tmp_path / ".codes.npy.parts").glob("*.arrow")
    part.unlink()
    assert encode(MODEL, stream_of(images(), "noise"), tmp_path / "codes.npy", stamp="pca").rows == 4500


def test_files_that_cannot_be_read_leave_no_gap(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(150):
        Image.fromarray(PIXELS[number, 0]).save(photos / f"{number:03}.png")
    for bad in (0, 70, 149):
        (photos / f"{bad:03}.png").write_text("no image")
    done = encode(MODEL, stream(photos, (1, 4, 4)), tmp_path / "codes.parquet", stamp="pca")
    assert [file for file, _ in done.skipped] == ["000.png", "070.png", "149.png"]
    table = pyarrow.parquet.read_table(tmp_path / "codes.parquet")
    kept = np.delete(np.arange(150), [0, 70, 149])
    assert table["name"].to_pylist() == [f"{number:03}.png" for number in kept]
    codes = np.stack([table[f"z{n}"] for n in (1, 2, 3)], axis=1)
    np.testing.assert_allclose(codes, MODEL.transform(PIXELS[kept]), rtol=1e-5, atol=1e-6)


def test_nothing_to_encode_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_text("no image")
    with pytest.raises(InputError, match=r"none of the 1 images can be read \(a\.png: not an image"):
        encode(MODEL, stream(tmp_path / "photos", (1, 4, 4)), tmp_path / "codes.npy", stamp="pca")
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]
