"""The live page of a run, measured: how large, how near to torch, how quick to open and under the hand, how soon packed.

    python -m benchmarks.page --runs FOLDER                     MNIST; its run is trained in FOLDER, or reused there
    python -m benchmarks.page --runs FOLDER --cifar IMAGES      the sizes for CIFAR-10, too, from a folder of its images
    python -m benchmarks.page --runs FOLDER --only drag map     some of it; what was measured before is kept

Everything is trained as ``lowerbound compare`` does by default, seed 0: MNIST with K = 20, CIFAR-10 with K = 64. What was
measured is kept in benchmarks/page.json, and the table in docs/page.md is written from it. Where there is no Chromium, what
needs it is left out, and that is said. Quiet machines give honest times: the load average is kept with each number.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import page_browser
from benchmarks.page_table import Number, keep
from lowerbound import sources
from lowerbound.comparison import begin, go_on, images_of
from lowerbound.images import ImageSet
from lowerbound.live_page import page_files, template, write_files
from lowerbound.payload import payload
from lowerbound.plan import Plan
from lowerbound.progress import terminal
from lowerbound.storage import Run

TAG = re.compile(rb'<script type="text/plain" id="asset:([^"]+)">([^<]*)</script>')
MB = 1e6
IN_BROWSER = ("differences", "open", "drag", "samples", "map")
PARTS = {  # what the parts of a page are called, by the beginnings of their assets' names
    "the program that runs models (WebAssembly)": ("wasm",),
    "decoders": ("decoder:",),
    "encoders": ("encoder:",),
    "images and labels": ("images", "labels"),
    "codes, their spread and errors": ("codes:", "spread:", "errors:"),
    "film of the training": ("film:",),
}


class Subject:
    """A run, and pages of it in a folder."""

    def __init__(self, run: Path, images: str, k: int, shown: int, pages: Path) -> None:
        self.path, self.source, self.k, self.shown, self.pages = run, images, k, shown, pages
        self.made: dict[str, Path] = {}

    @cached_property
    def run(self) -> Run:
        """The run, trained and examined if it is not yet."""
        if not self.path.exists():
            images = sources.load(self.source, progress=terminal)
            begin(images, Plan((self.k,)), self.path)
        run = Run.open(self.path, unfinished=True)
        start = time.monotonic()
        if run.about["status"] != "complete":
            go_on(run, images_of(run, progress=terminal), progress=terminal, say=print)
            print(f"{self.path} trained in {time.monotonic() - start:.0f} s", flush=True)
        if not (self.path / "posterior.json").is_file():
            subprocess.run([sys.executable, "-m", "lowerbound", "page", self.path, "--insight"], check=True)
        return run

    @cached_property
    def images(self) -> ImageSet:
        """Its images."""
        return images_of(self.run, progress=terminal)

    def page(self, name: str, images: ImageSet | None = None, shown: int = 0, **asked: Any) -> Path:
        """A page of the run in the folder of pages; the one of that name, where it was made before."""
        if name not in self.made:
            held = payload(self.run, images or self.images, shown=shown or self.shown, **asked)
            files = page_files(held, template(), name=f"{self.path.name}-{name}.html")
            self.made[name] = write_files(self.pages, files)[0]
        return self.made[name]


def sizes(subject: Subject, goal: float) -> Iterator[Number]:
    """Of a page, of what it is made of, and of one without encoders."""
    whole, bare = subject.page("whole"), subject.page("bare", encoders=False)
    size, what = (
        whole.stat().st_size / MB,
        f"{subject.images.name}, four models, K = {subject.k}, {subject.shown:,} images",
    )
    how = "bytes of the file / 1e6; a part is the text that holds it, as it stands in the file"
    beside = {name: bytes_ / MB for name, bytes_ in parts(whole.read_bytes()).items()}
    yield Number(f"{what}: one file", size, "MB", goal, how, beside)
    yield Number("the same with --no-encoders", bare.stat().st_size / MB, "MB", round(size, 1), how)


def parts(page: bytes) -> dict[str, int]:
    """Bytes of a page by what they are for, the largest first.

    Example:
        >>> page = b'<p></p><script type="text/plain" id="asset:codes:pca">1234</script>'
        >>> parts(page)
        {'page, script and numbers': 63, 'codes, their spread and errors': 4}
    """
    found = dict.fromkeys(PARTS, 0)
    for name, text in TAG.findall(page):
        group = next((each for each, begins in PARTS.items() if name.decode().startswith(begins)), None)
        if group is not None:
            found[group] += len(text)
    found["page, script and numbers"] = len(page) - sum(found.values())
    return {name: size for name, size in sorted(found.items(), key=lambda pair: -pair[1]) if size}


def differences(mnist: Subject) -> Iterator[Number]:
    """First decodes in the browser beside torch's."""
    how = "largest difference over the pixels of the first decoded image of each model, told by the page (body, data-differences)"
    for name, goal, full in (("float16", 1e-3, False), ("--full-precision", 1e-5, True)):
        page = mnist.page("full", full=True) if full else mnist.page("whole")
        found = page_browser.decode_differences(page)
        yield Number(f"first decodes beside torch's, weights as {name}", max(found.values()), "of 1", goal, how)


def opening(mnist: Subject, opens: int) -> Iterator[Number]:
    """The first decoded image."""
    how = (
        f"median of {opens} fresh browsers with empty profiles, from the navigation's begin (performance.timeOrigin) until "
        "the frame with the first decoded image is painted"
    )
    yield Number(
        "first decoded image after opening", _median(page_browser.first_image(mnist.page("whole"), opens)), "s", 2, how
    )


def dragging(mnist: Subject, moves: int) -> Iterator[Number]:
    """From the hand to the pixels of all models."""
    with page_browser.browser() as page:
        page_browser.open_page(page, mnist.page("whole"))
        found = page_browser.drag(page, moves)
    how = (
        f"{found['complete']} of {found['moves']} moves some 20 ms apart, after 20 that do not count, from when the page got "
        "the pointer's event; the others were overtaken by a newer one, or came before it was a drag. Before that the browser "
        "keeps an event for its next frame"
    )
    what = "drag on the map to the pixels of every model"
    canvas = {"all canvases drawn": _median(found["canvas"]), "the event waited before": _median(found["waited"])}
    yield Number(f"{what}, frame painted: median", _median(found["frame"]), "ms", 8, how, canvas)
    canvas = {"all canvases drawn": _late(found["canvas"]), "the event waited before": _late(found["waited"])}
    yield Number(f"{what}, frame painted: 95th percentile", _late(found["frame"]), "ms", 25, how, canvas)
    each = {name: _median(times) for name, times in found["models"].items()}
    yield Number("the same, until the canvas of each model is drawn: median", max(each.values()), "ms", None, how, each)


def sampling(mnist: Subject, times: int) -> Iterator[Number]:
    """Twenty-five samples of each model."""
    with page_browser.browser() as page:
        page_browser.open_page(page, mnist.page("whole"))
        found = page_browser.again(page, times)
    how = (
        f'median of {times} clicks on "Again", after one that does not count, from the click until the frame with the samples of '
        "all models is painted; beside it until the 25 canvases of each model are drawn, one model after the other"
    )
    models = {name: _median(each) for name, each in found["models"].items()}
    yield Number("25 samples of every model", _median(found["all"]), "ms", 60 * len(models), how, models)


def packing(mnist: Subject) -> Iterator[Number]:
    """The page, made and written."""
    seconds = []
    images = mnist.images
    for count in range(3):
        start = time.perf_counter()
        mnist.page(f"packed {count}", images)
        seconds.append(time.perf_counter() - start)
    how = "median of 3: models loaded, images encoded, graphs made and tried, all packed and written; images in memory"
    yield Number("packing MNIST's page", _median(seconds), "s", 10, how)
    words = [sys.executable, "-m", "lowerbound", "page", mnist.path, "--out", mnist.pages / "command.html"]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    how = "median of 3 processes of their own, imports and reading images included; the run was examined before (--insight)"
    yield Number("the whole of lowerbound page", _median(seconds), "s", 10, how)


def crowd(mnist: Subject, seconds: float) -> Iterator[Number]:
    """A map of 60,000 points."""
    images = mnist.images
    page = mnist.page("crowd", images=replace(images, test=images.train), shown=len(images.train))
    how = "the training images as test images; "
    yield Number(
        f"page of {len(images.train):,} images", page.stat().st_size / MB, "MB", None, f"{how}bytes of the file / 1e6"
    )
    with page_browser.browser() as browser:
        page_browser.open_page(browser, page)
        found = page_browser.pan_and_zoom(browser, seconds)
    for name, each in found.items():
        what = f"map of {len(images.train):,} points, {'panned' if name == 'pan' else 'zoomed'}"
        rate = 1000 * len(each["between"]) / sum(each["between"])
        timed = f"{how}{seconds:g} s, an event a frame; from a frame with points drawn anew to the next, 60 a second at most"
        beside = {"95th percentile": _late(each["between"]), "frames a second": rate}
        yield Number(f"{what}: a frame, median", _median(each["between"]), "ms", 16.7, timed, beside)
        worked = f"{how}the event before such a frame, and from its begin until it is painted"
        beside = {"95th percentile": _late(each["work"]), "drawing the points": _median(each["redraw"])}
        yield Number(f"{what}: work of a frame, median", _median(each["work"]), "ms", None, worked, beside)


def _median(values: list[float]) -> float:
    return float(np.median(values))


def _late(values: list[float]) -> float:
    return float(np.percentile(values, 95))


def main() -> None:
    """Measure what was asked for, print it, and keep it beside what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="folder of runs, trained there where they are missing")
    parser.add_argument("--cifar", metavar="IMAGES", help="folder of CIFAR-10's images")
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help="some of: size differences open drag samples pack map cifar"
    )
    parser.add_argument("--quick", action="store_true", help="fewer opens, moves and clicks; nothing is kept")
    parser.add_argument("--keep", type=Path, help="where to leave the pages, to be looked at")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pages = asked.keep or Path(scratch)
        mnist = Subject(asked.runs / "mnist-k20", "mnist", 20, 10_000, pages)
        measured: dict[str, Callable[[], Iterator[Number]]] = {
            "size": lambda: sizes(mnist, 13),
            "pack": lambda: packing(mnist),
            "differences": lambda: differences(mnist),
            "open": lambda: opening(mnist, 2 if asked.quick else 7),
            "drag": lambda: dragging(mnist, 60 if asked.quick else 400),
            "samples": lambda: sampling(mnist, 3 if asked.quick else 20),
            "map": lambda: crowd(mnist, 2 if asked.quick else 8),
        }
        if asked.cifar:
            measured["cifar"] = lambda: sizes(Subject(asked.runs / "cifar10-k64", asked.cifar, 64, 5_000, pages), 27)
        if unknown := set(asked.only or ()) - set(measured):
            parser.error(f"{', '.join(sorted(unknown))} is none of {', '.join(measured)}")
        for name in asked.only or measured:
            if (reason := page_browser.absent()) and name in IN_BROWSER:
                print(f"{name}: left out, {reason}")
                continue
            load, numbers = os.getloadavg()[0], []
            for each in measured[name]():
                print(each.line(len(numbers) + 1), flush=True)
                numbers.append(asdict(each))
            if not asked.quick:
                print(keep(name, {"load": load, "numbers": numbers}))


if __name__ == "__main__":
    main()
