"""The live page in Debian's Chromium, driven through selenium: pixels of every canvas, hands of a person, nothing fetched.

Whether a control changes what it should and nothing else is told by the pixels of all canvases before and after.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.chromium import install

MODELS = ("pca", "linear", "conv", "vae")
ATTACK = "<img src=x onerror=alert(1)>"
PICKED = 7  # an image of which torch's reconstructions are known
PATIENCE = 30.0  # seconds; two cores may be busy with other tests
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


class Keys:
    """Keys as WebDriver names them."""

    PAGE_UP, PAGE_DOWN, END, HOME = "\ue00e", "\ue00f", "\ue010", "\ue011"
    ARROW_RIGHT = "\ue014"


# Each canvas by panel, role, model and its place among those, with a hash of what it shows (FNV-1a): of its PNG, or of the
# pixels themselves where an image is large.
PIXELS = """
const hashed = (length, at) => {
  let hash = 2166136261;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ at(i), 16777619);
  return hash;
};
const large = (canvas) => {
  const {width, height} = canvas;
  const pen = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  pen.drawImage(canvas, 0, 0);
  const pixels = new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer);
  return hashed(pixels.length, i => pixels[i]);
};
const found = {}, count = {};
for (const canvas of document.querySelectorAll("section[data-panel] canvas")) {
  const role = canvas.closest("[data-role]")?.dataset.role ?? (canvas.closest(".uplot") ? "curve" : "");
  const model = canvas.closest("[data-model]")?.dataset.model ?? "";
  const what = canvas.classList.contains("pixels") ? "image" : "drawn";
  const kind = [canvas.closest("section").dataset.panel, role, model, what].join("/");
  const size = canvas.checkVisibility() ? canvas.width * canvas.height : 0;
  const text = size ? (what === "image" && size > 20000 ? null : canvas.toDataURL()) : "";
  count[kind] = (count[kind] ?? 0) + 1;
  found[`${kind}/${count[kind] - 1}`] = text === null ? large(canvas) : hashed(text.length, i => text.charCodeAt(i));
}
return found;
"""
# Names of all canvases match patterns as "map/decode/*": panel / role / model / image or drawn / place.
VALUES = """
const {width, height} = arguments[0];
const pen = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
pen.drawImage(arguments[0], 0, 0);
const rgba = pen.getImageData(0, 0, width, height).data;
return Array.from({length: width * height}, (_, p) => rgba[4 * p]);
"""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether the name of a canvas is one of the patterns'."""
    return any(fnmatch(name, pattern) for pattern in patterns)


class Browser:
    """A browser without a network, its window, and what it said and asked for since it was last looked at."""

    def __init__(self, profile: Path) -> None:
        chromium, driver = install()
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(driver))
        self.driver.set_page_load_timeout(60)
        self.cdp("Network.enable", maxTotalBufferSize=0)
        self.cdp("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        self.size(1000)

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, arguments)

    def size(self, width: int, height: int = 900) -> None:
        """Give the page a window of so many pixels."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def open(self, path: Path, state: str = "", *, ready: bool = True) -> None:
        """Open a page from disk and, by default, wait until it is drawn and has checked its decoders."""
        self.driver.get("about:blank")
        self.cdp(
            "Storage.clearDataForOrigin", origin="file://", storageTypes="local_storage"
        )  # as one who never was here
        self.console(), self.requests()  # what was before is not this page's doing
        self.driver.get(path.as_uri() + (f"#{state}" if state else ""))
        if ready:
            self.ready()

    def ready(self) -> None:
        told = (
            "const {state, differences} = document.body.dataset; return state === 'failed' || differences !== undefined"
        )
        self.until(lambda: self.js(told), "the page to be drawn")

    def hurry(self) -> None:
        """Let what the page shows after seconds come at once."""
        self.cdp("Animation.enable")
        self.cdp("Animation.setPlaybackRate", playbackRate=50)

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something to be true, and give it back."""
        end = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
            time.sleep(0.05)
        return found

    def look_at_all(self) -> dict[str, int]:
        """Scroll past every panel, so that each has begun, and give the pixels once nothing moves."""
        for panel in self.all("section[data-panel]"):
            self.js("arguments[0].scrollIntoView({behavior: 'instant'})", panel)
            self.settle("window")
            self.js("arguments[0].scrollIntoView({behavior: 'instant', block: 'end'})", panel)
            self.settle("window")
        return self.settle()

    def settle(self, what: str = "pixels", times: int = 3) -> dict[str, int]:
        """The pixels of all canvases once they stay the same for so many looks."""
        if what == "window":  # two frames: observers of what is seen have been called
            self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            return {}
        before, quiet = self.pixels(), 0
        for _ in range(200):
            time.sleep(0.12)
            now = self.pixels()
            quiet = quiet + 1 if now == before else 0
            if quiet == times:
                return now
            before = now
        raise AssertionError("the page does not come to rest")

    def pixels(self) -> dict[str, int]:
        return self.js(PIXELS)

    def changes(
        self,
        action: Callable[[], Any],
        must: Iterable[str],
        may: Iterable[str] = (),
        before: dict[str, int] | None = None,
    ) -> dict[str, int]:
        """Act, and hold the page to what changes: of every pattern in ``must`` some canvas, and none beside these and ``may``.

        Returns:
            All pixels afterwards.
        """
        before = before or self.settle(times=1)
        words = self.words()
        must, may = list(must), list(may)
        action()

        def changed() -> set[str]:
            now = self.pixels()
            return {name for name in before | now if before.get(name) != now.get(name)}

        def lacking() -> list[str]:
            found = changed()
            return [pattern for pattern in must if not any(fnmatch(name, pattern) for name in found)]

        end = time.monotonic() + PATIENCE
        while missing := lacking():
            assert time.monotonic() < end, f"{missing} did not change; {sorted(changed())} did"
        after = self.settle()
        found = {name for name in before | after if before.get(name) != after.get(name)}
        assert not [pattern for pattern in must if not any(fnmatch(name, pattern) for name in found)]
        assert not sorted(name for name in found if not matches(name, [*must, *may])), "these changed, too"
        assert self.words() == words, "words that no control changes"
        return after

    def words(self) -> list[str]:
        """What no control may change: title, verdict, evaluation, findings, facts."""
        parts = (".masthead", "[data-role=evaluation]", "#panel-numbers .facts", "footer")
        return [self.js("return document.querySelector(arguments[0])?.textContent ?? ''", part) for part in parts]

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def data(self, selector: str) -> dict[str, str]:
        return self.js("return {...document.querySelector(arguments[0]).dataset}", selector)

    def text(self, selector: str) -> str:
        return self.js("return document.querySelector(arguments[0]).textContent", selector)

    def shown(self, selector: str) -> str:
        """Words that can be seen: what is transparent is not."""
        visible = (
            "[...document.querySelectorAll(arguments[0])].filter(one => one.checkVisibility({opacityProperty: true}))"
        )
        return self.js(f"return {visible}.map(one => one.textContent).join('\\n')", f"{selector} *")

    def dialog(self) -> bool:
        """Whether the page opened a dialog."""
        from selenium.webdriver.support.expected_conditions import alert_is_present

        return bool(alert_is_present()(self.driver))

    def values(self, selector: str) -> list[int]:
        """The red of every pixel of a canvas, 0 to 255."""
        return self.js(VALUES, self.one(selector))

    def state(self) -> dict[str, str]:
        """What the address says."""
        pairs = self.js("return [...new URLSearchParams(location.hash.slice(1))]")
        return dict(pairs)

    def go(self, state: str) -> None:
        """As one who edits the address."""
        self.js("location.hash = arguments[0]", state)
        self.settle("window")

    def press(self, selector: str) -> None:
        """A click in the element's middle."""
        self.hand(selector, (None, None))

    def hand(self, selector: str, *places: tuple[float | None, float | None], press: bool = True) -> None:
        """The pointer goes through places in the element, CSS pixels from its top left, pressed or not."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.interaction import POINTER_MOUSE
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", element)
        self.settle("window")
        box = self.js(
            "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top, b.width, b.height]", element
        )
        mouse = PointerInput(POINTER_MOUSE, "mouse")
        hand = ActionBuilder(self.driver, mouse=mouse, duration=30)
        for place, (x, y) in enumerate(places):
            left = box[0] + (box[2] / 2 if x is None else x)
            top = box[1] + (box[3] / 2 if y is None else y)
            hand.pointer_action.move_to_location(round(left), round(top))
            if press and place == 0:
                hand.pointer_action.pointer_down()
        if press:
            hand.pointer_action.pointer_up()
        hand.perform()

    def keys(self, selector: str, *keys: str) -> None:
        """Keys typed into an element."""
        self.one(selector).send_keys(*keys)

    def drop(self, selector: str, file: Path) -> None:
        """A file dragged from outside and let go over an element."""
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", element)
        self.settle("window")
        middle = "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]"
        x, y = self.js(middle, element)
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.cdp("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def console(self) -> list[str]:
        """What the page said to the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Whatever was asked for since the last call, without the data in it."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = ("Network.requestWillBeSent", "Network.webSocketCreated", "Network.webTransportCreated")
        found = [each["params"] for each in messages if each["method"] in asked]
        return [(each.get("request") or each)["url"][:200] for each in found]

    def check_quiet(self) -> None:
        """Nothing was said and nothing asked for since the page was opened."""
        assert self.console() == []
        asked = self.requests()
        assert asked, "the log of requests is kept"
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []

    def quit(self) -> None:
        self.driver.quit()
