"""The tutorial's own network: seconds per epoch of a textbook's loop and of ours, beside what arithmetic allows.

    python -m benchmarks.tutorial                 12 rounds of 20 steps each (about 2 minutes on two quiet cores)
    python -m benchmarks.tutorial --quick         3 rounds of 5; nothing is kept
    python -m benchmarks.tutorial --threads 1     on one thread, in processor time: for a busy machine; nothing is kept

Both ways are processes of their own, so that neither has the other's memory, and take turns, a block of steps each; the matrix
rate of the machine is measured in the same rounds, in a third. Of all rounds the least counts, the median is beside it. Ours is
``training.run`` as any user calls it, begun anew for every block, which is counted; images are read as both ways read them.

The limit is what one step's multiplications and additions take at the rate of the machine: that of a large float32 matrix
product, and that of the network's own convolution of 32 planes, forwards, on its own. What was measured is kept in
benchmarks/tutorial.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.quality import Row, _processor
from benchmarks.textbook import Textbook
from lowerbound import recipes, sources
from lowerbound.progress import terminal
from lowerbound.settings import Settings
from lowerbound.training import run

RESULTS = Path(__file__).with_suffix(".json")
K, BATCH = 20, 100
GOAL, WISH = 1.2, 1.5
PLANES, FILTER, SIDES = 32, 5, (28, 24, 20)  # the sides of an image and of the planes of both convolutions


Work = Callable[[int], Any]
"""Takes so many steps, or measures for as long."""


def operations() -> int:
    """Multiplications and additions of one image in one step: forwards, back to the weights, and back to the layer before.

    Example:
        >>> operations()
        130636800
    """
    _, outer, inner = SIDES
    ends = outer**2 * PLANES * FILTER**2  # between the image and 32 planes
    middle = inner**2 * PLANES**2 * FILTER**2
    dense = inner**2 * PLANES
    products = 2 * (ends + middle) + dense * (K + 1) + dense * K
    return 2 * (3 * products - ends)  # nothing goes back to the image


def textbook(pixels: np.ndarray) -> Work:
    """So many steps of row 0."""
    return Textbook(pixels, K).steps


def ours(pixels: np.ndarray) -> Work:
    """So many steps of ours, over the images that come next."""
    torch.manual_seed(0)
    model = recipes.vae((1, 28, 28), K, recipes.NETWORKS["tutorial"])
    taken = 0

    def steps(number: int) -> None:
        nonlocal taken
        first = taken * BATCH % (len(pixels) - number * BATCH + 1)
        run(model, pixels[first : first + number * BATCH], Settings(epochs=1, batch_size=BATCH))
        taken += number

    return steps


def rates(_: np.ndarray) -> Work:
    """Rates, in GFLOP/s: of a product of 2,048 x 2,048 matrices, and of the convolution of 32 planes."""
    matrix, other = torch.randn(2, 2048, 2048)
    outer, inner = SIDES[1:]
    layout = torch.channels_last
    planes = torch.randn(BATCH, PLANES, outer, outer).contiguous(memory_format=layout)
    filters = torch.randn(PLANES, PLANES, FILTER, FILTER)
    ways = (
        (lambda: matrix @ other, 2 * 2048**3),
        (lambda: torch.conv2d(planes, filters), 2 * BATCH * inner**2 * PLANES**2 * FILTER**2),
    )

    def measured(number: int) -> list[float]:
        return [1e-9 * work / min(_seconds(way) for _ in range(max(3, number // 4))) for way, work in ways]

    return measured


def _seconds(way: Callable[[], object]) -> float:
    """By the clock; in processor time on one thread, of which other programs take none."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    way()
    return clock() - begin


def _worker(make: Callable[[np.ndarray], Work], pixels: np.ndarray, threads: int, pipe: Connection) -> None:
    """Answers a number of steps by their seconds, and by what they gave if that is more than nothing."""
    torch.set_num_threads(threads)
    work = make(pixels)
    while number := pipe.recv():
        given: list[Any] = []
        seconds = _seconds(lambda: given.append(work(number)))  # noqa: B023
        pipe.send((seconds, given[0]))


def in_turn(pixels: np.ndarray, steps: int, rounds: int, threads: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Seconds of one step by both ways, ``[rounds]`` each, and both rates, ``[2]``: the best of all rounds."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for make in (textbook, ours, rates):
        pipes[make.__name__], theirs = context.Pipe()
        context.Process(target=_worker, args=(make, pixels, threads, theirs), daemon=True).start()
    found: dict[str, list[tuple[float, Any]]] = {name: [] for name in pipes}
    with terminal("rounds", (rounds + 1) * len(pipes)) as advance:
        for turn in range(rounds + 1):  # the first sets up what lasts, and is not counted
            for name, pipe in pipes.items():
                pipe.send(steps if turn else 2)
                answer = pipe.recv()
                if turn:
                    found[name].append(answer)
                advance(1, name)
    for pipe in pipes.values():
        pipe.send(0)
    best = np.max([rate for _, rate in found.pop("rates")], axis=0)
    return {name: np.array([seconds for seconds, _ in each]) / steps for name, each in found.items()}, best


def rows(seconds: dict[str, np.ndarray], best: np.ndarray, per_epoch: int, protocol: str) -> list[Row]:
    """The table."""
    plain, fast = seconds["textbook"], seconds["ours"]
    gflop = 1e-9 * BATCH * operations()

    def words(each: np.ndarray) -> str:
        least, median = each.min(), np.median(each)
        return f"{per_epoch * least:.1f} s ({per_epoch * median:.1f}); a step {1e3 * least:.0f} ms ({1e3 * median:.0f})"

    in_rounds = plain / fast
    table = [
        Row("textbook's loop, seconds per epoch", "-", words(plain), protocol),
        Row("training.run, seconds per epoch", "-", words(fast), protocol),
        Row(
            "the first over the second",
            f">= {GOAL}, wished {WISH}",
            f"{plain.min() / fast.min():.2f} of the least, {np.median(plain) / np.median(fast):.2f} of the medians "
            f"(rounds {in_rounds.min():.2f} to {in_rounds.max():.2f})",
            protocol,
        ),
    ]
    for name, rate in zip(("product of 2,048 x 2,048 matrices", "5x5 convolution of 32 planes"), best, strict=True):
        limit = gflop / rate
        table.append(
            Row(
                f"limit by the rate of a {name}, {rate:.0f} GFLOP/s in float32",
                "-",
                f"{1e3 * limit:.0f} ms a step, {plain.min() / limit:.2f} times the textbook's; reached "
                f"{limit / fast.min():.0%} of it, the textbook {limit / plain.min():.0%}",
                f"{1e-6 * operations():.1f} MFLOP per image and step, best of all rounds",
            )
        )
    return table


def main() -> None:
    """Measure, print, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12, help="times that both are run in turn")
    parser.add_argument("--steps", type=int, default=20, help="steps in a block")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 5 steps")
    asked = parser.parse_args()
    rounds, steps = (3, 5) if asked.quick else (asked.rounds, asked.steps)
    pixels = sources.load("mnist", progress=terminal).train.pixels
    seconds, best = in_turn(pixels, steps, rounds, asked.threads)
    clock = "processor time" if asked.threads == 1 else "by the clock"
    protocol = (
        f"MNIST, K = {K}, batch {BATCH}, {rounds} blocks of {steps} steps in turn, {clock}, {asked.threads} thread(s)"
    )
    table = rows(seconds, best, len(pixels) // BATCH, f"{protocol}; least of all rounds (median)")
    for row in table:
        print(f"{row.what}\n    goal {row.goal}   measured {row.measured}\n    {row.protocol}", flush=True)
    if not asked.quick and asked.threads > 1:
        machine = f"{_processor()}, {asked.threads} threads, torch {torch.__version__}"
        kept = {"machine": machine, "rows": [asdict(row) for row in table]}
        RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
