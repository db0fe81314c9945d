"""Under load: many runs begun at once, one run opened by many, and a run of a million images interrupted again and again.

    python -m benchmarks.load                 all of it, about half an hour on two cores
    python -m benchmarks.load --begun 50      how many runs are begun at once in one folder
    python -m benchmarks.load --opened 200    how many processes open one run at once
    python -m benchmarks.load --interrupted 50 --images 1000000
    python -m benchmarks.load --table         from what is in load.json, the table of docs/reliability.md

Each part stops with an error where anything is lost, mixed or half-written; what it prints and keeps is how long it took.
Everything runs in children of this process, which has imported the library once and computed nothing, so that two cores
carry fifty of them; they begin at the same moment, when a pipe is closed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.test_durability import ended, fork, hash_of

RESULTS = Path(__file__).with_name("load.json")
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- load -->", "<!-- end of load -->"
TRAIN = ("train", "digits", "--model", "linear", "-k", "2", "--epochs", "1")


def main() -> None:
    """Measure, print, keep."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--begun", type=int, metavar="N")
    asked.add_argument("--opened", type=int, metavar="N")
    asked.add_argument("--interrupted", type=int, metavar="N")
    asked.add_argument("--images", type=int, default=1_000_000, metavar="N")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--without-figures", action="store_true", help="no report is drawn: for a short test")
    asked.add_argument("--table", action="store_true")
    asked.add_argument("--keep", action="store_true", help="write load.json, as without any number")
    asked = asked.parse_args()
    if not asked.table:
        everything = (asked.begun, asked.opened, asked.interrupted) == (None, None, None)
        parts: list[tuple[str, int | None, Callable[[Path, int], dict[str, float | str]]]] = [
            ("begun", 50 if everything else asked.begun, begun_at_once),
            ("opened", 200 if everything else asked.opened, opened_at_once),
            (
                "interrupted",
                50 if everything else asked.interrupted,
                lambda folder, number: interrupted(folder, number, asked.images, asked.seed),
            ),
        ]
        ready(figures=not asked.without_figures)
        found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
        for name, number, measure in parts:
            if number is not None:
                with tempfile.TemporaryDirectory(prefix="lowerbound-load-") as folder:
                    found[name] = measure(Path(folder), number)
                print(f"{name}: {found[name]}", flush=True)
                if everything or asked.keep:
                    found["machine"] = (
                        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
                    )
                    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if asked.table:
        write_table(json.loads(RESULTS.read_text(encoding="utf-8")))


def ready(*, figures: bool) -> None:
    """Import what takes long, once for all children; compute nothing, or they could not be forked."""
    import lowerbound.comparison
    import lowerbound.loop
    import lowerbound.training_verbs

    if not figures:
        lowerbound.comparison.write_report = lambda *_: ""
    lowerbound.loop.SAVE_EVERY = 0.5  # seconds of work that an interruption costs: fifty of them come to an end


def begun_at_once(folder: Path, number: int) -> dict[str, float | str]:
    """Trainings that begin at the same moment in one folder, none of which is told its run folder.

    Each must end well, in a folder of its own, with the weights that its seed gives when it trains alone.
    """
    warm(folder, (*TRAIN, "-q", "--out", "alone-0"))
    gate = Gate()
    children = [fork((*TRAIN, "--seed", str(seed), "--quiet"), folder, gate.wait) for seed in range(number)]
    seconds = gate.open()
    codes = [ended(child) for child in children]
    seconds = time.monotonic() - seconds
    hold(codes == [0] * number, codes, folder)
    runs = {}
    for run in (folder / "runs").iterdir():
        hold(not run.name.startswith("."), run)
        (model,) = json.loads((run / "run.json").read_text(encoding="utf-8"))["models"]
        runs[model["settings"]["seed"]] = hash_of(run)
    hold(sorted(runs) == list(range(number)), sorted(runs))
    hold(hash_of(folder / "alone-0") == runs[0], "seed 0 has other weights")
    for seed in sorted({number // 2, number - 1}):
        alone = folder / f"alone-{seed}"
        hold(ended(fork((*TRAIN, "--seed", str(seed), "-q", "--out", alone.name), folder)) == 0, alone, folder)
        hold(hash_of(alone) == runs[seed], f"seed {seed} has other weights")
    return {"runs": number, "folders": len(runs), "seconds": seconds}


def opened_at_once(folder: Path, number: int) -> dict[str, float | str]:
    """Processes that open the same run at the same moment, load its model and encode its images; all must get the same codes."""
    warm(folder, (*TRAIN, "-q", "--out", "run"))
    warm(folder, ("-q", "encode", "run", "--out", "first.npy"))
    gate = Gate()
    children = [
        fork(("-q", "encode", "run", "--out", f"codes-{place}.npy"), folder, gate.wait) for place in range(number)
    ]
    seconds = gate.open()
    codes = [ended(child) for child in children]
    seconds = time.monotonic() - seconds
    hold(codes == [0] * number, codes, folder)
    found = {file.read_bytes() for file in folder.glob("codes-*.npy")}
    hold(len(found) == 1, f"{len(found)} different codes")
    hold(len(list(folder.glob("codes-*.npy"))) == number, "codes are missing")
    hold(found == {(folder / "first.npy").read_bytes()}, "other codes than alone")
    hold(not list(folder.rglob(".*")), "files were left")
    return {"processes": number, "seconds": seconds}


def warm(folder: Path, words: Sequence[str]) -> None:
    """Run a command once, and import what it has imported, so that the next children need not, and share the memory of it."""
    hold(ended(fork(words, folder)) == 0, words, folder)
    for module in (folder / "modules").read_text(encoding="utf-8").split():
        with contextlib.suppress(Exception):
            importlib.import_module(module)


def interrupted(folder: Path, number: int, images: int, seed: int) -> dict[str, float | str]:
    """A training on many images that is killed or asked to stop at random moments, and gone on with; as if nothing had been.

    Half of the blows are SIGKILL, which leaves no time for anything, half SIGINT, which Ctrl-C sends.
    """
    np.save(folder / "many.npy", many(images))
    words = ("train", "many.npy", "--model", "vae", "-k", "4", "--epochs", "1", "--batch-size", "500", "-q")
    began = time.monotonic()
    hold(ended(fork((*words, "--out", "unbroken"), folder)) == 0, "unbroken", folder)
    seconds = time.monotonic() - began
    right, draw = hash_of(folder / "unbroken"), random.Random(seed)  # noqa: S311
    blows: collections.Counter[str] = collections.Counter()
    runs, began = 0, time.monotonic()
    while blows.total() < number:
        run = folder / f"run-{runs}"
        runs += 1
        while True:
            there = (run / "run.json").exists()
            child = fork(("train", "--resume", run.name, "-q") if there else (*words, "--out", run.name), folder)
            blow = (signal.SIGKILL, signal.SIGINT)[blows.total() % 2]
            if blows.total() < number:
                time.sleep(draw.uniform(0, 0.6 * seconds))
                os.kill(child, blow)  # of one that has ended and was not waited for: does nothing
            code = ended(child)
            hold(code in (0, 130, -signal.SIGKILL, -signal.SIGINT), code, folder)
            if code == 0:
                break
            blows[signal.Signals(blow).name] += 1
            if (run / "run.json").exists() and json.loads((run / "run.json").read_text(encoding="utf-8"))[
                "status"
            ] == "complete":
                break
        hold(hash_of(run, swept=code == 0) == right, f"{run} has other weights")
    return {
        "images": images,
        "interruptions": blows.total(),
        "killed": blows["SIGKILL"],
        "asked to stop": blows["SIGINT"],
        "runs": runs,
        "seconds of a run that nothing happened to": seconds,
        "seconds of all": time.monotonic() - began,
        "weights": right[:12],
    }


def hold(true: bool, what: object, folder: Path | None = None) -> None:  # noqa: FBT001
    """Stop where something was lost, with what the children have said."""
    if not true:
        said = "" if folder is None else (folder / "said").read_text(encoding="utf-8")
        raise SystemExit(f"not as it should be: {what}\n{said}")


def many(number: int) -> np.ndarray:
    """Images uint8 ``[N, 8, 8]`` with some structure: bright bars at random places, and noise."""
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 8, (2, number))
    images = rng.integers(0, 60, (number, 8, 8), dtype=np.uint8)
    images[np.arange(number), rows] += 150
    images[np.arange(number), :, columns] += 40
    return images


class Gate:
    """Children wait at it until it is opened: a pipe that its end is read from when its other end is closed."""

    def __init__(self) -> None:
        self.inside, self.outside = os.pipe()

    def wait(self) -> None:
        """Of a child."""
        os.close(self.outside)
        os.read(self.inside, 1)

    def open(self) -> float:
        """Of the parent, when all children are there; the time."""
        time.sleep(0.2)
        os.close(self.outside)
        os.close(self.inside)
        return time.monotonic()


def write_table(found: dict[str, Any]) -> None:
    """The figures in docs/reliability.md."""
    rows = []
    if begun := found.get("begun"):
        what = f"{begun['runs']} trainings begun at once in one folder, none told its run folder"
        came = f"{begun['folders']} run folders, each whole, with the weights that its seed gives"
        rows.append((what, came, f"{begun['seconds']:.0f}"))
    if opened := found.get("opened"):
        what = f"{opened['processes']} processes open one run at once and encode its images"
        rows.append((what, "the same bytes from all", f"{opened['seconds']:.0f}"))
    if long := found.get("interrupted"):
        blows = f"{long['killed']} times SIGKILL, {long['asked to stop']} times SIGINT, over {long['runs']} runs"
        what = (
            f"a training on {long['images']:,} images, interrupted at {long['interruptions']} random moments ({blows})"
        )
        came = "weights, history and numbers of every run to the last bit those of one that nothing happened to"
        unbroken = long["seconds of a run that nothing happened to"]
        rows.append((what, came, f"{long['seconds of all']:.0f}; an unbroken one {unbroken:.0f}"))
    lines = ["| load | what came of it | seconds |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    lines += ["", f"Machine: {found['machine']}, shared with other work."]
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END]) + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
