"""Figures: what they hold, that nothing is cut off or collides, and that the same numbers give the same bytes."""

import hashlib
import itertools
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowerbound import curves, figures, look, maps
from lowerbound.errors import InputError

ODD_NAMES = [
    "中文",
    "العربية",
    "$5 \\alpha",
    "_hidden",
    "two\nlines",
    "bad \udcff\0",
    "",
    "a name too long for any caption",
    "😀",
]
SHAPES = [(1, 1, 1), (1, 8, 8), (3, 64, 64), (1, 250, 3), (3, 2, 90)]
SPECTRA = {"steep": 1 - 0.9 ** np.arange(785), "even": np.linspace(0, 1, 785), "one": np.array([0.0, 1.0])}


def labels_of(figure):
    """Every text that is drawn, with its box."""
    found = [*figure.texts]
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]:
        found += [legend.get_title(), *legend.get_texts()]
    for axes in figure.axes:
        found += axes.texts
        if not axes.axison:
            continue
        found += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            found += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_visible() and text.get_text()]


def assert_readable(figure):
    """All drawn things lie on the canvas and no two texts overlap."""
    around, canvas = figure.get_tightbbox(), figure.bbox_inches
    assert min(around.x0, around.y0) > -0.01, around
    assert max(around.x1 - canvas.width, around.y1 - canvas.height) < 0.01, around
    for (one, a), (other, b) in itertools.combinations(labels_of(figure), 2):
        across, down = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or down < 1.5, f"{one!r} lies on {other!r}"


def images(count, shape, seed=0):
    return np.random.default_rng(seed).random((count, *shape), dtype=np.float32)


@pytest.fixture(params=look.STYLES)
def any_style(request):
    with look.style(request.param):
        yield request.param


@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_of_images_of_any_shape(shape, any_style):
    few = images(5, shape)
    eight_bit = (few * 255).astype(np.uint8)
    models = {"pca": few, "linear": few, "conv": few, "vae": eight_bit, "my own model of images": few}
    assert_readable(figures.samples_of(eight_bit, np.arange(5) + 5, ODD_NAMES, title="Odd names"))
    assert_readable(figures.reconstructions(eight_bit, models, errors={"pca": 0.0251, "vae": 1e-7}, k=20))
    assert_readable(figures.interpolation({"pixels": images(11, shape), "vae": images(11, shape)}))
    grids = figures.samples_grid({"conv": images(25, shape), "vae": images(25, shape)})
    assert_readable(grids)
    assert not any("…" in text for text, _ in labels_of(grids))


@settings(max_examples=6, deadline=None)
@given(
    st.integers(1, 23),
    st.sampled_from([1, 3]),
    st.integers(1, 64),
    st.integers(1, 64),
    st.integers(1, 30),
    st.booleans(),
)
def test_samples_of_anything(count, channels, height, width, classes, named):
    names = [f"class number {label}" for label in range(classes)] if named else ()
    figure = figures.samples_of(images(count, (channels, height, width)), np.arange(count) % classes, names)
    assert len(figure.axes[0].images) == count
    assert len(figure.axes[0].texts) == count
    assert_readable(figure)


def test_images_are_clipped_for_display_only():
    wild = np.array([-1.0, 0.5, 2.0, np.nan, np.inf], np.float32).reshape(5, 1, 1, 1)
    before = wild.copy()
    shown = [float(image.get_array()[0, 0]) for image in figures.samples_of(wild).axes[0].images]
    assert shown == [0, 0.5, 1, 0.5, 1]
    np.testing.assert_array_equal(wild, before)


def test_wrong_images_are_refused_with_the_right_words():
    blank = np.zeros((3, 1, 4, 4))
    with pytest.raises(InputError, match=r"images have shape \[3, 4, 4\]; expected \[n, C, H, W\]"):
        figures.samples_of(np.zeros((3, 4, 4)))
    with pytest.raises(InputError, match="2 labels came for 3 images"):
        figures.samples_of(blank, np.zeros(2))
    with pytest.raises(InputError, match="differ in shape"):
        figures.reconstructions(blank, {"pca": blank[:2]})
    with pytest.raises(InputError, match="no images came"):
        figures.interpolation({})
    with pytest.raises(InputError, match="no images came"):
        figures.samples_grid({})


@pytest.mark.parametrize("batches", [1, 300, 100_000])
def test_loss_is_cut_at_twice_the_largest_median(batches):
    conv = 0.01 + 1 / np.arange(1, batches + 1) ** 2
    figure = curves.losses({"linear": np.full(batches, 0.03), "conv": conv})
    assert figure.axes[0].get_ylim()[1] == pytest.approx(2 * max(0.03, np.median(conv)))
    assert_readable(figure)


@pytest.mark.parametrize("curve", [[np.nan], [np.nan] * 400, [0.0] * 5, [1.0, np.inf, 0.5]])
def test_a_loss_that_is_no_number_still_gives_a_figure(curve):
    assert_readable(curves.losses({"conv": np.array(curve)}))


@pytest.mark.parametrize("batches", [1, 5000])
@pytest.mark.parametrize("terms", [2, 3])
def test_elbo_and_its_terms_are_apart(batches, terms, any_style):
    t = np.arange(batches)
    history = {"reconstruction": 1500 - 9000 * np.exp(-t / 50), "kl": 25 + t / (t + 9), "sigma": 0.08 + np.exp(-t / 9)}
    figure = curves.elbo_curves(dict(list(history.items())[:terms]))
    colours = [axes.lines[0].get_color() for axes in figure.axes]
    assert colours[1:3] == [look.RECONSTRUCTION, look.KL]
    assert len(figure.axes) == 1 + terms
    assert_readable(figure)


@pytest.mark.parametrize(("spectrum", "k"), [*itertools.product(["steep", "even"], [1, 20, 141, 784]), ("one", 1)])
def test_the_chosen_k_is_named_in_the_figure(spectrum, k):
    fraction = SPECTRA[spectrum]
    figure = curves.eigenspectrum(fraction, k)
    (note,) = figure.axes[0].texts
    assert note.get_text() == f"{100 * fraction[k]:.1f} % at K = {k}"
    assert figure.axes[0].get_window_extent().padded(2).contains(*note.get_window_extent().min)
    assert_readable(figure)


@pytest.mark.parametrize("ks", [[1], [1, 2], [5, 10, 20, 50], list(range(1, 101)), [3, 300, 700, 784]])
def test_error_against_any_k(ks):
    mse = 0.06 / np.sqrt(ks)
    models = {model: (ks, mse * (1 + place / 3), mse / 9) for place, model in enumerate(look.MODEL_STYLE)}
    figure = curves.error_against_k(models | {"pca": (ks, mse, None)})
    assert next(text.get_text() for text in figure.axes[0].get_legend().get_texts()) == "PCA"
    assert_readable(figure)


@pytest.mark.parametrize(("classes", "entries"), [(None, 0), (1, 1), (10, 10), (20, 20), (30, 21)])
@pytest.mark.parametrize("models", [1, 4])
def test_one_legend_for_all_maps(classes, entries, models):
    places = {model: np.random.default_rng(3).normal(size=(60, 2)) for model in list(look.MODEL_STYLE)[:models]}
    labels = None if classes is None else np.arange(60) % classes
    figure = maps.codes_map(places, labels, ODD_NAMES, fractions=dict.fromkeys(places, (0.5, 0.25)))
    assert sum(len(legend.get_texts()) for legend in figure.legends) == entries
    assert "50 % of variance" in figure.axes[0].get_xlabel()
    assert_readable(figure)


@pytest.mark.parametrize("labelled", [False, True])
def test_a_map_says_how_many_images_it_draws(labelled, any_style):
    places = np.random.default_rng(0).normal(size=(3500, 2)) * 1e4
    figure = maps.codes_map({"vae": places}, np.arange(3500) % 10 if labelled else None)
    assert sum(len(dots.get_offsets()) for dots in figure.axes[0].collections) == 3000
    assert any(text == "3,000 of 3,500 images, chosen at random" for text, _ in labels_of(figure)) or (
        figure.get_supxlabel() == "3,000 of 3,500 images, chosen at random"
    )
    assert_readable(figure)


def test_codes_in_one_place_give_a_map():
    assert_readable(maps.codes_map({"pca": np.zeros((1, 2))}, np.zeros(1, int)))


def test_wrong_curves_are_refused_with_the_right_words():
    row = np.ones(3)
    for words, call in {
        "no loss curve": lambda: curves.losses({}),
        r"conv has shape \[0\]": lambda: curves.losses({"conv": []}),
        "holds no kl": lambda: curves.elbo_curves({"reconstruction": row}),
        "differ in length": lambda: curves.elbo_curves({"reconstruction": row, "kl": row[:2]}),
        "K is 0; expected 1 to 2": lambda: curves.eigenspectrum([0, 0.5, 1], 0),
        "K is 3; expected 1 to 2": lambda: curves.eigenspectrum([0, 0.5, 1], 3),
        "expected 0 to 1": lambda: curves.eigenspectrum([0, 50, 100], 1),
        "pca has 3 values of K and 2 errors": lambda: curves.error_against_k({"pca": (row, row[:2], None)}),
        "not above 0": lambda: curves.error_against_k({"pca": (row, 0 * row, None)}),
        "no errors came": lambda: curves.error_against_k({}),
        r"pca codes have shape \[3, 3\]": lambda: maps.codes_map({"pca": np.ones((3, 3))}),
        "for 2 labels": lambda: maps.codes_map({"pca": np.ones((3, 2))}, np.ones(2)),
        "no codes came": lambda: maps.codes_map({}),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
    with pytest.raises(InputError, match='did you mean "xkcd"'), look.style("xkdc"):
        pass


def simulated(colours, kind):
    """Colours in CIE Lab as seen with one kind of full colour-blindness (Machado, Oliveira and Fernandes, 2009)."""
    color = pytest.importorskip("skimage.color")
    matrices = {
        "none": np.eye(3),
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }
    srgb = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrices[kind]).T, 0, 1)
    return color.rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize("kind", ["none", "protan", "deutan", "tritan"])
def test_colours_stay_apart_for_colour_blind_readers(kind):
    palettes = {
        "models": [model.colour for model in look.MODEL_STYLE.values()],
        "classes": look.CLASS_COLOURS,
        "terms": [look.RECONSTRUCTION, look.KL],
    }
    for name, colours in palettes.items():
        lab = simulated(colours, kind)
        nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2))
        assert nearest > 15, f"{name}: {nearest:.1f} apart; a just noticeable difference is about 2.3"


def test_no_colour_works_alone():
    assert len({model.marker for model in look.MODEL_STYLE.values()}) == len(look.MODEL_STYLE)


PROBE = """
import hashlib, sys
import numpy as np
from lowerbound import look, maps
assert "matplotlib" not in sys.modules, "importing the module imports matplotlib"
with look.style("xkcd"):
    figure = maps.codes_map({"vae": np.arange(40.0).reshape(20, 2) ** 2}, np.arange(20) % 3, ["a", "b"])
print(*(hashlib.sha256(path.read_bytes()).hexdigest() for path in look.save(figure, sys.argv[1], "map")))
assert "torch" not in sys.modules and "matplotlib.pyplot" not in sys.modules
"""


@pytest.mark.slow
def test_same_numbers_same_bytes_in_another_process_too(tmp_path):
    with look.style("xkcd"):
        figure = maps.codes_map({"vae": np.arange(40.0).reshape(20, 2) ** 2}, np.arange(20) % 3, ["a", "b"])
    here = [hashlib.sha256(path.read_bytes()).hexdigest() for path in look.save(figure, tmp_path, "map")]
    command = [sys.executable, "-W", "error", "-c", PROBE, str(tmp_path / "there")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == here


def test_stored_files_are_whole_dateless_and_free_of_the_users_settings(tmp_path):
    def stored(folder):
        return [path.read_bytes() for path in look.save(curves.losses({"conv": [3, 2, 1]}), tmp_path / folder, "loss")]

    before = dict(mpl.rcParams)
    png, svg = stored("a")
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"font.size": 30, "savefig.bbox": "tight", "svg.fonttype": "none", "axes.grid": True}):
        assert stored("b") == [png, svg]
    assert png.startswith(b"\x89PNG")
    assert b"Software" not in png
    assert svg.rstrip().endswith(b"</svg>")
    assert b"<text" not in svg
    assert b"dc:date" not in svg
    assert b"Matplotlib v" not in svg
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["loss.png", "loss.svg"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    look.write_whole(path, b"old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space left"):
        look.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_names_in_any_script_are_stored_without_a_warning(tmp_path, any_style):
    figure = figures.samples_of(images(9, (1, 8, 8)), np.arange(9), ODD_NAMES)
    png, svg = look.save(figure, tmp_path, "odd")
    assert mpl.image.imread(png).shape[-1] in {3, 4}
    assert ElementTree.fromstring(svg.read_bytes()).tag.endswith("svg")  # noqa: S314  (our own file)
