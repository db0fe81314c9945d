"""What the verbs of the command line have in common: options, numbers that were typed, and the images they name."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.outcome import tell

if TYPE_CHECKING:
    from lowerbound.gallery import Gallery
    from lowerbound.images import Images, ImageSet
    from lowerbound.outside import Outside
    from lowerbound.storage import Run
    from lowerbound.stored import Model, StoredModel
    from lowerbound.streams import Stream

__all__ = [
    "Among",
    "Count",
    "DataDir",
    "ModelName",
    "NewImages",
    "OneK",
    "Out",
    "Own",
    "Place",
    "RunFolder",
    "Seed",
    "Size",
    "SourceName",
    "Stem",
    "Style",
    "gallery_for",
    "images_for",
    "load_own",
    "load_source",
    "model_stamp",
    "models_beside",
    "named_after",
    "numbers",
    "open_model",
    "say_choices",
    "stream_for",
    "whole",
]  # fmt: skip

SourceName = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="digits, patches, mnist, fashion_mnist, cifar10, a folder of images, a .parquet, .arrow, .npy or .npz file",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where data sets lie or are put; else LOWERBOUND_DATA, else a cache folder"),
]
Size = Annotated[
    int | None, typer.Option(metavar="PIXELS", help="Height and width to bring a folder's or table's images to")
]
Style = Annotated[str, typer.Option(metavar="STYLE", help="Of the figures: plain, or xkcd (hand-drawn)")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, as compare and train write it")]
NewImages = Annotated[
    Path | None,
    typer.Argument(metavar="[IMAGES]", help="A folder, an image, a table or an array file; else the run's test images"),
]
Among = Annotated[
    Path | None,
    typer.Argument(metavar="[IMAGES]", help="A folder, a table or an array file; else all images of the run"),
]
Stem = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="NAME", help="Name of the files to write: NAME.csv, NAME.json, NAME.png and .svg"
    ),
]
Count = Annotated[
    int | None,
    typer.Option("--count", metavar="N", help="How many images; else all new ones, or 8 test images", min=1),
]
Place = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FOLDER|FILE",
        help="A folder to make, with every image as a PNG of the same name, and a figure beside it; FILE.png or .svg for the "
        "figure alone, FILE.npy for an array alone",
    ),
]  # fmt: skip
ModelName = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="pca, linear, conv or vae; else the VAE where there is one"),
]
OneK = Annotated[int | None, typer.Option("-k", metavar="K", help="Which K, where the run has several")]
Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="File to write; else one is named here")]
Own = Annotated[
    str | None,
    typer.Option("--recipe", metavar="FILE.py:FUNCTION", help="The file of yours that the run's model was made with"),
]
Seed = Annotated[int, typer.Option(metavar="SEED", help="Fixes all that is random", min=0, max=2**63 - 1)]


def whole(text: str, name: str, least: int = 1) -> int:
    """A whole number that was typed.

    Example:
        >>> whole("20", "k")
        20
        >>> whole("0", "k")
        Traceback (most recent call last):
        lowerbound.errors.InputError: k is 0; expected a whole number of at least 1
    """
    digits = re.fullmatch(r"\s*([+-]?[0-9]{1,9})\s*", text, re.ASCII)
    if digits is None or int(digits[1]) < least:
        shown = text.strip() if digits else f'"{text}"'
        raise InputError(f"{name} is {shown}; expected a whole number of at least {least}")
    return int(digits[1])


def numbers(text: str) -> tuple[int, ...]:
    """The whole numbers of "5,10,20", each once, in rising order.

    Example:
        >>> numbers("20,5,10")
        (5, 10, 20)
    """
    return tuple(sorted({whole(part, "k") for part in text.split(",")}))


def load_source(source: str, data_dir: Path | None, size: int | None) -> ImageSet:
    """A source's images; what was chosen for the user is said once."""
    from lowerbound.progress import terminal
    from lowerbound.sources import load

    images = load(source, data_dir=data_dir, size=size, progress=terminal)
    say_choices(images)
    return images


def say_choices(images: ImageSet) -> None:
    """Print what was chosen for the user, and name what was left out."""
    tell(source=images.name, choices=images.choices, left_out=dict(images.skipped))
    for choice in images.choices:
        print(f"{images.name}: {choice}")
    for file, reason in images.skipped[:10]:
        print(f"left out: {file} ({reason})", file=sys.stderr)
    if len(images.skipped) > 10:
        print(f"left out: {len(images.skipped) - 10:,} more", file=sys.stderr)


def images_for(run: Run, new_images: Path | None, data_dir: Path | None) -> Images:
    """New images brought to the run's size, or its own test images."""
    from lowerbound.comparison import images_of
    from lowerbound.progress import terminal
    from lowerbound.sources import read

    if new_images is None:
        return images_of(run, data_dir, terminal).test
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        images = read(new_images, tuple(run.about["source"]["image_shape"]), progress=terminal)
    for warning in said:
        print(warning.message, file=sys.stderr)
    return images


def stream_for(run: Run, new_images: Path | None, data_dir: Path | None) -> Stream:
    """New images brought to the run's size, or its own test images, a block at a time."""
    from lowerbound.comparison import images_of
    from lowerbound.progress import terminal
    from lowerbound.sources import stream
    from lowerbound.streams import stream_of

    if new_images is None:
        return stream_of(images_of(run, data_dir, terminal).test, f"test images of {run.about['source']['sha256']}")
    return stream(new_images, tuple(run.about["source"]["image_shape"]), progress=terminal)


def gallery_for(run: Run, images: Path | None, data_dir: Path | None, *, whole: bool = True) -> Gallery:
    """New images brought to the run's size, else those of the run: all, or its test images alone."""
    from lowerbound.comparison import images_of
    from lowerbound.gallery import Gallery, gallery_of
    from lowerbound.progress import terminal
    from lowerbound.streams import left_out

    if images is None:
        known = images_of(run, data_dir, terminal)
        return Gallery((known.train, known.test), ("train", "test")) if whole else Gallery((known.test,), ("test",))
    found = gallery_of(stream_for(run, images, data_dir), terminal)
    if found.skipped:
        print(left_out(found.skipped), file=sys.stderr)
    return found


def named_after(run: Path, images: Path | None, verb: str) -> Path:
    """What a verb's files are called where nobody says: after the run and the images, so that none takes another's place.

    Example:
        >>> named_after(Path("runs/mnist"), Path("photos/cats/"), "outliers").name
        'mnist-cats-outliers'
    """
    names = [run.resolve().name, "" if images is None else images.resolve().stem, verb]
    return Path("-".join(filter(None, names)))


def model_stamp(run: Run, stored: StoredModel) -> str:
    """A text that is another one when the model has other weights."""
    import hashlib

    weights = (run.folder(stored) / "model.safetensors").read_bytes()
    return f"{stored.name} {hashlib.sha256(weights).hexdigest()}"


def load_own(own: str | None) -> Outside | None:
    """The user's own function, where ``file.py:function`` was given."""
    from lowerbound.outside import load_function

    return None if own is None else load_function(own)


def open_model(path: Path, model: str | None, k: int | None, own: str | None = None) -> tuple[Run, StoredModel, Model]:
    """A complete run, one of its models, and that model with its weights."""
    from lowerbound.storage import Run

    run = Run.open(path, outside=load_own(own))
    stored = run.choose(model, k)
    return run, stored, run.load(stored)


def models_beside(
    path: Path, model: str | None, k: int | None, own: str | None = None
) -> tuple[Run, int, dict[str, Model]]:
    """A complete run, one K, and with their weights all models of that K, or the one that was named."""
    from lowerbound.storage import Run

    run = Run.open(path, outside=load_own(own))
    chosen = run.choose(model, k)
    beside = [stored for stored in run.shown if stored.latent_dim == chosen.latent_dim]
    return (
        run,
        chosen.latent_dim,
        {stored.recipe: run.load(stored) for stored in beside if model in (None, stored.recipe)},
    )
