"""Test NLL of a VAE with two hidden layers of 200 units on dynamically binarised MNIST, beside the published 86.76 nats.

    python -m benchmarks.nll              train (about 40 minutes on one quiet core), then 5,000 draws for each test image
    python -m benchmarks.nll --run RUN    measure a run that is there

The published number is the VAE with one stochastic layer of 50 numbers of Burda et al. (2016, https://arxiv.org/abs/1509.00519,
table 1): 3,280 epochs in batches of 20. Ours sees every image far less often; the table says how often. The training images are
binarised anew at every step, the test images once; nothing was chosen by test images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.quality import Row, _processor
from lowerbound.comparison import images_of
from lowerbound.evaluation import Estimate
from lowerbound.evidence import evidence
from lowerbound.progress import terminal
from lowerbound.storage import Run
from lowerbound.vae import VAE

RESULTS = Path(__file__).with_name("nll.json")
PUBLISHED = 86.76
WORDS = "mnist -k 50 --network dense --posterior diagonal --likelihood bernoulli --binarise dynamic --epochs 400"


def main() -> None:
    """Train or open, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run of this training")
    parser.add_argument("--images", type=int, default=10_000, help="test images, the first so many")
    parser.add_argument("--samples", type=int, default=5_000, help="draws from q for each")
    asked = parser.parse_args()
    path = asked.run or Path("runs/nll")
    if asked.run is None:
        command = [sys.executable, "-m", "lowerbound", "train", *WORDS.split(), "--out", str(path)]
        subprocess.run(command, check=True)
    run = Run.open(path)
    stored = run.choose()
    model, images = run.load(stored), images_of(run).test.pixels[: asked.images]
    assert isinstance(model, VAE)  # noqa: S101
    start = time.perf_counter()
    found = evidence(model, images, samples=asked.samples, seed=0, progress=terminal)
    seconds = time.perf_counter() - start
    nll, bound = Estimate.of(-found.log_p), Estimate.of(-found.elbo)
    (row,) = (each for each in run.metrics if each["name"] == stored.name)
    protocol = (
        f"{len(images):,} test images, {asked.samples:,} draws from q each, median effective draws "
        f"{np.median(found.effective_samples):.0f}, fewest {found.effective_samples.min():.1f}; {stored.settings.epochs} "
        f"epochs of 60,000 images, batch {stored.settings.batch_size}, Adam {stored.settings.learning_rate:g} "
        f"{stored.settings.schedule.__name__}, {row['seconds'] / 60:.0f} min of training on one thread, "
        f"{seconds / 60:.0f} min of measuring, one seed; dynamic binarisation, test images drawn once with seed 0"
    )
    rows = [
        Row(
            "VAE, K = 50, 2 x 200 tanh units, Bernoulli: test NLL, nats",
            f"{PUBLISHED} published (3,280 epochs, batch 20)",
            f"{nll.mean:.2f} ± {nll.standard_error:.2f}",
            protocol,
        ),
        Row("the same: test -ELBO, nats", "-", f"{bound.mean:.2f} ± {bound.standard_error:.2f}", "the same draws"),
    ]
    for each in rows:
        print(f"{each.what}\n    goal {each.goal}   measured {each.measured}\n    {each.protocol}", flush=True)
    machine = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    kept = {"machine": machine, "rows": [asdict(each) for each in rows]}
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
