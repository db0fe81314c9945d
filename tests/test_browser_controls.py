"""What a hand does on the live page in a real browser, and which pixels it changes."""

from __future__ import annotations

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
