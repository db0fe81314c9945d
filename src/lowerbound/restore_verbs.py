"""The verbs that restore images: parse, call, print, draw. What takes long to import is imported by the verb that needs it."""

from __future__ import annotations

import math
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.exports import ARRAY, FIGURE, place, save_array, save_figure
from lowerbound.options import (
    Count,
    DataDir,
    ModelName,
    NewImages,
    OneK,
    Own,
    Place,
    RunFolder,
    Seed,
    Style,
    images_for,
    named_after,
    open_model,
)
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    import numpy as np

    from lowerbound.images import Images

__all__ = ["VERBS"]

NEARER = "on photographs {} was nearer to the truth, and needs no model: docs/restoring.md has numbers"
SHOWN = 8  # images in a figure, and test images that are taken where no others came
AT_ONCE = 100  # images between two looks at the progress bar


def denoise(
    run: RunFolder,
    new_images: NewImages = None,
    sigma: Annotated[
        float | None,
        typer.Option(
            metavar="S",
            help="Noise of the pixels, in pixel units of [0, 1]; else estimated from the finest detail of the images. "
            "Test images get so much put on (0.25 without it)",
        ),
    ] = None,
    clean: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The same images without noise, to tell how near the result is"),
    ] = None,
    count: Count = None,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Place = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Take noise out of images: the mean of what they were, given what they are, under a model with normal noise.

    Images of other sizes are brought to the run's first. Without images, noise is put on test images, to see what the model can.
    With little noise, and on photographs, non-local means are nearer: docs/restoring.md has numbers.

    Example: lowerbound denoise runs/mnist-k20-2026-11-22 --sigma 0.25

    Example: lowerbound denoise runs/mnist-k20-2026-11-22 my-digits/ --out clean
    """
    import numpy as np

    from lowerbound import figures, look
    from lowerbound.denoising import denoise as without_noise
    from lowerbound.images import as_floats
    from lowerbound.progress import terminal

    with look.style(style):
        out = _place(out, named_after(run, new_images, "denoised"), new_images)
        if sigma is not None and not 0 <= sigma < math.inf:
            raise InputError(f"sigma is {sigma:g}; expected 0 or more, in pixel units of [0, 1]")
        if clean is not None and new_images is None:
            raise InputError("--clean came without images; test images are clean before noise is put on; leave it out")
        folder, stored, fitted = open_model(run, model, k, own)
        if stored.image_shape[0] == 3:
            print(NEARER.format("scikit-image's denoise_nl_means"))
        images = _first(images_for(folder, new_images, data_dir), count, new_images)
        if new_images is None:
            sigma = 0.25 if sigma is None else sigma
            truth = as_floats(images.pixels)
            noisy = truth + np.random.default_rng(seed).normal(0, sigma, truth.shape).astype(np.float32)
            print(f"noise of sigma {sigma:g} is put on {len(images)} test images, and not cut off")
        else:
            noisy, sigma = images.pixels, _estimated(images.pixels) if sigma is None else sigma
            truth = None if clean is None else as_floats(_matching(images, images_for(folder, clean, data_dir)).pixels)
        found = np.empty(noisy.shape, np.float32)
        with terminal("denoising", len(noisy)) as advance:
            for first in range(0, len(noisy), AT_ONCE):
                rows = slice(first, first + AT_ONCE)
                found[rows] = without_noise(fitted, noisy[rows], sigma, seed=seed).images
                advance(len(noisy[rows]), "")
        tell(model=stored.name, images=len(found), sigma=sigma)
        label = look.model_style(stored.recipe).label
        shown, notes = {"noisy": as_floats(noisy), label: found}, {}
        if truth is not None:
            notes = {name: [_psnr(truth, one)] for name, one in shown.items()}
            shown = {"clean": truth} | shown
            tell(psnr={name: words for name, (words,) in notes.items()})
            for name, (words,) in notes.items():
                print(f"{name}: PSNR {words} over {len(truth)} images")
        _write(out, images, {"": found}, f"images without noise by {stored.name}")
        if out.suffix.lower() not in ARRAY:
            rows_shown = {name: one[:SHOWN] for name, one in shown.items()}
            save_figure(figures.labelled_rows(rows_shown, notes=notes), _figure_of(out))


def inpaint(
    run: RunFolder,
    new_images: NewImages = None,
    mask: Annotated[
        str,
        typer.Option(
            metavar="FILE|ROW,COLUMN,HEIGHT,WIDTH",
            help="What to fill in: a rectangle, in pixels of the run's images from 0, or an image that is white there",
        ),
    ] = "",
    number: Annotated[int, typer.Option("-n", metavar="N", help="Draws of each image", min=1, max=100)] = 4,
    count: Count = None,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Place = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Fill in a hidden part of images by what the rest says of their codes: several draws, their mean and standard deviation.

    Pixels that are not hidden stay as they are. The folder gets mean/, std/ and draw-1/ ..., an array the draws alone.
    In photographs, going on smoothly (a biharmonic function) is nearer: docs/restoring.md has numbers.

    Example: lowerbound inpaint runs/mnist-k20-2026-11-22 --mask 0,0,4,4

    Example: lowerbound inpaint runs/mnist-k20-2026-11-22 my-digits/ --mask 2,2,3,3 -n 2 --out filled
    """
    import numpy as np

    from lowerbound import figures, look
    from lowerbound.images import as_floats
    from lowerbound.inpainting import Inpainted
    from lowerbound.inpainting import inpaint as fill_in
    from lowerbound.progress import terminal

    with look.style(style):
        out = _place(out, named_after(run, new_images, "inpainted"), new_images)
        if not mask:
            raise InputError(
                "no mask came; give --mask ROW,COLUMN,HEIGHT,WIDTH or the file of an image that is white there"
            )
        folder, stored, fitted = open_model(run, model, k, own)
        shape = stored.image_shape
        hidden = _mask(mask, (shape[1], shape[2]))
        images = _first(images_for(folder, new_images, data_dir), count, new_images)
        x, parts = as_floats(images.pixels), []
        with terminal("filling in", len(x)) as advance:
            for first in range(0, len(x), AT_ONCE):
                some = x[first : first + AT_ONCE]
                parts.append(fill_in(fitted, some, hidden, number, seed=seed + first))
                advance(len(some), "")
        found = Inpainted(*(np.concatenate([getattr(p, name) for p in parts], axis) for name, axis in
                            (("draws", 1), ("mean", 0), ("std", 0))))  # fmt: skip
        print(f"{hidden.sum():,} of {hidden.size:,} pixels are hidden in each of {len(x)} images")
        if stored.image_shape[0] == 3:
            print(NEARER.format("scikit-image's inpaint_biharmonic"))
        tell(model=stored.name, images=len(x), hidden_pixels=int(hidden.sum()), pixels=hidden.size, draws=number)
        label = f"{look.model_style(stored.recipe).label}, mean"
        notes = {"std": [f"white: {found.std.max():.2f}"]}
        if new_images is None:
            notes[label] = [_psnr(x[:, :, hidden], found.mean[:, :, hidden])]
            tell(psnr_over_hidden_pixels=notes[label][0])
            print(f"{label}: PSNR {notes[label][0]} over the hidden pixels of {len(x)} test images")
        if out.suffix.lower() in ARRAY:
            save_array(found.draws, out, f"draws by {stored.name}")
            return
        draws = {f"draw {n + 1}": draw for n, draw in enumerate(found.draws)}
        kinds = {"mean": found.mean, "std": found.std} | {name.replace(" ", "-"): draw for name, draw in draws.items()}
        _write(out, images, kinds, f"images filled in by {stored.name}")
        shown = {"as they came": x, "hidden": np.where(hidden, np.float32(0.5), x), **draws, label: found.mean}
        shown = {name: values[:SHOWN] for name, values in shown.items()}
        shown["std"] = found.std[:SHOWN] / max(float(found.std.max()), 1e-9)
        save_figure(figures.labelled_rows(shown, notes=notes), _figure_of(out))


VERBS = (("denoise", denoise), ("inpaint", inpaint))


def _place(out: Path | None, otherwise: Path, new_images: Path | None) -> Path:
    """Where to: a folder that is not there yet, or a figure or an array; a figure where nobody says and only test images came."""
    from lowerbound.whole import refuse_existing

    otherwise = otherwise if new_images is not None else Path(f"{otherwise}.png")
    out = otherwise if out is None else out.expanduser()
    if out.suffix.lower() in FIGURE + ARRAY:
        return place(out, "", FIGURE + ARRAY)
    refuse_existing(out)
    return out


def _estimated(pixels: np.ndarray) -> float:
    """The noise of images, from a thousand of them, said to the user."""
    from lowerbound.denoising import noise_level

    sigma = noise_level(pixels[:: max(1, len(pixels) // 1000)])
    print(f"noise: sigma {sigma:.4f}, estimated from the finest detail of these images; --sigma gives another")
    return sigma


def _figure_of(out: Path) -> Path:
    """The figure beside a folder, or the figure that was asked for."""
    return out if out.suffix.lower() in FIGURE else out.with_name(f"{out.name}.png")


def _first(images: Images, count: int | None, new_images: Path | None) -> Images:
    """So many images; all new ones or 8 test images where nobody says."""
    return images[: count or (SHOWN if new_images is None else len(images))]


def _matching(images: Images, clean: Images) -> Images:
    """The clean images in the order of the others: by their names without endings where both have names."""
    import numpy as np

    if images.names is None or clean.names is None:
        if len(clean) < len(images):
            raise InputError(
                f"{len(clean)} clean images came for {len(images)}; expected one for each, in the same order"
            )
        return clean[: len(images)]
    known = {str(PurePosixPath(name).with_suffix("")): place for place, name in enumerate(clean.names)}
    places = [known.get(str(PurePosixPath(name).with_suffix("")), -1) for name in images.names]
    if -1 in places:
        name = images.names[places.index(-1)]
        raise InputError(
            f'there is no clean image for "{name}"; expected one of the same name for each, whatever its ending'
        )
    return clean[np.array(places)]


def _psnr(truth: np.ndarray, found: np.ndarray) -> str:
    """Peak signal-to-noise ratio in dB, the mean over images and its standard error; pixels cut off at 0 and 1 first."""
    import numpy as np

    axes = tuple(range(1, truth.ndim))
    errors = np.square(np.clip(found, 0, 1) - truth, dtype=np.float64).mean(axes)
    values = -10 * np.log10(np.maximum(errors, 1e-10))
    spread = f" ± {values.std(ddof=1) / math.sqrt(len(values)):.2f}" if len(values) > 1 else ""
    return f"{values.mean():.2f}{spread} dB"


def _mask(text: str, size: tuple[int, int]) -> np.ndarray:
    """What a mask that was typed hides: bool ``[H, W]``."""
    from lowerbound.inpainting import rectangle
    from lowerbound.photo import read_pixels

    corners = re.fullmatch(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*", text, re.ASCII)
    if corners:
        row, column, height, width = map(int, corners.groups())
        return rectangle(row, column, height, width, size)
    file = Path(text).expanduser()
    if not file.is_file():
        raise InputError(f'the mask "{text}" is neither ROW,COLUMN,HEIGHT,WIDTH nor a file; give one of the two')
    try:
        return read_pixels(file, (1, *size))[0] > 127
    except InputError as wrong:
        raise InputError(
            f"the mask {file} cannot be read ({wrong}); give an image that is white where to fill in"
        ) from wrong


def _write(out: Path, images: Images, kinds: dict[str, np.ndarray], words: str) -> None:
    """Images ``[N, C, H, W]`` of each kind: as PNG files in a folder, or of a single kind as an array; nothing for a figure."""
    from lowerbound.exporting import write_folder
    from lowerbound.restored_files import as_pixels, png, png_names

    if out.suffix.lower() in ARRAY:
        save_array(next(iter(kinds.values())), out, words)
    elif out.suffix.lower() not in FIGURE:
        names = png_names(images.names, len(images))
        files = {
            f"{kind}/{name}".lstrip("/"): png(as_pixels(image))
            for kind, found in kinds.items()
            for name, image in zip(names, found, strict=True)
        }
        write_folder(out, files)
        wrote(out)
        print(f"{out}: {len(files):,} PNG files, {words}")
