"""The main job: the same images through the same K numbers, by several models, in one run folder with one report."""

from __future__ import annotations

import datetime
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lowerbound.autoencoder import Autoencoder
from lowerbound.errors import InputError
from lowerbound.evaluation import evaluate
from lowerbound.formats import to_json
from lowerbound.images import ImageSet
from lowerbound.pca import PCA, PixelMoments, eigenpairs
from lowerbound.progress import Progress, quiet
from lowerbound.recipes import recipe
from lowerbound.report import write_report
from lowerbound.sources import SOURCES, load
from lowerbound.storage import Model, Run, StoredModel
from lowerbound.training import choose_device
from lowerbound.training import run as train
from lowerbound.vae import VAE
from lowerbound.whole import write_whole

__all__ = ["FOUR", "Plan", "begin", "choose_k", "default_folder", "go_on", "images_of", "more_epochs"]

FOUR = ("pca", "linear", "conv", "vae")


def choose_k(images: ImageSet) -> tuple[int, str]:
    """How many numbers to keep of an image when nobody says, and why.

    Example:
        >>> from lowerbound import sources
        >>> choose_k(sources.load("digits"))
        (8, '8, for grey images of 8 x 8 pixels')
    """
    channels, height, width = images.image_shape
    most = min(channels * height * width, len(images.train))
    if images.image_shape == (1, 8, 8):
        k, reason = 8, "for grey images of 8 x 8 pixels"
    elif images.image_shape == (1, 28, 28):
        k, reason = 20, "for images like MNIST's"
    elif channels == 3:
        k, reason = 64, "for colour images"
    else:
        explained = PCA(1).fit(images.train.pixels).explained
        k = max(2, min(128, int((explained < 0.8).sum())))
        reason = f"with which PCA explains {explained[min(k, len(explained) - 1)]:.0%} of the variance"
    if k > most:
        k, reason = most, f"all that {len(images.train):,} images of {channels * height * width:,} values allow"
    return k, f"{k}, {reason}"


@dataclass(frozen=True)
class Plan:
    """What to train, and how.

    Attributes:
        ks: Numbers per image, one model of each kind for each.
        models: Names in ``recipes.RECIPES``.
        network: Name in ``recipes.NETWORKS``, of the convolutional models.
        epochs: In place of the recipes' own.
        seed: Fixes weights, order and noise.
        style: Of the figures: "plain" or "xkcd".
        reason: Why these Ks, where they were chosen for the user.
    """

    ks: tuple[int, ...]
    models: tuple[str, ...] = FOUR
    network: str = "strided"
    epochs: int | None = None
    seed: int = 0
    style: str = "plain"
    reason: str = ""

    def check(self, images: ImageSet) -> None:
        """Refuse what the images cannot give, before anything is written."""
        channels, height, width = images.image_shape
        pixels, number = channels * height * width, len(images.train)
        for k in self.ks:
            if not 1 <= k <= min(pixels, number):
                raise InputError(
                    f"k is {k}; expected 1 to {min(pixels, number)}, since {images.name} has {number:,} training images "
                    f"of {pixels:,} values; give another -k"
                )
        if self.epochs is not None and self.epochs < 1:
            raise InputError(f"epochs is {self.epochs}; expected at least 1")

    def stored(self, images: ImageSet) -> list[StoredModel]:
        """The models to train, in order."""
        return [self._stored(name, k, images) for k in self.ks for name in self.models]

    def _stored(self, name: str, k: int, images: ImageSet) -> StoredModel:
        chosen = recipe(name)
        settings = (
            chosen.tutorial if self.network == "tutorial" else chosen.settings(len(images.train), images.image_shape)
        )
        epochs = settings.epochs if self.epochs is None or chosen.build is None else self.epochs
        settings = replace(settings, epochs=epochs, seed=self.seed)
        return StoredModel(name, k, images.image_shape, self.network, settings)


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
    usual = choose_k(images)[0] if len(plan.ks) > 1 else None
    about = {
        "command": command,
        "source": {
            "name": images.name,
            "source": images.source,
            "path": None if images.source in SOURCES else str(_absolute(images.source)),
            "data_dir": data_dir and str(_absolute(data_dir)),
            "size": size,
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
    return Run.create(out or default_folder(images.name, plan), about)


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
    run.check_images(images)
    return replace(images, name=source["name"], source=typed)


def _absolute(path: str | Path) -> Path:
    """A path that means the same from every folder."""
    return Path(path).expanduser().absolute()


def default_folder(name: str, plan: Plan) -> Path:
    """The first of ``runs/NAME-kK-DATE``, ``...-2``, ``...-3`` that is not there yet; one model alone is named, too.

    Example:
        >>> default_folder("mnist", Plan((20,), ("conv",))).name.startswith("mnist-conv-k20-")
        True
    """
    parts = [name, *plan.models] if len(plan.models) == 1 else [name]
    ks = "-".join(map(str, plan.ks)) if len(plan.ks) < 8 else f"{min(plan.ks)}-to-{max(plan.ks)}"
    folder = Path("runs") / "-".join([*parts, f"k{ks}", datetime.date.today().isoformat()])
    tried, number = folder, 1
    while tried.exists():
        number += 1
        tried = folder.with_name(f"{folder.name}-{number}")
    return tried


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
            "epochs": stored.settings.epochs,
            "seconds": round(seconds, 3),
            "sigma": _sigma(model),
            **evaluation.to_json(),
        }
        write_whole(run.path / "metrics.json", to_json(list(metrics.values())))
        say(f"{stored.name}: test MSE {evaluation.mse.mean:.6f}")
    write_report(run, images, progress)
    run.complete()
    return run


def _sigma(model: Model) -> float | None:
    """Standard deviation of the pixel noise, in pixel units of [0, 1]; None without a density."""
    if isinstance(model, PCA):
        return math.sqrt(model.noise_variance)
    return float(model.likelihood.scale.detach().mean()) if isinstance(model, VAE) else None


def _train(
    run: Run, stored: StoredModel, images: ImageSet, pca: PCA, progress: Progress
) -> tuple[Autoencoder | VAE, float]:
    """A model with all its epochs done, from its last checkpoint where there is one; and the seconds it took."""
    model = stored.build(start=pca)
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
    if all(stored.recipe == "pca" for stored in models):
        raise InputError(f"{run.path} holds PCA only, which is not trained by epochs; nothing to go on with")
    for place, stored in enumerate(models):
        if stored.recipe != "pca":
            done = stored.settings.epochs
            models[place] = replace(stored, settings=replace(stored.settings, epochs=done + more, begin=done))
    run.about["models"] = [stored.to_json() for stored in models]
    run.about["status"] = "training"
    run.write_about()
