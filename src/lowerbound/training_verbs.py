"""The verbs that train: parse, call, print. What takes long to import is imported by the verb that needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lowerbound.errors import InputError
from lowerbound.options import DataDir, Seed, Size, SourceName, Style, numbers, whole
from lowerbound.training_options import (
    Average,
    Batch,
    Clip,
    Compiled,
    Epochs,
    Ks,
    Minutes,
    NetworkName,
    NewRun,
    PartName,
    Patience,
    Precision,
    Rate,
    TensorBoard,
    list_parts,
    settings_of,
)

if TYPE_CHECKING:
    from lowerbound.plan import Plan

__all__ = ["VERBS", "compare", "train"]

PART_KINDS = ("posterior", "likelihood", "prior", "objective", "binarise")
SETTINGS = ("minutes", "rate", "batch_size", "clip", "average", "patience", "precision", "compiled", "tensorboard")


def compare(
    source: SourceName,
    k: Ks = None,
    out: NewRun = None,
    network: NetworkName = "patched",
    epochs: Annotated[str | None, typer.Option(metavar="N", help="In place of the recipes' own")] = None,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(metavar="S", help="Train each model with so many seeds", min=1, max=100)] = 1,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
    *,
    insight: Annotated[
        bool,
        typer.Option(
            "--insight/--no-insight",
            help="Whether the VAE is examined at the end, for findings and ascents on the page",
        ),
    ] = True,
) -> None:
    """Train PCA, a linear autoencoder, a convolutional autoencoder and a VAE; write one run folder with a report.

    Example: lowerbound compare mnist -k 20

    Example: lowerbound compare photos/ --size 32 -k 5,10,20,50

    Example: lowerbound compare digits --seeds 3
    """
    from lowerbound.launching import begin_run
    from lowerbound.plan import FOUR

    plan = _plan(FOUR, k, network, epochs, seed, style, seeds=seeds)
    begin_run(source, plan, out, data_dir, size, insight=insight)


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
    network: NetworkName = "patched",
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
    epochs: Epochs = None,
    minutes: Minutes = None,
    rate: Rate = None,
    batch_size: Batch = None,
    clip: Clip = None,
    average: Average = None,
    patience: Patience = None,
    precision: Precision = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    size: Size = None,
    style: Style = "plain",
    *,
    compiled: Compiled = False,
    tensorboard: TensorBoard = False,
    allow_data_change: Annotated[
        bool,
        typer.Option(
            "--allow-data-change", help="With --resume: go on although the images are others now; the run says so"
        ),
    ] = False,
    _: Annotated[
        bool, typer.Option("--parts", callback=list_parts, is_eager=True, help="List the parts and exit")
    ] = False,
) -> None:
    """Train one model, or go on training a run.

    Example: lowerbound train mnist --model conv -k 20

    Example: lowerbound train mnist --posterior diagonal --prior vamp:50 --objective iw:5

    Example: lowerbound train digits --recipe my_posterior.py:make

    Example: lowerbound train mnist --minutes 3 --average 0.999

    Example: torchrun --nproc-per-node 2 -m lowerbound train mnist

    Example: lowerbound train --resume runs/mnist-k20-2026-11-22 --epochs +5
    """
    from lowerbound.events import check_tensorboard
    from lowerbound.launching import begin_run, resume_run

    if resume is not None:
        kept = {"source", "model", "k", "out", "network", "seed", "size", "style", *PART_KINDS, *SETTINGS}
        given = ["-k" if name == "k" else name for name in sorted(kept) if _was_given(ctx, name)]
        if given:
            raise InputError(f"--resume came with {', '.join(given)}, which the run has settled; leave that out")
        resume_run(resume, epochs, data_dir, own, changed=allow_data_change)
    elif allow_data_change:
        raise InputError("--allow-data-change is for a run that is there; add --resume RUN, or leave it out")
    elif source is None:
        raise InputError("no source came; expected one, as in `lowerbound train mnist`, or --resume RUN")
    else:
        parts = dict(zip(PART_KINDS, (posterior, likelihood, prior, objective, binarise), strict=True))
        given = {kind: name for kind, name in parts.items() if name is not None}
        if own is not None and _was_given(ctx, "model"):
            raise InputError("--model and --recipe both came; a recipe of your own makes the model, leave --model out")
        models = (model,) if own is None else ("own",)
        plan = _plan(models, k, network, epochs, seed, style, parts=given, own=own)
        if tensorboard:
            check_tensorboard()
        if minutes is not None and epochs is not None:
            raise InputError("--minutes and --epochs both came; each says how long to train, leave one out")
        chosen = settings_of(
            minutes=minutes,
            learning_rate=rate,
            batch_size=batch_size,
            clip=clip,
            average=average,
            patience=patience,
            precision=precision,
            compiled=compiled,
        )
        left = tuple(name for name in _open(model, own, minutes) if not _was_given(ctx, name))
        plan = replace(plan, settings=chosen, tensorboard=tensorboard, open=left)
        begin_run(source, plan, out, data_dir, size)


VERBS = (("compare", compare), ("train", train))


def _open(model: str, own: str | None, minutes: float | None) -> tuple[str, ...]:
    """What can be left open: a function of the user's own has its network, PCA nothing to train, a line no network."""
    names = {"pca": ("model",), "linear": ("model", "epochs")}.get(model, ("model", "network", "epochs"))
    return tuple(name for name in names if own is None and not (name == "epochs" and minutes is not None))


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
