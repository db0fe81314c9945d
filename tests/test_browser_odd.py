"""Runs of every odd kind, a browser that lacks something, a crowd of points, a file let go beside its place."""

from __future__ import annotations

import numpy as np
import pytest

from tests import browser_sight as sight
from tests.browser import MODELS, PICKED

pytestmark = pytest.mark.slow

ALL = ("map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers")
NO_ASCENTS, NO_CLASSES = ("posterior", "One image, whole posterior"), ("classes", "Classes")
NO_FINDINGS = ("findings", "Findings")
NO_MAP, NO_FILM = ("map", "Map"), ("film", "Training film")
# Of each odd page: what is left out of it, with a word of the reason, and the models that it has.
ODD = {
    "unlabelled": ({NO_ASCENTS: "examined", NO_FINDINGS: "examined", NO_CLASSES: "no classes"}, MODELS),
    "pca": ({NO_ASCENTS: "no VAE", NO_FILM: "No moments"}, ("pca",)),
    "vae": ({NO_ASCENTS: "examined", NO_FINDINGS: "examined"}, ("vae",)),
    "pixel": (
        {
            NO_ASCENTS: "examined",
            NO_FINDINGS: "examined",
            NO_MAP: "With K = 1 a code is a single number, and a map needs two.",
        },
        MODELS,
    ),
    "six": ({NO_ASCENTS: "examined", NO_FINDINGS: "examined"}, MODELS),
    "many": ({NO_ASCENTS: "examined", NO_FINDINGS: "examined", NO_CLASSES: "no classes"}, ("pca", "vae")),
    "large": ({NO_ASCENTS: "no VAE"}, ("pca", "linear")),
}


def left_out(browser):
    """What the page says that it has not, and why."""
    pairs = "return [...document.querySelectorAll('.left-out dt')].map(at => [at.textContent, at.nextElementSibling.textContent])"
    return dict(browser.js(pairs))


def use(browser, models):
    """Move what every panel has to be moved by; each answers, in every model."""
    panels = browser.data("body")["panels"].split()
    if "map" in panels:
        size = browser.js(
            "const {clientWidth: x, clientHeight: y} = document.querySelector('[data-role=map-marks]'); return [x, y]"
        )
        way = [(size[0] * x, size[1] * y) for x, y in ((0.3, 0.3), (0.5, 0.4), (0.7, 0.8))]
        must = [f"map/decode/{name}/*" for name in models]
        browser.changes(lambda: browser.hand("[data-role=map-marks]", *way), must, ["map/*"])
    first = "[data-role=dimension]"
    browser.changes(
        lambda: browser.keys(first, "\ue00e", "\ue00e"), ["dimensions/decoded/*"], ["dimensions/traversal/*"]
    )
    browser.changes(
        lambda: browser.keys("[data-role=interpolate-t]", "\ue00e", "\ue00e"),
        ["interpolate/now/pixels/*"],
        ["interpolate/now/*"],
    )
    samples = [f"generate/sample/{name}/*" for name in models]
    browser.changes(lambda: browser.press("[data-role=generate-again]"), samples, ["generate/*"])


@pytest.mark.parametrize("name", ODD)
def test_a_page_of_any_run_shows_what_it_can(browser, odd, name):
    missing, models = ODD[name]
    browser.size(1000)
    browser.open(odd / f"{name}.html")
    browser.look_at_all()
    said = left_out(browser)
    assert sorted(said) == sorted(title for _, title in missing)
    assert all(reason in said[title] and len(said[title]) > 20 for (_, title), reason in missing.items())
    gone = {panel for panel, _ in missing}
    assert browser.data("body")["panels"].split() == [panel for panel in ALL if panel not in gone]
    assert set(browser.js("return JSON.parse(document.body.dataset.differences)")) == set(models)
    assert float(browser.data("body")["difference"]) <= 1e-3
    assert browser.all(".problem") == []
    swept = browser.all("[data-role=sweep] canvas")
    assert len(swept) == (name == "unlabelled"), "errors against K where there is more than one"
    use(browser, models)
    for width in (1000, 400):
        browser.size(width)
        browser.settle("window")
        assert browser.js("return document.documentElement.scrollWidth") == width
        assert sight.complaints(browser, "faults") == []
    browser.check_quiet()


def test_without_a_model_that_failed_the_others_stay(browser, pages):
    browser.open(pages / "failed.html")
    browser.look_at_all()
    (words,) = left_out(browser).values()
    assert "conv-k4" in words
    assert "no whole safetensors file" in words
    assert browser.data("body")["panels"].split() == list(ALL)
    assert browser.all("[data-model=conv]") == []
    use(browser, ("pca", "linear", "vae"))
    browser.check_quiet()


@pytest.fixture
def lacking(browser):
    """The browser as if something were not in it."""
    added = []

    def lack(script):
        added.append(browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"])
        return browser

    yield lack
    for each in added:
        browser.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=each)


def test_without_webassembly_figures_stay_and_live_parts_say_so(lacking, pages):
    browser = lacking("delete window.WebAssembly")
    browser.open(pages / "page.html", f"image={PICKED}", ready=False)
    browser.until(lambda: browser.js("return document.body.dataset.state === 'drawn'"), "the page to be drawn")
    seen = browser.look_at_all()
    assert "WebAssembly" in browser.text("#page > .note")
    for panel in ("map", "dimensions", "interpolate", "generate", "reconstruct", "posterior"):
        said = [note.text for note in browser.all(f"#panel-{panel} .note")]
        assert [words for words in said if "needs WebAssembly" in words], panel
    # What needs no network is there: points, films, curves, PCA of one image, the nearest image's pixels.
    drawn = {name.rsplit("/", 1)[0] for name in seen}
    kept = {
        "map/map-points//drawn",
        "film/film-map//drawn",
        "numbers/pca-rebuilt//image",
        "interpolate/now/pixels/image",
    }
    assert kept <= drawn
    assert not {name for name in drawn if name.startswith(("map/decode", "generate/", "interpolate/now/vae"))}
    browser.changes(lambda: browser.keys("[data-role=k]", "\ue014"), ["numbers/pca-rebuilt/*"], ["numbers/*"])
    browser.changes(lambda: browser.press("[data-role=class][data-label='3']"), ["map/map-points/*"], ["map/*"])
    browser.check_quiet()


def test_sixty_thousand_points(browser, pages):
    """Panned, enlarged and pointed at, the map names the right one of them; a class can be hidden."""
    browser.size(1000)
    browser.open(pages / "crowd.html", f"image={PICKED + 360 * 100}")
    browser.settle()
    marks = "[data-role=map-marks]"
    whole = int(browser.data("[data-role=map-points]")["drawn"])
    assert 59_000 < whole <= 60_000

    def picked():
        return [float(number) for number in browser.data(marks)["pickedAt"].split()]

    before = picked()
    browser.keys(marks, "\ue012", "\ue012")  # arrow left, twice: the paper goes to the right
    browser.settle()
    assert picked() == pytest.approx([before[0] + 80, before[1]], abs=0.3)
    # Enlarged about the picked point until it stands alone under the pointer.
    for _ in range(12):
        at = picked()
        browser.js(sight.WHEEL, browser.one(marks), *at)
        browser.settle("window")
    assert picked() == pytest.approx(at, abs=1)
    browser.hand(marks, picked(), press=False)
    browser.until(
        lambda: browser.data(marks)["hover"] == str(PICKED + 36_000), "the picked point to be the hovered one"
    )
    assert f"image {PICKED + 36_000}" in browser.text("[data-role=map-tip]")
    browser.press("[data-role=zoom-whole]")
    points, first = "[data-role=map-points]", "[data-role=class]:first-child"
    browser.until(lambda: int(browser.data(points)["drawn"]) == whole, "all points to be back")
    browser.press(first)
    browser.until(lambda: 0.05 < 1 - int(browser.data(points)["drawn"]) / whole < 0.15, "a class to be hidden")
    browser.press(first)
    browser.until(lambda: int(browser.data(points)["drawn"]) == whole, "the class to be back")
    browser.check_quiet()


def test_a_file_dropped_anywhere_is_the_readers_image(page, pages, tmp_path):
    """The browser stays on the page, and the image goes where one that is dropped on the pad goes."""
    from PIL import Image

    with np.load(pages / "torch.npz") as known:
        digit = known["image"][0]
    file = tmp_path / "digit.png"
    Image.fromarray(digit).resize((80, 80), Image.Resampling.NEAREST).save(file)
    before = page.driver.current_url
    page.drop(".masthead", file)
    page.until(lambda: page.all("[data-role=own-input][data-drawn]"), "the image to be taken")
    assert page.driver.current_url.partition("#")[0] == before
    assert file.name in page.text("[data-role=own-words]")
    if page.one("[data-role=own-fit] input").is_selected():
        page.press("[data-role=own-fit]")
    page.look_at_all()
    assert np.abs(np.array(page.values("[data-role=own-input]")) - digit.ravel()).max() <= 1
    # A second one, again beside the pad: it takes the first one's place.
    Image.fromarray(digit[:, ::-1].copy()).resize((80, 80), Image.Resampling.NEAREST).save(tmp_path / "other.png")
    page.changes(
        lambda: page.drop("#panel-numbers h2", tmp_path / "other.png"), ["reconstruct/own-input/*"], ["reconstruct/*"]
    )
    assert "other.png" in page.text("[data-role=own-words]")


def test_a_file_that_no_model_can_take_is_answered_in_words(browser, pages, tmp_path):
    browser.open(pages / "encoderless.html")
    file = tmp_path / "digit.png"
    file.write_bytes(b"anything")
    browser.drop(".masthead", file)
    words = browser.until(lambda: browser.text("[data-role=dropped-words]"), "words on the dropped file")
    assert "digit.png" in words
    assert "without encoders" in words
    assert browser.one("[data-role=dropped-words]").is_displayed()
    assert browser.data("body")["state"] == "drawn"
    browser.check_quiet()
