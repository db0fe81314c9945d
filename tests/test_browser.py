"""The live page in a real browser, from disk, without a network: whole, sent, damaged, hostile."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.browser import ATTACK, MODELS, PICKED, Keys

pytestmark = pytest.mark.slow


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
    browser.check_quiet()


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
    browser.check_quiet()
