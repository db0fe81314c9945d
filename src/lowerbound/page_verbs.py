"""The verb that makes a run's live page. What takes long to import is imported by the verb."""

from __future__ import annotations

from typing import Annotated

import typer

from lowerbound.exports import place
from lowerbound.options import DataDir, Out, Own, RunFolder, load_own
from lowerbound.outcome import tell, wrote

__all__ = ["VERBS"]

NOT_ASKED = "This page was made with --no-insight."
HEAVY = 60  # megabytes


def page(
    run: RunFolder,
    *,
    out: Out = None,
    images: Annotated[int, typer.Option(metavar="N", help="Test images on the page, at most", min=1)] = 10_000,
    encoders: Annotated[
        bool, typer.Option("--encoders/--no-encoders", help="Whether images that are drawn or dropped can be encoded")
    ] = True,
    full_precision: Annotated[
        bool, typer.Option("--full-precision", help="Weights as float32: twice the size, images within 1e-5 of torch's")
    ] = False,
    insight: Annotated[
        bool | None,
        typer.Option(
            "--insight/--no-insight",
            help="Findings and ascents of the run's VAE: made anew, or left out; without this made where they are missing",
            show_default=False,
        ),
    ] = None,
    linked: Annotated[
        bool, typer.Option("--linked", help="A page and a folder of assets for a web host, not one file")
    ] = False,
    serve: Annotated[bool, typer.Option("--serve", help="Show it to this machine alone, until Ctrl-C")] = False,
    port: Annotated[int, typer.Option(metavar="PORT", help="For --serve; 0 for a free one", min=0, max=65535)] = 0,
    data_dir: DataDir = None,
    own: Own = None,
) -> None:
    """Look inside a run in the browser: one HTML file with its images and models, which needs no network and no server.

    It is the run's report.html, or with --out a file of its own. --serve shows it at an address of this machine.

    Example: lowerbound page runs/mnist-k20-2026-11-22

    Example: lowerbound page runs/mnist-k20-2026-11-22 --linked --out site/index.html
    """
    from lowerbound.comparison import images_of
    from lowerbound.insight import make_insight
    from lowerbound.live_page import LINKED, REPORT, keep_figures, page_files, template, write_files
    from lowerbound.payload import payload
    from lowerbound.progress import terminal
    from lowerbound.showing import serve as serve_files
    from lowerbound.storage import Run

    folder = Run.open(run, outside=load_own(own))
    out = place(out, str(folder.path / (LINKED if linked else REPORT)), (".html",))
    built = template()
    there = images_of(folder, data_dir, terminal)
    without = NOT_ASKED if insight is False else make_insight(folder, there, terminal, anew=bool(insight))
    if out == folder.path / REPORT:
        keep_figures(folder)
    held = payload(
        folder,
        there,
        shown=images,
        encoders=encoders,
        full=full_precision,
        without=without,
        progress=terminal,
    )
    files = page_files(held, built, linked=linked, name=out.name)
    write_files(out.parent, files)
    for left in held.meta["left_out"]:
        print(f"left out: {left['panel']}: {left['reason']}")
    size = sum(map(len, files.values())) / 1e6
    wrote(*(out.parent / name for name in files))
    models = [each["name"] for each in held.meta["models"]]
    tell(images=held.meta["shown"], models=models, megabytes=size, left_out=held.meta["left_out"])
    counted = f"{len(models)} model{'' if len(models) == 1 else 's'}"
    print(f"{out}: {held.meta['shown']:,} images, {counted}, {size:.1f} MB")
    if size > HEAVY:
        print(f"a browser takes long to open more than {HEAVY} MB; --images N or --no-encoders makes it smaller")
    if serve:
        serve_files(files, port)


VERBS = (("page", page),)
