"""The main job: the same images through the same K numbers, by several models, in one run folder with one report."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lowerbound.autoencoder import Autoencoder
from lowerbound.binarise import binarised_set
from lowerbound.errors import InputError
from lowerbound.evaluation import Generator, evaluate
from lowerbound.formats import to_json
from lowerbound.images import ImageSet
from lowerbound.outside import Outside
from lowerbound.pca import PCA, PixelMoments, eigenpairs
from lowerbound.plan import Plan, choose_k, default_folder
from lowerbound.progress import Progress, quiet
from lowerbound.realism import two_sample
from lowerbound.report import write_report
from lowerbound.sources import SOURCES, load
from lowerbound.storage import Run
from lowerbound.stored import OWN, Model, StoredModel
from lowerbound.training import choose_device
from lowerbound.training import run as train
from lowerbound.vae import VAE
from lowerbound.whole import write_whole

__all__ = ["begin", "go_on", "images_of", "more_epochs"]

FEWEST_JUDGED, JUDGED = 100, 2000  # test images beside which a classifier sees samples
COARSE = 20  # principal components that it sees: shapes, and not the blur that would give every sample away


def begin(
    images: ImageSet,
    plan: Plan,
    out: Path | None = None,
    *,
    command: str = "",
    size: int | None = None,
    data_dir: Path | None = None,
) -> Run:
    """Make the run folder: ``runs/NAME-kK-DATE``, or the one given.

    Args:
        images: To learn from.
        plan: What to train.
        out: Where to; by default as above.
        command: What the user typed, to be shown in the report.
        size: The size the images were loaded with, to load them again.
        data_dir: Where they were loaded from.

    Raises:
        InputError: A plan that the images do not allow, or a folder that exists.
    """
    plan.check(images)
    _check_own(plan.stored(images), plan.outside)
    usual = choose_k(images)[0] if len(plan.ks) > 1 else None
    about = {
        "command": command,
        "source": {
            "name": images.name,
            "source": images.source,
            "path": None if images.source in SOURCES else str(_absolute(images.source)),
            "data_dir": data_dir and str(_absolute(data_dir)),
            "size": size,
            "binarise": {"kind": plan.binarise, "seed": plan.seed} if plan.binarise else None,
            "image_shape": list(images.image_shape),
            "train": len(images.train),
            "test": len(images.test),
            "class_names": list(images.class_names),
            "sha256": images.sha256(),
            "choices": [*images.choices, *([f"K: {plan.reason}"] if plan.reason else [])],
            "skipped": [list(pair) for pair in images.skipped],
        },
        "shown_k": usual if usual in plan.ks else max(plan.ks),
        "style": plan.style,
        "machine": machine(),
        "models": [stored.to_json() for stored in plan.stored(images)],
    }
    return Run.create(out or default_folder(images.name, plan), about, plan.outside)


def images_of(run: Run, data_dir: Path | None = None, progress: Progress = quiet) -> ImageSet:
    """The images that a run was begun with, loaded again from where they were.

    Raises:
        InputError: They are not there any more, or are others now.
    """
    source = run.about["source"]
    typed, path = source["source"], source.get("path")
    where = typed if path is None or not Path(path).exists() else path
    if where not in SOURCES and not Path(where).exists():
        raise InputError(f"the images of {run.path} are not in {path or typed} any more; put them back there")
    data_dir = data_dir or (source.get("data_dir") and Path(source["data_dir"]))
    images = load(where, data_dir=data_dir, size=source.get("size"), progress=progress)
    if source.get("binarise"):
        images = binarised_set(images, **source["binarise"])
    run.check_images(images)
    return replace(images, name=source["name"], source=typed)


def _absolute(path: str | Path) -> Path:
    """A path that means the same from every folder."""
    return Path(path).expanduser().absolute()


def _check_own(models: list[StoredModel], outside: Outside | None) -> None:
    """Refuse a function of the user's that is not there, is another, or makes no model, before anything is written."""
    for stored in models:
        if stored.recipe == OWN:
            stored.build(outside=outside)


def machine() -> dict[str, Any]:
    """What computed: versions, device and threads."""
    import torch

    return {
        "lowerbound": version("lowerbound"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(choose_device()),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }


def go_on(run: Run, images: ImageSet, *, progress: Progress = quiet, say: Callable[[str], object] = str) -> Run:
    """Train what is not trained yet, measure, draw, and complete the run.

    Args:
        run: Begun now or earlier.
        images: The same images it was begun with.
        progress: Shown on the way.
        say: Called with one line about every model.

    Raises:
        InputError: Other images than those of the run.
        DivergedError: A loss was not a number.
    """
    run.check_images(images)
    metrics = {} if not (run.path / "metrics.json").is_file() else {row["name"]: row for row in run.metrics}
    moments = PixelMoments(images.image_shape)
    spectrum = None
    for stored in run.models:
        if metrics.get(stored.name, {}).get("epochs") == stored.settings.epochs:
            continue  # measured last of all, so it is trained and written
        if spectrum is None:
            moments.add(images.train.pixels, progress)
            spectrum = eigenpairs(moments.covariance, max(model.latent_dim for model in run.models))
        began = time.monotonic()
        pca = PCA(stored.latent_dim).fit_moments(moments, spectrum)
        seconds = time.monotonic() - began
        model: Model = pca
        if stored.recipe != "pca":
            model, seconds = _train(run, stored, images, pca, progress)
        else:
            run.save(stored, pca)
        evaluation = evaluate(model, images.test.pixels, progress, task=f"{stored.name}: test images")
        metrics[stored.name] = {
            "name": stored.name,
            "model": stored.recipe,
            "k": stored.latent_dim,
            "seed": stored.settings.seed,
            "epochs": stored.settings.epochs,
            "seconds": round(seconds, 3),
            "sigma": _sigma(model),
            **evaluation.to_json(),
            "told": _told(model, images, stored.settings.seed, progress) if not stored.replicate else None,
        }
        run.save_measured(stored, evaluation.errors, evaluation.scores)
        write_whole(run.path / "metrics.json", to_json(list(metrics.values())))
        say(f"{stored.name}: test MSE {evaluation.mse.mean:.6f}")
    write_report(run, images, progress)
    run.complete()
    return run


def _told(model: Model, images: ImageSet, seed: int, progress: Progress) -> dict[str, float] | None:
    """How often a classifier tells samples from test images; None of a model that is not made to sample, or for few images."""
    binary = isinstance(model, VAE) and model.likelihood.binary  # their means are grey, which gives them away at once
    if not isinstance(model, Generator) or binary or len(images.test) < FEWEST_JUDGED:
        return None
    test = images.test.pixels[:JUDGED]
    with progress("classifier two-sample test", 1) as advance:
        found = two_sample(model.sample(len(test), seed), test, components=COARSE, seed=seed).accuracy
        advance(1, "")
    return {"mean": found.mean, "standard_error": found.standard_error}


def _sigma(model: Model) -> float | None:
    """Standard deviation of the pixel noise, in pixel units of [0, 1]; None without a density."""
    if isinstance(model, PCA):
        return math.sqrt(model.noise_variance)
    sigma = model.likelihood.gauges().get("sigma") if isinstance(model, VAE) else None
    return None if sigma is None else float(sigma.detach())


def _train(
    run: Run, stored: StoredModel, images: ImageSet, pca: PCA, progress: Progress
) -> tuple[Autoencoder | VAE, float]:
    """A model with all its epochs done, from its last checkpoint where there is one; and the seconds it took."""
    model = stored.build(pca, run.outside)
    state = train(
        model,
        images.train.pixels,
        stored.settings,
        state=run.load_checkpoint(stored, model),
        save=partial(run.save_checkpoint, stored, model),
        progress=progress,
        task=stored.name,
    )
    run.save(stored, model, state.history)
    return model, state.seconds


def more_epochs(run: Run, more: int, images: ImageSet) -> None:
    """Ask for more epochs of every model that is trained by epochs; their schedule begins anew.

    Raises:
        InputError: No model of the run is trained by epochs, or other images: the run stays complete.
    """
    if more < 1:
        raise InputError(f"epochs is +{more}; expected at least +1")
    run.check_images(images)
    models = run.models
    _check_own(models, run.outside)
    if all(stored.recipe == "pca" for stored in models):
        raise InputError(f"{run.path} holds PCA only, which is not trained by epochs; nothing to go on with")
    for place, stored in enumerate(models):
        if stored.recipe != "pca":
            done = stored.settings.epochs
            models[place] = replace(stored, settings=replace(stored.settings, epochs=done + more, begin=done))
    run.about["models"] = [stored.to_json() for stored in models]
    run.about["status"] = "training"
    run.write_about()
