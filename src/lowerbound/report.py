"""What a run shows: which figures are drawn of it, and the words beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowerbound import curves, figures, look, maps
from lowerbound.backbone import StridedEncoder, steps
from lowerbound.images import Images, ImageSet, as_floats
from lowerbound.pca import PCA
from lowerbound.page import Section, Table, report
from lowerbound.progress import Progress, quiet
from lowerbound.schematic import Plane, schematic
from lowerbound.storage import Model, Run

__all__ = ["HEADER", "interpolate", "planes", "principal_axes", "rows", "write_report"]

HEADER = ("model", "K", "test MSE per pixel", "PSNR, dB", "SSIM", "test ELBO, nats", "seconds")
SHOWN = 8  # images in a row
STEPS = 11  # of an interpolation


def rows(metrics: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The table of a run: one row per model, each figure with its standard error."""
    return [
        (
            look.model_style(row["model"]).label,
            str(row["k"]),
            _with_error(row["mse"], 6),
            _with_error(row["psnr"], 2),
            _with_error(row["ssim"], 4),
            _with_error(row["score"], 1) + (" *" if row["model"] == "pca" else "") if row["score"] else "-",
            f"{row['seconds']:.1f}",
        )
        for row in metrics
    ]


def _with_error(estimate: Mapping[str, float], digits: int) -> str:
    """A mean and its standard error, with one number of digits."""
    return f"{estimate['mean']:.{digits}f} ± {estimate['standard_error']:.{digits}f}"


FOOTNOTE = (
    "± is one standard error over the test images. Pixels are in [0, 1]. PSNR is the mean over images. The ELBO has all "
    "constants and one draw from q per image; * for PCA it is the exact log p(x) of probabilistic PCA. Both are densities of real-valued "
    "pixels: they compare models of the same images, and are no log-likelihood of 8-bit data. Seconds are of training alone."
)


def verdict(metrics: list[dict[str, Any]], k: int) -> list[str]:
    """What was found at one K, in sentences."""
    at = {row["model"]: row for row in metrics if row["k"] == k}
    best = min(at.values(), key=lambda row: row["mse"]["mean"])
    label = look.model_style(best["model"]).label
    said = [f"At K = {k}, {label} keeps the test images best: mean squared error {best['mse']['mean']:.6f} per pixel."]
    if "pca" in at and best["model"] != "pca":
        said[0] = said[0][:-1] + f", {at['pca']['mse']['mean'] / best['mse']['mean']:.2f} times less than PCA."
    if {"pca", "linear"} <= set(at):
        more = 100 * (at["linear"]["mse"]["mean"] / at["pca"]["mse"]["mean"] - 1)
        advice = "as it should: the best linear code is PCA's" if more < 3 else "and with more epochs would come nearer"
        said.append(f"The linear autoencoder comes within {more:.1f} % of PCA's error, {advice}.")
    if {"pca", "vae"} <= set(at):
        gain = at["vae"]["score"]["mean"] - at["pca"]["score"]["mean"]
        said.append(
            f"The VAE's bound on log p(x) is {abs(gain):,.1f} nats per image {'above' if gain > 0 else 'below'} "
            "the exact log p(x) of probabilistic PCA."
        )
    return said


def write_report(run: Run, images: ImageSet, progress: Progress = quiet) -> Path:
    """Draw the figures of a run whose models are trained, and write its ``report.html``."""
    k = run.about["shown_k"]
    with look.style(run.about["style"]), progress("figures and report", 11) as advance:
        sections = []
        for section in _sections(run, images):
            sections.append(section)
            advance(1, section.title)
        source = run.about["source"]
        title = f"{source['name']}: {_shape_words(images)} through K = {k} numbers"
        return report(title, verdict(run.metrics, k), _facts(run), sections, run.path / "report.html")


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
