"""The verbs that make images and models: denoise, inpaint, morph, traverse, export."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.verbs_measure import Measured, Rows, some, told
from lowerbound.denoising import denoise
from lowerbound.exporting import export_model
from lowerbound.images import as_floats
from lowerbound.inpainting import inpaint, rectangle
from lowerbound.morphing import WAYS, morph, traverse
from lowerbound.neighbours import search

NUMBER, TUNED = 200, 40  # test images measured, training images tuned on
SIGMAS = (0.1, 0.25)
WEIGHTS = (0.03, 0.06, 0.1, 0.15, 0.25, 0.4)  # of total variation
WIDTHS, PATCHES = (0.5, 0.7, 0.9, 1.2), (3, 5)  # of non-local means, in units of sigma and pixels
BESIDE = 20_000  # training images that the images half way are held against
SHOWN = 8  # directions of a traversal


def without_noise(run: Measured) -> Rows:
    """PSNR in dB of what each method makes of test images with normal noise on them, pixels cut off at 0 and 1 at the end.

    What a classical method has to be told is tuned on training images, for each sigma; nothing is tuned for the models.
    """
    x, tuning = (as_floats(each.pixels) for each in _measured_and_tuned(run))
    rng, found = np.random.default_rng(0), {}
    for sigma in SIGMAS:
        noisy, training = (each + rng.normal(0, sigma, each.shape).astype(np.float32) for each in (x, tuning))
        weight = max(WEIGHTS, key=lambda w: _psnr(tuning, _total_variation(training, w)).mean())
        width, patch = max(
            itertools.product(WIDTHS, PATCHES), key=lambda how: _psnr(tuning, _non_local(training, sigma, *how)).mean()
        )
        made = {
            "noisy": noisy,
            "total variation": _total_variation(noisy, weight),
            "non-local means": _non_local(noisy, sigma, width, patch),
            "probabilistic PCA": denoise(run.pca, noisy, sigma).images,
            "VAE's encoder and decoder": run.vae.inverse_transform(run.vae.transform(noisy)),
            "VAE": denoise(run.vae, noisy, sigma).images,
        }
        for name, images in made.items():
            found.setdefault(name, {})[f"sigma {sigma:g}"] = told(_psnr(x, images))
    return found


def inpainted(run: Measured) -> Rows:
    """PSNR in dB of the hidden pixels, the bottom right quarter of test images."""
    from skimage.restoration import inpaint_biharmonic

    x = as_floats(_measured_and_tuned(run)[0].pixels)
    _, height, width = x.shape[1:]
    hole = rectangle(height // 2, width // 2, height - height // 2, width - width // 2, (height, width))
    by_vae = inpaint(run.vae, x, hole, 1)
    made = {
        "mean image": np.broadcast_to(run.pca.mean.reshape(x.shape[1:]), x.shape),
        "biharmonic": _each(x, lambda image: inpaint_biharmonic(image, hole, channel_axis=-1)),
        "probabilistic PCA": inpaint(run.pca, x, hole).mean,
        "VAE, mean": by_vae.mean,
        "VAE, one draw": by_vae.draws[0],
    }
    return {name: {"": told(_psnr(x[:, :, hole], images[:, :, hole]))} for name, images in made.items()}


def morphed(run: Measured) -> Rows:
    """How far the image half way between two test images lies from the nearest training image: RMS per pixel.

    Beside it, how far test images and their reconstructions lie from theirs: a picture may be near one by being blurred.
    """
    drawn, among = some(run.images.test, 2 * NUMBER, 2).pixels, some(run.images.train, BESIDE, 1).pixels
    pairs = list(zip(drawn[:NUMBER], drawn[NUMBER:], strict=True))
    made = {
        "test images": as_floats(drawn[:NUMBER]),
        "VAE's reconstructions": run.vae.inverse_transform(run.vae.transform(drawn[:NUMBER])),
        "half way, pixels": np.stack([as_floats(np.stack(pair)).mean(0) for pair in pairs]),
    }
    for name, model in (("PCA", run.pca), ("VAE", run.vae)):
        for way in WAYS:
            made[f"half way, {name}, {way}"] = np.stack([morph(model, *pair, 3, way)[1] for pair in pairs])
    points = as_floats(among).reshape(len(among), -1) / np.sqrt(np.float32(among[0].size))
    return {name: {"": told(search(_rows_of(images), points, 1).distances[:, 0])} for name, images in made.items()}


def _rows_of(images: np.ndarray) -> np.ndarray:
    """Images as rows whose distances are root mean squared differences per pixel, cut off at 0 and 1."""
    return np.clip(images, 0, 1).reshape(len(images), -1) / np.sqrt(np.float32(images[0].size))


def traversed(run: Measured) -> Rows:
    """Of all that one standard deviation to either side changes in an image, the share of the eight directions shown."""
    codes = run.vae.transform(some(run.images.test, 2_000, 2).pixels)
    found = {}
    for name, along in (("VAE, each number", "numbers"), ("VAE, principal axes", "axes")):
        shares = []
        for centre in codes[: NUMBER // 4]:
            moved = traverse(run.vae, codes, centre, along=along, number=codes.shape[1], steps=7)
            effect = np.square(moved.images[:, 4] - moved.images[:, 2], dtype=np.float64).sum((1, 2, 3))
            shares.append(effect[:SHOWN].sum() / effect.sum())
        found[name] = {"": told(np.array(shares))}
    return found


def exported(run: Measured) -> Rows:
    """Largest difference of the exported graphs from torch, on test images and as many random codes; and the size."""
    made = export_model(run.vae, run.stored, run.images.test.pixels)
    return {
        "a pixel, of [0, 1]": {"": [made.decoder_difference, None]},
        "a number of a code": {"": [made.encoder_difference, None]},
    }


def _measured_and_tuned(run: Measured) -> tuple:
    return some(run.images.test, NUMBER, 2), some(run.images.train, TUNED, 1)


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
