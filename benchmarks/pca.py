"""PCA side by side: ours, scikit-learn's, outer products image by image; large images beside the exact answer; memory.

    python -m benchmarks.pca                          all of it (about 8 minutes on two cores)
    python -m benchmarks.pca --only mnist memory      some of it
    python -m benchmarks.pca --colour FOLDER          colour images of 32 x 32 of one's own, such as CIFAR-10's
    python -m benchmarks.pca --threads 1              on one thread, in processor time: for a busy machine
    python -m benchmarks.pca --rounds 9               more rounds

Ways are measured in turn, round by round, in one process: machines drift, ratios less so. Each figure is the least of all
rounds, with the median in brackets. On one thread processor time is taken, of which other programs take none; on more it is
the clock on the wall, for threads of BLAS wait at full speed. Ours reads uint8 from a memory-mapped .npy each time;
scikit-learn gets a float32 matrix that is in memory already. The machine's matrix rate is measured in the same rounds. What
was measured is kept in benchmarks/pca.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import threadpoolctl

from benchmarks.quality import Row, _processor
from lowerbound import moments as exact
from lowerbound import sources
from lowerbound.eigen import LEADING, bounds, exact_spectrum, principal, randomised
from lowerbound.moments import PixelMoments
from lowerbound.progress import terminal

RESULTS = Path(__file__).with_suffix(".json")
K = 20
OUTER = 300  # images whose outer products are added one by one; the time is scaled to all of them
SIDE, PATCHES = 64, 20_000


def _clock(threads: int) -> Callable[[], float]:
    return time.process_time if threads == 1 else time.perf_counter


def _in_turn(ways: dict[str, Callable[[], object]], rounds: int, threads: int) -> dict[str, np.ndarray]:
    """Seconds of each way ``[rounds]``, one after the other in every round, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    clock = _clock(threads)
    with terminal("rounds", (rounds + 1) * len(ways)) as advance:
        for turn in range(rounds + 1):
            for name, way in ways.items():
                start = clock()
                way()
                if turn:
                    seconds[name].append(clock() - start)
                advance(1, name)
    return {name: np.array(each) for name, each in seconds.items()}


def _words(seconds: np.ndarray, scale: float = 1.0) -> str:
    """The least and the median."""
    return f"{scale * seconds.min():.3g} s ({scale * np.median(seconds):.3g})"


def _square_product() -> Callable[[], object]:
    """A float32 matrix product of 2,048 x 2,048: 17.2 GFLOP, the machine's matrix rate."""
    matrix = np.random.default_rng(0).random((2048, 2048), np.float32)
    other = matrix.copy()  # of itself, it would be half the work
    return lambda: matrix @ other


def _rate(seconds: np.ndarray) -> float:
    return 2 * 2048**3 / seconds.min() / 1e9


def _one_by_one(flat: np.ndarray) -> np.ndarray:
    """The covariance as its definition says it."""
    total, products = np.zeros(flat.shape[1]), np.zeros((flat.shape[1], flat.shape[1]))
    for image in flat:
        pixels = image / 255
        total += pixels
        products += np.outer(pixels, pixels)
    mean = total / len(flat)
    return products / len(flat) - np.outer(mean, mean)


def mnist(folder: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """MNIST: moments and all 784 eigenpairs."""
    from sklearn import decomposition

    pixels = sources.load("mnist", progress=terminal).train.pixels
    np.save(folder / "mnist.npy", pixels)
    floats = pixels.reshape(len(pixels), -1).astype(np.float32) / np.float32(255)
    n, p = floats.shape
    seconds = _in_turn(
        {
            "rate": _square_product(),
            "ours": lambda: principal(np.load(folder / "mnist.npy", mmap_mode="r"), K),
            "moments": lambda: PixelMoments((1, 28, 28)).add(np.load(folder / "mnist.npy", mmap_mode="r")),
            "scikit-learn": lambda: decomposition.PCA(K, svd_solver="covariance_eigh").fit(floats),
            "outer products": lambda: _one_by_one(floats[:OUTER].astype(np.float64)),
            "eigh": lambda: np.linalg.eigh(np.eye(p) + 1e-3),
        },
        asked.rounds,
        asked.threads,
    )
    alone, theirs, outer = seconds["ours"], seconds["scikit-learn"], seconds["outer products"] * n / OUTER
    protocol = f"{n:,} images of {p} pixels, {asked.rounds} rounds in turn; least, and median in brackets"
    yield Row("MNIST, moments and all eigenpairs, from uint8 on disk", "-", _words(alone), protocol)
    yield Row(
        "times as fast as outer products image by image",
        ">= 50",
        f"{(outer.min() + seconds['eigh'].min()) / alone.min():.0f} ({np.median(outer) / np.median(alone):.0f})",
        f"{_words(outer)} for {OUTER} images, scaled to {n:,}; float64, eigh added",
    )
    yield Row(
        "time beside scikit-learn's covariance_eigh",
        "<= 2",
        f"{alone.min() / theirs.min():.2f} ({np.median(alone / theirs):.2f})",
        f"{_words(theirs)}, float32 in memory, eigenpairs in float32; median of the rounds' ratios in brackets",
    )
    yield _reached("MNIST", n * p * (p + 1), seconds["moments"], _rate(seconds["rate"]))


def _reached(name: str, work: float, seconds: np.ndarray, rate: float) -> Row:
    reached = work / seconds.min() / 1e9
    return Row(
        f"{name}: moments, GFLOP/s and share of the machine's float32 matrix rate",
        "-",
        f"{reached:.0f}, {reached / rate:.0%}",
        f"N P (P + 1) operations in {_words(seconds)}, reading and conversion included; 2,048 x 2,048 product: {rate:.0f}",
    )


def colour(folder: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """50,000 colour images of 32 x 32: moments and the leading eigenpairs."""
    file = folder / "colour.npy"
    if asked.colour is None:
        name = "synthetic: noise of six scales"
        np.save(file, _cloudy(50_000, 32))
    else:
        name = asked.colour.name
        np.save(file, sources.load(str(asked.colour), progress=terminal).train.pixels)
    images = np.load(file, mmap_mode="r")
    n, shape, p = len(images), images.shape[1:], images[0].size
    summed = PixelMoments(shape).add(images)
    seconds = _in_turn(
        {
            "rate": _square_product(),
            "all": lambda: principal(np.load(file, mmap_mode="r"), 64),
            "moments": lambda: PixelMoments(shape).add(np.load(file, mmap_mode="r")),
            "pairs": lambda: exact_spectrum(summed, 64),
        },
        max(2, asked.rounds // 2),
        asked.threads,
    )
    yield Row(
        f"{n:,} images of {p:,} pixels: moments and the leading {LEADING} eigenpairs",
        "<= 15 s",
        _words(seconds["all"]),
        f"{name}, uint8 on disk; moments {_words(seconds['moments'])}, eigenpairs {_words(seconds['pairs'])}",
    )
    yield _reached(f"{p:,} pixels", n * p * (p + 1), seconds["moments"], _rate(seconds["rate"]))


def _cloudy(number: int, side: int) -> np.ndarray:
    """Noise of all scales, each twice as strong as the next finer one: a spectrum that falls like that of photographs."""
    random, total = np.random.default_rng(0), np.zeros((number, 3, side, side), np.float32)
    scale = side
    while scale:
        coarse = random.standard_normal((number, 3, side // scale, side // scale), np.float32)
        total += scale**0.5 * 12 * coarse.repeat(scale, 2).repeat(scale, 3)
        scale //= 2
    return (total + 128).clip(0, 255).astype(np.uint8)


def large(folder: Path, asked: argparse.Namespace) -> Iterator[Row]:
    """Images of 12,288 pixels: the randomised solver beside the exact covariance."""
    from scipy.sparse.linalg import eigsh

    images = np.load(_patches(folder), mmap_mode="r")
    n, p = len(images), images[0].size
    clock = _clock(asked.threads)
    start = clock()
    found = randomised(images, 64, terminal)
    ours = clock() - start
    exact.MOST_EXACT = p  # a covariance as large as this is formed here alone
    start = clock()
    covariance = PixelMoments(images.shape[1:]).add(images, terminal).covariance
    formed = clock() - start
    with terminal("eigenpairs of the exact covariance", 1) as advance:
        truth = eigsh(covariance, k=LEADING, v0=np.ones(p), return_eigenvectors=False)[::-1]
        advance(1, "")
    theirs = clock() - start
    residuals = np.zeros(0) if found.residuals is None else found.residuals
    errors = np.abs(found.values - truth)
    assert (errors <= residuals).all()  # noqa: S101
    off = abs(found.total_variance / np.trace(covariance) - 1)
    yield Row(
        f"{n:,} images of {p:,} pixels: the leading {LEADING} eigenpairs by the randomised solver",
        "-",
        f"{ours:.1f} s, {found.passes} passes",
        f"random {SIDE} x {SIDE} patches of two photographs; one run; from the exact covariance {theirs:.0f} s, of which "
        f"{formed:.0f} s to form it and the rest ARPACK",
    )
    yield Row(
        "their residual bounds, and their errors beside the exact eigenvalues",
        "errors within bounds",
        f"{bounds(found.values, residuals)}; errors {100 * (errors / truth).max():.2g} % at most",
        f"all {LEADING} within their own bound; total variance exact to rounding ({off:.0e})",
    )


def _patches(folder: Path) -> Path:
    """Random patches of the photographs that scikit-learn ships, in a file."""
    from sklearn.datasets import load_sample_images

    random, photos = np.random.default_rng(0), [photo.transpose(2, 0, 1) for photo in load_sample_images().images]
    images = np.empty((PATCHES, 3, SIDE, SIDE), np.uint8)
    for place in range(PATCHES):
        photo = photos[place % len(photos)]
        row, column = (int(random.integers(length - SIDE + 1)) for length in photo.shape[1:])
        images[place] = photo[:, row : row + SIDE, column : column + SIDE]
    np.save(folder / "large.npy", images)
    return folder / "large.npy"


def memory(folder: Path, asked: argparse.Namespace) -> Iterator[Row]:  # noqa: ARG001
    """Peak memory beside N, which it should not grow with."""
    for side, counts in ((28, (15_000, 60_000, 240_000)), (SIDE, (2_500, 5_000, 10_000))):
        grown = []
        channels = 1 if side == 28 else 3
        for number in counts:
            images = np.lib.format.open_memmap(
                folder / "many.npy", mode="w+", dtype=np.uint8, shape=(number, channels, side, side)
            )
            random = np.random.default_rng(0)
            some = random.integers(0, 256, (2_500, channels, 1, 1)) + np.arange(side) * random.integers(
                -3, 4, (2_500, 1, side, 1)
            )
            for start in range(0, number, len(some)):
                images[start : start + len(some)] = np.clip(some, 0, 255)
            images.flush()
            done = subprocess.run(
                [sys.executable, "-c", _WATCHED, str(folder / "many.npy")], check=True, capture_output=True, text=True
            )
            grown.append(float(done.stdout))
        yield Row(
            f"peak anonymous memory of PCA, MB, for {', '.join(f'{each:,}' for each in counts)} images",
            "the same",
            ", ".join(f"{each:.0f}" for each in grown),
            f"{channels * side * side:,} pixels, uint8 in a memory-mapped .npy; growth of RssAnon (Linux) in a fresh process",
        )


_WATCHED = """
import re, sys, threading, numpy as np
from pathlib import Path
from scipy import linalg
from lowerbound.eigen import principal
def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
images, peak, done = np.load(sys.argv[1], mmap_mode="r"), [0.0], threading.Event()
def watch():
    while not done.wait(0.005):
        peak[0] = max(peak[0], anonymous())
before = anonymous()
thread = threading.Thread(target=watch)
thread.start()
principal(images, 20)
done.set()
thread.join()
print(peak[0] - before)
"""


PARTS: dict[str, Callable[[Path, argparse.Namespace], Iterator[Row]]] = {
    part.__name__: part for part in (mnist, colour, large, memory)
}


def main() -> None:
    """Measure what was asked for, print it as it comes, and keep it beside what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure only these")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is measured")
    parser.add_argument("--colour", type=Path, help="a folder of colour images of 32 x 32; synthetic ones without it")
    parser.add_argument("--threads", type=int, default=2, help="of all linear algebra")
    asked = parser.parse_args()
    threadpoolctl.threadpool_limits(asked.threads)
    clock = "1 thread, processor time" if asked.threads == 1 else f"{asked.threads} threads, wall clock"
    machine = f"{_processor()}, {clock}, numpy {np.__version__}"
    for name in asked.only:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for row in PARTS[name](Path(folder), asked):
                print(f"{row.what}\n    goal {row.goal}   measured {row.measured}\n    {row.protocol}", flush=True)
                rows.append(asdict(row))
        kept = (json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}) | {"machine": machine, name: rows}
        RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"machine: {machine}")


if __name__ == "__main__":
    main()
