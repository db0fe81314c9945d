"""The live page in a real browser, from disk, without a network: what a person does, and what of the page it changes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.browser import CI, Browser, Keys, install, once

pytestmark = pytest.mark.slow

MODELS = ("pca", "linear", "conv", "vae")
ATTACK = "<img src=x onerror=alert(1)>"
PICKED = 7  # an image of which torch's reconstructions are known


class NoJson:
    """A payload whose description is no JSON."""

    def __init__(self, held):
        self.meta, self.assets, self.json = held.meta, held.assets, b'{"schema": 1, "title": '


def make_pages(folder):
    """A tiny run of all four models with all that a page shows, and from it a good page and bad ones."""
    from lowerbound.comparison import begin
    from lowerbound.fitting import fit
    from lowerbound.insight import write_insight
    from lowerbound.live_page import page_files, template
    from lowerbound.payload import payload
    from lowerbound.plan import Plan
    from lowerbound.processes import Alone
    from lowerbound.progress import quiet
    from lowerbound.sources import load

    built, images = template(), load("digits")
    run = begin(images, Plan((4,), epochs=3), folder / "run")
    fit(run, images, Alone(), quiet, str, str)
    write_insight(run, images)
    held = payload(run, images)
    hostile = {
        "title": ATTACK,
        "verdict": [ATTACK],
        "classes": [ATTACK, *held.meta["classes"][1:]],
        "models": [{**model, "label": f"{ATTACK}{model['name']}"} for model in held.meta["models"]],
        "facts": [[ATTACK, ATTACK]],
        "left_out": [{"panel": ATTACK, "reason": ATTACK}],
    }
    pages = {
        "page": held,
        "hostile": replace(held, meta=held.meta | hostile),
        "newer": replace(held, meta=held.meta | {"schema": 99}),
        "nojson": NoJson(held),
    }
    for name, each in pages.items():
        for file, content in page_files(each, built, name=f"{name}.html").items():
            (folder / file).write_bytes(content)
    whole = (folder / "page.html").read_bytes()
    codes, script = whole.index(b'id="asset:codes:conv"') + 300, whole.index(b'<script type="module">') + 9000
    for name, length in {"half": len(whole) // 2, "tenth": codes, "head": script}.items():
        (folder / f"{name}.html").write_bytes(whole[:length])
    test = images.test.pixels
    made = {one.recipe: run.load(one).inverse_transform(run.load(one).transform(test[[PICKED]])) for one in run.shown}
    np.savez(folder / "torch.npz", image=test[PICKED], **made)


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A folder of pages, made once even where several processes test."""
    from lowerbound.errors import InputError
    from lowerbound.live_page import template

    install()
    try:
        template()
    except InputError as error:
        if CI:
            raise
        pytest.skip(str(error))
    base = tmp_path_factory.getbasetemp()
    with once(base.parent if base.name.startswith("popen-") else base, "pages") as (folder, empty):
        if empty:
            make_pages(folder)
    return folder


@pytest.fixture(scope="module")
def browser(pages, tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("chromium"))
    yield made
    made.quit()


@pytest.fixture
def page(browser, pages):
    """The page as it opens; afterwards it has said nothing, asked for nothing and shown no dialog."""
    browser.size(1000)
    browser.open(pages / "page.html")
    yield browser
    check_quiet(browser)


def check_quiet(browser):
    assert browser.console() == []
    asked = browser.requests()
    assert asked, "the log of requests is kept"
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


def test_first_decodes_are_those_of_torch(page, pages):
    differences = json.loads(page.data("body")["differences"])
    assert sorted(differences) == sorted(MODELS)
    assert 0 < max(differences.values()) <= 1e-3
    assert page.data("body")["panels"].split() == [
        *("map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers"),
    ]
    # And as pixels: what is seen of image 7 is what torch makes of it, in steps of 1/255.
    page.go(f"image={PICKED}")
    page.look_at_all()
    with np.load(pages / "torch.npz") as known:
        assert page.values("[data-role=original]") == known["image"].ravel().tolist()
        for name in MODELS:
            wanted = 255 * known[name].ravel().clip(0, 1)
            shown = page.values(f"[data-role=decode][data-model={name}]")
            assert np.abs(shown - wanted).max() <= 1.5, name
            assert np.ptp(shown) > 50, name


def test_map(page):
    before = page.look_at_all()
    page.go(f"image={PICKED}")
    page.until(lambda: page.data("[data-role=map-marks]")["picked"] == str(PICKED), "the image to be picked")
    at = [float(number) for number in page.data("[data-role=map-marks]")["pickedAt"].split()]
    original = page.values("[data-role=original]")
    page.go("")
    page.changes(lambda: page.hand("[data-role=map-marks]", at, press=False), ["map/map-tip/*", "map/map-marks/*"])
    assert page.data("[data-role=map-marks]")["hover"] == str(PICKED)
    assert page.one("[data-role=map-tip]").is_displayed()
    assert page.values("[data-role=map-tip] canvas") == original
    assert f"{PICKED}" in page.text("[data-role=map-tip]")
    assert "image" not in page.state()

    follows = ["dimensions/decoded/*", "dimensions/original/*", "reconstruct/*", "numbers/pca-*", "numbers/curve/*"]
    page.changes(
        lambda: page.hand("[data-role=map-marks]", at),
        ["map/decode/*", "map/map-marks/*", *follows[:4]],
        ["map/*", "dimensions/*", "film/film-map/*", *follows],
    )
    page.until(lambda: page.state().get("image") == str(PICKED), "the address to follow")
    assert page.values("[data-role=original]") == original
    assert page.data("[data-role=map-marks]")["ring"] == "true", "the VAE's map shows two standard deviations of q"

    # Dragged, every model decodes the point under the hand, and nothing else follows.
    places = [(at[0], at[1]), (at[0] + 30, at[1] + 10), (at[0] + 70, at[1] - 40)]
    decodes = [f"map/decode/{name}/*" for name in MODELS]
    page.changes(
        lambda: page.hand("[data-role=map-marks]", *places),
        [*decodes, "map/map-marks/*"],
        ["map/nearest-image/*", "map/map-tip/*"],
    )
    page.until(lambda: "map.at" in page.state(), "the address to follow")
    assert page.state()["image"] == str(PICKED)

    # A class that is hidden leaves the map, and comes back as it was.
    before = page.settle()
    drawn = int(page.data("[data-role=map-points]")["drawn"])
    page.changes(lambda: page.press("[data-role=class][data-label='3']"), ["map/map-points/*"], ["map/*"])
    hidden = int(page.data("[data-role=map-points]")["drawn"])
    assert 0 < drawn - hidden < drawn / 5
    assert page.one("[data-role=class][data-label='3']").get_attribute("aria-pressed") == "false"
    page.press("[data-role=class][data-label='3']")
    page.until(lambda: page.settle() == before, "the map to be as it was")

    page.changes(lambda: page.press("[data-role=zoom-in]"), ["map/map-points/*", "map/map-marks/*"], ["map/map-tip/*"])
    page.press("[data-role=zoom-whole]")
    page.until(lambda: page.settle() == before, "the whole map to be back")


def test_every_control_changes_its_panel_alone(page):
    page.look_at_all()
    codes = page.all("[data-role=dimension]")
    assert len(codes) == 4
    strip = "dimensions/traversal/*"
    for slider in codes:
        page.changes(lambda slider=slider: slider.send_keys(Keys.PAGE_UP), ["dimensions/decoded/*"], [strip])
    for role in ("to-prior", "to-mean"):
        page.changes(lambda role=role: page.press(f"[data-role={role}]"), ["dimensions/decoded/*", strip])

    now = [f"interpolate/now/{name}/*" for name in ("pixels", *MODELS)]
    page.changes(lambda: page.keys("[data-role=interpolate-t]", Keys.PAGE_UP), now)
    strips = [f"interpolate/strip/{name}/*" for name in ("pixels", *MODELS)]
    page.changes(lambda: page.press("[data-role=interpolate-dice]"), [*strips, *now], ["interpolate/*"])
    swapped = page.changes(lambda: page.press("[data-role=interpolate-swap]"), strips, ["interpolate/*"])

    samples = [f"generate/sample/{name}/*" for name in MODELS]
    page.changes(lambda: page.press("[data-role=generate-again]"), samples, ["generate/*"], swapped)
    assert page.one("[data-role=generate-seed]").get_property("value") == "2"
    page.changes(lambda: page.keys("[data-role=generate-temperature]", Keys.PAGE_DOWN), samples, ["generate/*"])
    page.changes(lambda: page.keys("[data-role=generate-temperature]", Keys.HOME), samples, ["generate/*"])
    middle = {page.pixels()[f"generate/sample/vae/image/{place}"] for place in range(25)}
    assert len(middle) == 1, "at temperature 0 every draw is the code in the middle"

    film = ["film/reconstructions/*", "film/samples/*", "film/film-map/*"]
    page.changes(lambda: page.keys("#panel-film [data-role=moment]", Keys.HOME), film, ["film/*"])
    assert page.data("#panel-film .body")["moment"] == "0"
    page.changes(lambda: page.press("#panel-film input[value=conv]"), film, ["film/*"])

    drawn = ["posterior/q-mean/*", "posterior/q-draw/*"]
    page.changes(lambda: page.keys("#panel-posterior [data-role=moment]", Keys.HOME), drawn, ["posterior/*"])
    page.changes(lambda: page.press("[data-role=q-again]"), ["posterior/q-draw/*"])
    page.changes(
        lambda: page.press("[data-role=posterior-image]:nth-child(2)"), ["posterior/encoder-mean/*"], ["posterior/*"]
    )

    pca = ["numbers/pca-rebuilt/*", "numbers/pca-component/*", "numbers/*/drawn/*"]
    page.changes(lambda: page.keys("[data-role=k]", Keys.ARROW_RIGHT), pca)
    assert page.data(".spectrum")["k"] == "5"
    page.changes(lambda: page.hand("[data-role=k-drag]", (100, 60), (200, 60)), pca)
    assert int(page.data(".spectrum")["k"]) > 5

    page.changes(lambda: page.press("#panel-reconstruct input[value=best]"), ["reconstruct/*"])
    best = [float(error.text) for error in page.all("#panel-reconstruct [data-model=vae] [data-role=error]")]
    assert best == sorted(best)
    page.changes(lambda: page.press("#panel-reconstruct input[value=worst]"), ["reconstruct/*"])
    worst = [float(error.text) for error in page.all("#panel-reconstruct [data-model=vae] [data-role=error]")]
    assert worst == sorted(worst, reverse=True)
    assert min(worst) > max(best)


def test_the_theme_changes_what_is_drawn_and_no_image(page):
    before = page.look_at_all()
    paper = page.js("return getComputedStyle(document.body).backgroundColor")
    drawn = sorted({name.rsplit("/", 1)[0] for name in before if "/drawn/" in name})
    assert {name.split("/")[0] for name in drawn} >= {"map", "film", "posterior", "numbers"}
    turned = [f"{name}/*" for name in drawn if "/pad/" not in name]
    page.changes(lambda: page.press("nav .scheme"), turned, [], before)
    assert page.js("return getComputedStyle(document.body).backgroundColor") != paper
    page.press("nav .scheme")
    page.until(lambda: page.settle() == before, "the page to be as it was")


def test_an_image_of_ones_own(page, pages, tmp_path):
    """Drawn by hand, chosen as a file, dropped as a file: each goes through every encoder and decoder."""
    page.look_at_all()
    made = ["reconstruct/own-input/*", *(f"reconstruct/own-output/{name}/*" for name in MODELS)]
    height = page.js("return document.querySelector('[data-role=pad]').clientHeight")
    one = [(height / 2, height * share) for share in (0.2, 0.4, 0.6, 0.8)]
    page.changes(lambda: page.hand("[data-role=pad]", *one), [*made, "reconstruct/pad/*"])
    seen = np.array(page.values("[data-role=own-input]")).reshape(8, 8)
    assert seen[:, 3:5].mean() > 100 > 10 > seen[:, [0, 1, 6, 7]].mean()
    assert all("MSE per pixel" in error.text for error in page.all("[data-role=own-error]"))

    from PIL import Image

    with np.load(pages / "torch.npz") as known:
        digit = known["image"][0]
        rebuilt = {name: 255 * known[name].ravel().clip(0, 1) for name in MODELS}
    file = tmp_path / "<b>a digit.png"
    Image.fromarray(digit).resize((80, 80), Image.Resampling.NEAREST).save(file)
    page.changes(lambda: page.one("[data-role=own-file]").send_keys(str(file)), made, ["reconstruct/pad/*"])
    assert file.name in page.text("[data-role=own-words]")
    page.changes(lambda: page.press("[data-role=pad-clear]"), made, ["reconstruct/pad/*"])
    page.changes(lambda: page.drop("[data-role=pad]", file), made, ["reconstruct/pad/*"])
    if page.one("[data-role=own-fit] input").is_selected():
        page.press("[data-role=own-fit]")
        page.settle()
    assert np.abs(np.array(page.values("[data-role=own-input]")) - digit.ravel()).max() <= 1
    for name, wanted in rebuilt.items():
        shown = page.values(f"[data-role=own-output][data-model={name}]")
        assert np.abs(shown - wanted).max() <= 3, name

    broken = tmp_path / "broken.png"
    broken.write_bytes(file.read_bytes()[:60])
    page.changes(lambda: page.drop("[data-role=pad]", broken), [])
    page.until(lambda: "damaged" in page.text("[data-role=own-words]"), "words on the damaged file")


def test_a_view_is_sent_by_its_address(page):
    wanted = {
        "image": "11", "model": "conv", "k": "9", "map.hide": "2,5", "interpolate.first": "3", "interpolate.second": "20",
        "interpolate.t": "0.3", "generate.seed": "5", "generate.temperature": "0.5", "film.moment": "3", "posterior.image": "2",
    }  # fmt: skip
    page.look_at_all()
    page.go("&".join(f"{key}={value}" for key, value in wanted.items()))
    page.keys("[data-role=dimension]", Keys.PAGE_UP)
    page.until(lambda: "dimensions.z" in page.state(), "the address to follow")
    before, moved = page.look_at_all(), np.array(page.values("[data-role=decoded]"))
    kept = page.state()
    assert {key: kept.get(key) for key in wanted} == wanted
    page.driver.refresh()
    page.ready()
    after = page.look_at_all()
    assert page.state() == kept
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.startswith("dimensions/")} == set()
    assert np.abs(moved - page.values("[data-role=decoded]")).max() <= 1, "an address rounds codes to four digits"
    # An address of somebody else's words does nothing.
    page.go(
        f"image=1e99&model={ATTACK}&k=-3&map.view=a,b&interpolate.t=%&generate.seed=NaN&film.moment=-1&panel={ATTACK}"
    )
    page.look_at_all()
    assert page.all("img") == []


@pytest.mark.parametrize("width", [400, 1600])
def test_nothing_is_wider_than_the_window(page, pages, width, tmp_path):
    page.size(width)
    page.open(pages / "page.html", f"image={PICKED}")
    page.look_at_all()
    assert page.js("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
    page.size(width, page.js("return document.documentElement.scrollHeight"))  # what is out of sight is in no picture
    page.settle()
    for panel in page.all("section[data-panel]"):
        box = panel.rect
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        picture = tmp_path / f"{panel.get_attribute('data-panel')}-{width}.png"
        assert panel.screenshot(str(picture))
    low = "return [...document.querySelectorAll('main button, main select, nav button')].filter(one => one.checkVisibility()).map(one => [one.dataset.role ?? one.textContent, one.getBoundingClientRect().height]).filter(([, high]) => high < 32)"  # noqa: E501
    assert page.js(low) == []


def test_hostile_words_are_words(browser, pages):
    browser.open(pages / "hostile.html")
    browser.look_at_all()
    browser.go("map.hide=1")
    browser.settle()
    assert browser.text("h1") == ATTACK
    assert browser.driver.title == ATTACK
    assert browser.text("[data-role=class][data-label='0']") == ATTACK
    assert f"{ATTACK}vae" in browser.text("#panel-generate")
    assert browser.all("img, iframe, object, main script") == []
    assert not browser.dialog()
    check_quiet(browser)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("newer", ["newer kind", "schema 99", "Make the page again"]),
        ("nojson", ["damaged", "no JSON", "Make the page again"]),
        ("half", ['The part "wasm" of this page is damaged', "Make the page again"]),
        ("tenth", ["This page cannot be shown", "cut short", "Make it again"]),
        ("head", ["the page was cut short on its way"]),
    ],
)
def test_a_bad_page_says_so_in_words(browser, pages, name, words):
    browser.open(pages / f"{name}.html", ready=False)
    browser.hurry()
    said = browser.until(lambda: (text := browser.shown("#page")) and words[0] in text and text, "words")
    assert [each for each in words if each not in said] == []
    assert "    at " not in said, "no traceback"
    # Cut in its half, the page has lost what decodes alone: figures stay.
    assert len(browser.all("section[data-panel]")) == (8 if name == "half" else 0)
    check_quiet(browser)
