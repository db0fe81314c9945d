"""What an image costs when there are many: encoding 10,000 to a million images, and data ten times the memory allowed.

    python -m benchmarks.scale                all of it, about 8 minutes on two quiet cores
    python -m benchmarks.scale --encode       the table of encoding alone
    python -m benchmarks.scale --larger       the data larger than memory alone
    python -m benchmarks.scale --plan         from what is in scale.json, the table of docs/scale.md

Every row is a process of its own. Its memory is the peak of RssAnon in /proc/self/status, looked at every 20 ms, less what it
was when everything was imported and the model was made: pages of a mapped file do not count, since the system takes them back
when it needs them. (Anonymous in smaps_rollup is the same number, but asking for it stops a process that maps gigabytes.)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowerbound import recipes
from lowerbound.encoding import encode
from lowerbound.images import Images
from lowerbound.moments import PixelMoments
from lowerbound.packing import Arrangement, pack
from lowerbound.pca import PCA
from lowerbound.progress import quiet
from lowerbound.settings import Settings
from lowerbound.sources import load, stream
from lowerbound.splits import hold_out
from lowerbound.streams import Block, Stream, stream_of
from lowerbound.training import run as train
from lowerbound.vae import VAE

RESULTS = Path(__file__).with_name("scale.json")
PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- plan -->", "<!-- end of plan -->"
NETWORK = 1.25e9  # bytes per second: 10 Gbit/s
SHAPE, K = (1, 28, 28), 20
COUNTS = (10_000, 100_000, 1_000_000)
LARGE = 3_830_000  # images: 3.0 GB
ALLOWED = 300e6  # bytes
STEPS, BATCH = 300, 100  # of training in the row of data larger than memory


class StepsDoneError(Exception):
    """So many steps were taken."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encode", action="store_true", help="only the table of encoding")
    parser.add_argument("--larger", action="store_true", help="only the data larger than memory")
    parser.add_argument("--row", nargs=4, metavar=("TASK", "MODEL", "IMAGES", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--plan", action="store_true", help="only compute the table of docs/scale.md from scale.json")
    asked = parser.parse_args()
    if asked.row:
        task, model, images, out = asked.row
        print(json.dumps(TASKS[task](model, Path(images), Path(out))))
        return
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        if not asked.larger and not asked.plan:
            found["encode"] = encoding(Path(folder))
        if not asked.encode and not asked.plan:
            found["larger"] = larger(Path(folder))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if {"encode", "larger"} <= found.keys():
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(before + BEGIN + "\n\n" + plan(found) + "\n" + END + rest.partition(END)[2], encoding="utf-8")


def plan(found: dict[str, Any]) -> str:
    """Bytes and hours of ever more images, from the cost of one, as a table in Markdown."""
    pixels, rows = int(np.prod(SHAPE)), found["larger"]["rows"]
    per = {task: row["seconds"] / row["images"] for task, row in rows.items()}
    network = [row for row in found["encode"]["rows"] if row["model"] == "vae"][-1]
    per["encode"] = network["seconds"] / network["images"]
    memory = max(row["anonymous"] for row in rows.values()) / 1e6
    gradients = 4 * rows["train"]["parameters"]
    most = 1 + BATCH * per["train"] * NETWORK / (2 * gradients)
    lines = [
        f"Cost per image: moments {per['moments'] * 1e6:.1f} us, training {per['train'] * 1e6:.0f} us (batch {BATCH}), "
        f"encoding by the VAE {per['encode'] * 1e6:.0f} us; peak memory beyond the start in any stage {memory:.0f} MB "
        f"at {LARGE:,} images. "
        f"{found['larger']['machine']['processor']}, {found['larger']['machine']['threads']} threads, load average "
        f"{found['larger']['machine']['load_average']:.1f}.",
        "",
        "| images | read per epoch | codes stored | moments, hours | one epoch, hours | encoding, hours |",
        "|---|---|---|---|---|---|",
    ]
    for count in (60_000, 1_000_000, 100_000_000, 1_000_000_000):
        hours = (f"{count * per[task] / 3600:.3g}" for task in ("moments", "train", "encode"))
        lines.append(
            f"| {count:,} | {count * pixels / 1e9:,.2f} GB | {count * K * 4 / 1e9:,.2f} GB | {' | '.join(hours)} |"
        )
    lines += [
        "",
        f"The model has {gradients / 4:,.0f} parameters: gradients of a step are {gradients / 1e6:.1f} MB. Each process sends "
        f"and receives {2 * gradients / 2 / 1e6:.1f} MB of them a step among 2, {2 * gradients * 7 / 8 / 1e6:.1f} MB among 8, "
        f"{2 * gradients * 63 / 64 / 1e6:.1f} MB among 64. Computing and sending take equally long at W = {most:.0f} for a "
        f"global batch of {BATCH}; W grows in proportion to the batch.",
        "",
    ]
    return "\n".join(lines)


def encoding(folder: Path) -> dict[str, Any]:
    """Images per second and memory of encoding, by model, kind of file and number of images."""
    rows = []
    for count in COUNTS:
        np.save(folder / f"{count}.npy", synthetic(0, count))
    for model in ("pca", "vae"):
        for ending in (".npy", ".parquet"):
            for count in COUNTS:
                row = measured("encode", model, folder / f"{count}.npy", folder / f"codes{ending}")
                first = row if count == COUNTS[0] else rows[-1]["first"]
                ratio = (row["seconds"] / count) / (first["seconds"] / COUNTS[0])
                rows.append({"model": model, "file": ending, "images": count, **row, "ratio": ratio, "first": first})
                print(
                    f"{model} {ending:9} {count:9,} images: {count / row['seconds']:8,.0f} images/s, "
                    f"peak {row['anonymous'] / 1e6:5.0f} MB beyond the start, cost per image {ratio:.2f} of that at 10,000",
                    flush=True,
                )
    for row in rows:
        del row["first"]
    return {"machine": machine(), "protocol": f"synthetic {list(SHAPE)}, K = {K}, disk included", "rows": rows}


def larger(folder: Path) -> dict[str, Any]:
    """Every stage that reads all data, on data ten times the memory allowed."""
    place, rows = folder / "large.npy", {}
    for task, model in (("pack", "none"), ("moments", "pca"), ("hash", "none"), ("train", "vae"), ("encode", "pca")):
        rows[task] = measured(task, model, place, folder / "large.parquet")
        row = rows[task]
        inside = "within" if row["anonymous"] < ALLOWED else "BEYOND"
        print(
            f"{task:8} {row['images']:9,} images in {row['seconds']:6.1f} s, {row['images'] / row['seconds']:9,.0f} images/s, "
            f"peak {row['anonymous'] / 1e6:5.0f} MB beyond the start: {inside} {ALLOWED / 1e6:.0f} MB",
            flush=True,
        )
    words = f"{LARGE:,} synthetic images {list(SHAPE)} packed on disk; training: {STEPS} steps of {BATCH} of one epoch"
    return {"machine": machine(), "protocol": words, "bytes": place.stat().st_size, "allowed": ALLOWED, "rows": rows}


def measured(task: str, model: str, images: Path, out: Path) -> dict[str, Any]:
    """What one row prints, from a process of its own."""
    words = [sys.executable, "-m", "benchmarks.scale", "--row", task, model, str(images), str(out)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    out.unlink(missing_ok=True)
    return json.loads(done.stdout.splitlines()[-1])


def synthetic(start: int, stop: int) -> np.ndarray:
    """Smooth random images uint8 ``[N, 1, 28, 28]``, the same at the same positions."""
    random = np.random.default_rng(0)
    waves = np.add.outer(random.standard_normal((1000, 1, 28)).cumsum(2), np.zeros(28)).squeeze(1)[:, None]
    tile = waves + random.standard_normal((1000, 1, 1, 28)).cumsum(3)
    tile = np.clip(tile * 12 + 128, 0, 255).astype(np.uint8).reshape(1000, *SHAPE)
    found = tile[np.arange(start, stop) % 1000]
    found += (np.arange(start, stop) // 1000 % 7).astype(np.uint8)[:, None, None, None]
    return found


def built(name: str) -> PCA | VAE:
    """A model that has seen a thousand images: what it has learned does not change what it costs."""
    pca = PCA(K).fit(synthetic(0, 1000))
    if name == "pca":
        return pca
    model = recipes.vae(SHAPE, K)
    assert isinstance(model, VAE)  # noqa: S101
    model.transform(synthetic(0, 500))
    return model.eval()


def row_encode(model: str, images: Path, out: Path) -> dict[str, Any]:
    """Encode all images of a file."""
    fitted = built(model)
    encode(fitted, stream_of(Images(synthetic(0, 1000)), "first"), out, stamp="first")  # what a first use takes
    with Watch() as watch:
        done = encode(fitted, stream(images, SHAPE), out, stamp=model)
    return {"images": done.rows, **watch.found}


def row_pack(model: str, images: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001
    """Write the large file by the way that folders take, without the decoding."""

    def blocks(start: int) -> Any:
        for first in range(start, LARGE, 1000):
            pixels = synthetic(first, first + 1000)
            yield Block(pixels, np.arange(first, first + 1000), first + 1000)

    order = np.concatenate(hold_out(LARGE))
    about = {"name": "large", "choices": (), "skipped": (), "source": "synthetic"}
    made = Stream(LARGE, SHAPE, "large", blocks)
    with Watch() as watch:
        pack(made, lambda kept, skipped: Arrangement(order, LARGE - LARGE // 6), about, images)  # noqa: ARG005
    return {"images": LARGE, **watch.found}


def row_moments(model: str, images: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001
    """The exact moments that PCA is made from, over all training images."""
    PixelMoments(SHAPE).add(synthetic(0, 1000))
    with Watch() as watch:
        pixels = load(str(images)).train.pixels
        PixelMoments(SHAPE).add(pixels)
    return {"images": len(pixels), **watch.found}


def row_hash(model: str, images: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001
    """The hash that a run keeps of its images."""
    with Watch() as watch:
        found = load(str(images))
        found.sha256()
    return {"images": len(found.train) + len(found.test), **watch.found}


def row_train(model: str, images: Path, out: Path) -> dict[str, Any]:  # noqa: ARG001
    """Some steps of the first epoch over all training images, batches drawn from all of them."""
    fitted = built(model)
    assert isinstance(fitted, VAE)  # noqa: S101
    train(fitted, synthetic(0, 1000), Settings(epochs=1, batch_size=BATCH), progress=quiet)
    loss, left = fitted.loss, [STEPS]

    def counted(images: torch.Tensor, fraction: float = 1.0) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise StepsDoneError
        return loss(images, fraction)

    fitted.loss = counted
    with Watch() as watch, contextlib.suppress(StepsDoneError):
        train(fitted, load(str(images)).train.pixels, Settings(epochs=1, batch_size=BATCH))
    parameters = sum(each.numel() for each in fitted.parameters())
    return {"images": STEPS * BATCH, "parameters": parameters, **watch.found}


class Watch:
    """The seconds of what is done within, and the peak of anonymous memory beyond what there was at its beginning."""

    def __enter__(self) -> Watch:
        """Begin to look."""
        self.found: dict[str, float] = {}
        self.over = threading.Event()
        self.begin = self.peak = anonymous()
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to look."""
        seconds = time.perf_counter() - self.start
        self.over.set()
        self.thread.join()
        self.found |= {"seconds": seconds, "anonymous": self.peak - self.begin, "at_start": self.begin}

    def _look(self) -> None:
        while not self.over.wait(0.02):
            self.peak = max(self.peak, anonymous())


def anonymous() -> int:
    """Bytes of memory of this process that are no pages of a file."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def processor() -> str:
    """The name of the processor, where the system tells."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def machine() -> dict[str, Any]:
    """What computed, and how busy it was."""
    return {"processor": processor(), "threads": torch.get_num_threads(), "load_average": os.getloadavg()[0]}


TASKS = {"encode": row_encode, "pack": row_pack, "moments": row_moments, "hash": row_hash, "train": row_train}

if __name__ == "__main__":
    main()
