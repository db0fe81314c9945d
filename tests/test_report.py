"""The report: what it says of a run, whatever the run holds, and what it must never show."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from lowerbound import sources
from lowerbound.comparison import begin, go_on
from lowerbound.images import Images, ImageSet
from lowerbound.parts import Parts
from lowerbound.plan import FOUR, Plan
from lowerbound.report import HEADER, rows, verdict
from lowerbound.sections import examples, interpolate, pair, planes, principal_axes
from lowerbound.storage import Run


def noise(number, shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, *shape)).astype(np.uint8)


def made(folder, images, ks, models=FOUR, **how):
    run = go_on(begin(images, Plan(ks, models, epochs=1), folder / "run", **how), images)
    for file in run.path.rglob("*.json"):
        json.loads(file.read_text(), parse_constant=pytest.fail)  # NaN and the like are no JSON
    figures = run.path / "figures.html"  # where the live page's template is built, that is the report
    return run, (figures if figures.is_file() else run.path / "report.html").read_text()


CASES = {
    "one-pixel": (ImageSet("dots", *(Images(noise(n, (1, 1, 1))) for n in (20, 5))), (1,), FOUR),
    "two-images": (ImageSet("two", *(Images(noise(1, (1, 8, 8), seed=n)) for n in (1, 2))), (1,), FOUR),
    "constant": (ImageSet("flat", *(Images(np.full((n, 1, 6, 6), 9, np.uint8)) for n in (20, 5))), (1, 2), FOUR),
    "colour": (ImageSet("colour", *(Images(noise(n, (3, 9, 7))) for n in (20, 5))), (2,), ("conv", "vae")),
    "classes": (
        ImageSet(
            "many",
            *(Images(noise(60, (1, 5, 5)), np.arange(60) % 30) for _ in range(2)),
            class_names=tuple(f"<img src=x onerror=alert({n})>" for n in range(30)),
        ),
        (2,),
        ("pca",),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_report_comes_of_any_images(case, tmp_path):
    images, ks, models = CASES[case]
    run, page = made(tmp_path, images, ks, models)
    assert Run.open(run.path).metrics
    assert page.count("<img ") == len(list((run.path / "figures").glob("*.png"))), "one picture for each figure"
    assert {file.stem for file in run.path.glob("figures/*.svg")} == {
        file.stem for file in run.path.glob("figures/*.png")
    }
    assert "nan" not in re.sub(r"base64,[^\"]*", "", page).lower()


@pytest.mark.slow
@pytest.mark.parametrize("model", FOUR)
def test_a_run_of_one_model_has_a_report_of_its_own(model, tmp_path):
    images = ImageSet("noise", *(Images(noise(n, (1, 6, 6))) for n in (30, 6)))
    run, _ = made(tmp_path, images, (2,), (model,))
    said = verdict(run.metrics, 2)
    assert len(said) == 1
    assert "best" not in said[0]


@pytest.mark.slow
def test_a_sweep_adds_error_against_k_of_every_model(tmp_path):
    images = ImageSet("noise", *(Images(noise(n, (1, 6, 6))) for n in (30, 6)))
    run, page = made(tmp_path, images, (1, 3), ("pca", "linear"))
    assert "Error against K" in page
    names = {file.name for file in run.path.glob("figures/*.png")}
    assert {"error-against-k.png", "reconstructions-k1.png", "reconstructions-k3.png"} <= names
    assert [row["k"] for row in run.metrics] == [1, 1, 3, 3]


def test_names_are_shown_as_words_and_machine_paths_not_at_all(tmp_path, monkeypatch):
    from PIL import Image

    folder = tmp_path / "secret-place" / "photos"
    for name in ("<img src=x onerror=alert(1)>", "[red]ümläut"):
        (folder / name).mkdir(parents=True)
        for n in range(6):
            Image.fromarray(noise(1, (1, 6, 6), seed=n)[0, 0]).save(folder / name / f"<b>{n}.png")
    (folder / "<script>.png").write_bytes(b"no image")
    monkeypatch.chdir(folder.parent)
    images = sources.load("photos")
    run, page = made(tmp_path, images, (2,), ("pca",), command="lowerbound compare photos")
    assert "<script>" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;.png" in page, "what was left out is named"
    assert "secret-place" not in page
    assert run.about["source"]["path"] == str(folder)


def test_the_table_has_a_cell_for_each_head_and_fits_without_errors():
    one = {"mean": 1234.5, "standard_error": 0.5}
    row = {"model": "pca", "k": 2, "mse": one, "psnr": one, "ssim": one, "score": one, "seconds": 3.04}
    (cells,) = rows([row])
    assert len(cells) == len(HEADER)
    assert cells[5] == "1234.5 ± 0.5 *"
    assert not any("±" in cell for cell in rows([row], errors=False)[0])


@pytest.mark.parametrize(
    ("errors", "words"),
    [
        ({"pca": 0.02, "vae": 0.01}, "VAE keeps the test images best.*2.00 times less than PCA"),
        ({"pca": 0.02, "linear": 0.0201}, "within 0.5 %"),
        ({"pca": 0.02, "linear": 0.04}, "2.00 times PCA's"),
        ({"pca": 0.0, "linear": 0.0, "conv": 0.1}, "PCA keeps"),
    ],
)
def test_the_verdict_says_what_the_numbers_say(errors, words):
    score = {"mean": 1.0, "standard_error": 0.1}
    metrics = [
        {"model": name, "k": 2, "mse": {"mean": error}, "score": score, "sigma": 0.1} for name, error in errors.items()
    ]
    assert re.search(words, " ".join(verdict(metrics, 2)))


def test_principal_axes_find_the_line_that_codes_lie_on():
    t = np.random.default_rng(0).standard_normal(50)
    xy, (first, second) = principal_axes(np.outer(t, [3.0, 4.0, 0.0]))
    assert first == pytest.approx(1)
    assert second == pytest.approx(0)
    assert np.abs(xy[:, 0]) == pytest.approx(5 * np.abs(t - t.mean()))
    for codes in (np.zeros((5, 2)), np.ones((1, 3)), np.arange(4.0)[:, None]):
        xy, fractions = principal_axes(codes)
        assert xy.shape == (len(codes), 2)
        assert np.isfinite(xy).all()
        assert np.isfinite(fractions).all()


def test_an_interpolation_begins_and_ends_at_the_reconstructions():
    from lowerbound.pca import PCA

    pixels = noise(20, (1, 4, 4))
    pca = PCA(3).fit(pixels)
    ways = interpolate({"pca": pca}, pixels[0], pixels[1])
    ends = pca.inverse_transform(pca.transform(pixels[:2]))
    np.testing.assert_allclose(ways["pca"][[0, -1]], ends, atol=1e-6)
    np.testing.assert_allclose(ways["pixels"][[0, -1]], pixels[:2] / np.float32(255))


def test_drawn_images_are_the_same_each_time_and_a_pair_has_two_classes():
    images = Images(noise(50, (1, 2, 2)), np.arange(50) % 2)
    np.testing.assert_array_equal(examples(images, 8).pixels, examples(images, 8).pixels)
    for seed in range(10):
        first, last = pair(images, seed)
        assert images.labels[first] != images.labels[last]
    assert pair(images[:1]) == (0, 0)


@pytest.mark.parametrize("network", ["strided", "tutorial"])
@pytest.mark.parametrize("model", ["conv", "vae"])
def test_the_planes_go_from_the_image_to_the_code_and_back(model, network):
    from lowerbound.stored import StoredModel

    found = planes(StoredModel(model, 4, (3, 20, 20), network).build())
    assert found[0].shape == found[-1].shape == (3, 20, 20)
    assert (4,) in [plane.shape for plane in found]


def test_what_the_bounds_are_of_is_said_by_the_likelihood(tmp_path):
    from lowerbound.report import footnote
    from lowerbound.stored import StoredModel

    def said(**parts):
        stored = StoredModel("vae", 2, (1, 4, 4), parts=Parts(**parts))
        return footnote(Run(tmp_path, {"models": [stored.to_json()]}))

    assert "no log-likelihood of 8-bit data" in said()
    assert "log-probability of images of 0 and 1" in said(likelihood="bernoulli", binarise="dynamic")
    assert "log-probability of 8-bit images" in said(likelihood="logistic")
    assert "densities" not in said(likelihood="logistic")
