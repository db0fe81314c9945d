"""The verb that follows the nats: from the reconstruction to the ELBO to log p(x), and what the rate is spent on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lowerbound.errors import InputError
from lowerbound.exports import FIGURE, place, save_figure
from lowerbound.options import (
    DataDir,
    ModelName,
    NewImages,
    OneK,
    Out,
    Own,
    RunFolder,
    Seed,
    Style,
    images_for,
    open_model,
)
from lowerbound.outcome import tell, wrote
from lowerbound.whole import make_folder, write_whole

if TYPE_CHECKING:
    import numpy as np

    from lowerbound.aggregate import Aggregate
    from lowerbound.gaps import Gaps
    from lowerbound.vae import VAE

__all__ = ["VERBS", "nats"]

OF_GRADIENTS, DRAWS = 8, (2, 4, 8, 16, 32)


def nats(
    run: RunFolder,
    new_images: NewImages = None,
    number: Annotated[int, typer.Option("-n", metavar="N", help="Images, drawn by the seed", min=2, max=10_000)] = 64,
    model: ModelName = None,
    k: OneK = None,
    samples: Annotated[int, typer.Option(metavar="N", help="Draws for log p(x) of each image", min=10)] = 1000,
    seed: Seed = 0,
    out: Out = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="All numbers, of each image too")
    ] = None,
    data_dir: DataDir = None,
    own: Own = None,
    style: Style = "plain",
) -> None:
    """Say where a VAE's nats go: what lies between the ELBO and log p(x), what the rate is spent on, how gradients scatter.

    Four figures beside --out: the gaps, the rate's split by q(z), the KL of each dimension, the variance of gradient estimators.

    Example: lowerbound nats runs/mnist-k20-2026-11-22 -n 64
    """
    from lowerbound import look, rates, spread
    from lowerbound.aggregate import decompose
    from lowerbound.formats import to_json
    from lowerbound.gaps import where_the_nats_go
    from lowerbound.nats import nats as drawn
    from lowerbound.progress import terminal
    from lowerbound.vae import VAE

    out = place(out, f"{run.name}-nats.png", FIGURE)
    with look.style(style):
        folder, stored, fitted = open_model(run, model, k, own)
        if not isinstance(fitted, VAE):
            raise InputError(
                f"{stored.name} has no bound on log p(x); expected a VAE, as --model vae; a plain autoencoder has none"
            )
        pixels = images_for(folder, new_images, data_dir).pixels
        gaps = where_the_nats_go(
            fitted, pixels, number=min(number, len(pixels)), samples=samples, seed=seed, progress=terminal
        )
        split = decompose(fitted, pixels, number=min(2000, len(pixels)), seed=seed, progress=terminal)
        scatter = _scatter(fitted, pixels, seed)
        _tell(gaps, split, scatter)
        save_figure(
            drawn(
                gaps.rate.nats,
                gaps.encoder.nats,
                gaps.optimum.nats,
                gaps.log_p.nats,
                richer={name: gap.nats for name, gap in gaps.richer.items()},
                errors=(gaps.amortisation.estimate.standard_error, gaps.approximation.estimate.standard_error),
            ),
            out,
        )
        terms = {name: (each.mean, each.standard_error) for name, each in _terms(split).items()}
        limit = (f"log {split.images:,}", split.limit)
        rate = (split.rate.mean, split.rate.standard_error)
        save_figure(rates.rate_split(rate, terms, limit=limit), _beside(out, "rate"))
        dimensions = _per_dimension(fitted, pixels, seed)
        if dimensions is not None:
            save_figure(rates.kl_by_dimension(*dimensions), _beside(out, "dimensions"))
        if scatter:
            save_figure(spread.gradient_variance(DRAWS, scatter), _beside(out, "gradients"))  # type: ignore[arg-type]
    found: dict[str, Any] = {
        "model": stored.name,
        "seed": seed,
        "gaps": gaps.to_json(),
        "rate": {"images": split.images, **{name: vars(each) for name, each in _terms(split).items()}},
        "gradient_variance": {"draws": list(DRAWS), **{name: values.tolist() for name, values in scatter.items()}},
    }
    tell(**found)
    if json_file is not None:
        make_folder(json_file.parent)
        write_whole(json_file, to_json(found))
        wrote(json_file)
        print(json_file)


VERBS = (("nats", nats),)


def _beside(out: Path, word: str) -> Path:
    return out.with_name(f"{out.stem}-{word}{out.suffix}")


def _terms(split: Aggregate) -> dict[str, Any]:
    """The terms of the rate, as far as they are known."""
    terms = {"mutual information of image and code": split.mutual_information}
    if split.total_correlation is None or split.dimension_wise_kl is None:
        return {**terms, "KL(q(z) || p(z))": split.divergence}
    return {
        **terms,
        "total correlation of the codes": split.total_correlation,
        "dimension-wise KL": split.dimension_wise_kl,
    }


def _per_dimension(model: VAE, pixels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray] | None:
    """The KL of each dimension, and whether it moves with the image; None where the KL has no such parts."""
    from lowerbound.aggregate import active_units, per_dimension_kl

    kl = per_dimension_kl(model, pixels[:2000], seed=seed)
    return None if kl is None else (kl, active_units(model, pixels[:2000]).mask)


def _scatter(model: VAE, pixels: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Of each estimator, the variance of the ELBO's gradient for each number of draws, the mean over some images."""
    from lowerbound.estimators import ESTIMATORS, variances
    from lowerbound.progress import terminal

    with terminal("variance of gradients", len(ESTIMATORS)) as advance:
        found = {}
        for name, estimator in ESTIMATORS.items():
            found[name] = variances(model, pixels[:OF_GRADIENTS], estimator, draws=DRAWS, repeats=50, seed=seed).mean(1)
            advance(1, name)
    return found


def _tell(gaps: Gaps, split: Aggregate, scatter: dict[str, np.ndarray]) -> None:
    """The three tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    table = Table(
        "nats per image", "mean", "± over images", "of it from draws", box=None, pad_edge=False, header_style="bold"
    )
    for name, mean, drawn in gaps.rows():
        table.add_row(name, f"{mean.mean:.2f}", f"{mean.standard_error:.2f}", f"{drawn:.2f}")
    console.print(table)
    few = int(gaps.annealed.sum())
    how = f"{gaps.evidence.samples:,} draws from the best {[gaps.family, *gaps.richer][-1]} q of each image"
    console.print(
        f"{len(gaps.encoder.nats)} images; log p(x) by importance sampling, {how}"
        + (f"; of {few} of them, where too few draws count, by annealing" if few else "")
    )
    table = Table("the rate, split by q(z)", "nats", "±", box=None, pad_edge=False, header_style="bold")
    for name, each in {"rate": split.rate, **_terms(split)}.items():
        table.add_row(name, f"{each.mean:.2f}", f"{each.standard_error:.2f}")
    console.print(table)
    for line in filter(None, (f"{split.images:,} images", split.reason, split.warning)):
        console.print(line)
    table = Table(
        "variance of the ELBO's gradient", *(f"{n} draws" for n in DRAWS), box=None, pad_edge=False, header_style="bold"
    )
    for name, values in scatter.items():
        table.add_row(name, *(f"{value:.3g}" for value in values))
    console.print(table)
