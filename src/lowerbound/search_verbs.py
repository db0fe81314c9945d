"""The verbs that look through images with a fitted model: parse, call, print, write.

All four leave the same files: with ``--out NAME``, a table ``NAME.csv``, the same and more as ``NAME.json``, and a contact sheet
``NAME.png`` (and ``.svg``).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.errors import InputError
from lowerbound.exports import save_figure
from lowerbound.options import (
    Among,
    DataDir,
    ModelName,
    NewImages,
    OneK,
    Own,
    RunFolder,
    Seed,
    Size,
    Stem,
    Style,
    gallery_for,
    named_after,
    open_model,
)
from lowerbound.outcome import tell

if TYPE_CHECKING:
    import numpy as np

    from lowerbound.gallery import Gallery
    from lowerbound.stored import Model

__all__ = ["VERBS"]

KINDS = {"same file": "the same file again", "exact": "with the same pixels", "near": "nearly the same"}
FOLDER_K = 32  # principal components of a folder that no run was made of


def outliers(
    run: RunFolder,
    images: NewImages = None,
    number: Annotated[int, typer.Option("-n", metavar="N", help="How many to show", min=1, max=21)] = 18,
    by: Annotated[
        str | None,
        typer.Option(metavar="MEASURE", help="error, likelihood or both; else both, where the model has a likelihood"),
    ] = None,
    fdr: Annotated[
        float, typer.Option(metavar="SHARE", help="Of false alarms among those to look at, that is allowed on average")
    ] = 0.05,
    draws: Annotated[int, typer.Option(metavar="N", help="Codes per image for a VAE's bound", min=1, max=10_000)] = 10,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Stem = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Find images unlike those of a run: ranks, p-values, how many to look at, and a sheet of them.

    Each image is held against the run's test images, which the model has not learned from: p = 0.001 means that one in a thousand
    of those is as strange. The test images themselves are held against each other, one half against the other. What is found is
    hard to keep in K numbers: a new kind of image that is smooth and plain may look ordinary.

    Example: lowerbound outliers runs/mnist-k20-2026-11-22 my-digits/

    Example: lowerbound outliers runs/mnist-k20-2026-11-22 --by error --out strange
    """
    from lowerbound import look
    from lowerbound import outliers as search
    from lowerbound.progress import terminal
    from lowerbound.search_results import outlier_sheet, outlier_table
    from lowerbound.tabling import png, save_table, stem_of

    with look.style(style):
        stem = stem_of(out or named_after(run, images, "outliers"))
        folder, stored, fitted = open_model(run, model, k, own)
        by = search.choose_measure(fitted, by)
        how: dict[str, Any] = {"by": by, "fdr": fdr, "draws": draws, "seed": seed, "progress": terminal}
        held_out = gallery_for(folder, None, data_dir, whole=False)
        there = held_out if images is None else gallery_for(folder, images, data_dir)
        found = search.outliers(fitted, there, None if images is None else held_out, **how)
        measures = " and ".join("reconstruction error" if name == "error" else name for name in found.scores)
        print(
            f"{stored.name}: {len(there):,} images, each held against {found.calibration:,} test images by {measures}"
        )
        print(found.words)
        about = {"run": run.name, "model": stored.name, "by": found.by, "fdr": fdr, "calibration": found.calibration}
        save_table(stem, {**about, "found": int(found.found.sum())}, "images", outlier_table(there, found))
        save_figure(outlier_sheet(fitted, there, found, number), png(stem))


def neighbours(
    run: RunFolder,
    query: Annotated[
        str,
        typer.Argument(
            metavar="QUERY", help="An image, a folder of images; or the position of one among those searched"
        ),
    ],
    images: Among = None,
    number: Annotated[int, typer.Option("-n", metavar="N", help="Neighbours of each image", min=1, max=1000)] = 7,
    by: Annotated[str, typer.Option(metavar="WHAT", help="codes, or pixels")] = "codes",
    metric: Annotated[
        str,
        typer.Option(
            metavar="METRIC",
            help="Of codes: cosine, plain, whitened, or decoded (of the images that codes stand for; slow)",
        ),
    ] = "cosine",
    way: Annotated[
        str, typer.Option(metavar="WAY", help="exact, approximate, or auto: an index for more than 10^10 pairs")
    ] = "auto",
    model: ModelName = None,
    k: OneK = None,
    out: Stem = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Find the images most like one image, or like each image of a folder.

    A VAE's codes agree best with the classes of MNIST and CIFAR-10; PCA's beat pixels (--by pixels) on photographs alone.

    Example: lowerbound neighbours runs/mnist-k20-2026-11-22 17

    Example: lowerbound neighbours runs/mnist-k20-2026-11-22 my-digits/ -n 5 --by pixels
    """
    from lowerbound import look
    from lowerbound.neighbours import neighbours as search
    from lowerbound.neighbours import without
    from lowerbound.progress import terminal
    from lowerbound.search_results import neighbour_sheet, neighbour_table
    from lowerbound.tabling import png, save_table, stem_of

    with look.style(style):
        stem = stem_of(out or named_after(run, images, "neighbours"))
        folder, stored, fitted = open_model(run, model, k, own)
        path = Path(query).expanduser()
        position = int(query) if query.isascii() and query.isdigit() and not path.exists() else -1
        asked = gallery_for(folder, path, data_dir) if position < 0 else None  # first: it may not be there
        there = gallery_for(folder, images, data_dir)
        shown, names = (_one(there, position), [there.name(position)]) if asked is None else (asked, asked.names())
        how: dict[str, Any] = {"by": by, "metric": metric, "way": way, "progress": terminal}
        found = search(fitted, shown, there, number + (position >= 0), **how)
        found = found if position < 0 else without(found, position)
        measure = "pixels" if by == "pixels" else f"codes of {stored.name} ({metric})"
        sure = "by an index that may miss a few" if found.approximate else "exact"
        print(f"{len(shown):,} {'image' if len(shown) == 1 else 'images'} among {len(there):,}, by {measure}; {sure}")
        about = {"run": run.name, "model": stored.name, "by": measure, "exact": not found.approximate}
        save_table(stem, about, "neighbours", neighbour_table(there, names, found))
        save_figure(neighbour_sheet(shown, there, names, found), png(stem))


def duplicates(
    source: Annotated[Path, typer.Argument(metavar="RUN|FOLDER", help="A run folder, or a folder of images")],
    images: Among = None,
    model: ModelName = None,
    k: OneK = None,
    out: Stem = None,
    data_dir: DataDir = None,
    size: Size = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Find images that are there more than once: copies, and copies stored anew, shifted, cut or made brighter.

    Nothing is deleted. What it names is nearly always a copy; copies that were changed much are missed, above all cut ones of
    drawings and handwriting. Of a folder without a run, principal components say which images to compare.

    Example: lowerbound duplicates runs/mnist-k20-2026-11-22

    Example: lowerbound duplicates runs/mnist-k20-2026-11-22 my-digits/ --out twice
    """
    from lowerbound import look
    from lowerbound.duplicates import duplicates as search
    from lowerbound.progress import terminal
    from lowerbound.search_results import duplicate_sheet, duplicate_table, told_apart
    from lowerbound.tabling import png, save_table, stem_of

    with look.style(style):
        stem = stem_of(out or named_after(source, images, "duplicates"))
        there, fitted, name, home = _to_compare(source, images, model, k, data_dir, size, own)
        found = search(fitted, there, progress=terminal)
        groups = [told_apart(group, there, home) for group in found.groups]
        kinds = [kind for group in groups for kind in group.kinds[1:]]
        tell(groups=len(groups), surplus=found.surplus, kinds={kind: kinds.count(kind) for kind in KINDS})
        counts = ", ".join(f"{kinds.count(kind):,} {words}" for kind, words in KINDS.items() if kind in kinds)
        said = f"{len(groups):,} groups of copies; {found.surplus:,} images could go: {counts}"
        print(f"{len(there):,} images: {said if groups else 'no copies were found'}")
        about = {"source": str(source), "model": name, "images": len(there), "compared": found.pairs}
        save_table(stem, about, "copies", duplicate_table(there, groups))
        if groups:
            save_figure(duplicate_sheet(there, groups, found), png(stem))


def cluster(
    run: RunFolder,
    images: Among = None,
    number: Annotated[
        int | None, typer.Option("-n", metavar="N", help="Of clusters; else held-out images choose it", min=1, max=500)
    ] = None,
    most: Annotated[int, typer.Option(metavar="N", help="The largest number to try", min=1, max=20)] = 20,
    model: ModelName = None,
    k: OneK = None,
    seed: Seed = 0,
    out: Stem = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Group images by their codes: how many groups, who belongs where and how surely, and a sheet of each group.

    Example: lowerbound cluster runs/mnist-k20-2026-11-22 --most 4

    Example: lowerbound cluster runs/mnist-k20-2026-11-22 my-digits/ -n 2
    """
    from lowerbound import contact, look
    from lowerbound.clusters import clusters
    from lowerbound.neighbours import codes_of
    from lowerbound.progress import terminal
    from lowerbound.search_results import cluster_sheet, cluster_table
    from lowerbound.tabling import png, save_table, stem_of

    with look.style(style):
        stem = stem_of(out or named_after(run, images, "clusters"))
        folder, stored, fitted = open_model(run, model, k, own)
        there = gallery_for(folder, images, data_dir)
        found = clusters(codes_of(fitted, there, terminal), number, most=most, seed=seed, progress=terminal)
        print(f"{stored.name}, {len(there):,} images: {found.choice.words}")
        choice = found.choice
        about = {"run": run.name, "model": stored.name, "seed": seed, "clusters": choice.chosen, "why": choice.words}
        tried = zip(choice.numbers, choice.held_out, choice.bic, strict=True)
        if len(choice.numbers) > 1:
            about["tried"] = [
                {"clusters": n, "nats_per_image": float(nats), "bic": float(bic)} for n, nats, bic in tried
            ]
        save_table(stem, about, "images", cluster_table(there, found))
        save_figure(cluster_sheet(there, found, seed), png(stem))
        if len(choice.numbers) > 1:
            figure = contact.curve(choice.numbers, choice.held_out, choice.errors, choice.bic, choice.chosen)
            save_figure(figure, png(stem, "-curve"))


VERBS = (("outliers", outliers), ("neighbours", neighbours), ("duplicates", duplicates), ("cluster", cluster))


def _one(there: Gallery, position: int) -> np.ndarray:
    """One image of a gallery, ``[1, C, H, W]``."""
    if position >= len(there):
        raise InputError(f"there is no image {position}; expected 0 to {len(there) - 1:,}, or the path of an image")
    return there[position : position + 1]


def _to_compare(
    source: Path,
    images: Path | None,
    model: str | None,
    k: int | None,
    data_dir: Path | None,
    size: int | None,
    own: str | None,
) -> tuple[Gallery, Model, str, Path | None]:
    """The images of a run, or of a folder, a model of them, its name, and the folder that holds their files."""
    from lowerbound.gallery import Gallery
    from lowerbound.pca import PCA
    from lowerbound.progress import terminal
    from lowerbound.sources import load
    from lowerbound.streams import left_out

    if (source / "run.json").is_file():
        if size is not None:
            raise InputError(f"size is {size}, but the images of a run have theirs; leave it out")
        folder, stored, fitted = open_model(source, model, k, own)
        there, home = gallery_for(folder, images, data_dir), images or folder.about["source"].get("path")
        return there, fitted, stored.name, Path(home) if home and Path(home).is_dir() else None
    if images is not None:
        raise InputError(f"{source} is no run, and {images} came, too; give a run and a folder, or one folder alone")
    if model is not None or k is not None:
        raise InputError(f"--model and -k choose one of a run's models, and {source} is no run; leave them out")
    known = load(str(source), data_dir=data_dir, size=size, progress=terminal)
    if known.skipped:
        print(left_out(known.skipped), file=sys.stderr)
    there = Gallery((known.train, known.test), ("train", "test"))
    channels, height, width = there.image_shape
    print(
        f"compared at {width} x {height} pixels in {'colour' if channels == 3 else 'grey'}; --size gives another size"
    )
    most = min(FOLDER_K, len(known.train), known.train.pixels[0].size)
    return there, PCA(most).fit(known.train.pixels), f"pca-k{most}", source if source.is_dir() else None
