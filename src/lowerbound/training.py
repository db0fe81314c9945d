"""One training loop for every model: anything with ``.loss(images, fraction) -> Terms``.

Order and noise are functions of (seed, stream, step), never of what ran before: a run that goes on from a checkpoint takes
the same steps as one that was never interrupted, to the last bit on the same machine and threads.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from lowerbound.devices import quickened, random_numbers_of, shared_by_threads
from lowerbound.heap import kept
from lowerbound.images import on_disk
from lowerbound.interruption import deferred
from lowerbound.loop import Log, Loop, Watch
from lowerbound.processes import Alone, Processes
from lowerbound.progress import Progress, quiet
from lowerbound.settings import Settings
from lowerbound.state import Keep, State, in_memory
from lowerbound.validation import put_weights

__all__ = ["memory", "run"]


def run(
    model: nn.Module,
    pixels: np.ndarray,
    settings: Settings,
    *,
    state: State | None = None,
    keep: Keep | None = None,
    validation: np.ndarray | None = None,
    log: Log | None = None,
    watch: Watch | None = None,
    processes: Processes | None = None,
    device: torch.device | None = None,
    progress: Progress = quiet,
    task: str = "training",
) -> State:
    """Train a model on images until the settings' epochs or minutes are over.

    Args:
        model: Has ``loss(images, fraction) -> Terms`` and ``gauges()``; trained in place, on the CPU again afterwards.
        pixels: uint8 ``[N, C, H, W]``; never copied whole, except onto a card.
        settings: How.
        state: Where an earlier training stopped, whose weights the model has; by default the beginning.
        keep: Where the last good state is kept: saved now and then, after whole steps, and at the end; by default in memory.
        validation: Images uint8 ``[N, C, H, W]`` whose loss is taken after every epoch.
        log: Called now and then with what was measured.
        watch: Called before the first step and after every one; must neither draw random numbers nor change the model.
        processes: Which share the work; by default this one alone.
        device: Where this one computes alone; by default the fastest device here.
        progress: Shown while training.
        task: What the progress is called.

    Returns:
        The state after the last step, with the history of every batch. The model has its averaged weights where the
        settings ask for an average, and those of the best epoch where they ask for patience.

    Raises:
        DivergedError: Losses or gradients were not finite, at an eighth of the rate, too; the model is the last good one.
        LostProcessError: Another process does not answer any more.
        KeyboardInterrupt: Ctrl-C or SIGTERM came; the step was finished and saved.
    """
    processes = Alone(device) if processes is None else processes
    keep = in_memory(model) if keep is None else keep
    weights = sum(each.numel() for each in model.parameters())
    with (
        random_numbers_of(processes.device),  # the caller's random numbers stay as they were
        quickened(model, processes.device, settings.precision, compiled=settings.compiled),
        shared_by_threads(processes.device, weights, settings.batch_size // processes.size),
        kept(),
        deferred() as asked,
    ):
        training = Loop(model, pixels, settings, state or State(), keep, validation, log, processes, watch)
        try:
            with progress(task, training.work) as advance:
                training.go(asked, advance)
        finally:
            model.to("cpu").eval()
    state = training.standing()
    keep.save(state)
    if not training.over:  # this process was asked to stop, or another one
        raise KeyboardInterrupt
    put_weights(model, state.best or state.average)
    return state


def memory(model: nn.Module, pixels: np.ndarray, settings: Settings, processes: Processes) -> str:
    """What training holds in memory besides one batch's activations, in words.

    Weights, their gradients and Adam's two moments are four times the parameters; several processes hold the gradients once
    more, and averaged weights and the best ones are one time each.

    Example:
        >>> memory(nn.Linear(1000, 999), np.zeros((10, 1, 28, 28), np.uint8), Settings(), Alone())
        'memory: 0.0 MB of images, 4 x 999,999 parameters = 16.0 MB, and the activations of 100 images'
    """
    parameters = sum(weights.numel() for weights in model.parameters())
    times = 4 + (processes.size > 1) + bool(settings.average) + bool(settings.patience)
    images = f"{pixels.nbytes / 1e6:,.1f} MB of images" + (" on disk" if on_disk(pixels) else "")
    return (
        f"memory: {images}, {times} x {parameters:,} parameters = {4e-6 * times * parameters:,.1f} MB, "
        f"and the activations of {settings.batch_size // processes.size:,} images"
    )
