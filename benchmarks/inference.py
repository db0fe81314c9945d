"""Speed of `infer`: against the decoding that it cannot avoid, and in steps to the answer that 4,000 steps give.

    python -m benchmarks.inference                    MNIST, the default network trained for 3 epochs of 20,000 images
    python -m benchmarks.inference --weights vae.pt   such a VAE's state_dict, already trained
    python -m benchmarks.inference --quick            the ratios alone, of a few steps; nothing is kept

Ratios are of processor time on one thread, both in turn. Bare decoding goes forward through the decoder and back to z, its
weights frozen, with as many codes at each step as `infer` had left to infer; `infer` runs at its defaults until it converges,
checks and final bound included. What was measured is kept in benchmarks/inference.json. MNIST is read from LOWERBOUND_DATA, else
from the cache, else downloaded.
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
from lowerbound import recipes, sources
from lowerbound.inference import infer, lower_bound
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal
from lowerbound.prior import StandardNormal
from lowerbound.progress import terminal
from lowerbound.settings import Settings, one_cycle
from lowerbound.vae import VAE

RESULTS = Path(__file__).with_name("inference.json")
K, SAMPLES, REFERENCE = 20, 16, 4_000


def ratio(network: str, images: int, most: int, rounds: int) -> Row:
    """Processor time of `infer` over that of decoding and going back to z alone, in turns; the median."""
    torch.manual_seed(0)
    decoder = recipes.NETWORKS[network].decoder((1, 28, 28), K).requires_grad_(requires_grad=False)
    pixels = np.random.default_rng(0).integers(0, 256, (images, 1, 28, 28)).astype(np.uint8)
    x = torch.from_numpy(pixels / np.float32(255))

    def whole() -> np.ndarray:
        return infer(decoder, pixels, StandardNormal(K), sigma=0.5, samples=SAMPLES, steps=most).steps

    taken = whole()
    left = [int((taken > step).sum()) for step in range(taken.max())]  # images at each step

    def bare() -> None:
        for number in left:
            z = torch.randn(SAMPLES, number, K, requires_grad=True)
            torch.autograd.grad((decoder(z) - x[:number]).square().sum(), z)

    bare()
    found = []
    for _ in range(rounds):
        decoding = _seconds(bare)
        found.append(_seconds(whole) / decoding)
    return Row(
        f"infer over bare decoding, {network} network, {images} image(s)",
        "<= 1.2",
        f"{np.median(found):.2f} (rounds {min(found):.2f} to {max(found):.2f})",
        f"{SAMPLES} draws, {len(left)} steps, untrained decoder, sigma 0.5, {rounds} rounds, processor time, one thread",
    )


def _seconds(work: Callable[[], object]) -> float:
    """Processor time: other programs on the machine do not count."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def convergence(vae: VAE, pixels: np.ndarray) -> list[Row]:
    """Nats below the reference after so many steps from the encoder's phi."""
    encoder = vae.encoder
    x = torch.from_numpy(pixels / np.float32(255))
    with torch.no_grad():
        phi = encoder[-1].phi(encoder[:-1](x))  # type: ignore[index, operator]

    def bound(phi: torch.Tensor) -> np.ndarray:
        return lower_bound(vae.decoder, pixels, IsotropicNormal.from_phi(phi), vae.prior(), samples=2_000, seed=1)[0]

    best = infer(vae.decoder, pixels, vae.prior, phi=phi, steps=REFERENCE, learning_rate=1e-3, tolerance=None)
    top = bound(best.phi)
    protocol = (
        f"{len(pixels)} test images, strided network, {SAMPLES} draws, bounds of 2,000, against {REFERENCE:,} steps of Adam "
        f"at 1e-3; the encoder's phi is {np.mean(top - bound(phi)):.2f} nats below"
    )
    rows = []
    for steps in (20, 60, 100, 300, 1000):
        found = infer(vae.decoder, pixels, vae.prior, phi=phi, steps=steps)
        below = top - bound(found.phi)
        words = f"{below.mean():.3f}, largest {below.max():.3f} ({found.steps.mean():.0f} steps taken)"
        goal = "<= 0.1" if steps == 300 else "-"
        rows.append(Row(f"nats below after at most {steps} steps from the encoder's phi", goal, words, protocol))
    return rows


def main() -> None:
    """Measure, print, and keep what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="state_dict of a trained VAE")
    parser.add_argument("--images", type=int, default=8, help="test images")
    parser.add_argument("--rounds", type=int, default=5, help="times that both are run in turn")
    parser.add_argument("--quick", action="store_true", help="the ratios alone, of 40 steps")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    plans = [("strided", 1, 1000), ("strided", 8, 1000), ("tutorial", 1, 1000)]
    for network, images, most in plans:
        _tell("ratio", [ratio(network, images, 40 if asked.quick else most, asked.rounds)], keep=not asked.quick)
    if asked.quick:
        return
    mnist = sources.load("mnist", progress=terminal)
    vae = recipes.vae((1, 28, 28), K, start=None if asked.weights else PCA(K).fit(mnist.train.pixels[:20_000]))
    if asked.weights:
        vae.load_state_dict(torch.load(asked.weights))
    else:
        settings = Settings(epochs=3, batch_size=100, learning_rate=3e-3, schedule=one_cycle)
        vae.fit(mnist.train.pixels[:20_000], settings, progress=terminal)
    _tell("convergence", convergence(vae, mnist.test.pixels[: asked.images]), keep=True)


def _tell(part: str, rows: list[Row], *, keep: bool) -> None:
    """Print rows; put them in the place of those of the same name that were kept."""
    for row in rows:
        print(f"{row.what}\n    goal {row.goal}   measured {row.measured}\n    {row.protocol}", flush=True)
    if not keep:
        return
    kept = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    names = {row.what for row in rows}
    before = [row for row in kept.get(part, []) if row["what"] not in names]
    kept |= {"machine": f"{_processor()}, 1 thread, torch {torch.__version__}"}
    kept[part] = before + [asdict(row) for row in rows]
    RESULTS.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
