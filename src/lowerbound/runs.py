"""Runs as a program or a notebook has them: trained by one call, opened again, and shown.

A run folder (``storage.Run``) knows nothing of pages, which are made from it much further up; so the run that can show itself
is one more class, here above both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lowerbound.comparison import begin, go_on
from lowerbound.plan import FOUR, Plan, choose_k
from lowerbound.progress import Progress, quiet
from lowerbound.showing import HEIGHT, show
from lowerbound.sources import load
from lowerbound.storage import Run

__all__ = ["LiveRun", "compare", "open_run"]


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
