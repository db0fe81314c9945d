"""What of the live page is reached by keyboard and heard by a screen reader."""

from __future__ import annotations

import re

import pytest

from tests import browser_sight as sight
from tests.browser import MODELS

pytestmark = pytest.mark.slow

# Every canvas that is seen: what is said of it, by itself or by the picture or control it is part of.
SAID = """
const found = [];
for (const canvas of document.querySelectorAll("main canvas")) {
  if (!canvas.checkVisibility()) continue;
  const holder = canvas.closest("[role=img], [role=application], button, [aria-hidden=true]");
  const hidden = holder?.getAttribute("aria-hidden") === "true";
  const name = holder?.getAttribute("aria-label") ?? holder?.textContent ?? "";
  const place = [canvas.closest("section").dataset.panel, canvas.closest("[data-role]")?.dataset.role ?? ""].join("/");
  found.push([place, hidden ? "hidden" : name]);
}
return found;
"""


def test_whatever_can_be_used_has_a_name(page):
    page.look_at_all()
    page.press("[data-role=interpolate-first-choose]")
    page.js("document.querySelector('details').open = true")
    page.settle("window")
    heard = sight.nodes(page)
    nameless = [node for node in heard if node["role"] in sight.ROLES and not node["name"].strip()]
    assert nameless == []
    assert {"button", "slider", "combobox", "radio", "spinbutton", "link", "application", "checkbox"} <= {
        node["role"] for node in heard
    }


def test_every_picture_is_told_in_words(page):
    page.look_at_all()
    said = page.js(SAID)
    assert [place for place, words in said if not words.strip()] == []
    # Nothing is hidden from who hears, but what another canvas or button tells of.
    assert {place for place, words in said if words == "hidden"} <= {
        "map/map-points",
        "map/map-tip",
        "posterior/posterior-image",
    }
    # Maps and curves say what they show in a sentence with numbers.
    which = ".plot, [data-role=map-marks], [data-role=film-map], [data-role=q], [data-role=dimension-bars]"
    charts = page.js("return [...document.querySelectorAll(arguments[0])].map(one => one.ariaLabel)", which)
    assert len(charts) >= 10
    assert [words for words in charts if len(re.findall(r"\d", words)) < 2 or len(words) < 40] == []
    before = page.one("[data-role=map-marks]").get_attribute("aria-label")
    assert "360 test images of 10 classes" in before
    page.go("image=7")
    page.until(
        lambda: "image 7" in page.one("[data-role=map-marks]").get_attribute("aria-label"),
        "the picked image to be told",
    )


def test_the_keyboard_reaches_every_control_in_the_order_of_the_page(page):
    page.look_at_all()
    wanted = page.js(sight.CONTROLS)
    found = sight.stops(page)
    places = [stop["place"] for stop in found]
    assert places == sorted(places)
    assert set(wanted) <= set(places), "a control that Tab does not reach"
    assert [stop for stop in found if not stop["visible"]] == []
    assert [stop for stop in found if not stop["outlined"]] == []
    panels = [stop["panel"] for stop in found if stop["panel"]]
    assert list(dict.fromkeys(panels)) == page.data("body")["panels"].split()
    for role in ("map-marks", "dimension", "interpolate-t", "generate-again", "sample", "own-choose", "k"):
        assert [stop for stop in found if stop["role"] == role], role
    samples = [stop for stop in found if stop["role"] == "sample"]
    assert len(samples) == len(MODELS), "a grid is one stop"
