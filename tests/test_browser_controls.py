"""What a hand does on the live page in a real browser, and which pixels it changes."""

from __future__ import annotations

import numpy as np
import pytest

from tests.browser import MODELS, PICKED, Keys

pytestmark = pytest.mark.slow


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


def test_the_map_is_moved_by_fingers_space_and_double_press(page):
    page.look_at_all()
    page.go(f"image={PICKED}")
    marks = "[data-role=map-marks]"
    page.until(lambda: page.data(marks)["picked"] == str(PICKED), "the image to be picked")
    page.js("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", page.one(marks))
    page.settle()
    left, top = page.js("const {left, top} = arguments[0].getBoundingClientRect(); return [left, top]", page.one(marks))

    def at():
        return np.array([float(number) for number in page.data(marks)["pickedAt"].split()])

    def touch(kind, *points):
        page.cdp(
            "Input.dispatchTouchEvent",
            type=kind,
            touchPoints=[{"x": float(x), "y": float(y), "id": i} for i, (x, y) in enumerate(points)],
        )

    # Two fingers that part to three times their distance: what is between them stays, all else goes away from it.
    before, middle = at(), np.array([300, 260])
    ends = [(left + middle[0] + d, top + middle[1]) for d in (-40, 40)]
    touch("touchStart", *ends)
    for d in (60, 90, 120):
        ends = [(left + middle[0] + sign * d, top + middle[1]) for sign in (-1, 1)]
        touch("touchMove", *ends)
    touch("touchEnd")
    page.settle()
    assert at() == pytest.approx(middle + 3 * (before - middle), abs=2)
    zoomed = page.state()["map.view"]
    # Space and a drag move the paper under the hand by as much; nothing is decoded.
    before = at()
    page.cdp("Input.dispatchKeyEvent", type="keyDown", key=" ", code="Space")
    page.hand(marks, (300, 300), (340, 320))
    page.cdp("Input.dispatchKeyEvent", type="keyUp", key=" ", code="Space")
    page.until(lambda: page.state()["map.view"] != zoomed, "the address to follow")
    assert at() == pytest.approx(before + np.array([40, 20]), abs=1)
    assert "map.at" not in page.state()
    page.press("[data-role=zoom-whole]")
    page.until(lambda: "map.view" not in page.state(), "the whole map to be back")
    # A class pressed twice stands alone; one press brings all back.
    whole = int(page.data("[data-role=map-points]")["drawn"])
    page.js(
        "arguments[0].dispatchEvent(new MouseEvent('dblclick', {bubbles: true}))",
        page.one("[data-role=class][data-label='3']"),
    )
    page.until(lambda: 0 < int(page.data("[data-role=map-points]")["drawn"]) < whole / 5, "one class alone")
    page.press("[data-role=all-classes]")
    page.until(lambda: int(page.data("[data-role=map-points]")["drawn"]) == whole, "all classes to be back")


def test_an_image_is_picked_anywhere_and_taken_anywhere(page):
    page.look_at_all()
    # From a sample to the nearest real image, and from there to all panels.
    page.hand("#panel-generate [data-role=samples][data-model=vae] button:nth-child(13)", (None, None), press=False)
    nearest = "#panel-generate .grid[data-model=vae] [data-role=nearest]"
    page.until(
        lambda: page.state().get("generate.sample") == "12" and "image" in page.data(nearest), "the nearest real image"
    )
    image = page.data(nearest)["image"]
    assert f"image {image}" in page.text("#panel-generate .grid[data-model=vae] [data-role=distance]")
    page.press("#panel-generate .grid[data-model=vae] .real")
    page.until(lambda: page.data("[data-role=map-marks]")["picked"] == image, "the map to follow")
    assert f"image {image}" in page.text("#panel-dimensions")
    # Taken as an end of a line; its other end from the tray.
    page.press("[data-role=interpolate-first-take]")
    page.press("[data-role=interpolate-second-choose]")
    page.press("[data-role=tray] [data-image='5']")
    page.until(lambda: page.state().get("interpolate.second") == "5", "the second image to be taken")
    assert page.state()["interpolate.first"] == image
    assert not page.one("[data-role=tray]").is_displayed()
    # A step of the strip is a place of the slider; the sliders' mean and the image's code are two presses apart.
    page.press("[data-role=traversal][data-step='0']")
    page.until(
        lambda: page.js("return document.querySelector('[data-role=dimension]').value") == "-3", "the slider to follow"
    )
    page.press("[data-role=to-image]")
    page.until(lambda: "dimensions.z" not in page.state(), "the image's own code")
    page.press("#panel-dimensions input[value=principal]")
    page.until(lambda: "axis 1" in page.text("[data-role=dimensions]"), "principal axes")
    # A finding leads to the panel where it is seen.
    link = page.one("[data-role=finding-link][href$=reconstruct]")
    page.js("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'}); arguments[0].click()", link)
    page.until(lambda: page.js("return document.activeElement.id") == "reconstruct-title", "the panel to be gone to")
    page.until(lambda: page.state().get("panel") == "reconstruct", "the address to follow")
