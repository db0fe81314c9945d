"""The verbs on a run: parse, call, print. What takes long to import is imported by the verb that needs it."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError, nearest
from lowerbound.exports import ARRAY, FIGURE, TABLE, place, save_array, save_figure
from lowerbound.options import (
    DataDir,
    ModelName,
    NewImages,
    OneK,
    Out,
    Own,
    RunFolder,
    Seed,
    Size,
    Style,
    images_for,
    load_source,
    model_stamp,
    models_beside,
    open_model,
    stream_for,
)
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    import numpy as np
    import torch

    from lowerbound.images import Images
    from lowerbound.pca import PCA
    from lowerbound.storage import Run
    from lowerbound.stored import Model, StoredModel

__all__ = ["VERBS"]

MOST_DRAWN = 400  # images in one figure
Position = typer.Option(metavar="N", help="Position among the test images, from 0; else one is drawn", min=0)


def sample(
    run: RunFolder,
    number: Annotated[int, typer.Option("-n", metavar="N", help="How many", min=1, max=10_000_000)] = 25,
    model: ModelName = None,
    k: OneK = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Draw from a prior fitted to the training images' codes, and kept in the run: normal, gmm, mixture, vamp, flow",
        ),
    ] = None,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Decode random codes to new images: a figure, or an array with --out FILE.npy.

    Codes are drawn from the model's own prior, N(0, I) where it has none. A plain autoencoder's codes lie elsewhere: --prior fits
    a distribution to them.

    Example: lowerbound sample runs/mnist-k20-2026-11-22 -n 25 --out new.png

    Example: lowerbound sample runs/mnist-k20-2026-11-22 --model conv --prior gmm
    """
    from lowerbound import figures, look
    from lowerbound.sections import learned_prior, random_codes
    from lowerbound.vae import draw_codes

    with look.style(style):
        out = place(out, f"{run.name}-samples.png", FIGURE + ARRAY)
        _few_enough(number, out)
        folder, stored, fitted = open_model(run, model, k, own)
        codes = random_codes(fitted, stored.latent_dim, number, seed)
        if prior is not None:
            codes = draw_codes(_fitted_prior(folder, stored, fitted, prior, data_dir, seed), number, seed)
        made = fitted.inverse_transform(codes)
        tell(model=stored.name, prior=prior or "the model's own", samples=len(made))
        if out.suffix.lower() in ARRAY:
            save_array(made, out, f"samples of {stored.name}")
        else:
            words = (
                f"the {prior} prior fitted to its codes"
                if prior
                else learned_prior(fitted) * "the prior it has learned"
            )
            save_figure(figures.samples_grid({stored.recipe: made}, words), out)


def reconstruct(
    run: RunFolder,
    new_images: NewImages = None,
    number: Annotated[
        int | None, typer.Option("-n", metavar="N", help="How many; else 8 in a figure, all in an array", min=1)
    ] = None,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Show images beside what each model keeps of them: a figure, or one model's reconstructions with --out FILE.npy.

    Example: lowerbound reconstruct runs/mnist-k20-2026-11-22 my-digits/
    """
    from lowerbound import figures, look
    from lowerbound.evaluation import squared_errors
    from lowerbound.sections import reconstruct as reconstructed

    with look.style(style):
        out = place(out, f"{run.name}-reconstructions.png", FIGURE + ARRAY)
        if out.suffix.lower() in ARRAY:
            folder, stored, fitted = open_model(run, model, k, own)
            chosen = _some(images_for(folder, new_images, data_dir), number, seed)
            tell(model=stored.name, images=len(chosen))
            save_array(fitted.inverse_transform(fitted.transform(chosen)), out, f"reconstructions by {stored.name}")
            return
        number = 8 if number is None else number
        _few_enough(number, out)
        folder, k, models = models_beside(run, model, k, own)
        chosen = _some(images_for(folder, new_images, data_dir), number, seed)
        errors = {name: float(squared_errors(one, chosen).mean()) for name, one in models.items()}
        tell(k=k, images=len(chosen), mean_squared_error_per_pixel=errors)
        for name, error in errors.items():
            print(f"{name}: mean squared error {error:.6f} per pixel over these {len(chosen)} images")
        save_figure(figures.reconstructions(chosen, reconstructed(models, chosen), k=k), out)


def interpolate(
    run: RunFolder,
    first: Annotated[int | None, Position] = None,
    last: Annotated[int | None, Position] = None,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Show the way from one test image to another, in pixels and through the codes of each model, in 11 steps.

    Example: lowerbound interpolate runs/mnist-k20-2026-11-22 --first 3 --last 18
    """
    from lowerbound import figures, look, sections

    with look.style(style):
        out = place(out, f"{run.name}-interpolation.png", FIGURE)
        folder, k, models = models_beside(run, model, k, own)
        images = images_for(folder, None, data_dir)
        drawn = sections.pair(images, seed)
        begin, end = drawn[0] if first is None else first, drawn[1] if last is None else last
        if max(begin, end) >= len(images):
            raise InputError(f"there is no test image {max(begin, end)}; expected 0 to {len(images) - 1}")
        tell(k=k, first=int(begin), last=int(end), models=list(models))
        print(f"from test image {begin} to test image {end}, K = {k}")
        save_figure(figures.interpolation(sections.interpolate(models, images.pixels[begin], images.pixels[end])), out)


def encode(
    run: RunFolder,
    new_images: NewImages = None,
    model: ModelName = None,
    k: OneK = None,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
) -> None:
    """Write the codes of images, K numbers each, to a .npy or .parquet file (with names and labels in the latter).

    Images are read a block at a time, so there may be any number of them. What a broken run had done is not done again.

    Example: lowerbound encode runs/mnist-k20-2026-11-22 my-digits/ --out codes.parquet
    """
    from lowerbound.encoding import encode as write_codes
    from lowerbound.progress import terminal
    from lowerbound.streams import left_out

    out = place(out, f"{run.name}-codes.npy", ARRAY + TABLE)
    folder, stored, fitted = open_model(run, model, k, own)
    stream = stream_for(folder, new_images, data_dir)
    done = write_codes(fitted, stream, out, stamp=model_stamp(folder, stored), progress=terminal)
    wrote(out)
    tell(
        model=stored.name, rows=done.rows, columns=stored.latent_dim, rows_found=done.found, begun_anew=done.anew,
        left_out=len(done.skipped), seconds=done.seconds, images_per_second=done.images_per_second,
    )  # fmt: skip
    if done.skipped:
        print(left_out(done.skipped), file=sys.stderr)
    if done.anew:
        print(f"{out}: what was begun with another model or other images was made anew")
    if done.found:
        print(f"{out}: {done.found:,} of the rows were there from a run that was broken off")
    speed = f"{done.images_per_second:,.0f} images/s"
    print(f"{out}: codes by {stored.name}, float32 [{done.rows}, {stored.latent_dim}]; {done.seconds:.1f} s, {speed}")


def spectrum(
    source: Annotated[
        str, typer.Argument(metavar="RUN|SOURCE", help="A run folder, or a source of images as for compare")
    ],
    k: Annotated[int | None, typer.Option("-k", metavar="K", help="The K to point out", min=1)] = None,
    out: Out = None,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
) -> None:
    """Draw the fraction of the images' variance that lies in the first K principal components.

    Example: lowerbound spectrum mnist -k 20
    """
    from lowerbound import curves, look
    from lowerbound.eigen import bounds

    with look.style(style):
        out = place(out, f"{Path(source).name or 'images'}-spectrum.png", FIGURE)
        pca, usual = _spectrum(source, data_dir, size, k or 1)
        explained, k = pca.explained, k or usual
        if k >= len(explained):
            raise InputError(f"k is {k}; expected 1 to {len(explained) - 1}, the components there are")
        tell(k=k, share_of_variance=float(explained[k]), pixels=len(pca.mean), shares_of_variance=explained[1:])
        print(f"{explained[k]:.1%} of the variance lies in the first {k} of {len(pca.mean):,} principal components")
        if pca.residuals is not None:
            print(f"{len(pca.variances)} eigenvalues by the randomised solver, {bounds(pca.variances, pca.residuals)}")
        save_figure(curves.eigenspectrum(explained, k), out)


VERBS = (
    ("sample", sample),
    ("reconstruct", reconstruct),
    ("interpolate", interpolate),
    ("encode", encode),
    ("spectrum", spectrum),
)


def _spectrum(source: str, data_dir: Path | None, size: int | None, at_least: int) -> tuple[PCA, int]:
    """A PCA of a run's images or of a source's, with at least so many variances where there are; and the usual K."""
    from lowerbound.comparison import images_of
    from lowerbound.pca import PCA
    from lowerbound.plan import choose_k
    from lowerbound.progress import terminal
    from lowerbound.storage import Run

    if not (Path(source) / "run.json").is_file():
        images = load_source(source, data_dir, size)
        return _fitted(images.train.pixels, at_least), choose_k(images)[0]
    run = Run.open(Path(source))
    stored = next((each for each in run.models if each.recipe == "pca"), None)
    pca = None if stored is None else run.load(stored)
    if not isinstance(pca, PCA) or len(pca.variances) < min(at_least, len(pca.mean)):
        pca = _fitted(images_of(run, data_dir, terminal).train.pixels, at_least)
    return pca, run.about["shown_k"]


def _fitted(pixels: np.ndarray, at_least: int) -> PCA:
    """A PCA with at least so many variances, or all there are."""
    from lowerbound.pca import PCA
    from lowerbound.progress import terminal

    return PCA(min(at_least, len(pixels), math.prod(pixels.shape[1:]))).fit(pixels, terminal)


def _fitted_prior(
    run: Run, stored: StoredModel, model: Model, name: str, data_dir: Path | None, seed: int
) -> torch.nn.Module:
    """The prior of that name fitted to the codes of a run's training images, now or when it was first asked for."""
    from lowerbound.comparison import images_of
    from lowerbound.fitted import FITTED, fit_prior
    from lowerbound.progress import terminal
    from lowerbound.vae import VAE

    if name not in FITTED:
        raise InputError(f'no prior is called "{name}"{nearest(name, FITTED)}; expected one of {", ".join(FITTED)}')
    kept = run.load_prior(stored, name, model)
    if kept is not None:
        return kept
    images = images_of(run, data_dir, terminal).train.pixels
    codes = model.draw(images, seed) if isinstance(model, VAE) else model.transform(images)
    encoder = model.encoder if isinstance(model, VAE) else None
    found = fit_prior(
        name, codes, encoder=encoder, image_shape=stored.image_shape, images=images, seed=seed, progress=terminal
    )
    score, error = found.log_likelihood.mean, found.log_likelihood.standard_error
    tell(prior_nats_per_held_out_code={"mean": score, "standard_error": error})
    print(f"{name} prior of {stored.name}: {score:.2f} ± {error:.2f} nats per held-out code; kept in the run")
    run.save_prior(
        stored, name, found.prior, {"prior": name, "seed": seed, "nats_per_code": vars(found.log_likelihood)}
    )
    return found.prior


def _some(images: Images, number: int | None, seed: int) -> np.ndarray:
    """Pixels of so many images, drawn by the seed; of all, in their order, where no number is given."""
    import numpy as np

    if number is None:
        return images.pixels
    return images.pixels[np.random.default_rng(seed).permutation(len(images))[:number]]


def _few_enough(number: int, out: Path) -> None:
    """Refuse a figure of more images than anybody looks at."""
    if number > MOST_DRAWN and out.suffix.lower() in FIGURE:
        raise InputError(f"-n is {number:,}; a figure shows at most {MOST_DRAWN}; give --out FILE.npy for an array")
