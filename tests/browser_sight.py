"""What of a page is seen and heard: pictures of its panels, the names of what can be reached, light and dark."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser import Browser

PICTURES = os.environ.get("LOWERBOUND_PICTURES")  # where pictures for the docs are written to
LARGEST = 120_000  # bytes of a picture
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


def picture(browser: Browser, selector: str, margin: int = 16) -> Image.Image:
    """An element as it is seen, with some of the page around it."""
    box = browser.js(
        "const b = document.querySelector(arguments[0]).getBoundingClientRect(); "
        "return [b.left + scrollX, b.top + scrollY, b.width, b.height]",
        selector,
    )
    clip = {"x": box[0] - margin, "y": box[1], "width": box[2] + 2 * margin, "height": box[3] + margin, "scale": 1}
    shot = browser.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
    return Image.open(io.BytesIO(base64.b64decode(shot["data"]))).convert("RGB")


def store(image: Image.Image, path: Path) -> int:
    """Write a PNG with as many colours as keep it small; how many bytes it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            break
    return path.stat().st_size


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
