"""What a run says: the table of its models, what was found, how it was made, and the page that holds it all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowerbound import look
from lowerbound.evaluation import Estimate
from lowerbound.images import ImageSet
from lowerbound.page import Section, Table, report
from lowerbound.progress import Progress, quiet
from lowerbound.recipes import recipe
from lowerbound.replicates import averaged, differences, sentences
from lowerbound.sections import sections
from lowerbound.storage import Run
from lowerbound.stored import StoredModel

__all__ = ["HEADER", "compared", "facts", "footnote", "judgement", "rows", "title", "verdict", "write_report"]

HEADER = ("model", "K", "test MSE per pixel", "PSNR, dB", "SSIM", "test ELBO, nats", "seconds")
FOOTNOTE = (
    "± is one standard error over the test images, and over seeds where there are several. Pixels are in [0, 1]. PSNR is "
    "the mean over images. The ELBO has all constants and one draw from q per image; * for PCA it is the exact log p(x) of "
    "probabilistic PCA. {unit} Seconds are of training alone."
)
OF_DENSITIES = "As densities of pixels they compare models of the same images, and are no log-likelihood of 8-bit data."
OF_MASS = {
    "bernoulli": "Under a Bernoulli likelihood it bounds the log-probability of images of 0 and 1.",
    "logistic": "Under a discretised logistic it bounds the log-probability of 8-bit images.",
}


def footnote(run: Run) -> str:
    """How the table of a run is to be read; what its bounds are of depends on the likelihood."""
    kinds = {stored.parts.likelihood.partition(":")[0] for stored in run.models if stored.parts is not None}
    said = [words for kind, words in OF_MASS.items() if kind in kinds]
    return FOOTNOTE.format(unit=" ".join(said) or OF_DENSITIES)


def rows(metrics: list[dict[str, Any]], *, errors: bool = True) -> list[tuple[str, ...]]:
    """The table of a run: one row per model, each figure with its standard error unless there is no room for it.

    Example:
        >>> one = {"mean": 0.5, "standard_error": None}
        >>> rows([{"model": "conv", "k": 2, "mse": one, "psnr": one, "ssim": one, "score": None, "seconds": 1}])
        [('conv AE', '2', '0.500000', '0.50', '0.5000', '-', '1.0')]
    """

    def words(estimate: Mapping[str, Any] | None, digits: int) -> str:
        if estimate is None:
            return "-"
        error = estimate["standard_error"]
        return f"{estimate['mean']:.{digits}f}" + (f" ± {error:.{digits}f}" if errors and error is not None else "")

    return [
        (
            look.model_style(row["model"]).label + (f", {row['seeds']} seeds" if row.get("seeds", 1) > 1 else ""),
            str(row["k"]),
            words(row["mse"], 6),
            words(row["psnr"], 2),
            words(row["ssim"], 4),
            words(row["score"], 1) + (" *" if row["model"] == "pca" else ""),
            f"{row['seconds']:.1f}",
        )
        for row in metrics
    ]


def verdict(metrics: list[dict[str, Any]], k: int) -> list[str]:
    """What was found at one K, in sentences."""
    at = {row["model"]: row for row in metrics if row["k"] == k}
    error = {name: row["mse"]["mean"] for name, row in at.items()}
    best = min(error, key=lambda name: error[name])
    label = look.model_style(best).label
    if len(at) == 1:
        return [f"{label} keeps the test images with a mean squared error of {error[best]:.6f} per pixel."]
    said = [f"At K = {k}, {label} keeps the test images best: mean squared error {error[best]:.6f} per pixel."]
    if "pca" in at and best != "pca" and error[best] > 0:
        said[0] = said[0][:-1] + f", {error['pca'] / error[best]:.2f} times less than PCA."
    if {"pca", "linear"} <= set(at) and error["pca"] > 0:
        more = 100 * (error["linear"] / error["pca"] - 1)
        if more < 3:
            said.append(
                f"The linear autoencoder is within {abs(more):.1f} % of PCA's error, as it should: no line does better."
            )
        else:
            said.append(f"The linear autoencoder's error is {1 + more / 100:.2f} times PCA's: it needs more epochs.")
    if {"pca", "vae"} <= set(at):
        gain = at["vae"]["score"]["mean"] - at["pca"]["score"]["mean"]
        said.append(
            f"The VAE's bound on log p(x) is {abs(gain):,.1f} nats per image {'above' if gain > 0 else 'below'} "
            f"the exact log p(x) of probabilistic PCA; its pixel noise is {at['vae']['sigma']:.4f}, "
            f"PCA's {at['pca']['sigma']:.4f}."
        )
    return said


def judgement(run: Run) -> list[str]:
    """What the VAE of a run pays for its codes, and what that buys, in two sentences; none where there is no VAE to judge."""
    k = run.about["shown_k"]
    told = {row["model"]: Estimate(**row["told"]) for row in run.metrics if row["k"] == k and row.get("told")}
    return sentences(k, run.measured("squared_error", k), told)


def compared(run: Run, k: int) -> Table:
    """Every two models, image by image: mean differences with their intervals."""
    words = {"squared_error": ("squared error per pixel", 6), "score": ("log p(x) or ELBO, nats", 1)}
    lines = []
    for name, (unit, digits) in words.items():
        for (one, other), found in differences(run.measured(name, k)).items():
            labels = [look.model_style(model).label for model in (other, one)]
            between = (
                f"{found.low:+.{digits}f} to {found.high:+.{digits}f}" if math.isfinite(found.low) else "not known"
            )
            lines.append(
                (f"{labels[0]} less {labels[1]}", unit, f"{found.mean:+.{digits}f}", between, str(found.seeds))
            )
    return Table(("models", "of", f"mean difference, K = {k}", "95 % interval", "seeds"), lines)


def _differences(run: Run, k: int) -> Section:
    """Every two models, image by image."""
    return Section(
        "One model against another, image by image",
        "The same test images through both models, and the mean of the differences. What makes an image hard is hard for "
        "both and falls out, so a difference is known better than either number. With several seeds the interval holds for "
        "another training, too; with one it is about these trained models alone.",
        table=compared(run, k),
    )


def write_report(run: Run, images: ImageSet, progress: Progress = quiet, *, name: str = "report.html") -> Path:
    """Draw the figures of a run whose models are trained, and write them as one page into its folder."""
    k, metrics = run.about["shown_k"], averaged(run.metrics)
    kept = "Every model keeps the same number of values, K, of each image. "
    drawn = [Section("What was measured", kept + footnote(run), table=Table(HEADER, rows(metrics)))]
    if len(run.measured("squared_error", k)) > 1:
        drawn.append(_differences(run, k))
    waiting = sections(run, images)
    with look.style(run.about["style"]), progress("figures and report", len(waiting)) as advance:
        for draw in waiting:
            drawn.append(draw())
            advance(1, drawn[-1].title)
        return report(title(run), verdict(metrics, k) + judgement(run), facts(run), drawn, run.path / name)


def title(run: Run) -> str:
    """What a run is about, in one line."""
    channels, height, width = run.about["source"]["image_shape"]
    kind = "colour" if channels == 3 else "grey"
    name, k = run.about["source"]["name"], run.about["shown_k"]
    return f"{name}: {height} × {width} {kind} images through K = {k} numbers"


def facts(run: Run) -> list[tuple[str, str]]:
    """What was run, on what."""
    about, source, machine = run.about, run.about["source"], run.about["machine"]
    trained = [stored for stored in run.models if stored.recipe != "pca"]
    told = [
        ("data", f"{source['source']}: {source['train']:,} training and {source['test']:,} test images"),
        *(("chosen for you", choice) for choice in source["choices"]),
        *((stored.name, _settings_words(stored.settings.to_json()) + _parts_words(stored)) for stored in trained),
        ("network", trained[-1].network if trained else "none"),
        ("made", f"{about['created']} by lowerbound {machine['lowerbound']}, torch {machine['torch']}"),
        ("computed on", f"{machine['device']}, {machine['threads']} threads, {machine['system']}"),
        ("pixels' sha256", source["sha256"]),
    ]
    if source["skipped"]:
        told.append(("left out", "; ".join(f"{file} ({reason})" for file, reason in source["skipped"])))
    return told + ([("command", about["command"])] if about["command"] else [])


def _parts_words(stored: StoredModel) -> str:
    """What a model is assembled from, where that is not the usual; or the file of the user's that made it."""
    if stored.outside is not None:
        return f"; made by {stored.outside['name']}, sha256 {stored.outside['sha256']}"
    parts, usual = stored.parts, recipe(stored.recipe).parts
    return f"; {parts.words}" if parts is not None and parts != usual else ""


def _settings_words(settings: dict[str, Any]) -> str:
    long = f"{settings['minutes']:g} minutes" if settings.get("minutes") else f"{settings['epochs']:g} epochs"
    more = {
        "clip": "gradients of {:g} at most",
        "average": "weights averaged with {:g}",
        "patience": "patience of {} epochs",
    }
    also = "".join(f", {words.format(settings[name])}" for name, words in more.items() if settings.get(name))
    also += ", bfloat16" if settings.get("precision") == "bfloat16" else ""
    return (
        f"{long}, batches of {settings['batch_size']}, Adam {settings['learning_rate']:g} "
        f"({settings['schedule'].replace('_', ' ')}), weight decay {settings['weight_decay']:g}{also}, seed {settings['seed']}"
    )
