"""The verb that measures a run: every number with its unit, its standard error and how it came about."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.errors import InputError
from lowerbound.exports import place
from lowerbound.options import DataDir, OneK, Out, Own, RunFolder, Seed, models_beside
from lowerbound.outcome import tell, wrote

if TYPE_CHECKING:
    from lowerbound.evaluation import Measurement
    from lowerbound.images import Images
    from lowerbound.realism import Features

__all__ = ["VERBS"]

FORMAT = 1
FULL_SAMPLES = 5_000
REAL = "real images"  # the column of the yardsticks

Found = dict[str, "list[Measurement]"]


def evaluate(
    run: RunFolder,
    *,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="MODEL", help="pca, linear, conv or vae; else all of that K")
    ] = None,
    k: OneK = None,
    images: Annotated[
        int | None, typer.Option(metavar="N", help="Test images for the importance-weighted bound; else 500", min=2)
    ] = None,
    samples: Annotated[
        int | None, typer.Option(metavar="N", help="Draws for each of them; else 500", min=1, max=10_000_000)
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="All test images x 5,000 draws; says first how long it will take")
    ] = False,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.py:FUNCTION",
            help="Features for the Frechet distance: from images float32 [n, C, H, W] in [0, 1] to numbers [n, D]",
        ),
    ] = None,
    out: Out = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    own: Own = None,
) -> None:
    """Measure the models of a run on its test images: bounds, errors, codes and samples; a table, and evaluation.json.

    Example: lowerbound evaluate runs/mnist-k20-2026-11-22

    Example: lowerbound evaluate runs/mnist-k20-2026-11-22 --model vae --full
    """
    from lowerbound.comparison import images_of
    from lowerbound.measures import measurements, yardsticks
    from lowerbound.progress import terminal

    if full and (images is not None or samples is not None):
        raise InputError("--full came with --images or --samples, which it sets itself; leave one of them out")
    out = place(out, str(run / "evaluation.json"), (".json",))
    chosen = _features(features)
    folder, k, models = models_beside(run, model, k, own)
    data = images_of(folder, data_dir, terminal)
    chosen = chosen or _default(data.train)
    how = {
        "evidence_images": None if full else images or 500,
        "evidence_samples": samples or (FULL_SAMPLES if full else 500),
    }
    if full:
        _say_how_long(models, data.test)
    found: Found = {}
    try:
        for name, one in models.items():
            found[name] = []  # filled one by one, so that an interruption keeps what is there
            print(f"measuring {name}, K = {k}", file=sys.stderr)
            for each in measurements(one, data.train, data.test, features=chosen, seed=seed, progress=terminal, **how):
                found[name].append(each)
        found[REAL] = yardsticks(data.train, data.test, features=chosen, seed=seed)
    except KeyboardInterrupt:
        if any(found.values()):
            _tell(found, k)
            _write(out, found, run, k, seed, whole=False)
        raise KeyboardInterrupt(f"again with `lowerbound evaluate {shlex.quote(str(run))}`") from None
    _tell(found, k)
    _write(out, found, run, k, seed, whole=True)


VERBS = (("evaluate", evaluate),)


def _features(named: str | None) -> dict[str, Features] | None:
    """The user's feature function, under the name it was given by."""
    from lowerbound.outside import load_function

    if named is None:
        return None
    found = load_function(named)
    return {found.name: found.function}


def _default(train: Images) -> dict[str, Features]:
    from lowerbound.measures import default_features

    return default_features(train)


def _say_how_long(models: dict[str, Any], test: Images) -> None:
    """The expected duration of the bound, from a small piece, before it begins."""
    from lowerbound.measures import expected_seconds
    from lowerbound.vae import VAE

    for name, model in models.items():
        if isinstance(model, VAE):
            seconds = expected_seconds(model, test.pixels, FULL_SAMPLES)
            time = f"{seconds / 60:,.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
            print(
                f"{name}: the importance-weighted bound of {len(test):,} images x {FULL_SAMPLES:,} draws will take about "
                f"{time}; Ctrl-C keeps the images that are done"
            )


def _write(out: Path, found: Found, run: Path, k: int, seed: int, *, whole: bool) -> None:
    """All of it as JSON."""
    from lowerbound.formats import to_json
    from lowerbound.whole import make_folder, write_whole

    content = {
        "format": FORMAT,
        "run": run.name,
        "k": k,
        "seed": seed,
        "complete": whole,
        "models": {name: [each.to_json() for each in each_found] for name, each_found in found.items() if name != REAL},
        "yardsticks": [each.to_json() for each in found.get(REAL, [])],
    }
    make_folder(out.parent)
    write_whole(out, to_json(content))
    wrote(out)
    tell(**content)
    print(f"{out}: every number with unit, standard error and protocol")


def _tell(found: Found, k: int) -> None:
    """The table, one column per model, and under it how each number was measured."""
    from rich.console import Console
    from rich.table import Table

    from lowerbound.look import model_style

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    labels = [name if name == REAL else model_style(name).label for name in found]
    table = Table(f"K = {k}", "unit", *labels, box=None, pad_edge=False, header_style="bold")
    protocols: dict[str, str] = {}
    rows = {each.name: each for each in _all(found)}
    for name, first in rows.items():
        cells = [next((_cell(each) for each in column if each.name == name), "-") for column in found.values()]
        table.add_row(name, first.unit, *cells)
        protocols[name] = next(each.protocol for each in _all(found) if each.name == name)
    console.print(table)
    console.print("± is one standard error. How each was measured, of the first model that has it:")
    for name, words in protocols.items():
        console.print(f"  {name}: {words}")


def _all(found: Found) -> Iterable[Measurement]:
    return (each for column in found.values() for each in column)


def _cell(each: Measurement) -> str:
    """A number and its standard error, with as many digits as the error leaves sure.

    Example:
        >>> from lowerbound.evaluation import Measurement
        >>> _cell(Measurement("rate", 20.1234, 0.0567, "nats per image", ""))
        '20.123 ± 0.057'
    """
    import math

    if each.unit == "probability" and each.value < 1e-300:
        return "< 1e-300"  # as small as numbers go
    if each.standard_error is None or each.standard_error <= 0:
        return f"{each.value:.4g}"
    digits = min(9, max(0, 1 - math.floor(math.log10(each.standard_error))))
    return f"{each.value:,.{digits}f} ± {each.standard_error:,.{digits}f}"
