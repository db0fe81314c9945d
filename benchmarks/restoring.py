"""How well a model restores images, beside what needs no model. Results go to restoring.json.

    lowerbound train mnist -k 20 --out runs/mnist
    lowerbound train cifar/ -k 64 --out runs/cifar
    python -m benchmarks.restoring runs/mnist runs/cifar
    python -m benchmarks.restoring runs/mnist --only denoise

Every method has the same images and the same noise or hole; pixels are cut off at 0 and 1 at the end. What a classical method has
to be told is tuned on training images, for each noise level. Nothing is tuned for the models.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lowerbound.comparison import images_of
from lowerbound.denoising import denoise as without_noise
from lowerbound.denoising import noise_level
from lowerbound.images import as_floats
from lowerbound.inpainting import inpaint as fill_in
from lowerbound.inpainting import rectangle
from lowerbound.pca import PCA
from lowerbound.storage import Run

NUMBER, TUNED = 100, 40  # test images measured, training images tuned on
LEARNED = 20_000  # training images that PCA sees
SIGMAS = (0.1, 0.25)
WEIGHTS = (0.03, 0.06, 0.1, 0.15, 0.25, 0.4)  # of total variation
WIDTHS, PATCHES = (0.5, 0.7, 0.9, 1.2), (3, 5)  # of non-local means, in units of sigma and pixels

RESULTS = Path(__file__).with_suffix(".json")

Row = dict[str, Any]
Parts = tuple[np.ndarray, np.ndarray, np.ndarray, PCA, Any]


def main() -> None:
    """Measure the verbs on some runs, and keep what came out beside this file; what is not measured stays as it was."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, help="run folders with a VAE")
    parser.add_argument("--only", choices=("denoise", "inpaint"), help="this verb alone")
    parser.add_argument("--table", action="store_true", help="print what was measured, as docs/restoring.md has it")
    asked = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    if asked.table:
        print("\n".join(table(results, verb) for verb in results))
    for path in asked.runs:
        run = Run.open(path, unfinished=True)
        parts, source = _parts(run), run.about["source"]["name"]
        for name, measure in (("denoise", denoise), ("inpaint", inpaint)):
            if asked.only in (None, name):
                print(f"{name} on {source}")
                results.setdefault(name, {})[source] = measure(parts)
                RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def table(results: dict[str, dict[str, list[Row]]], verb: str) -> str:
    """What was measured of a verb, as the table of docs/restoring.md: a row for each method, PSNR in dB."""
    columns = [
        (f"{source}, sigma {sigma:g}" if sigma else source, [row for row in rows if row.get("sigma", 0) == sigma])
        for source, rows in results[verb].items()
        for sigma in sorted({row.get("sigma", 0) for row in rows})
    ]
    kinds = [row["method"].partition(",")[0] if verb == "denoise" else row["method"] for row in columns[0][1]]
    lines = [["", *(head for head, _ in columns)], ["---"] * (1 + len(columns))]
    for place, kind in enumerate(kinds):
        found = [rows[place] for _, rows in columns]
        best = [max(row["psnr_db"] for row in rows) for _, rows in columns]
        words = [f"{row['psnr_db']:.2f} ± {row['standard_error']:.2f}" for row in found]
        shown = [f"**{w}**" if row["psnr_db"] == top else w for w, row, top in zip(words, found, best, strict=True)]
        lines.append([kind, *shown])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def denoise(parts: Parts) -> list[Row]:
    """Noise of each sigma put on test images: PSNR of what each method makes of them."""
    x, some, _, pca, vae = parts
    rng, rows = np.random.default_rng(0), []
    for sigma in SIGMAS:
        noisy, tuning = (each + rng.normal(0, sigma, each.shape).astype(np.float32) for each in (x, some))
        total = max(WEIGHTS, key=lambda weight: _psnr(some, _total_variation(tuning, weight)).mean())
        best = max(
            itertools.product(WIDTHS, PATCHES), key=lambda how: _psnr(some, _non_local(tuning, sigma, *how)).mean()
        )
        methods: dict[str, Callable[[], np.ndarray]] = {
            "noisy": lambda noisy=noisy: noisy,
            f"total variation, weight {total:g}": lambda noisy=noisy, total=total: _total_variation(noisy, total),
            f"non-local means, h = {best[0]:g} sigma, patches of {best[1]}": (
                lambda noisy=noisy, best=best, sigma=sigma: _non_local(noisy, sigma, *best)
            ),
            "probabilistic PCA": lambda noisy=noisy, sigma=sigma: without_noise(pca, noisy, sigma).images,
            "VAE's encoder and decoder": lambda noisy=noisy: vae.inverse_transform(vae.transform(noisy)),
            "VAE": lambda noisy=noisy, sigma=sigma: without_noise(vae, noisy, sigma).images,
        }
        about = {"sigma": sigma, "estimated_sigma": noise_level(noisy)}
        rows += [about | _measured(name, x, method) for name, method in methods.items()]
    return rows


def inpaint(parts: Parts) -> list[Row]:
    """The bottom right quarter of test images hidden: PSNR of the hidden pixels."""
    from skimage.restoration import inpaint_biharmonic

    x, _, mean, pca, vae = parts
    _, height, width = x.shape[1:]
    hole = rectangle(height // 2, width // 2, height - height // 2, width - width // 2, (height, width))
    by_vae = fill_in(vae, x, hole, 1)
    methods: dict[str, Callable[[], np.ndarray]] = {
        "mean image": lambda: np.broadcast_to(mean, x.shape),
        "biharmonic": lambda: _each(x, lambda image: inpaint_biharmonic(image, hole, channel_axis=-1)),
        "probabilistic PCA": lambda: fill_in(pca, x, hole).mean,
        "VAE, mean": lambda: by_vae.mean,
        "VAE, one draw": lambda: by_vae.draws[0],
    }
    return [_measured(name, x, method, hole) for name, method in methods.items()]


def _parts(run: Run) -> Parts:
    """Test images, training images to tune on, the mean training image, and the two models."""
    stored = run.choose("vae")
    images = images_of(run)
    train = images.train.pixels[np.random.default_rng(1).permutation(len(images.train))]
    test = images.test.pixels[np.random.default_rng(2).permutation(len(images.test))[:NUMBER]]
    pca = PCA(stored.latent_dim).fit(train[:LEARNED])
    mean = pca.mean.reshape(stored.image_shape)
    return as_floats(test), as_floats(train[-TUNED:]), mean, pca, run.load(stored)


def _measured(name: str, x: np.ndarray, method: Callable[[], np.ndarray], hole: np.ndarray | None = None) -> Row:
    """PSNR in dB and its standard error."""
    found = method()
    values = _psnr(x, found) if hole is None else _psnr(x[:, :, hole], found[:, :, hole])
    error = float(values.std(ddof=1) / math.sqrt(len(values)))
    print(f"  {name}: {values.mean():.2f} ± {error:.2f} dB", flush=True)
    return {
        "method": name,
        "psnr_db": float(values.mean()),
        "standard_error": error,
        "images": len(values),
    }


def _psnr(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    errors = np.square(np.clip(found, 0, 1) - truth, dtype=np.float64).mean(tuple(range(1, truth.ndim)))
    return -10 * np.log10(np.maximum(errors, 1e-10))


def _each(images: np.ndarray, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of one image ``[H, W, C]``, for all."""
    shape = images.shape[2:] + images.shape[1:2]  # some methods drop a channel that is alone
    return np.stack([work(image.transpose(1, 2, 0)).reshape(shape).transpose(2, 0, 1) for image in images])


def _total_variation(noisy: np.ndarray, weight: float) -> np.ndarray:
    from skimage.restoration import denoise_tv_chambolle

    return _each(noisy, lambda image: denoise_tv_chambolle(image, weight, channel_axis=-1))


def _non_local(noisy: np.ndarray, sigma: float, width: float, patch: int) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    return _each(
        noisy,
        lambda image: denoise_nl_means(
            image, patch_size=patch, patch_distance=7, h=width * sigma, sigma=sigma, channel_axis=-1
        ),
    )


if __name__ == "__main__":
    main()
