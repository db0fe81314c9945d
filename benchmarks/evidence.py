"""What log p(x) costs beside the decoding it cannot do without.

    python -m benchmarks.evidence            100 images x 1,000 draws through the tutorial's decoder (minutes)
    python -m benchmarks.evidence --quick    10 images x 500 draws

Both run in turn, several times, in one process: on a busy machine only their ratio means something. The weights are random,
which changes no cost; images are MNIST's size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from lowerbound import recipes
from lowerbound.evidence import block_for, evidence
from lowerbound.recipes import NETWORKS
from lowerbound.vae import VAE

SHAPE = (1, 28, 28)
K = 20
GOAL = 1.3
PEER = 7.0  # seconds per image that the best-known library takes, one image at a time


@torch.no_grad()
def decode(model: VAE, images: int, samples: int, block: int) -> None:
    """The bare cost: as many codes through the backbone, in blocks of the same size; no density."""
    backbone = model.decoder[0]
    codes = torch.randn(images * samples, K)
    for start in range(0, len(codes), block):
        backbone(codes[start : start + block])


def seconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Time both networks, and print ratio and time per image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer images and draws")
    parser.add_argument("--rounds", type=int, default=5, help="times that both are run in turn")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    asked = parser.parse_args()
    number, samples = (10, 500) if asked.quick else (100, 1000)
    images = np.random.default_rng(0).integers(0, 256, (number, *SHAPE)).astype(np.uint8)
    block = block_for(images)
    for name in asked.network:
        torch.manual_seed(0)
        model = recipes.vae(SHAPE, K, NETWORKS[name]).eval()
        ways = (lambda: decode(model, number, samples, block), lambda: evidence(model, images, samples=samples))  # noqa: B023
        decode(model, 1, block, block)
        times = np.array([[seconds(way) for way in ways] for _ in range(asked.rounds)])
        bare, ours = times.min(0)
        ratios = times[:, 1] / times[:, 0]
        print(
            f"{name}: evidence / bare decoding = {ours / bare:.2f} (goal {GOAL}; rounds {ratios.min():.2f} to "
            f"{ratios.max():.2f}, median {np.median(ratios):.2f}); {number} images x {samples} draws, blocks of {block}, "
            f"{torch.get_num_threads()} threads\n    {ours / number:.3f} s per image, {PEER / (ours / number):.0f} times "
            f"below the {PEER:.0f} s of the best-known peer",
            flush=True,
        )


if __name__ == "__main__":
    main()
