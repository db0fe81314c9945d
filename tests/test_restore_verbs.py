"""The verbs that restore, move and give away, as people use them: what they say, what they write, what they refuse."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lowerbound import load
from lowerbound.restored_files import png_names
from tests.command_line import HOSTILE, lowerbound, refused

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A PCA of the digits, and folders of digits: noisy ones with hostile names, their clean ones, one large in colour, none."""
    place = tmp_path_factory.mktemp("restore")
    pixels = load("digits").test.pixels[:, 0]
    rng = np.random.default_rng(0)
    for folder in ("noisy", "clean", "one", "empty"):
        (place / folder).mkdir()
    for name, image in zip(HOSTILE, pixels, strict=False):
        noisy = (image + rng.normal(0, 40, image.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(place / "noisy" / name)
        Image.fromarray(image).save((place / "clean" / name).with_suffix(".bmp"))
    (place / "noisy" / "broken.png").write_bytes(b"no image")
    Image.fromarray(pixels[5]).convert("RGB").resize((40, 30)).save(place / "one" / "large and in colour.jpg")
    Image.fromarray(np.pad(np.full((4, 4), 255, np.uint8), ((0, 4), (0, 4)))).save(place / "mask.png")
    here = Path.cwd()
    os.chdir(place)
    try:
        assert lowerbound("train", "digits", "--model", "pca", "-k", "8", "--out", "run") == 0
    finally:
        os.chdir(here)
    return place


@pytest.fixture(autouse=True)
def _there(place, tmp_path, monkeypatch):
    """Each test in a folder of its own, beside which all lies."""
    for item in place.iterdir():
        (tmp_path / item.name).symlink_to(item)
    monkeypatch.chdir(tmp_path)


def read(file):
    return np.asarray(Image.open(file))


def test_noise_is_taken_out_of_a_folder(capsys):
    assert lowerbound("denoise", "run", "noisy", "--sigma", "0.157", "--clean", "clean", "--out", "done") == 0
    said = capsys.readouterr()
    before, after = (float(found) for found in re.findall(r"PSNR ([\d.]+) ±", said.out))
    assert after > before
    assert "broken.png" in said.err
    assert sorted(file.name for file in Path("done").iterdir()) == sorted(HOSTILE)
    assert all(read(Path("done") / name).shape == (8, 8) for name in HOSTILE)
    assert Path("done.png").is_file()
    assert Path("done.svg").is_file()


def test_noise_is_estimated_where_nobody_says(capsys):
    assert lowerbound("denoise", "run", "noisy", "--out", "array.npy") == 0
    sigma = float(re.search(r"sigma ([\d.]+), estimated", capsys.readouterr().out)[1])
    assert 0 < sigma < 1
    array = np.load("array.npy")
    assert (array.shape, array.dtype) == ((len(HOSTILE), 1, 8, 8), np.float32)
    assert not Path("array.png").exists()


def test_without_images_noise_is_put_on_test_images(capsys):
    assert lowerbound("denoise", "run", "--sigma", "0.2", "--count", "5") == 0
    assert "put on 5 test images" in capsys.readouterr().out
    assert Path("run-denoised.png").is_file()


def test_holes_are_filled_and_the_rest_stays(capsys):
    assert lowerbound("inpaint", "run", "noisy", "--mask", "0,0,4,4", "-n", "2", "--out", "filled") == 0
    assert sorted(folder.name for folder in Path("filled").iterdir()) == ["draw-1", "draw-2", "mean", "std"]
    for name in HOSTILE:
        came = read(Path("noisy") / name)
        draws = [read(Path("filled", kind, name)) for kind in ("mean", "draw-1", "draw-2")]
        for found in draws:
            assert (found[4:] == came[4:]).all()
            assert (found[:, 4:] == came[:, 4:]).all()
        assert (draws[1][:4, :4] != draws[2][:4, :4]).any()
    assert "16 of 64 pixels are hidden" in capsys.readouterr().out


def test_a_mask_may_be_a_file(capsys):
    assert lowerbound("inpaint", "run", "--mask", "mask.png", "--out", "one.npy", "--count", "3") == 0
    assert lowerbound("inpaint", "run", "--mask", "0,0,4,4", "--out", "other.npy", "--count", "3") == 0
    assert (np.load("one.npy") == np.load("other.npy")).all()
    assert np.load("one.npy").shape == (4, 3, 1, 8, 8)


def test_two_images_become_a_gif(capsys):
    assert (
        lowerbound(
            "morph", "run", "3", "one/large and in colour.jpg", "--out", "way.gif", "--steps", "9", "--way", "arc"
        )
        == 0
    )
    assert "on the arc" in capsys.readouterr().out
    with Image.open("way.gif") as shown:
        assert (shown.n_frames, shown.info["loop"]) == (16, 0)
    assert Path("way.png").is_file()


def test_codes_are_traversed(capsys):
    assert lowerbound("traverse", "run", "-n", "3", "--image", "2") == 0
    assert "3 of 8 numbers, from test image 2" in capsys.readouterr().out
    with Image.open("run-traverse.gif") as shown:
        assert shown.info["loop"] == 0
    assert Path("run-traverse.png").is_file()


def test_a_model_is_given_away(capsys):
    assert lowerbound("export", "run", "--out", "given") == 0
    said = capsys.readouterr().out
    assert "checked by onnxruntime" in said
    assert sorted(file.name for file in Path("given", "pca-k8").iterdir()) == [
        *("check.json", "decoder.onnx", "encoder.onnx", "model.json", "model.safetensors")
    ]
    check = json.loads(Path("given", "pca-k8", "check.json").read_text(encoding="utf-8"))
    assert check["largest_difference_of_a_pixel"] < 1e-5
    assert Path("given", "README.md").read_text(encoding="utf-8").startswith("---\n")


def test_what_cannot_be_done_is_refused_in_one_line(capsys):
    Path("there").mkdir()
    for words, said in {
        ("denoise", "run", "empty"): "no files",
        ("denoise", "run", "nowhere"): "does not exist",
        ("denoise", "run", "--sigma", "-1"): "sigma is -1",
        ("denoise", "run", "--clean", "clean"): "--clean came without images",
        ("denoise", "run", "noisy", "--clean", "one"): "no clean image for",
        ("denoise", "run", "noisy", "--out", "there"): "exists already",
        ("inpaint", "run"): "no mask came",
        ("inpaint", "run", "--mask", "7,7,2,2"): "expected a rectangle within",
        ("inpaint", "run", "--mask", "nowhere.png"): "neither ROW,COLUMN,HEIGHT,WIDTH nor a file",
        ("inpaint", "run", "--mask", "noisy/broken.png"): "cannot be read",
        ("inpaint", "run", "--mask", "0,0,8,8"): "hides everything",
        ("morph", "run", "3", "1000000"): "no test image 1000000",
        ("morph", "run", "3", "noisy"): "expected one",
        ("morph", "run", "3", "4", "--way", "round"): 'no way "round"',
        ("morph", "run", "3", "4", "--out", "a.png"): "expected .gif",
        ("traverse", "run", "--along", "time"): "nothing called",
        ("traverse", "run", "--image", "1000000"): "no test image",
        ("export", "run", "--out", "there"): "exists already",
    }.items():
        assert said in refused(capsys, *words), words
    assert list(Path("there").iterdir()) == []


def test_a_single_image_of_another_size_and_colour_is_brought_to_the_runs():
    assert lowerbound("denoise", "run", "one", "--sigma", "0.1", "--out", "done") == 0
    assert read("done/large and in colour.png").shape == (8, 8)
    assert lowerbound("inpaint", "run", "one/large and in colour.jpg", "--mask", "0,0,4,4", "--out", "filled") == 0
    assert read("filled/mean/large and in colour.png").shape == (8, 8)


def test_an_interruption_leaves_nothing_half_written(monkeypatch, capsys):
    from lowerbound import exporting

    written = []

    def interrupted(path, content):
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr(exporting, "write_whole", interrupted)
    before = set(Path().iterdir())
    assert lowerbound("denoise", "run", "noisy", "--sigma", "0.1", "--out", "done") == 130
    assert "interrupted" in capsys.readouterr().err
    assert set(Path().iterdir()) == before


def test_names_stay_within_the_folder_and_apart():
    names = ["../../up.png", "/etc/top.jpg", "a/../b.gif", "..", "a.jpg", "a.png", "a.png.gif", "zero\0.png"]
    found = png_names(names, len(names))
    assert len(set(found)) == len(names)
    for name in found:
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert "\0" not in name
        assert name.endswith(".png")
