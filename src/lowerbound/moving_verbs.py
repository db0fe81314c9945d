"""The verbs that make images move: parse, call, print, draw. What takes long to import is imported by the verb that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError, nearest
from lowerbound.exports import place, save_figure
from lowerbound.options import (
    DataDir,
    ModelName,
    OneK,
    Out,
    Own,
    RunFolder,
    Style,
    images_for,
    models_beside,
    open_model,
    whole,
)
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    import numpy as np

    from lowerbound.storage import Run

__all__ = ["VERBS"]

GIF = (".gif",)
MEASURED = 2_000  # test images whose codes say how far they vary
End = typer.Argument(metavar="IMAGE", help="A file, or a position among the test images, from 0")


def morph(
    run: RunFolder,
    first: Annotated[str, End],
    last: Annotated[str, End],
    way: Annotated[
        str,
        typer.Option(
            metavar="WAY",
            help="straight: the straight line between the two codes. arc: turned about the origin, which keeps the length of the "
            "codes, where N(0, I) has nearly all of its own",
        ),
    ] = "straight",
    steps: Annotated[int, typer.Option(metavar="N", help="Images from one end to the other", min=2, max=500)] = 31,
    model: ModelName = None,
    k: OneK = None,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Turn one image into another, through the codes of each model: a GIF there and back, and a strip beside it.

    The two ends are what the models keep of the two images. Files are brought to the run's size first.

    Example: lowerbound morph runs/mnist-k20-2026-11-22 3 18 --out way.gif

    Example: lowerbound morph runs/mnist-k20-2026-11-22 3 18 --way arc --model vae
    """
    import numpy as np

    from lowerbound import figures, look
    from lowerbound.images import as_floats
    from lowerbound.morphing import WAYS, morph, straight
    from lowerbound.sections import STEPS

    with look.style(style):
        out = place(out, f"{run.name}-morph.gif", GIF)
        if way not in WAYS:
            raise InputError(f'there is no way "{way}"{nearest(way, WAYS)}; expected one of {", ".join(WAYS)}')
        folder, _, models = models_beside(run, model, k, own)
        begin, end = (_image(folder, each, data_dir) for each in (first, last))
        tracks = {look.model_style(name).label: morph(one, begin, end, steps, way) for name, one in models.items()}
        _save(
            out,
            tracks,
            f"{steps} images there and back, {'on the straight line' if way == 'straight' else 'on the arc'}",
        )
        one, other = as_floats(np.stack([begin, end])).reshape(2, -1)
        pixels = straight(one, other, np.linspace(0, 1, STEPS)).reshape(STEPS, *begin.shape)
        strip = {"pixels": pixels} | {name: morph(each, begin, end, STEPS, way) for name, each in models.items()}
        save_figure(figures.interpolation(strip), out.with_suffix(".png"))


def traverse(
    run: RunFolder,
    along: Annotated[
        str,
        typer.Option(
            metavar="WHAT", help="numbers: each number of the codes by itself. axes: the principal axes of the codes"
        ),
    ] = "numbers",
    number: Annotated[int, typer.Option("-n", metavar="N", help="How many, those that change most first", min=1)] = 8,
    image: Annotated[
        int | None, typer.Option(metavar="N", help="Begin at this test image's code; else at the mean of all", min=0)
    ] = None,
    model: ModelName = None,
    k: OneK = None,
    out: Out = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Move one code along each of its numbers, from -3 to 3 standard deviations, and see what changes: a GIF and a strip.

    Example: lowerbound traverse runs/mnist-k20-2026-11-22 --along axes
    """
    from lowerbound import figures, look
    from lowerbound.morphing import ALONG, traverse
    from lowerbound.sections import examples

    with look.style(style):
        out = place(out, f"{run.name}-traverse.gif", GIF)
        if along not in ALONG:
            raise InputError(
                f'there is nothing called "{along}" to go along{nearest(along, ALONG)}; expected one of {", ".join(ALONG)}'
            )
        folder, stored, fitted = open_model(run, model, k, own)
        images = images_for(folder, None, data_dir)
        _check_position(image, len(images))
        codes = fitted.transform(examples(images, MEASURED).pixels)
        centre = None if image is None else fitted.transform(images.pixels[image : image + 1])[0]
        found = traverse(fitted, codes, centre, along=along, number=number)
        begins = "the mean code" if image is None else f"test image {image}"
        print(
            f"{stored.name}: {len(found.names)} of {codes.shape[1]} {along}, from {begins}, -3 to 3 standard deviations"
        )
        tracks = dict(zip(found.names, found.images, strict=True))
        _save(out, tracks, f"{len(found.positions)} images there and back")
        heads = [f"{position:+.2g}" for position in found.positions]
        save_figure(figures.labelled_rows(tracks, heads), out.with_suffix(".png"))


VERBS = (("morph", morph), ("traverse", traverse))


def _image(run: Run, end: str, data_dir: Path | None) -> np.ndarray:
    """The image uint8 ``[C, H, W]`` of a file, or at a position among the test images."""
    if end.isascii() and end.isdecimal() and not Path(end).exists():
        images, at = images_for(run, None, data_dir), whole(end, "position", least=0)
        _check_position(at, len(images))
        return images.pixels[at]
    images = images_for(run, Path(end), data_dir)
    if len(images) != 1:
        raise InputError(f"{end} holds {len(images):,} images; expected one; give the file of one image")
    return images.pixels[0]


def _check_position(at: int | None, number: int) -> None:
    if at is not None and at >= number:
        raise InputError(f"there is no test image {at}; expected 0 to {number - 1}")


def _save(out: Path, tracks: dict[str, np.ndarray], words: str) -> None:
    """A GIF, whole or not at all."""
    from lowerbound.moving import gif
    from lowerbound.whole import make_folder, write_whole

    content = gif(tracks)
    make_folder(out.parent)
    write_whole(out, content)
    wrote(out)
    tell(tracks=list(tracks), steps=len(next(iter(tracks.values()))))
    print(f"{out}: {words}, {len(content) / 1e3:.0f} kB")
