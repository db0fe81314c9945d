"""Speed of `infer`: against the decoding that it cannot avoid, and in steps to the answer that 4,000 steps give.

    python -m benchmarks.inference                    MNIST, the default network trained for 3 epochs of 20,000 images
    python -m benchmarks.inference --weights vae.pt   such a VAE's state_dict, already trained
    python -m benchmarks.inference --speed            the ratios alone, through decoders with random weights (a minute)

MNIST is read from LOWERBOUND_DATA, else from the cache, else downloaded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lowerbound import recipes, sources
from lowerbound.inference import infer, lower_bound
from lowerbound.pca import PCA
from lowerbound.posterior import IsotropicNormal
from lowerbound.prior import StandardNormal
from lowerbound.progress import terminal
from lowerbound.training import Settings, one_cycle
from lowerbound.vae import VAE

K, SAMPLES, REFERENCE = 20, 16, 4_000


def ratio(network: str, images: int, steps: int, rounds: int = 3) -> float:
    """Seconds of `infer` over those of decoding and going back through the decoder alone, in turns; the median."""
    torch.manual_seed(0)
    decoder = recipes.NETWORKS[network].decoder((1, 28, 28), K)
    pixels = np.random.default_rng(0).integers(0, 256, (images, 1, 28, 28)).astype(np.uint8)
    x = torch.from_numpy(pixels / np.float32(255))

    def bare() -> None:
        z = torch.randn(SAMPLES, images, K, requires_grad=True)
        for _ in range(steps):
            torch.autograd.grad((decoder(z) - x).square().sum(), z)

    def whole() -> None:  # a tolerance that no image meets: all take all steps, checks and final bound included
        infer(decoder, pixels, StandardNormal(K), sigma=0.5, samples=SAMPLES, steps=steps, tolerance=1e-30)

    bare(), whole()
    return float(np.median([_seconds(whole) / _seconds(bare) for _ in range(rounds)]))


def _seconds(work: Callable[[], None]) -> float:
    """Processor time: other programs on the machine do not count."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def convergence(vae: VAE, pixels: np.ndarray) -> None:
    """Nats below the reference after so many steps from the encoder's phi."""
    encoder = vae.encoder
    x = torch.from_numpy(pixels / np.float32(255))
    with torch.no_grad():
        phi = encoder[-1].phi(encoder[:-1](x))  # type: ignore[index, operator]

    def bound(phi: torch.Tensor) -> np.ndarray:
        return lower_bound(vae.decoder, pixels, IsotropicNormal.from_phi(phi), vae.prior(), samples=2_000, seed=1)[0]

    began = time.perf_counter()
    best = infer(vae.decoder, pixels, vae.prior, phi=phi, steps=REFERENCE, learning_rate=1e-3, tolerance=None)
    top = bound(best.phi)
    print(f"reference: {REFERENCE:,} steps of Adam at 1e-3 from the encoder's phi, {time.perf_counter() - began:.0f} s")
    print(f"encoder's phi: {np.mean(top - bound(phi)):.2f} nats below it on average over {len(pixels)} images")
    for steps in (20, 40, 60, 80, 100, 150, 300, 1000):
        found = infer(vae.decoder, pixels, vae.prior, phi=phi, steps=steps)
        below = top - bound(found.phi)
        print(
            f"at most {steps:5d} steps: mean {below.mean():7.3f}, largest {below.max():7.3f} nats below; "
            f"{found.steps.mean():.0f} steps taken",
            flush=True,
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="state_dict of a trained VAE")
    parser.add_argument("--images", type=int, default=16, help="test images")
    parser.add_argument("--speed", action="store_true", help="the ratios alone")
    parser.add_argument("--steps", type=int, default=60, help="steps of each timing")
    asked = parser.parse_args()
    for network in recipes.NETWORKS:
        for images in (1, 16):
            found = ratio(network, images, max(20, asked.steps // (3 if network == "tutorial" else 1)))
            print(
                f"{network}, {images} image(s) x {SAMPLES} draws: infer takes {found:.2f} of bare decoding", flush=True
            )
    if asked.speed:
        return
    mnist = sources.load("mnist", progress=terminal)
    vae = recipes.vae((1, 28, 28), K, start=None if asked.weights else PCA(K).fit(mnist.train.pixels[:20_000]))
    if asked.weights:
        vae.load_state_dict(torch.load(asked.weights))
    else:
        settings = Settings(epochs=3, batch_size=100, learning_rate=3e-3, schedule=one_cycle)
        vae.fit(mnist.train.pixels[:20_000], settings, progress=terminal)
    convergence(vae, mnist.test.pixels[: asked.images])


if __name__ == "__main__":
    main()
