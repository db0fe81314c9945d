"""The verbs that train: parse, call, print. What takes long to import is imported by the verb that needs it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.options import DataDir, Seed, Size, SourceName, Style, load_source, numbers, whole

if TYPE_CHECKING:
    from lowerbound.images import ImageSet
    from lowerbound.plan import Plan
    from lowerbound.storage import Run

__all__ = ["VERBS", "compare", "train"]

Ks = Annotated[
    str | None,
    typer.Option(
        "-k",
        metavar="K",
        help="Numbers kept of each image; several as 5,10,20,50. Without it: 8 for digits, 20 for images like MNIST's, "
        "64 in colour, else by the explained variance",
    ),
]
NewRun = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Run folder; else runs/NAME-kK-DATE")
]
NetworkName = Annotated[
    str,
    typer.Option(
        metavar="NETWORK",
        help="strided (starts at PCA), dense (two layers of 200 units), or tutorial (with the tutorial's training)",
    ),
]
PartName = Annotated[
    str | None, typer.Option(metavar="NAME[:NUMBER]", help="Of the VAE; `lowerbound train --parts` lists them")
]


PART_KINDS = ("posterior", "likelihood", "prior", "objective", "binarise")


def _list_parts(asked: bool) -> None:  # noqa: FBT001  (typer's own signature)
    if asked:
        from rich.console import Console
        from rich.table import Table

        from lowerbound import parts

        table = Table("option", "name", "what it is", box=None, pad_edge=False, header_style="bold")
        for kind, known in parts.KNOWN.items():
            for name, part in known.items():
                shown = name if part.number is None else f"{name}:{part.number:g}"
                table.add_row(f"--{kind}", shown, part.words)
        Console(highlight=False, markup=False).print(table)
        raise typer.Exit


def compare(
    source: SourceName,
    k: Ks = None,
    out: NewRun = None,
    network: NetworkName = "strided",
    epochs: Annotated[str | None, typer.Option(metavar="N", help="In place of the recipes' own")] = None,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(metavar="S", help="Train each model with so many seeds", min=1, max=100)] = 1,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
) -> None:
    """Train PCA, a linear autoencoder, a convolutional autoencoder and a VAE; write one run folder with a report.

    Example: lowerbound compare mnist -k 20

    Example: lowerbound compare photos/ --size 32 -k 5,10,20,50

    Example: lowerbound compare digits --seeds 3
    """
    from lowerbound.plan import FOUR

    _begin(source, _plan(FOUR, k, network, epochs, seed, style, seeds=seeds), out, data_dir, size)


def train(
    ctx: typer.Context,
    source: Annotated[
        str | None, typer.Argument(metavar="[SOURCE]", help="As for compare; left out with --resume")
    ] = None,
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="pca, linear, conv or vae")] = "vae",
    k: Ks = None,
    out: NewRun = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with this run, where it was left; of compare, too")
    ] = None,
    network: NetworkName = "strided",
    posterior: PartName = None,
    likelihood: PartName = None,
    prior: PartName = None,
    objective: PartName = None,
    binarise: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Make grey images 0 and 1: static (once) or dynamic (at every step)"),
    ] = None,
    own: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="FILE.py:FUNCTION", help="Train what a function of yours makes of an image shape and K"
        ),
    ] = None,
    epochs: Annotated[
        str | None, typer.Option(metavar="N", help="In place of the recipe's own; +5 with --resume for 5 more")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
    *,
    _: Annotated[
        bool, typer.Option("--parts", callback=_list_parts, is_eager=True, help="List the parts and exit")
    ] = False,
) -> None:
    """Train one model, or go on training a run.

    Example: lowerbound train mnist --model conv -k 20

    Example: lowerbound train mnist --posterior diagonal --prior vamp:50 --objective iw:5

    Example: lowerbound train digits --recipe my_posterior.py:make

    Example: lowerbound train --resume runs/mnist-k20-2026-11-22 --epochs +5
    """
    if resume is not None:
        kept = {"source", "model", "k", "out", "network", "seed", "size", "style", *PART_KINDS}
        given = ["-k" if name == "k" else name for name in sorted(kept) if _was_given(ctx, name)]
        if given:
            raise InputError(f"--resume came with {', '.join(given)}, which the run has settled; leave that out")
        _resume(resume, epochs, data_dir, own)
    elif source is None:
        raise InputError("no source came; expected one, as in `lowerbound train mnist`, or --resume RUN")
    else:
        parts = dict(zip(PART_KINDS, (posterior, likelihood, prior, objective, binarise), strict=True))
        given = {kind: name for kind, name in parts.items() if name is not None}
        if own is not None and _was_given(ctx, "model"):
            raise InputError("--model and --recipe both came; a recipe of your own makes the model, leave --model out")
        models = (model,) if own is None else ("own",)
        _begin(source, _plan(models, k, network, epochs, seed, style, parts=given, own=own), out, data_dir, size)


VERBS = (("compare", compare), ("train", train))


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _plan(
    models: tuple[str, ...],
    k: str | None,
    network: str,
    epochs: str | None,
    seed: int,
    style: str,
    *,
    seeds: int = 1,
    parts: Mapping[str, str] | None = None,
    own: str | None = None,
) -> Plan:
    """What was asked, refused before any image is read if it names what is not there; no K yet where none was given."""
    from lowerbound import look
    from lowerbound.errors import nearest
    from lowerbound.options import load_own
    from lowerbound.plan import Plan
    from lowerbound.recipes import NETWORKS, recipe

    outside = load_own(own)
    if outside is not None and set(parts or ()) - {"binarise"}:
        raise InputError(
            f"--recipe came with {', '.join(parts or ())}, which a recipe of your own chooses; leave that out"
        )
    for model in models if outside is None else ():
        if parts and recipe(model).build is None:
            raise InputError(f"{model} is not assembled from parts; leave {', '.join(parts)} out")
        replace(recipe(model).parts, **(parts or {}))
    if network not in NETWORKS:
        known = ", ".join(NETWORKS)
        raise InputError(f'there is no network "{network}"{nearest(network, NETWORKS)}; known are {known}')
    with look.style(style):
        pass
    if epochs is not None and epochs.startswith("+"):
        raise InputError(f"epochs is {epochs}; more epochs are for a run that is there: add --resume RUN")
    chosen = None if epochs is None else whole(epochs, "epochs")
    ks = () if k is None else numbers(k)
    return Plan(ks, models, network, chosen, seed, seeds, style, parts=parts or {}, outside=outside)


def _begin(source: str, plan: Plan, out: Path | None, data_dir: Path | None, size: int | None) -> None:
    """Load, choose K where it is left to us, train, and print what came out."""
    from lowerbound.binarise import binarised_set
    from lowerbound.comparison import begin
    from lowerbound.plan import choose_k
    from lowerbound.whole import refuse_existing

    if out is not None:
        out = out.expanduser()
        refuse_existing(out)
    images = load_source(source, data_dir, size)
    if plan.binarise is not None:
        images = binarised_set(images, plan.binarise, plan.seed)  # type: ignore[arg-type]
        print(f"{images.name}: {images.choices[-1]}")
    if not plan.ks:
        k, reason = choose_k(images)
        plan = replace(plan, ks=(k,), reason=reason)
        print(f"K: {reason}; -k gives another")
    command = shlex.join(["lowerbound", *sys.argv[1:]])
    _finish(begin(images, plan, out, command=command, size=size, data_dir=data_dir), images)


def _resume(path: Path, epochs: str | None, data_dir: Path | None, own: str | None) -> None:
    """Go on with a run, for more epochs where asked."""
    from lowerbound.comparison import images_of, more_epochs
    from lowerbound.options import load_own
    from lowerbound.progress import terminal
    from lowerbound.storage import Run

    run = Run.open(path, unfinished=True, outside=load_own(own))
    complete = run.about["status"] == "complete"
    if epochs is None and complete:
        raise InputError(f"{path} is complete; to train on, say for how long: --epochs +5")
    if epochs is not None and not complete:
        raise InputError(f"{path} is not complete; leave --epochs out to finish it first")
    if epochs is not None and not epochs.startswith("+"):
        raise InputError(f"epochs is {epochs}; expected how many more, as in --epochs +5")
    more = None if epochs is None else whole(epochs[1:], "epochs")
    images = images_of(run, data_dir, terminal)
    if more is not None:
        more_epochs(run, more, images)
    _finish(run, images)


def _finish(run: Run, images: ImageSet) -> None:
    """Train, measure and draw; print the table and where the report is."""
    from rich.console import Console
    from rich.table import Table

    from lowerbound.comparison import go_on
    from lowerbound.progress import terminal
    from lowerbound.replicates import averaged
    from lowerbound.report import HEADER, footnote, judgement, rows

    machine = run.about["machine"]
    print(f"run: {run.path}\ncomputing on {machine['device']} with {machine['threads']} threads")
    try:
        go_on(run, images, progress=terminal)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"go on with `lowerbound train --resume {shlex.quote(str(run.path))}`") from None
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False, markup=False)
    table = Table(*HEADER, box=None, pad_edge=False, header_style="bold")
    for row in rows(averaged(run.metrics), errors=console.width >= 100):
        table.add_row(*row)
    console.print(table)
    console.print(footnote(run))
    for sentence in judgement(run):
        console.print(sentence)
    print(f"report: {run.path / 'report.html'}")
