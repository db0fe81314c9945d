"""How the live page looks: nothing is cut, nothing overlaps, words stand out; and pictures of its panels for the docs.

LOWERBOUND_PICTURES=docs/pictures LOWERBOUND_PAGE=runs/mnist/report.html python -m pytest tests/test_browser_looks.py

writes docs/pictures/page-*.png and live-page.png, of a run made by lowerbound compare mnist -k 20 --epochs 1 --out runs/mnist.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tests import browser_sight as sight
from tests.browser import PICKED

pytestmark = pytest.mark.slow

STATE = f"image={PICKED}&reconstruct.order=worst&film.moment=5"  # of what is pictured
WIDTHS = (400, 700, 1000, 1600)
PANELS = ("map", "dimensions", "interpolate", "generate", "reconstruct", "film", "posterior", "numbers")


def test_nothing_is_cut_and_nothing_overlaps_at_any_width(page):
    page.go(f"image={PICKED}")
    page.look_at_all()
    for width in WIDTHS:
        page.size(width)
        page.settle()
        assert page.js("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
        assert sight.complaints(page, "faults") == [], width
        for panel in page.all("section[data-panel]"):
            box = panel.rect
            assert 0 <= box["x"] <= box["x"] + box["width"] <= width
        assert sight.complaints(page, "low") == [], width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out(page, scheme):
    try:
        sight.scheme(page, scheme)
        page.look_at_all()
        assert sight.complaints(page, "faint") == []
    finally:
        sight.scheme(page, "light")


def above_the_curves(browser):
    """Pixels of the picture of the numbers that come before the curves: they are many, and get two pictures."""
    places = "return ['#panel-numbers h2', '#numbers-curves'].map(one => document.querySelector(one).getBoundingClientRect().top)"
    title, curves = browser.js(places)
    return round(curves - title)


def whole(browser, width, scheme):
    """A window as high as the page: what is out of sight is not painted."""
    sight.scheme(browser, scheme)
    browser.size(width, browser.js("return document.documentElement.scrollHeight"))
    browser.settle("window")
    browser.size(width, browser.js("return document.documentElement.scrollHeight"))
    browser.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)  # nothing is pointed at
    browser.settle()


def test_every_panel_has_a_picture(browser, pages, tmp_path):
    """Each shows something, and is small enough for a page of docs."""
    folder = Path(sight.PICTURES) if sight.PICTURES else tmp_path
    file = Path(os.environ.get("LOWERBOUND_PAGE", pages / "page.html")).resolve()
    browser.size(900)
    browser.open(file, STATE)
    browser.look_at_all()
    browser.press("[data-role=own-take]")
    try:
        whole(browser, 900, "light")
        taken = {panel: sight.picture(browser, panel) for panel in PANELS}
        numbers, cut = taken["numbers"], above_the_curves(browser)
        taken["numbers"] = numbers.crop((0, 0, numbers.width, cut))
        taken["curves"] = numbers.crop((0, cut, numbers.width, numbers.height))
        whole(browser, 1400, "light")
        end = browser.js("return document.querySelector('#panel-dimensions').getBoundingClientRect().bottom")
        head = sight.shot(browser, 0, 0, 1400, end + 24, 0.8)
        whole(browser, 900, "dark")
        for _ in range(5):  # enlarged, a map shows markers and the ring of q
            browser.js(sight.WHEEL, browser.one("[data-role=map-marks]"), *picked(browser))
            browser.settle("window")
        browser.settle(times=1)
        taken["map-dark"] = sight.picture(browser, "map")
    finally:
        sight.scheme(browser, "light")
    for name, image in taken.items():
        assert sight.store(image, folder / f"page-{name}.png") <= sight.LARGEST
        assert 860 <= image.width <= 900
        assert image.height > 500
        assert np.asarray(image.convert("L"), float).std() > 10, f"{name} is blank"
    assert np.asarray(taken["map"]).mean() > 200 > 60 > np.asarray(taken["map-dark"]).mean()
    assert head.width == 1120
    assert sight.store(head, folder / "live-page.png", 2 * sight.LARGEST) <= 2 * sight.LARGEST


def picked(browser):
    """Where the picked image is on the map, CSS pixels from its top left."""
    return [float(number) for number in browser.data("[data-role=map-marks]")["pickedAt"].split()]
