"""The main job: the same images through the same K numbers, by several models, in one run folder with one report."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lowerbound.binarise import binarised_set
from lowerbound.devices import choose_device
from lowerbound.errors import InputError, TakenError
from lowerbound.fitting import fit, follow
from lowerbound.images import ImageSet
from lowerbound.insight import forget_insight, lacks_insight, write_insight
from lowerbound.live_page import write_report
from lowerbound.outside import Outside
from lowerbound.plan import Plan, choose_k, default_folder
from lowerbound.processes import Alone, Processes
from lowerbound.progress import Progress, quiet
from lowerbound.sources import SOURCES, load
from lowerbound.storage import Run
from lowerbound.stored import OWN, StoredModel
from lowerbound.tryout import try_out

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
    insight: bool = False,
    remember: Callable[[Path], None] | None = None,
) -> Run:
    """Make the run folder: ``runs/NAME-kK-DATE``, or the one given.

    Of several programs that begin at once each gets a folder of its own.

    Args:
        images: To learn from.
        plan: What to train.
        out: Where to; by default as above.
        command: What the user typed, to be shown in the report.
        size: The size the images were loaded with, to load them again.
        data_dir: Where they were loaded from.
        insight: Whether its VAE is to be examined at the end, for the findings and ascents on the page.
        remember: Called with the folder before it is there.

    Raises:
        InputError: A plan that the images do not allow, or a folder that exists.
    """
    plan.check(images)
    _check_own(plan.stored(images), plan.outside, images)
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
        "tensorboard": plan.tensorboard,
        "insight": insight,
        "machine": machine(),
        "models": [stored.to_json() for stored in plan.stored(images)],
    }
    tried = out
    while True:
        path = out or default_folder(images.name, plan)
        if remember is not None:
            remember(path)
        try:
            return Run.create(path, about, plan.outside)
        except TakenError:
            if path == tried:
                raise
            tried = path  # another program was quicker: the next name


def images_of(run: Run, data_dir: Path | None = None, progress: Progress = quiet, *, changed: bool = False) -> ImageSet:
    """The images that a run was begun with, loaded again from where they were.

    Args:
        run: Begun earlier.
        data_dir: Where downloads are, if not where they were.
        progress: Shown while reading.
        changed: Whether to go on with other images than before, where they are others now; ``run.json`` then says so.

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
    if changed:
        run.accept_images(images)
    run.check_images(images)
    return replace(images, name=source["name"], source=typed)


def _absolute(path: str | Path) -> Path:
    """A path that means the same from every folder."""
    return Path(path).expanduser().absolute()


def _check_own(models: list[StoredModel], outside: Outside | None, images: ImageSet) -> None:
    """Refuse a function of the user's that is not there, is another, or makes no model that works, before anything is written."""
    for stored in models:
        if stored.recipe == OWN:
            try_out(
                stored.check_outside(outside), stored.build(outside=outside), images.train.pixels, stored.latent_dim
            )


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


def go_on(
    run: Run,
    images: ImageSet,
    *,
    processes: Processes | None = None,
    progress: Progress = quiet,
    say: Callable[[str], object] = str,
    warn: Callable[[str], object] = warnings.warn,
) -> Run:
    """Train what is not trained yet, measure, draw, and complete the run.

    Args:
        run: Begun now or earlier.
        images: The same images it was begun with.
        processes: Which share the training; by default this one does all. One of them writes, measures and draws.
        progress: Shown on the way.
        say: Called with one line about every model.
        warn: Called with one line where a checkpoint is damaged and the one before it serves in its place.

    Raises:
        InputError: Other images than those of the run, or another process is training it.
        DivergedError: A loss was not a number.
        KeyboardInterrupt: It was told to stop; while the VAE was examined, the run is complete all the same.
    """
    run.check_images(images)
    if processes is not None and not processes.main:
        follow(run, images, processes)
        return run
    with run.writing():
        fit(run, images, processes or Alone(), progress, say, warn)
        stopped = _stopped_looking(run, images, progress, say)
        still = write_report(run, images, progress)
        if still:
            say(f"report.html shows figures alone: {still}")
        run.complete()
    if stopped:
        raise KeyboardInterrupt
    return run


def _stopped_looking(run: Run, images: ImageSet, progress: Progress, say: Callable[[str], object]) -> bool:
    """Examine the VAE where the run is to; whether that was interrupted. The models are trained, and need not wait for it."""
    if not lacks_insight(run):
        return False
    forget_insight(run)
    if not run.about.get("insight"):
        return False
    try:
        write_insight(run, images, progress)
    except KeyboardInterrupt:
        say("interrupted: the report is written without findings and ascents; the next Ctrl-C leaves that, too")
        return True
    return False


def more_epochs(run: Run, more: int, images: ImageSet) -> None:
    """Ask for more epochs of every model that is trained by epochs; their schedule begins anew.

    Raises:
        InputError: No model of the run is trained by epochs, other images, or another process trains it: the run stays
            as it is.
    """
    if more < 1:
        raise InputError(f"epochs is +{more}; expected at least +1")
    run.check_images(images)
    models = run.models
    _check_own(models, run.outside, images)
    if all(stored.recipe == "pca" for stored in models):
        raise InputError(f"{run.path} holds PCA only, which is not trained by epochs; nothing to go on with")
    trained = {row["name"]: row["epochs"] for row in run.metrics}
    for place, stored in enumerate(models):
        if stored.recipe != "pca":
            done = int(trained[stored.name])  # fewer than were asked for, where time or patience came to its end
            settings = replace(stored.settings, epochs=done + more, begin=done, minutes=0.0)
            models[place] = replace(stored, settings=settings)
    with run.writing():
        run.about["models"] = [stored.to_json() for stored in models]
        run.about["status"] = "training"
        run.write_about()
