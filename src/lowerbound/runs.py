"""Runs as a program or a notebook has them: trained by one call, opened again, and shown.

A run folder (``storage.Run``) knows nothing of pages, which are made from it much further up; so the run that can show itself
is one more class, here above both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lowerbound.autoencoder import Autoencoder
from lowerbound.comparison import begin, go_on
from lowerbound.errors import InputError
from lowerbound.images import ImageSet
from lowerbound.outside import load_function
from lowerbound.plan import FOUR, Plan, choose_k
from lowerbound.progress import Progress, quiet
from lowerbound.settings import Settings
from lowerbound.showing import HEIGHT, show
from lowerbound.sources import load
from lowerbound.state import State
from lowerbound.storage import Run
from lowerbound.stored import OWN
from lowerbound.vae import VAE

__all__ = ["LiveRun", "compare", "keep_run", "open_run"]


class LiveRun(Run):
    """A run folder that shows itself in a notebook."""

    def page(self, height: int = HEIGHT, *, insight: bool = True, progress: Progress = quiet) -> Any:
        """The run's live page, in a frame below the cell; it is written into the run as ``report.html``.

        Args:
            height: Of the frame, in pixels.
            insight: Whether the VAE is examined first where that was not done yet (seconds), for findings and ascents.
            progress: Shown while the page is made.

        Returns:
            In Jupyter an ``IPython.display.IFrame``, which a cell shows that ends with it; in Colab None, the frame is shown
            at once.

        Raises:
            InputError: Images that are not there any more, or a page whose template was not built.

        Example:
            >>> run = open_run("runs/digits-k8-2026-11-25")  # doctest: +SKIP
            >>> run.page(height=600)  # doctest: +SKIP
        """
        return show(self, height=height, insight=insight, progress=progress)


def open_run(path: str | Path) -> LiveRun:
    """A run that ``compare`` or the command line has made.

    Args:
        path: Its folder.

    Raises:
        InputError: No run is there, or it is not finished.

    Example:
        >>> open_run("runs/never-made")
        Traceback (most recent call last):
        lowerbound.errors.InputError: runs/never-made does not exist; expected what `lowerbound compare` or ... wrote
    """
    run = Run.open(Path(path).expanduser())
    return LiveRun(run.path, run.about)


def compare(
    source: str | Path,
    k: int | Sequence[int] | None = None,
    *,
    models: Sequence[str] = FOUR,
    out: str | Path | None = None,
    epochs: int | None = None,
    seed: int = 0,
    seeds: int = 1,
    data_dir: str | Path | None = None,
    size: int | None = None,
    insight: bool = True,
    progress: Progress = quiet,
) -> LiveRun:
    """Train models on the same images, measure them, and write one run folder: what ``lowerbound compare`` does.

    Args:
        source: As for ``load``.
        k: Numbers kept of each image, one or several; without it as is usual for such images.
        models: Which, of "pca", "linear", "conv" and "vae".
        out: The run folder; by default ``runs/NAME-kK-DATE``.
        epochs: In place of the recipes' own.
        seed: Fixes all that is random.
        seeds: How many seeds each model is trained with.
        data_dir: Where data sets lie or are put.
        size: Height and width to bring a folder's images to.
        insight: Whether the VAE is examined at the end, for findings and ascents on the page.
        progress: Shown on the way; ``lowerbound.progress.terminal`` prints it.

    Raises:
        InputError: Images that cannot be had, or what they do not allow.
        DivergedError: A loss was not a number.
        KeyboardInterrupt: It was told to stop; `lowerbound train --resume` goes on with the run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = compare("digits", 2, models=["pca"], out=f"{folder}/run")
        ...     [row["name"] for row in run.metrics], open_run(run.path).about["status"]
        (['pca-k2'], 'complete')
    """
    data_dir = None if data_dir is None else Path(data_dir).expanduser()
    images = load(str(source), data_dir=data_dir, size=size, progress=progress)
    ks = () if k is None else tuple(sorted({k} if isinstance(k, int) else set(k)))
    plan = Plan(ks, tuple(models), epochs=epochs, seed=seed, seeds=seeds)
    if not ks:
        usual, reason = choose_k(images)
        plan = replace(plan, ks=(usual,), reason=reason)
    out = None if out is None else Path(out).expanduser()
    run = begin(images, plan, out, size=size, data_dir=data_dir, insight=insight)
    go_on(run, images, progress=progress)
    return LiveRun(run.path, run.about)


def keep_run(
    model: Autoencoder | VAE,
    images: ImageSet,
    recipe: str,
    history: Mapping[str, Sequence[float] | np.ndarray],
    *,
    settings: Settings | None = None,
    seconds: float = 0.0,
    out: str | Path | None = None,
    progress: Progress = quiet,
) -> LiveRun:
    """Measure a model that was trained in a loop of one's own, and write a run folder with a report.

    The run is like one of ``lowerbound train``: every command opens it, and ``train --resume RUN --epochs +5`` goes on with it;
    what the loop's optimizer remembered is then begun anew.

    Args:
        model: Trained, on the CPU; it stays as it is.
        images: That it has learned from, and test images.
        recipe: ``file.py:function``, the function that makes such a model from an image shape and K.
        history: Of each step of the training ``loss``, ``distortion`` and ``rate``, means over its batch, and what
            ``model.gauges()`` has (sigma, where it is learned): ``[steps]`` each; and whatever else was measured, as long.
        settings: How it was trained, to be kept; its epochs are counted from the steps.
        seconds: How long that took.
        out: The run folder; by default ``runs/NAME-own-kK-DATE``.
        progress: Shown on the way.

    Raises:
        InputError: A recipe that makes another model, a history of no steps or without what is expected, or a folder that
            exists; nothing is written.
        DivergedError: Weights that are not finite.

    Example:
        >>> images, model = load("digits"), make((1, 8, 8), 2)  # doctest: +SKIP
        >>> history = {"loss": [45.1], "distortion": [40.0], "rate": [5.1]}  # doctest: +SKIP
        >>> keep_run(model, images, "my_model.py:make", history).path  # doctest: +SKIP
        PosixPath('runs/digits-own-k2-2026-11-25')
    """
    columns = {name: np.asarray(values, np.float32) for name, values in history.items()}
    wanted = ("loss", "distortion", "rate", *model.gauges())  # as the package's own loop records, so that it can go on
    lengths = {name: len(columns[name]) if name in columns else 0 for name in (*wanted, *columns)}
    steps = lengths["loss"]
    if not steps or set(lengths.values()) != {steps}:
        said = ", ".join(f"{number} of {name}" for name, number in lengths.items())
        raise InputError(f"the history has {said}; expected as many of each, one for every step: {', '.join(wanted)}")
    given = settings or Settings()
    outside = load_function(recipe)
    with torch.no_grad():
        k = model.encoder(torch.zeros(1, *images.image_shape)).event_shape[0]
    how = {name: value for name, value in vars(given).items() if name not in ("epochs", "seed", "begin", "minutes")}
    epochs = steps / math.ceil(len(images.train) / given.batch_size)
    plan = Plan((k,), (OWN,), epochs=epochs, seed=given.seed, outside=outside, settings=how)
    stored = plan.stored(images)[0]
    made = {name: value.shape for name, value in stored.build(outside=outside).state_dict().items()}
    if made != {name: value.shape for name, value in model.state_dict().items()}:
        raise InputError(
            f"{outside.name} makes a model of other weights than this one; give the function that has made it"
        )
    run = begin(images, plan, None if out is None else Path(out).expanduser())
    state = State(step=steps, seconds=seconds, fraction=1.0, history=columns)
    run.save_checkpoint(run.models[0], model, state)
    go_on(run, images, progress=progress)  # no step is left to take; it is measured and drawn
    return LiveRun(run.path, run.about, run.outside)
