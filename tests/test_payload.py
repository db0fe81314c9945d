"""What the live page holds: every asset of the schema with its size and meaning, whatever the run."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from lowerbound import comparison, page_numbers
from lowerbound import payload as payloads
from lowerbound.comparison import begin, go_on
from lowerbound.divergence import kl_per_dimension
from lowerbound.formats import to_json
from lowerbound.images import Images, ImageSet, as_floats
from lowerbound.page_numbers import coarse, without_paths
from lowerbound.payload import NO_LABEL, payload
from lowerbound.pca import PCA
from lowerbound.plan import FOUR, Plan
from lowerbound.sheets import columns_of, sheets
from lowerbound.storage import Run

PANELS = {"map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers"}
ATTACK = "</script><img src=x onerror=alert(1)>"


def noise(number, shape, seed=0):
    """Images with a pattern in them, so that models have something to find."""
    random = np.random.default_rng(seed)
    pattern = random.random((3, *shape))
    mixed = random.random((number, 3)) @ pattern.reshape(3, -1) / 2
    return (255 * np.clip(mixed, 0, 1)).astype(np.uint8).reshape(number, *shape)


def images_of(shape, *, number=40, classes=(), name="noise"):
    def part(count, seed):
        return Images(noise(count, shape, seed), np.arange(count) % len(classes) if classes else None)

    return ImageSet(name, part(number, 1), part(12, 2), class_names=tuple(classes), source=name)


def made(folder, images, ks=(2,), models=FOUR, **how):
    """A run of these images, its page left aside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "write_report", lambda *_: "")
        return go_on(begin(images, Plan(ks, models, epochs=1, **how), folder / "run"), images)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """A run of four models at two K, its images, and what its page holds."""
    images = images_of((1, 6, 5), classes=("zero", ATTACK, "a\nb"))
    run = made(tmp_path_factory.mktemp("four"), images, (1, 3))
    return run, images, payload(run, images)


def array(held, name, kind, *shape):
    return np.frombuffer(held.assets[name], kind).reshape(shape)


def test_every_asset_has_the_size_that_the_schema_gives_it(four):
    _, images, held = four
    meta, number, k, pixels = held.meta, held.meta["shown"], held.meta["k"], 30
    assert (meta["schema"], number, k, meta["shape"]) == (2, 12, 3, [1, 6, 5])
    assert [model["name"] for model in meta["models"]] == list(FOUR)
    np.testing.assert_array_equal(array(held, "images", "u1", number, 1, 6, 5), images.test.pixels)
    np.testing.assert_array_equal(array(held, "labels", "<u2", number), images.test.labels)
    expected = {"images", "labels", "spectrum"}
    for model in meta["models"]:
        name = model["name"]
        array(held, f"codes:{name}", "<f2", number, k)
        array(held, f"errors:{name}", "<f4", number)
        array(held, f"check:{name}", "<f4", pixels)
        expected |= {f"{kind}:{name}" for kind in ("codes", "errors", "check", "decoder", "encoder")}
        expected |= {f"spread:{name}"} if model["spread"] else set()
        expected |= (
            {f"film:{name}:{kind}" for kind in ("codes", "reconstructions", "samples")} if name != "pca" else set()
        )
        for numbers in ("mean", "scale", "raw_mean", "raw_scale", "carries", "collapsed", "check"):
            assert len(model[numbers]) == k, numbers
        axes = np.array(model["axes"])
        np.testing.assert_allclose(axes @ axes.T, np.eye(k), atol=1e-4)
        assert sum(model["carries"]) == pytest.approx(1, abs=1e-4)
    assert set(held.assets) == expected
    array(held, "spectrum", "<f4", len(meta["spectrum"]["fractions"]) - 1, pixels)
    assert len(meta["spectrum"]["mean"]) == pixels
    assert json.loads(held.json) == meta


def test_codes_spreads_errors_and_checks_are_those_of_the_models(four):
    run, images, held = four
    for stored in (each for each in run.shown if each.latent_dim == 3):
        model, about = run.load(stored), next(m for m in held.meta["models"] if m["name"] == stored.recipe)
        codes = array(held, f"codes:{stored.recipe}", "<f2", 12, 3)
        np.testing.assert_allclose(codes, model.transform(images.test.pixels), rtol=2e-3, atol=1e-4)
        again = model.inverse_transform(model.transform(images.test.pixels))
        errors = np.square(again - as_floats(images.test.pixels)).mean((1, 2, 3))
        np.testing.assert_allclose(array(held, f"errors:{stored.recipe}", "<f4", 12), errors, rtol=1e-3)
        decoded = model.inverse_transform(np.array([about["check"]], np.float32))
        np.testing.assert_allclose(array(held, f"check:{stored.recipe}", "<f4", 1, 1, 6, 5), decoded, atol=1e-6)
    vae = next(m for m in held.meta["models"] if m["name"] == "vae")
    assert vae["generates"]
    assert vae["prior"] == "N(0, I)"
    q = run.load(run.choose("vae", 3)).encoder(torch.from_numpy(as_floats(images.test.pixels)))
    spread = array(held, "spread:vae", "<f2", 12, vae["spread"])
    np.testing.assert_allclose(spread, q.stddev.detach().numpy()[:, : vae["spread"]], rtol=2e-3)
    rate = kl_per_dimension(q, run.load(run.choose("vae", 3)).prior()).mean(0).detach().numpy()
    np.testing.assert_allclose(vae["rate"], rate, rtol=1e-3, atol=1e-5)
    assert [m["rate"] is None for m in held.meta["models"]] == [True, True, True, False]
    assert [m["generates"] for m in held.meta["models"]] == [True, False, False, True]


def test_numbers_of_the_run_are_those_of_its_report(four):
    run, _, held = four
    meta = held.meta
    for name, history in meta["histories"].items():
        lengths = {len(values) for values in history.values() if values is not None}
        assert len(lengths) == 1
        assert max(lengths) <= page_numbers.POINTS
        whole = run.history(run.choose(name, 3))["loss"].mean()
        assert np.mean(history["loss"]) == pytest.approx(whole, rel=0.02)
    assert set(meta["histories"]) == {"linear", "conv", "vae"}
    assert {name: [row[0] for row in rows] for name, rows in meta["sweep"].items()} == {name: [1, 3] for name in FOUR}
    assert len(meta["table"]["rows"]) == 8
    assert all(len(row) == len(meta["table"]["header"]) for row in meta["table"]["rows"])
    assert any("less PCA" in name for name, _ in meta["facts"])
    film = meta["film"]["vae"]
    moments, followed = len(film["steps"]), len(film["images"])
    array(held, "film:vae:codes", "<f2", moments, followed, 3)
    array(held, "film:vae:reconstructions", "u1", moments, film["shown_images"], 1, 6, 5)
    array(held, "film:vae:samples", "u1", moments, film["samples"], 1, 6, 5)
    assert max(film["images"]) < meta["shown"]


def test_the_spectrum_goes_on_beyond_the_components_that_the_run_keeps(four):
    _, images, held = four
    components = array(held, "spectrum", "<f4", -1, 30)
    assert len(components) > 3
    np.testing.assert_allclose(components @ components.T, np.eye(len(components)), atol=0.05)
    pixels = as_floats(images.train.pixels).reshape(len(images.train), -1) - held.meta["spectrum"]["mean"]
    kept = np.cumsum((np.square(pixels @ components.T)).mean(0)) / held.meta["spectrum"]["total"]
    np.testing.assert_allclose(kept, held.meta["spectrum"]["fractions"][1:], atol=0.02)
    exact = PCA(30).fit(images.train.pixels).components[:3]
    assert np.abs((components[:3] * exact).sum(1)) == pytest.approx(1, abs=0.01)


def test_a_film_of_larger_images_is_made_of_sheets(four, monkeypatch):
    run, _, held = four
    monkeypatch.setattr(page_numbers, "RAW", 8)
    about, assets = page_numbers.film(run, run.choose("vae", 3), 12)
    raw = array(held, "film:vae:reconstructions", "u1", len(about["steps"]), about["shown_images"], 1, 6, 5)
    assert about["encoding"] == "webp"
    kinds = {name: name.rsplit(":", 1)[0] for name in assets}
    for kind in ("reconstructions", "samples"):
        assert sum(each == f"film:vae:{kind}" for each in kinds.values()) == len(about["steps"])
    last = len(about["steps"]) - 1
    sheet = np.asarray(Image.open(io.BytesIO(assets[f"film:vae:reconstructions:{last}"])))[..., 0].astype(int)
    assert sheet.shape == (-(-about["shown_images"] // about["columns"]) * 6, about["columns"] * 5)
    place = about["shown_images"] - 1
    row, column = divmod(place, about["columns"])
    found = sheet[row * 6 : row * 6 + 6, column * 5 : column * 5 + 5]
    assert np.abs(found - raw[last, place, 0]).mean() < 25


@pytest.mark.parametrize("count", [60, 12])  # more images than pixels, and fewer
def test_further_components_are_those_of_the_whole(count):
    train = Images(noise(count, (1, 4, 5)))
    pca = PCA(1).fit(train.pixels)
    found = page_numbers._further(pca, train, 2)
    exact = PCA(3).fit(train.pixels).components[1:]
    np.testing.assert_allclose(np.abs((found * exact).sum(1)), np.ones(len(found)), atol=1e-3)
    assert len(found) >= 1


def test_the_same_run_gives_the_same_bytes(four):
    run, images, held = four
    again = payload(Run.open(run.path), images)
    assert again.json == held.json
    assert again.assets == held.assets


def test_what_is_asked_is_what_is_there(four):
    run, images, _ = four
    held = payload(run, images, shown=5, encoders=False, full=True)
    assert held.meta["shown"] == 5
    assert not any(model["encoder"] for model in held.meta["models"])
    assert not any(name.startswith("encoder:") for name in held.assets)
    assert {each["panel"] for each in held.meta["left_out"]} >= {"images", "drawing"}
    assert max(held.meta["film"]["conv"]["images"]) < 5
    kinds = {tensor.data_type for tensor in onnx.load_from_string(held.assets["decoder:conv"]).graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT}


def test_names_are_data_and_one_line(four):
    held = four[2]
    assert held.meta["classes"] == ["zero", ATTACK, "a b"]


def test_findings_and_ascents_that_are_kept_are_shown(four, tmp_path):
    run, images, _ = four
    place = run.path / "diagnosis.json"
    ascent = {"image": 3, "model": "vae", "steps": [0], "elbo": [1.0]}
    far, other = {**ascent, "image": 11}, {**ascent, "model": "own"}
    finding = {"name": "over-fitting", "certainty": "likely", "evidence": "2 times", "figure": "errors"}
    finding["advice"] = f"lowerbound train --resume {run.path} --epochs +5"
    try:
        place.write_bytes(to_json({"model": "vae-k3", "findings": [finding]}))
        (run.path / "posterior.json").write_bytes(to_json({"posterior": [ascent, far, other]}))
        meta = payload(run, images, shown=5).meta
    finally:
        place.unlink()
        (run.path / "posterior.json").unlink()
    (found,) = meta["findings"]
    assert (found["model"], found["panel"], found["try"]) == (
        "vae",
        "reconstruct",
        "lowerbound train --resume run --epochs +5",
    )
    assert meta["posterior"] == [ascent]
    assert "posterior" not in {each["panel"] for each in meta["left_out"]}


def test_labels_that_mean_nothing_are_none(four):
    test = Images(noise(4, (1, 2, 2)), np.array([0, 1, -1, 9]))
    assert np.frombuffer(payloads._labels(test, 4, 2), "<u2").tolist() == [0, 1, NO_LABEL, NO_LABEL]


CASES = {
    "one pixel, no labels": ((1, 1, 1), 1, FOUR),
    "one model": ((1, 6, 5), 2, ("conv",)),
    "K = 1": ((3, 6, 5), 1, ("pca", "vae")),
    "two pixels wide": ((3, 2, 9), 2, ("linear",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_any_run_has_a_page(case, tmp_path):
    shape, k, models = CASES[case]
    images = images_of(shape)
    held = payload(made(tmp_path, images, (k,), models), images)
    assert [model["name"] for model in held.meta["models"]] == list(models)
    assert held.meta["classes"] is None
    assert "labels" not in held.assets
    left = {each["panel"] for each in held.meta["left_out"]}
    assert left >= {"classes", "posterior"}
    assert (held.meta["spectrum"] is None) == ("pca" not in models)
    assert "film" in left or held.meta["film"]
    assert not left & (PANELS - {"film", "posterior"})
    json.loads(held.json, parse_constant=pytest.fail)


@pytest.mark.slow
def test_two_hundred_numbers_and_large_images_have_a_page(tmp_path):
    images = images_of((1, 16, 16), number=300)
    held = payload(made(tmp_path, images, (200,), ("pca", "conv")), images)
    assert np.array(held.meta["models"][1]["axes"]).shape == (200, 200)
    assert len(held.json) < 2_000_000


def test_of_large_images_fewer_are_shown_and_it_is_said():
    missing = {}
    test = Images(np.zeros((400, 3, 256, 256), np.uint8))
    assert payloads._number(test, 10_000, missing) == 325
    assert "325 of 400" in missing["images"][0]
    assert payloads._number(Images(np.zeros((400, 1, 28, 28), np.uint8)), 10_000, missing) == 400


def test_a_model_that_failed_is_left_out_and_the_others_stay(tmp_path, four):
    shutil.copytree(four[0].path, tmp_path / "run")
    run, images = Run.open(tmp_path / "run"), four[1]
    (run.folder(run.choose("conv", 3)) / "model.safetensors").write_bytes(b"cut")
    held = payload(run, images)
    assert [model["name"] for model in held.meta["models"]] == ["pca", "linear", "vae"]
    reasons = {each["panel"]: each["reason"] for each in held.meta["left_out"]}
    assert "no whole safetensors file" in reasons["conv AE"]
    assert str(tmp_path) not in held.json.decode()
    assert not any(name.partition(":")[2].startswith("conv") for name in held.assets)
    for name in ("pca", "linear", "vae"):
        (run.folder(run.choose(name, 3)) / "model.safetensors").unlink()
    held = payload(run, images)
    assert held.meta["models"] == []
    assert held.meta["spectrum"] is None
    assert {"map", "dimensions", "generate"} <= {each["panel"] for each in held.meta["left_out"]}
    assert held.meta["table"]["rows"]


def test_sheets_hold_the_images_in_their_order():
    random = np.random.default_rng(0)
    flat = random.integers(0, 256, (70, 3, 1, 1)).astype(np.uint8)
    pixels = np.broadcast_to(flat, (70, 3, 16, 16))
    columns = columns_of((3, 16, 16), 8)
    (file,) = sheets(pixels, columns)
    sheet = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    assert sheet.shape == (math.ceil(70 / 8) * 16, 8 * 16, 3)
    for place in (0, 9, 69):
        row, column = divmod(place, columns)
        middle = sheet[row * 16 + 8, column * 16 + 8].astype(int)
        assert np.abs(middle - flat[place, :, 0, 0]).max() < 40
    assert sheets(pixels, columns) == [file]


def test_many_colour_images_are_stored_as_sheets(monkeypatch):
    monkeypatch.setattr(payloads, "RAW", 100)
    about, assets = payloads._images(noise(20, (3, 8, 8)))
    assert about == {"encoding": "webp", "sheets": 1, "columns": 20}
    assert list(assets) == ["images:0"]
    about, assets = payloads._images(noise(20, (1, 8, 8)))
    assert about["encoding"] == "raw"


def test_coarse_numbers_lie_near_and_pack_well():
    values = np.random.default_rng(0).standard_normal(1000)
    np.testing.assert_allclose(coarse(values), values, rtol=2**-8)
    np.testing.assert_allclose(coarse(values, bits=12), values, rtol=2**-12)
    assert not coarse(values).view(np.uint32).astype(np.uint32).__and__(0xFFFF).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lowerbound compare /data/photos -k 5", "lowerbound compare photos -k 5"),
        ("lowerbound compare '/data/my photos/' -k 5", "lowerbound compare 'my photos' -k 5"),
        (r"photos: C:\Users\jane\photos", "photos: photos"),
        (
            "nats / (P ln 2), 1/2 and https://arxiv.org/abs/1312.6114",
            "nats / (P ln 2), 1/2 and https://arxiv.org/abs/1312.6114",
        ),
        ("mnist: 60,000 training and 10,000 test images", "mnist: 60,000 training and 10,000 test images"),
        ("cats/a.png (truncated)", "cats/a.png (truncated)"),
        (f"see {Path.home() / 'x' / 'run'}", "see run"),
    ],
)
def test_paths_lose_their_places(text, expected):
    assert without_paths(text, Run(Path("run"), {"source": {}})) == expected
