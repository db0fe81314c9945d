"""Models that are given away: the graphs are the models, the card tells what is so, its code runs."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from lowerbound import load
from lowerbound.card import card
from lowerbound.comparison import begin
from lowerbound.errors import InputError
from lowerbound.exporting import export_model, load_exported, write_folder
from lowerbound.images import as_floats
from lowerbound.pca import PCA
from lowerbound.plan import Plan
from lowerbound.stored import StoredModel

pytestmark = pytest.mark.slow

ONE = {"mean": 0.01234567, "standard_error": 0.00012}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A complete run of untrained models, whose images have a name that Markdown would take for its own."""
    images = load("digits")
    pca = PCA(3).fit(images.train.pixels)
    images = replace(images, name="my *best* <photos>", choices=("split\nby hand",))
    run = begin(images, Plan((3,), ("pca", "conv", "vae"), epochs=2), tmp_path_factory.mktemp("export") / "run")
    rows = []
    for stored in run.models:
        run.save(stored, pca if stored.recipe == "pca" else stored.build(pca))
        rows.append(
            {"name": stored.name, "model": stored.recipe, "k": 3, "epochs": 2, "seconds": 1.5}
            | {"mse": ONE, "psnr": ONE, "ssim": ONE}
            | {"score": None if stored.recipe == "conv" else {"mean": 812.345, "standard_error": 1.25}}
        )  # fmt: skip
    (run.path / "metrics.json").write_text(json.dumps(rows), encoding="utf-8")
    run.about["status"] = "complete"
    run.write_about()
    return run, images.test.pixels


def exported(run, pixels):
    return {stored.name: export_model(run.load(stored), stored, pixels) for stored in run.models}


@pytest.mark.parametrize("name", ["pca-k3", "conv-k3", "vae-k3"])
def test_graphs_and_weights_are_the_model(run, name, tmp_path):
    run, pixels = run
    stored = next(each for each in run.models if each.name == name)
    model = run.load(stored)
    made = export_model(model, stored, pixels)
    assert max(made.decoder_difference, made.encoder_difference) < 1e-5
    write_folder(tmp_path / "out", made.files)
    x = as_floats(pixels[:50])
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "out" / f"{end}.onnx") for end in ("encoder", "decoder")
    )
    codes = encoder.run(["mean"], {"x": x})[0]
    np.testing.assert_allclose(codes, model.transform(pixels[:50]), atol=1e-5)
    np.testing.assert_allclose(decoder.run(["x"], {"z": codes})[0], model.inverse_transform(codes), atol=1e-5)
    again = load_exported(tmp_path / "out")
    np.testing.assert_array_equal(again.transform(pixels), model.transform(pixels))
    check = json.loads((tmp_path / "out" / "check.json").read_text(encoding="utf-8"))
    assert check["largest_difference_of_a_pixel"] == made.decoder_difference
    assert check["checked_by"] == f"onnxruntime {onnxruntime.__version__}"
    assert export_model(model, stored, pixels).files == made.files


def test_without_onnxruntime_the_reference_checks(run, monkeypatch):
    run, pixels = run
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    stored = run.models[-1]
    made = export_model(run.load(stored), stored, pixels[:4])
    assert "reference" in made.checked_by
    assert max(made.decoder_difference, made.encoder_difference) < 1e-5


def test_a_graph_that_is_not_the_model_is_noticed(run, monkeypatch):
    from lowerbound import exporting

    run, pixels = run
    stored = run.models[0]
    other = exporting.graphs(PCA(3).fit(255 - pixels), pixels, full=True)
    monkeypatch.setattr(exporting, "graphs", lambda *_, **__: other)
    assert export_model(run.load(stored), stored, pixels).decoder_difference > 0.1


def test_the_card_tells_what_is_so_and_its_code_runs(run, tmp_path, monkeypatch):
    run, pixels = run
    made = exported(run, pixels)
    text = card(run, run.models, made)
    files = {f"{name}/{file}": content for name, one in made.items() for file, content in one.files.items()}
    write_folder(tmp_path / "given", {"README.md": text.encode(), **files})
    monkeypatch.chdir(tmp_path / "given")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    spaces = []
    for block in blocks:
        assert len(block.splitlines()) <= 5
        spaces.append({})
        exec(compile(block, "README.md", "exec"), spaces[-1])  # noqa: S102
    assert spaces[0]["images"].shape == (4, 1, 8, 8)
    assert spaces[1]["codes"].shape == (4, 3)
    model = run.load(run.models[-1])
    np.testing.assert_allclose(spaces[0]["images"], model.inverse_transform(spaces[0]["z"]), atol=1e-5)
    np.testing.assert_array_equal(spaces[2]["model"].transform(pixels), model.transform(pixels))
    for told in (
        run.about["source"]["sha256"],
        "my \\*best\\* \\<photos\\>",
        "split by hand",
        "1,437; test images: 360",
        "0.012346 ± 0.000120",
        "812.3 ± 1.2",
        "ELBO, nats per image",
        "2 epochs of Adam",
        "seed 0",
        "TO BE FILLED IN",
    ):
        assert told in text, told
    assert str(run.path.parent) not in text


def test_a_folder_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    from lowerbound import exporting

    def fails(path, content):
        if path.name == "b":
            raise KeyboardInterrupt
        path.write_bytes(content)

    monkeypatch.setattr(exporting, "write_whole", fails)
    with pytest.raises(KeyboardInterrupt):
        write_folder(tmp_path / "out", {"a": b"1", "b": b"2"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="exists already"):
        write_folder(tmp_path / "out", {"a": b"1"})


def test_a_damaged_export_is_refused(run, tmp_path):
    run, pixels = run
    made = export_model(run.load(run.models[-1]), run.models[-1], pixels)
    write_folder(tmp_path / "out", made.files)
    (tmp_path / "out" / "model.json").write_text('{"recipe": "vae"}', encoding="utf-8")
    with pytest.raises(InputError, match="does not describe a model"):
        load_exported(tmp_path / "out")
    with pytest.raises(InputError):
        load_exported(tmp_path / "nowhere")


def test_a_pca_by_itself_is_exported():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 5)).astype(np.uint8)
    made = export_model(PCA(4).fit(pixels), StoredModel("pca", 4, (3, 6, 5)), pixels)
    assert max(made.decoder_difference, made.encoder_difference) < 1e-5
