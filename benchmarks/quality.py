"""The numbers that stand in the README: each beside its goal, with its protocol.

    python -m benchmarks.quality                 all but the tutorial's network (about 12 minutes on two cores)
    python -m benchmarks.quality --tutorial      that network, by its own recipe, once (about 20 minutes)
    python -m benchmarks.quality --only pca vae  some of it

What was measured is kept in benchmarks/quality.json, and the table in the README is written from it.

MNIST is read from LOWERBOUND_DATA, else from the cache, else downloaded. Nothing is tuned on test images: networks, rates and
epochs were chosen on images held out of the training set.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from lowerbound import sources
from lowerbound.devices import feeder
from lowerbound.evaluation import evaluate
from lowerbound.images import ImageSet
from lowerbound.moments import PixelMoments
from lowerbound.order import Order
from lowerbound.pca import PCA
from lowerbound.progress import terminal
from lowerbound.recipes import DEFAULT, NETWORKS, RECIPES
from lowerbound.settings import Settings
from lowerbound.stored import StoredModel
from lowerbound.training import run

RESULTS = Path(__file__).with_name("quality.json")
README = Path(__file__).parents[1] / "README.md"
MARKS = ("<!-- numbers -->\n", "<!-- /numbers -->\n")
K = 20
SEEDS = (0, 1, 2)


@dataclass
class Row:
    """One number: what it is, what was wanted, what was measured, and how."""

    what: str
    goal: str
    measured: str
    protocol: str


def pca(mnist: ImageSet) -> Iterator[Row]:
    """Exact facts about MNIST."""
    model = PCA(K).fit(mnist.train.pixels)
    found = evaluate(model, mnist.test.pixels)
    protocol = "60,000 training images, 10,000 test images"
    yield Row("PCA, K = 20: test MSE per pixel", "0.023538", f"{found.mse.mean:.6f}", protocol)
    yield Row(
        "probabilistic PCA, K = 20: test log p(x), nats", "306.55", f"{model.score(mnist.test.pixels):.2f}", protocol
    )


def moments(mnist: ImageSet) -> Iterator[Row]:
    """Speed and memory of the exact pixel sums."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        PixelMoments(mnist.image_shape).add(mnist.train.pixels)
        seconds.append(time.perf_counter() - start)
    yield Row("pixel moments of MNIST, seconds", "<= 3", f"{np.median(seconds):.2f}", "median of 5, pixels in memory")
    grown = [_peak_above_images(n) for n in (60_000, 240_000)]
    yield Row(
        "their memory above the images, MB",
        "< 300",
        " and ".join(f"{megabytes:.0f}" for megabytes in grown),
        "growth of the peak resident memory (Linux), fresh process, 60,000 and 240,000 images of 784 pixels",
    )


def _peak_above_images(number: int) -> float:
    """Megabytes that a fresh process takes for moments, above the same process with the images alone."""
    code = (
        "import re, sys, numpy as np; from pathlib import Path; from lowerbound.moments import PixelMoments;"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024;"
        "images = np.ones((int(sys.argv[1]), 1, 28, 28), np.uint8);"
        "Path('/proc/self/clear_refs').write_text('5');"  # else the peak of the imports, or of the parent, would stand
        "before = peak(); PixelMoments((1, 28, 28)).add(images); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(number)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def reading(mnist: ImageSet) -> Iterator[Row]:
    """Cost of cutting batches."""
    seconds = []
    order = Order(len(mnist.train), batch_size=100, seed=0, image_bytes=mnist.train.pixels[:1].nbytes)
    feed = feeder(mnist.train.pixels, torch.device("cpu"))
    for epoch in range(5):
        start = time.perf_counter()
        for step in range(order.steps):
            feed(order.batch(epoch * order.steps + step))
        seconds.append(time.perf_counter() - start)
    yield Row(
        "reading and slicing 60,000 images in batches of 100, seconds",
        "<= 0.5",
        f"{np.median(seconds):.2f}",
        "median of 5 epochs, to float32 tensors in [0, 1]",
    )


def autoencoders(mnist: ImageSet) -> Iterator[Row]:
    """The linear and the convolutional autoencoder against PCA."""
    base = PCA(K).fit(mnist.train.pixels)
    best = evaluate(base, mnist.test.pixels).mse.mean
    for name, goal in (("linear", "within 3 %"), ("conv", "at least 2.5 times below")):
        stored = _stored(name, mnist, seed=0)
        error, _ = _train(stored, mnist, base)
        words = (
            f"{100 * (error.mse.mean / best - 1):+.2f} %"
            if name == "linear"
            else f"{best / error.mse.mean:.2f} times below"
        )
        yield Row(
            f"{RECIPES[name].words}, K = 20: test MSE against PCA's",
            goal,
            f"{words} ({error.mse.mean:.6f} ± {error.mse.standard_error:.6f})",
            f"{_protocol(stored)}, one seed",
        )


def vae(mnist: ImageSet) -> Iterator[Row]:
    """The VAE with the default network, three seeds."""
    base = PCA(K).fit(mnist.train.pixels)
    found = [_train(_stored("vae", mnist, seed), mnist, base)[0] for seed in SEEDS]
    scores = np.array([evaluation.score.mean for evaluation in found if evaluation.score])
    each = ", ".join(f"{score:.1f}" for score in scores)
    yield Row(
        "VAE, K = 20, default network: test ELBO, nats",
        ">= 765",
        f"{scores.mean():.1f} ± {scores.std(ddof=1) / np.sqrt(len(scores)):.1f} ({each})",
        f"all constants, one draw; {_protocol(_stored('vae', mnist, 0))}, mean and standard error of seeds 0, 1, 2",
    )


def command(mnist: ImageSet) -> Iterator[Row]:
    """What a user waits for."""
    lowerbound = [sys.executable, "-m", "lowerbound"]
    for what, goal, args in (
        ("lowerbound --help, seconds", "<= 0.5", [*lowerbound, "--help"]),
        ("import lowerbound, seconds (torch is not imported)", "-", [sys.executable, "-c", _IMPORT]),
    ):
        seconds = []
        for _ in range(7):
            start = time.perf_counter()
            subprocess.run(args, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        yield Row(what, goal, f"{np.median(seconds):.2f}", "median of 7 fresh processes")
    start = time.perf_counter()
    args = [*lowerbound, "compare", mnist.source, "-k", str(K)]
    subprocess.run(args, check=True, cwd=README.parent)  # the run stays in runs/
    minutes = (time.perf_counter() - start) / 60
    yield Row(
        "compare mnist -k 20, minutes",
        "<= 8",
        f"{minutes:.1f}",
        "four models, figures and report, one run, all in the clock",
    )


_IMPORT = "import sys, lowerbound; sys.exit('torch' in sys.modules)"


def tutorial(mnist: ImageSet) -> Iterator[Row]:
    """The tutorial's VAE by its own recipe."""
    stored = _stored("vae", mnist, 0, "tutorial")
    found, seconds = _train(stored, mnist, None)
    score = found.score
    yield Row(
        "VAE, K = 20, the tutorial's network and recipe: test ELBO, nats",
        ">= 755",
        "-" if score is None else f"{score.mean:.1f} ± {score.standard_error:.1f}",
        f"all constants, one draw; {_protocol(stored)}, one seed, standard error over test images, {seconds / 60:.0f} min",
    )


def _stored(name: str, mnist: ImageSet, seed: int, network: str = DEFAULT) -> StoredModel:
    """A model as the command line trains it."""
    recipe = RECIPES[name]
    settings = recipe.tutorial if network == "tutorial" else recipe.settings(len(mnist.train), mnist.image_shape)
    return StoredModel(name, K, mnist.image_shape, network, Settings(**{**vars(settings), "seed": seed}))


def _train(stored: StoredModel, mnist: ImageSet, start: PCA | None):  # noqa: ANN202
    """Train and evaluate; the evaluation, and the seconds that training took."""
    assert NETWORKS[stored.network].starts_at_pca == (start is not None)  # noqa: S101
    model = stored.build(start)
    state = run(model, mnist.train.pixels, stored.settings, progress=terminal, task=f"{stored.name}, {stored.network}")
    return evaluate(model, mnist.test.pixels), state.seconds


def _protocol(stored: StoredModel) -> str:
    settings = stored.settings
    return f"{settings.epochs} epochs, batch {settings.batch_size}, Adam {settings.learning_rate:g} {settings.schedule.__name__}"


PARTS: dict[str, Callable[[ImageSet], Iterator[Row]]] = {
    part.__name__: part for part in (pca, moments, reading, autoencoders, vae, command, tutorial)
}


def table(kept: dict) -> str:
    """What was measured, as the README shows it."""
    rows = [row for name in PARTS for row in kept.get(name, ())]
    lines = [f"| {row['what']} | {row['goal']} | {row['measured']} | {row['protocol']} |" for row in rows]
    head = "| what | goal | measured | how |\n|---|---|---|---|\n"
    return head + "\n".join(lines) + f"\n\nMachine: {kept['machine']}.\n"


def write_readme(kept: dict) -> None:
    """Put the table between its marks in the README."""
    before, rest = README.read_text(encoding="utf-8").split(MARKS[0])
    _, after = rest.split(MARKS[1])
    README.write_text(before + MARKS[0] + table(kept) + MARKS[1] + after, encoding="utf-8")


def main() -> None:
    """Measure what was asked for, print it as it comes, and keep it beside what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="measure only these")
    parser.add_argument("--tutorial", action="store_true", help="measure the tutorial's network")
    asked = parser.parse_args()
    chosen = asked.only or (["tutorial"] if asked.tutorial else [name for name in PARTS if name != "tutorial"])
    mnist = sources.load("mnist", progress=terminal)
    machine = f"{_processor()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, torch {torch.__version__}"
    for name in chosen:
        rows = []
        for row in PARTS[name](mnist):
            print(f"{row.what}\n    goal {row.goal}   measured {row.measured}\n    {row.protocol}", flush=True)
            rows.append(asdict(row))
        kept = (json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}) | {"machine": machine, name: rows}
        RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_readme(kept)
    print(f"machine: {machine}; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
