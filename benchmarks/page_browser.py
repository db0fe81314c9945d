"""What is fast in a live page: Chromium opens it, a hand moves in it, and the page's own clock says when the pixels are there.

``page_clock.js`` is put into the page before its script. Every number starts at the time that the browser gives an event, or at
the navigation's, and ends in the page, so that what drives the browser is in none of them.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

__all__ = [
    "absent",
    "again",
    "browser",
    "decode_differences",
    "drag",
    "first_image",
    "named",
    "open_page",
    "pan_and_zoom",
]

CLOCK = Path(__file__).with_name("page_clock.js")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
WINDOW = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
MAP = "[data-role=map-marks]"
WARM = 20  # moves that are not counted
PATIENCE = 60.0  # seconds


def absent() -> str:
    """Why there is no browser here; empty where there is one."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    missing = [name for name, path in zip(("Chromium", "chromedriver"), _found(), strict=True) if path is None]
    return f"{' and '.join(missing)} not found" if missing else ""


def _found() -> tuple[str | None, str | None]:
    """Paths of Chromium and of its driver."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")


def named() -> str:
    """The browser's name and version, where there is one."""
    chromium, _ = _found()
    if chromium is None:
        return "no Chromium"
    words = subprocess.run([chromium, "--version"], check=False, capture_output=True, text=True)
    return " ".join(words.stdout.split()[:2])


@contextmanager
def browser() -> Iterator[Any]:
    """A fresh browser with a profile of its own, and the clock in whatever page it opens."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver = _found()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium or ""
    with tempfile.TemporaryDirectory() as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        made = webdriver.Chrome(options=options, service=Service(driver))
        try:
            made.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", WINDOW)
            made.execute_cdp_cmd("Page.enable", {})
            made.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCK.read_text(encoding="utf-8")})
            time.sleep(1.5)  # it has started by then
            yield made
        finally:
            made.quit()


def open_page(page: Any, path: Path) -> None:
    """Open a page from disk, and wait until all is drawn and the decoders have been checked.

    Raises:
        RuntimeError: The page failed.
    """
    page.get(path.resolve().as_uri())
    _until(page, "return document.body?.dataset.differences || document.body?.dataset.state === 'failed'")
    if page.execute_script("return document.body.dataset.state") == "failed":
        raise RuntimeError(f"{path} failed: {page.execute_script('return document.body.innerText')[:200]}")
    time.sleep(1)


def first_image(path: Path, opens: int) -> list[float]:
    """Seconds from the navigation's begin until the first decoded image is painted, each in a fresh browser."""
    seconds = []
    for _ in range(opens):
        with browser() as page:
            open_page(page, path)
            seconds.append(page.execute_script("return seen.decodes[0].frame") / 1000)
    return seconds


def decode_differences(path: Path) -> dict[str, float]:
    """How far the first decoded image of each model is from that of torch, pixels in [0, 1]: what the page says of itself."""
    with browser() as page:
        open_page(page, path)
        return page.execute_script("return JSON.parse(document.body.dataset.differences)")


def drag(page: Any, moves: int) -> dict[str, Any]:
    """A hand drags over the map: each move, from its event's time until every model's pixels are there.

    Returns:
        ``canvas``: ms from when the page got the event until the last model's canvas is drawn; ``frame``: until the frame with
        all of them is painted; ``models``: until each model's canvas is drawn; ``waited``: ms from the event's own time until
        the page got it, since the browser keeps it for its next frame; ``moves``, ``complete``: how many moves came, and how
        many of them were decoded by every model and not overtaken by a newer one.
    """
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.actions.interaction import POINTER_MOUSE
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    left, top, width, height = _seen(page, MAP)
    for part in (WARM, moves):
        page.execute_script("seen.decodes.length = seen.moves.length = 0")
        hand = ActionBuilder(page, mouse=PointerInput(POINTER_MOUSE, "mouse"), duration=20)
        for i in range(part + 1):
            turn = 2 * math.pi * i / 617  # no place twice
            across, down = 0.5 + 0.36 * math.sin(3 * turn + 0.4), 0.5 + 0.36 * math.sin(4 * turn)
            hand.pointer_action.move_to_location(round(left + across * width), round(top + down * height))
            if i == 0:
                hand.pointer_action.pointer_down()
        hand.pointer_action.pointer_up()
        hand.perform()
        time.sleep(0.5)
    models = page.execute_script("return document.querySelectorAll('[data-role=decode]').length")
    came, decodes = page.execute_script("return [seen.moves, seen.decodes]")
    groups: dict[int, list[dict[str, Any]]] = {}  # by which event they follow
    for each in decodes:
        event = min(range(len(came)), key=lambda i: abs(came[i]["when"] - each["when"]))
        groups.setdefault(event, []).append(each)
    found: dict[str, Any] = {"canvas": [], "frame": [], "waited": [], "models": {}, "moves": len(came), "complete": 0}
    for event, group in groups.items():
        if len({each["model"] for each in group}) < models:
            continue
        move = came[event]
        found["complete"] += 1
        found["waited"].append(move["came"] - move["when"])
        found["canvas"].append(max(each["drawn"] for each in group) - move["came"])
        found["frame"].append(max(each["frame"] for each in group) - move["came"])
        for each in group:
            found["models"].setdefault(each["model"], []).append(each["drawn"] - move["came"])
    return found


def again(page: Any, times: int) -> dict[str, Any]:
    """Press "Again" under the samples: 25 new ones of each model, decoded one model after the other.

    Returns:
        ``models``: ms from the click until the 25 canvases of each model are drawn; ``all``: until a frame with the samples of
        all models is painted.
    """
    _seen(page, "[data-role=generate-again]")
    time.sleep(2)  # its first samples come when it is seen, with a search for the images nearest to them
    models = page.execute_script("return document.querySelectorAll('[data-panel=generate] [data-role=samples]').length")
    found: dict[str, list[float]] = {}
    whole = []
    for count in range(times + 1):
        page.execute_script("seen.samples.length = seen.clicks.length = 0")
        page.find_element("css selector", "[data-role=generate-again]").click()
        _until(page, f"return seen.samples.filter(each => each.frame).length >= {models}")
        samples = page.execute_script("return seen.samples")
        click = page.execute_script("return seen.clicks[0]")
        time.sleep(0.6)
        if count == 0:
            continue  # the first one makes room for 25 images at once
        for each in samples:
            found.setdefault(each["model"], []).append(each["drawn"] - click)
        whole.append(max(each["frame"] for each in samples) - click)
    return {"models": found, "all": whole}


def pan_and_zoom(page: Any, seconds: float) -> dict[str, dict[str, Any]]:
    """The map under a hand that pans it, and under a wheel that enlarges and shrinks it, each once a frame.

    Returns:
        By what was done: ``between``: ms from one frame in which the points were drawn anew to the next; ``work``: ms of such
        a frame until it is painted, with the event before it; ``redraw``: ms of these for the points.
    """
    left, top, width, height = _seen(page, MAP)
    middle = {"x": left + width / 2, "y": top + height / 2}
    page.set_script_timeout(seconds + PATIENCE)
    found = {}
    for name in ("pan", "zoom"):
        wheel = {"button": "middle", "buttons": 4, "clickCount": 1, **middle}
        page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", **middle})
        if name == "pan":
            page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mousePressed", **wheel})
        script = "seen.hand(arguments[0], arguments[1]).then(arguments[2])"
        frames = page.execute_async_script(script, name == "zoom", 1000 * seconds)
        if name == "pan":
            page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseReleased", **wheel})
        drawn = [each for each in frames if each["redraw"] is not None and each["work"] is not None]
        found[name] = {
            "between": [other["due"] - one["due"] for one, other in pairwise(drawn)],
            "work": [each["work"] for each in drawn],
            "redraw": [each["redraw"] for each in drawn],
        }
    return found


def _seen(page: Any, selector: str) -> tuple[float, float, float, float]:
    """Bring an element into the window, and give its left, top, width and height there."""
    page.execute_script(
        "document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant', block: 'center'})", selector
    )
    time.sleep(0.5)
    script = (
        "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
    )
    left, top, width, height = page.execute_script(script, selector)
    return left, top, width, height


def _until(page: Any, script: str) -> None:
    """Wait until a script gives something true.

    Raises:
        TimeoutError: It took too long.
    """
    end = time.monotonic() + PATIENCE
    while not page.execute_script(script):
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for: {script}")
        time.sleep(0.1)
