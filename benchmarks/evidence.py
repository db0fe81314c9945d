"""What log p(x) costs beside the decoding it cannot do without.

    python -m benchmarks.evidence            100 images x 1,000 draws through the tutorial's decoder (minutes)
    python -m benchmarks.evidence --quick    10 images x 500 draws

Both run in turn, several times, in one process, on one thread, in processor time: on a busy machine only their ratio means
something. The weights are random, which changes no cost; images are MNIST's size. What was measured is kept in
benchmarks/evidence.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import Row, _processor
from lowerbound import recipes
from lowerbound.evidence import evidence
from lowerbound.recipes import NETWORKS
from lowerbound.vae import VAE
from lowerbound.weights import block_for, blocks

RESULTS = Path(__file__).with_name("evidence.json")
SHAPE = (1, 28, 28)
K = 20
GOAL = 1.3


@torch.no_grad()
def decode(model: VAE, images: int, samples: int, block: int) -> None:
    """The bare cost: as many codes through the backbone, in the same blocks; no density."""
    backbone = model.decoder[0]
    codes = torch.randn(samples, images, K)
    for some, of in blocks(samples, images, block):
        backbone(codes[some, of])


def seconds(work: Callable[[], object]) -> float:
    """Processor time of one call: other programs on the machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measured(name: str, number: int, samples: int, rounds: int) -> Row:
    """Both in turn, through one network."""
    images = np.random.default_rng(0).integers(0, 256, (number, *SHAPE)).astype(np.uint8)
    block = block_for(images)
    torch.manual_seed(0)
    model = recipes.vae(SHAPE, K, NETWORKS[name]).eval()
    decode(model, 1, block, block)  # what comes first pays for what is set up once
    times = np.array(
        [
            (
                seconds(lambda: decode(model, number, samples, block)),
                seconds(lambda: evidence(model, images, samples=samples)),
            )
            for _ in range(rounds)
        ]
    )
    ratios = times[:, 1] / times[:, 0]
    each = float(np.median(times[:, 1])) / number
    return Row(
        f"log p(x) of {number} images by {samples:,} draws each, {name} network, over bare decoding",
        f"<= {GOAL}",
        f"{np.median(ratios):.2f} (rounds {ratios.min():.2f} to {ratios.max():.2f}); {each:.2f} s per image",
        f"median of {rounds} rounds in turn, processor time of one thread, {block} codes decoded at a time, K = {K}",
    )


def main() -> None:
    """Time both networks, print, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer images and draws; nothing is kept")
    parser.add_argument("--rounds", type=int, default=3, help="times that both are run in turn")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.network:
        row = measured(name, *((10, 500) if asked.quick else (100, 1000)), asked.rounds)
        print(f"{row.what}\n    goal {row.goal}   measured {row.measured}\n    {row.protocol}", flush=True)
        if not asked.quick:
            kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
            kept |= {"machine": f"{_processor()}, 1 thread, torch {torch.__version__}", name: [asdict(row)]}
            RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
