"""The verbs that advise before anything is trained: how many numbers to keep, and what a loss written elsewhere means."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.errors import InputError
from lowerbound.exports import FIGURE, place, save_figure
from lowerbound.options import DataDir, Out, Seed, Size, Style, load_source
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lowerbound.dimension_curves import Shown
    from lowerbound.dimensions import Dimensions
    from lowerbound.images import Images
    from lowerbound.legibility import Legibility
    from lowerbound.translation import Loss, Translation

__all__ = ["VERBS"]

MOST_SOURCES = 3
PICTURES = 6  # images shown at each K
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers there, too")]


def choose_k(
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="As for compare; up to three share one figure, as in `choose-k mnist cifar10`",
        ),
    ],
    out: Out = None,
    json_file: Json = None,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
    seed: Seed = 0,
) -> None:
    """Say how many numbers to keep of an image, by variance, by likelihood, and by what is still recognised.

    Example: lowerbound choose-k mnist
    """
    from lowerbound import look
    from lowerbound.progress import terminal

    if len(source) > MOST_SOURCES:
        raise InputError(f"{len(source)} sources came; one figure compares at most {MOST_SOURCES}; give fewer")
    with look.style(style):
        stem = "-".join(Path(each).name or "images" for each in source)
        out = place(out, f"{stem}-choose-k.png", FIGURE)
        json_file = None if json_file is None else place(json_file, "", (".json",))
        from lowerbound.dimension_curves import choosing
        from lowerbound.dimensions import choose

        found, shown = [], []
        for each in source:
            images = load_source(each, data_dir, size)
            dimensions = choose(images, seed=seed, progress=terminal)
            _print_dimensions(dimensions)
            found.append(dimensions)
            shown.append(_shown(dimensions, images.test, seed))
        save_figure(choosing(shown), out)
    numbers = {each: one.to_json() for each, one in zip(source, found, strict=True)}
    tell(sources=numbers)
    if json_file is not None:
        _write(numbers, json_file)


def translate(
    image: Annotated[str, typer.Option(metavar="CxHxW", help="Channels, height and width, as 3x64x64")],
    k: Annotated[int, typer.Option("-k", metavar="K", help="Numbers in a code", min=1)],
    reconstruction: Annotated[
        str, typer.Option(metavar="HOW", help="mean over pixels and batch, sum over pixels (mean over batch), sum-all")
    ] = "mean",
    kl: Annotated[
        str,
        typer.Option(metavar="HOW", help="mean over numbers and batch, sum over numbers (mean over batch), sum-all"),
    ] = "sum",
    weight: Annotated[float, typer.Option(metavar="W", help="What the KL is multiplied by")] = 1.0,
    reconstruction_weight: Annotated[
        float, typer.Option(metavar="W", help="What the other term is multiplied by")
    ] = 1.0,
    error: Annotated[str, typer.Option(metavar="ERROR", help="squared, half-squared, bce or l1")] = "squared",
    batch: Annotated[int | None, typer.Option(metavar="N", help="Images in a batch, where it matters", min=1)] = None,
    sigma: Annotated[float | None, typer.Option(metavar="S", help="State beta for this pixel noise, too")] = None,
    json_file: Json = None,
) -> None:
    """Say which beta and which sigma a VAE's loss means that was written with means, sums and weights.

    Example: lowerbound translate --image 3x64x64 -k 128 --reconstruction mean --kl sum --weight 0.00025
    """
    from lowerbound.translation import Loss
    from lowerbound.translation import translate as said

    json_file = None if json_file is None else place(json_file, "", (".json",))
    loss = Loss(_shape(image), k, error, reconstruction, kl, reconstruction_weight, weight, batch)
    translation = said(loss)
    stated = None if sigma is None else said(loss, scale=sigma)
    _print_translation(loss, translation, stated)
    tell(**(stated or translation).to_json())
    if json_file is not None:
        _write((stated or translation).to_json(), json_file)


VERBS = (("choose-k", choose_k), ("translate", translate))


def _shape(text: str) -> tuple[int, int, int]:
    """Channels, height and width of "3x64x64"."""
    found = re.fullmatch(r"\s*(\d{1,6})x(\d{1,6})x(\d{1,6})\s*", text.lower().replace("×", "x"), re.ASCII)
    if found is None:
        raise InputError(f'image is "{text}"; expected channels, height and width, as 3x64x64')
    channels, height, width = (int(each) for each in found.groups())
    return channels, height, width


def _print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines, as compare prints its own."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _print_dimensions(found: Dimensions) -> None:
    """What each criterion says, what was recognised at some K, and what follows."""
    from lowerbound.eigen import bounds

    best = found.held_out.best
    score = found.held_out.at(best)
    by_share = [(f"{share:.0%} of the variance", k, "") for share, k in found.share_ks.items()]
    criteria = [
        *by_share,
        ("parallel analysis", found.parallel, f"of {found.parallel_images:,} training images; more find more"),
        ("evidence (Minka)", found.minka, "as if images were Gaussian"),
        ("held-out likelihood", best, f"{score.mean:,.1f} ± {score.standard_error:,.1f} nats per image"),
    ]
    print(f"\n{found.name}")
    if found.pca.residuals is not None:
        print(f"eigenvalues by the randomised solver, {bounds(found.pca.variances, found.pca.residuals)}")
    _print_table(
        ("criterion", "K", ""), ((name, "not known" if k is None else f"{k:,}", word) for name, k, word in criteria)
    )
    if found.legibility is None:
        print(f"\nrecognition was not tested: {found.unread}")
    else:
        print()
        _print_legibility(found.legibility, found)
    print(f"\n{found.recommendation()[1]}\n")


def _print_legibility(read: Legibility, found: Dimensions) -> None:
    """Accuracy and agreement of the classifiers at each K."""
    header = ["K", "variance"]
    for reader in read.readers:
        header += [f"{reader.name}: right", "as the original"]
    special = {k for k in found.share_ks.values() if k}
    rows = []
    for i, k in enumerate(read.ks):
        if k in special or len(read.ks) <= 12 or i % 2 == 0:
            cells = [
                f"{each.mean:.1%} ± {each.standard_error:.1%}"
                for r in read.readers
                for each in (r.accuracy[i], r.agreement[i])
            ]
            rows.append((f"{k:,}", f"{found.explained[k]:.1%}", *cells))
    originals = [
        cell for r in read.readers for cell in (f"{r.original.mean:.1%} ± {r.original.standard_error:.1%}", "")
    ]
    _print_table(header, [*rows, ("originals", "", *originals)])
    print(
        f"classifiers learned from {read.trained:,} originals and read {read.tested:,} test images at each K; ± is one "
        f"standard error; a guess is right {1 / read.classes:.1%} of the time"
    )


def _print_translation(loss: Loss, said: Translation, stated: Translation | None) -> None:
    """The loss in words, its beta and its scale."""
    from lowerbound.translation import ERRORS, REDUCTIONS

    scale = {"Normal": "sigma", "Laplace": "b", "Bernoulli": ""}[said.likelihood]
    rows = [
        (
            "reconstruction",
            f"{loss.reconstruction_weight:g} x {REDUCTIONS[loss.reconstruction]} of {ERRORS[loss.error]}",
        ),
        ("KL", f"{loss.kl_weight:g} x {REDUCTIONS[loss.kl]}"),
        ("p(x|z)", said.likelihood),
    ]
    if said.scale_at_beta_one is None:
        rows.append(("beta", f"{said.beta:.4g}"))
    else:
        rows.append((f"beta at {scale} = 1", f"{said.beta:.4g}"))
        if stated is not None:
            rows.append((f"beta at {scale} = {stated.scale:g}", f"{stated.beta:.4g}"))
        rows.append((f"{scale} at beta = 1", f"{said.scale_at_beta_one:.4g} (pixels in [0, 1])"))
    _print_table(("loss", ""), rows)
    print(f"\n{said.meaning}")
    if said.warning:
        print(f"note: {said.warning}")


def _shown(found: Dimensions, test: Images, seed: int) -> Shown:
    """What the figure shows of one set of images."""
    import numpy as np

    from lowerbound.dimension_curves import Shown
    from lowerbound.legibility import truncated

    some = _some(test, seed)
    ks = sorted({k for k in found.share_ks.values() if k} or {1})
    pictures = {
        f"K = {k:,}\n{found.explained[k]:.0%} of variance": images
        for k, images in zip(ks, truncated(found.pca, some, ks), strict=True)
    }
    marks = {
        "parallel analysis": found.parallel,
        "evidence (Minka)": found.minka,
        "held-out likelihood": found.held_out.best,
    }
    read = found.legibility
    readers = () if read is None else read.readers
    return Shown(
        found.name,
        found.explained,
        marks,
        () if read is None else read.ks,
        {f"by a classifier of {r.name}": np.array([each.mean for each in r.agreement]) for r in readers},
        {f"by a classifier of {r.name}": np.array([each.standard_error for each in r.agreement]) for r in readers},
        {**pictures, "originals\n": some / 255},
    )


def _some(test: Images, seed: int) -> Any:
    """A few test images, of different classes where there are some."""
    import numpy as np

    order = np.random.default_rng(seed).permutation(len(test))
    if test.labels is not None:
        _, first = np.unique(test.labels[order], return_index=True)
        order = np.concatenate([order[np.sort(first)], np.delete(order, first)])
    return test.pixels[order[:PICTURES]]


def _write(content: dict[str, Any], file: Path) -> None:
    """Numbers as JSON, whole or not at all."""
    from lowerbound.whole import make_folder, write_whole

    make_folder(file.parent)
    write_whole(file, (json.dumps(content, indent=2) + "\n").encode())
    wrote(file)
    print(file)
