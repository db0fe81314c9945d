"""What of a page is seen and heard: pictures of its panels, the names of what can be reached, light and dark."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.browser import Browser

PICTURES = os.environ.get("LOWERBOUND_PICTURES")  # where pictures for the docs are written to
LARGEST = 120_000  # bytes of a picture
COMPLAINTS = Path(__file__).with_name("browser_faults.js").read_text(encoding="utf-8")
# What the keyboard can be on, as screen readers name it.
ROLES = {"application", "button", "checkbox", "combobox", "link", "listbox", "radio", "slider", "spinbutton", "textbox"}
# What the keyboard is on: its place in the page, whether it is seen there, and what it is.
STOP = """
const at = document.activeElement;
if (!at || at === document.body) return null;
const seen = at.matches(".choice input") ? at.nextElementSibling : at;
const {outlineStyle, outlineWidth} = getComputedStyle(seen);
const all = [...document.querySelectorAll("*")];
const {width, height} = seen.getBoundingClientRect();
return {
  place: all.indexOf(at), panel: at.closest("section")?.dataset.panel ?? "", tag: at.localName, type: at.type ?? "",
  role: at.dataset.role ?? at.closest("[data-role]")?.dataset.role ?? "", words: (at.ariaLabel ?? at.textContent).slice(0, 60),
  outlined: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2, visible: seen.checkVisibility() && width > 0 && height > 0,
};
"""
# The wheel is turned over a place in an element.
WHEEL = """
const [map, left, top] = arguments;
const box = map.getBoundingClientRect();
const how = {clientX: box.left + left, clientY: box.top + top, deltaY: -300, bubbles: true, cancelable: true};
map.dispatchEvent(new PointerEvent("pointermove", how));
map.dispatchEvent(new WheelEvent("wheel", how));
"""
# Of each thing that can be pressed, moved or typed into and is seen: the same, in the order of the page; one stop a group.
CONTROLS = """
const all = [...document.querySelectorAll("*")];
const found = [];
for (const one of document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")) {
  if (one.tabIndex < 0 || one.disabled || !one.checkVisibility()) continue;
  if (one.type === "radio" && !one.checked) continue;
  found.push(all.indexOf(one));
}
return found;
"""


def scheme(browser: Browser, name: str) -> None:
    """Light or dark, as a system asks for it."""
    browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


def picture(browser: Browser, panel: str, margin: int = 16) -> Image.Image:
    """A panel from its title on as it is seen, with a little of the page around it."""
    left, top, right, bottom = browser.js(
        "const title = arguments[0].querySelector('h2').getBoundingClientRect(), box = arguments[0].getBoundingClientRect();"
        "return [box.left + scrollX, title.top + scrollY, box.right + scrollX, box.bottom + scrollY]",
        browser.one(f"#panel-{panel}"),
    )
    return shot(browser, left - margin, top - margin, right + margin, bottom + margin)


def shot(browser: Browser, left: float, top: float, right: float, bottom: float, scale: float = 1) -> Image.Image:
    """A part of the page, in CSS pixels from its top left."""
    clip = {"x": left, "y": top, "width": right - left, "height": bottom - top, "scale": scale}
    taken = browser.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


def store(image: Image.Image, path: Path, most: int = LARGEST) -> int:
    """Write a PNG with as many colours as keep it small; how many bytes it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        image.quantize(palette=palette(image, colours), dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= most:
            break
    return path.stat().st_size


def palette(image: Image.Image, colours: int) -> Image.Image:
    """So many colours of an image, half of them for what is not grey: markers are few pixels, yet their colours are meant."""
    pixels = np.asarray(image).reshape(-1, 3).astype(int)
    strong = np.ptp(pixels, axis=1) > 40
    known, counts = np.unique(pixels[strong], axis=0, return_counts=True)
    apart: list[np.ndarray] = []
    for colour in known[np.argsort(-counts, kind="stable")]:  # the commonest first, and none that is near another
        if len(apart) == colours // 2:
            break
        if all(np.abs(colour - other).sum() > 40 for other in apart):
            apart.append(colour)
    number = colours - len(apart)
    greys = Image.fromarray(pixels[~strong][None].astype(np.uint8)).quantize(number).getpalette() or []
    made = Image.new("P", (1, 1))
    made.putpalette([*np.ravel(apart).tolist(), *greys[: 3 * number]])
    return made


def complaints(browser: Browser, what: str) -> list[str]:
    """What of a kind a careful reader would complain of: "faults" of place, what is too "faint" or too "low"."""
    return browser.js(f"{COMPLAINTS}\nreturn {what}();")


def nodes(browser: Browser) -> list[dict[str, Any]]:
    """What a screen reader is told of, as role, name, whether it takes the keyboard, and its element's tag."""
    browser.cdp("Accessibility.enable")
    tree = browser.cdp("Accessibility.getFullAXTree")["nodes"]
    browser.cdp("Accessibility.disable")
    found = []
    for node in tree:
        if node.get("ignored"):
            continue
        properties = {each["name"]: each["value"].get("value") for each in node.get("properties", [])}
        role, name = (node.get(key, {}).get("value", "") for key in ("role", "name"))
        found.append({"role": role, "name": name, "focusable": bool(properties.get("focusable")), "id": node["nodeId"]})
    return found


def stops(browser: Browser, most: int = 400) -> list[dict[str, Any]]:
    """Where the keyboard goes from the top, Tab by Tab, until it leaves the page."""
    from selenium.webdriver.common.action_chains import ActionChains

    browser.press("h1")  # the keyboard goes on from where the pointer was
    found: list[dict[str, Any]] = []
    for _ in range(most):
        ActionChains(browser.driver, duration=0).send_keys("\ue004").perform()
        stop = browser.js(STOP)
        if stop is None or (found and stop["place"] == found[0]["place"]):
            return found
        found.append(stop)
    raise AssertionError(f"more than {most} stops of the Tab key")
