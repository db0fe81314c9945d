"""What a run says: the table of its models, what was found, how it was made, and the page that holds it all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowerbound import look
from lowerbound.images import ImageSet
from lowerbound.page import Section, Table, report
from lowerbound.progress import Progress, quiet
from lowerbound.sections import sections
from lowerbound.storage import Run

__all__ = ["FOOTNOTE", "HEADER", "rows", "verdict", "write_report"]

HEADER = ("model", "K", "test MSE per pixel", "PSNR, dB", "SSIM", "test ELBO, nats", "seconds")
FOOTNOTE = (
    "± is one standard error over the test images. Pixels are in [0, 1]. PSNR is the mean over images. The ELBO has all "
    "constants and one draw from q per image; * for PCA it is the exact log p(x) of probabilistic PCA. Both are densities "
    "of real-valued pixels: they compare models of the same images, and are no log-likelihood of 8-bit data. Seconds are "
    "of training alone."
)


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
            look.model_style(row["model"]).label,
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


def write_report(run: Run, images: ImageSet, progress: Progress = quiet) -> Path:
    """Draw the figures of a run whose models are trained, and write its ``report.html``."""
    k, metrics = run.about["shown_k"], run.metrics
    kept = "Every model keeps the same number of values, K, of each image. "
    drawn = [Section("What was measured", kept + FOOTNOTE, table=Table(HEADER, rows(metrics)))]
    waiting = sections(run, images)
    with look.style(run.about["style"]), progress("figures and report", len(waiting)) as advance:
        for draw in waiting:
            drawn.append(draw())
            advance(1, drawn[-1].title)
        title = f"{run.about['source']['name']}: {_shape_words(images)} through K = {k} numbers"
        return report(title, verdict(metrics, k), _facts(run), drawn, run.path / "report.html")


def _shape_words(images: ImageSet) -> str:
    channels, height, width = images.image_shape
    return f"{height} × {width} {'colour' if channels == 3 else 'grey'} images"


def _facts(run: Run) -> list[tuple[str, str]]:
    """What was run, on what."""
    about, source, machine = run.about, run.about["source"], run.about["machine"]
    trained = [stored for stored in run.models if stored.recipe != "pca"]
    facts = [
        ("data", f"{source['source']}: {source['train']:,} training and {source['test']:,} test images"),
        *(("chosen for you", choice) for choice in source["choices"]),
        *((stored.name, _settings_words(stored.settings.to_json())) for stored in trained),
        ("network", trained[-1].network if trained else "none"),
        ("made", f"{about['created']} by lowerbound {machine['lowerbound']}, torch {machine['torch']}"),
        ("computed on", f"{machine['device']}, {machine['threads']} threads, {machine['system']}"),
        ("pixels' sha256", source["sha256"]),
    ]
    if source["skipped"]:
        facts.append(("left out", "; ".join(f"{file} ({reason})" for file, reason in source["skipped"])))
    return facts + ([("command", about["command"])] if about["command"] else [])


def _settings_words(settings: dict[str, Any]) -> str:
    return (
        f"{settings['epochs']} epochs, batches of {settings['batch_size']}, Adam {settings['learning_rate']:g} "
        f"({settings['schedule'].replace('_', ' ')}), weight decay {settings['weight_decay']:g}, seed {settings['seed']}"
    )
