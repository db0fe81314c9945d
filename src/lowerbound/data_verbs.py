"""The verbs on data sets: what there is, fetch it, look at it, pack it for sets that are larger than memory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.options import DataDir, Out, Seed, Size, SourceName, Style, load_source, say_choices
from lowerbound.outcome import tell, wrote

__all__ = ["data_app"]

data_app = typer.Typer(help="What images there are: list, get, show, pack.", no_args_is_help=True)


@data_app.command("list")
def data_list() -> None:
    """List the known sources of images.

    Example: lowerbound data list
    """
    from rich.console import Console
    from rich.table import Table

    from lowerbound.sources import SOURCES

    table = Table("name", "what", "training", "test", "from", box=None, pad_edge=False)
    for name, source in SOURCES.items():
        table.add_row(name, source.description, f"{source.train:,}", f"{source.test:,}", source.origin)
    known = {
        name: {"what": one.description, "training": one.train, "test": one.test, "from": one.origin}
        for name, one in SOURCES.items()
    }
    tell(sources=known)
    Console().print(table)
    print(
        "\nAny folder of image files (sub-folders are classes), .parquet, .arrow, .npy or .npz file is a source, too."
    )


@data_app.command("get")
def data_get(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Known sources, as `data list` has them")],
    data_dir: DataDir = None,
) -> None:
    """Download data sets and check them; what is there already is only checked.

    Example: lowerbound data get mnist cifar10
    """
    from lowerbound.errors import nearest
    from lowerbound.progress import terminal
    from lowerbound.sources import SOURCES, fetch

    for name in names:  # all are looked at before the first is downloaded
        if name not in SOURCES:
            known = ", ".join(SOURCES)
            raise InputError(f'there is no source "{name}" to get{nearest(name, SOURCES)}; known are {known}')
    for name in names:
        files = fetch(name, data_dir=data_dir, progress=terminal)
        wrote(*files)
        print(f"{name}: " + (", ".join(map(str, files)) if files else "comes with scikit-learn, nothing to download"))


@data_app.command("show")
def data_show(
    source: SourceName,
    data_dir: DataDir = None,
    size: Size = None,
    out: Out = None,
    style: Style = "plain",
    seed: Seed = 0,
) -> None:
    """Draw a sheet of a source's images with their classes, and say how many there are and how large.

    Example: lowerbound data show mnist
    """
    import numpy as np

    from lowerbound import figures, look
    from lowerbound.exports import FIGURE, place, save_figure

    with look.style(style):
        if out is not None:
            out = place(out, "", FIGURE)
        images = load_source(source, data_dir, size)
        train = images.train
        channels, height, width = images.image_shape
        tell(
            training_images=len(train), test_images=len(images.test), image_shape=images.image_shape,
            classes=images.class_names, smallest=train.pixels.min(), largest=train.pixels.max(),
        )  # fmt: skip
        print(f"{images.name}: {len(train):,} training and {len(images.test):,} test images")
        print(f"each of {channels} x {height} x {width} values (channels, height, width), 8 bits")
        print(f"values from {train.pixels.min()} to {train.pixels.max()}; models see them divided by 255")
        if images.class_names:
            more = ", ..." if len(images.class_names) > 20 else ""
            print(f"{len(images.class_names)} classes: {', '.join(images.class_names[:20])}{more}")
        sheet = train[np.random.default_rng(seed).permutation(len(train))[:30]]
        figure = figures.samples_of(sheet.pixels, sheet.labels, images.class_names, title=images.name)
        save_figure(figure, place(out, f"{images.name}.png", FIGURE))


@data_app.command("pack")
def data_pack(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder of images, a .parquet or .arrow file or a folder of such")
    ],
    out: Out = None,
    size: Size = None,
) -> None:
    """Decode images once to a .npy file that is never read whole: for sets larger than memory, and to begin quickly.

    Broken off, it goes on where it was. The file is a source like any other; names and labels lie beside it.

    Example: lowerbound data pack photos/ --size 32 --out photos.npy
    """
    from lowerbound.exports import ARRAY, place
    from lowerbound.progress import terminal
    from lowerbound.sources import pack

    out = place(out, f"{Path(source).name or 'images'}.npy", ARRAY)
    images = pack(source, out, size=size, progress=terminal)
    say_choices(images)
    count = len(images.train) + len(images.test)
    wrote(out)
    tell(training_images=len(images.train), test_images=len(images.test), image_shape=images.image_shape)
    print(
        f"{out}: {len(images.train):,} training and {len(images.test):,} test images, uint8 {[count, *images.image_shape]}"
    )
