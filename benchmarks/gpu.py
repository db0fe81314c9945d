"""Images a second on a card, ours beside a textbook loop's on the same card.

    python -m benchmarks.gpu                the tutorial's network and the default one, batches of 100 and 1,000
    python -m benchmarks.gpu --seconds 20   longer blocks

Blocks of steps alternate: textbook, ours in float32, ours in bfloat16, ours compiled, and again; the best block of each counts.
The first block of each is not timed (kernels are chosen, compiled and warmed up in it). All pixels lie on the card, 8 bits each;
heads, likelihood and KL are float32 always. Before anything is timed, losses on the card are held to those on the processor.
Where there is no card it says so and ends well: nothing is measured, and nothing is claimed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.textbook import Textbook
from lowerbound import recipes, sources
from lowerbound.settings import Settings
from lowerbound.training import run
from lowerbound.vae import VAE

RESULTS = Path(__file__).with_name("gpu.json")
K = 20
ROUNDS = 4


def main() -> int:
    """Measure and print, or say why not."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seconds", type=float, default=5.0, help="of every block")
    seconds = asked.parse_args().seconds
    if not torch.cuda.is_available():
        print("skipped: no CUDA device here, so there is nothing to measure")
        return 0
    pixels, card = sources.load("mnist").train.pixels, torch.device("cuda")
    rates = {name: matrix_rate(dtype) for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))}
    print(
        f"{torch.cuda.get_device_name()}: " + ", ".join(f"{name} {rate:,.1f} TFLOP/s" for name, rate in rates.items())
    )
    rows = []
    for network in ("tutorial", "patched"):
        print(
            f"{network}: largest difference of a loss from the processor's {difference(network, pixels):.1e} (relative)"
        )
        for batch in (100, 1000):
            rows += measured(network, batch, pixels, card, seconds, rates)
    RESULTS.write_text(
        json.dumps({"device": torch.cuda.get_device_name(), "rates": rates, "rows": rows}, indent=2) + "\n"
    )
    return 0


def model_of(network: str) -> VAE:
    """The VAE of a network, from a fixed seed."""
    torch.manual_seed(0)
    return recipes.vae((1, 28, 28), K, recipes.NETWORKS[network])


def difference(network: str, pixels: np.ndarray) -> float:
    """Largest relative difference between the terms of 200 images on the card and on the processor, with the same draws."""
    model, images = model_of(network), torch.from_numpy(pixels[:200]).float().div_(255)
    found = []
    for device in ("cpu", "cuda"):
        there = model.to(device)
        q = there.encoder(images.to(device))
        likelihood = there.decoder(q.mean)
        found.append(likelihood.log_prob(images.to(device)).cpu())
    return float(((found[0] - found[1]) / found[0]).abs().max())


def matrix_rate(dtype: torch.dtype, size: int = 8192) -> float:
    """TFLOP/s of a product of two square matrices, the best of 20."""
    one, other = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
    best = np.inf
    for _ in range(20):
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(one, other)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2e-12 * size**3 / best


def operations(network: str) -> float:
    """Floating-point operations of one image in one step, forward and back."""
    model, images = model_of(network), torch.rand(10, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        model.loss(images).loss.mean().backward()
    return counter.get_total_flops() / len(images)


def measured(
    network: str, batch: int, pixels: np.ndarray, card: torch.device, seconds: float, rates: dict[str, float]
) -> list[dict[str, object]]:
    """Images a second of every kind of loop, blocks alternating."""
    textbook = Textbook(pixels, K, batch=batch, device="cuda")

    def ours(**more: object) -> Callable[[int], float]:
        model = model_of(network)

        def steps(number: int) -> float:
            some = np.resize(np.arange(len(pixels)), number * batch)
            start = time.perf_counter()
            run(model, pixels[some], Settings(1, batch, **more), device=card)  # type: ignore[arg-type]
            torch.cuda.synchronize()
            return time.perf_counter() - start

        return steps

    kinds = {
        "textbook": textbook.steps,
        "ours": ours(),
        "ours, bfloat16": ours(precision="bfloat16"),
        "ours, compiled": ours(compiled=True),
        "ours, bfloat16 and compiled": ours(precision="bfloat16", compiled=True),
    }
    numbers = {name: max(10, int(20 * seconds / steps(20))) for name, steps in kinds.items()}  # warms up, too
    best = dict.fromkeys(kinds, 0.0)
    for _ in range(ROUNDS):
        for name, steps in kinds.items():
            best[name] = max(best[name], numbers[name] * batch / steps(numbers[name]))
    flops, rows = operations(network), []
    for name, speed in best.items():
        peak = rates["bfloat16" if "bfloat16" in name else "float32"]
        part = speed * flops * 1e-12 / peak
        print(
            f"{network:9} batch {batch:5} {name:28} {speed:12,.0f} images/s  {speed / best['textbook']:6.2f} x  "
            f"{part:6.1%} of the matrix rate",
            flush=True,
        )
        rows.append(
            {"network": network, "batch": batch, "loop": name, "images_per_second": speed, "of_matrix_rate": part}
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
