"""The models of a run, trained and measured one after another; by several processes, where there are several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from lowerbound.autoencoder import Autoencoder
from lowerbound.eigen import Spectrum, principal
from lowerbound.errors import InputError
from lowerbound.evaluation import Generator, evaluate
from lowerbound.events import events
from lowerbound.film import Camera
from lowerbound.formats import to_json
from lowerbound.images import Images, ImageSet, on_disk
from lowerbound.order import share
from lowerbound.pca import PCA
from lowerbound.processes import Processes
from lowerbound.progress import Progress, quiet
from lowerbound.realism import two_sample
from lowerbound.splits import hold_out
from lowerbound.state import Keep, State, in_memory
from lowerbound.storage import Run
from lowerbound.stored import Model
from lowerbound.training import memory
from lowerbound.training import run as train
from lowerbound.vae import VAE
from lowerbound.whole import write_whole

__all__ = ["fit", "follow"]

FEWEST_JUDGED, JUDGED = 100, 2000  # test images beside which a classifier sees samples
COARSE = 20  # principal components that it sees: shapes, and not the blur that would give every sample away
HELD_OUT, MOST_HELD_OUT = 12, 5000  # one training image in so many, and at most so many, to stop by

Say = Callable[[str], object]


def fit(run: Run, images: ImageSet, processes: Processes, progress: Progress, say: Say, warn: Say) -> None:
    """Train and measure what is not trained and measured yet.

    Args:
        run: Begun now or earlier, and written to by this process alone.
        images: Its images.
        processes: Which share the training; this is the main one.
        progress: Shown on the way.
        say: Called with one line about every model.
        warn: Called with one line where a checkpoint is damaged and the one before it serves in its place.
    """
    metrics = {} if not (run.path / "metrics.json").is_file() else {row["name"]: row for row in run.metrics}
    learn, validation = _apart(run, images.train)
    spectrum = None
    for place, stored in enumerate(run.models):
        if _asked(metrics.get(stored.name, {})) == stored.settings.epochs:
            continue  # measured last of all, so it is trained and written
        if spectrum is None:
            processes.tell({"place": None})
            spectrum = _spectrum(run, learn, processes, progress)
            if spectrum.residuals is not None:
                say(f"PCA: {spectrum.words}")
        began = time.monotonic()
        model: Model = PCA(stored.latent_dim).fit_spectrum(spectrum)
        seconds, steps = time.monotonic() - began, 0
        if stored.recipe != "pca":
            model, state = _train(run, place, model, learn, validation, images.test, processes, progress, say, warn)
            seconds, steps = state.seconds, state.step
        else:
            run.save(stored, model)
        evaluation = evaluate(model, images.test.pixels, progress, task=f"{stored.name}: test images")
        of_epoch = math.ceil(len(learn) / stored.settings.batch_size)
        metrics[stored.name] = {
            "name": stored.name,
            "model": stored.recipe,
            "k": stored.latent_dim,
            "seed": stored.settings.seed,
            "asked": stored.settings.epochs,
            "epochs": steps // of_epoch if steps % of_epoch == 0 else round(steps / of_epoch, 2),
            "seconds": round(seconds, 3),
            "sigma": _sigma(model),
            **evaluation.to_json(),
            "told": _told(model, images, stored.settings.seed, progress) if not stored.replicate else None,
        }
        run.save_measured(stored, evaluation.errors, evaluation.scores)
        write_whole(run.path / "metrics.json", to_json(list(metrics.values())))
        say(f"{stored.name}: test MSE {evaluation.mse.mean:.6f}")
    processes.tell(None)


def follow(run: Run, images: ImageSet, processes: Processes) -> None:
    """Share the training of a run whose main process is another."""
    learn, validation = _apart(run, images.train)
    spectrum = None
    while (word := processes.tell(None)) is not None:
        if word["place"] is None:
            spectrum = _spectrum(run, learn, processes, quiet)
            continue
        assert spectrum is not None  # noqa: S101  (the first word of all is to add up)
        stored = run.models[word["place"]]
        model = stored.build(PCA(stored.latent_dim).fit_spectrum(spectrum), run.outside)
        state = run.load_checkpoint(stored, model) if word["step"] is not None else None
        if (None if state is None else state.step) != word["step"]:
            raise InputError(
                f"process {processes.rank} does not see the checkpoint of step {word['step']} in {run.path}; "
                "put the run on a disk that all processes share"
            )
        keep = in_memory(model)
        if state is not None:  # the main process can go back to it, too
            keep.save(state)
        train(model, learn.pixels, stored.settings, state=state, keep=keep, validation=validation, processes=processes)


def _asked(row: dict[str, Any]) -> int | None:
    """The epochs that a model was to be trained for when it was measured; runs of before name just one number of them."""
    return row.get("asked", row.get("epochs"))


def _apart(run: Run, images: Images) -> tuple[Images, Any]:
    """Images to learn from; and pixels to stop by, where a model of the run wants some."""
    if not any(stored.settings.patience for stored in run.models):
        return images, None
    held = max(1, min(len(images) // HELD_OUT, MOST_HELD_OUT))
    if on_disk(images.pixels):  # in an order that is random already, as far as that can be known
        return images[: len(images) - held], images[len(images) - held :].pixels
    learn, apart = hold_out(len(images), held)
    return images[learn], images[apart].pixels


def _spectrum(run: Run, images: Images, processes: Processes, progress: Progress) -> Spectrum:
    """Principal components of the training images, each process adding up its share of them."""
    largest = max(model.latent_dim for model in run.models)
    if processes.size == 1:
        return principal(images.pixels, largest, progress)
    mine = share(len(images), processes.rank, processes.size)
    return principal(images.pixels[mine], largest, progress, processes.total)


def _train(
    run: Run,
    place: int,
    pca: PCA,
    images: Images,
    validation: Any,
    test: Images,
    processes: Processes,
    progress: Progress,
    say: Say,
    warn: Say,
) -> tuple[Autoencoder | VAE, State]:
    """A model with all its epochs done, from its last checkpoint where there is one; and where its training stands."""
    stored = run.models[place]
    model = stored.build(pca, run.outside)
    film = _Filming(run, place, model, images, test)
    keep = Keep(film.save, partial(run.load_checkpoint, stored, model, warn))
    state = keep.load()
    film.begin(state)
    say(f"{stored.name}: {memory(model, images.pixels, stored.settings, processes)}")
    processes.tell({"place": place, "step": None if state is None else state.step})
    with ExitStack() as stack:
        log = stack.enter_context(events(run.folder(stored))) if run.about.get("tensorboard") else None
        state = train(
            model,
            images.pixels,
            stored.settings,
            state=state,
            keep=keep,
            validation=validation,
            log=log,
            watch=film.camera,
            processes=processes,
            progress=progress,
            task=stored.name,
        )
    film.end(state)
    run.save(stored, model, state.history)
    if state.skipped:
        warn(
            f"{stored.name}: {state.skipped} steps were not finite and were skipped, {state.rollbacks} times it went back"
        )
    return model, state


def _told(model: Model, images: ImageSet, seed: int, progress: Progress) -> dict[str, float] | None:
    """How often a classifier tells samples from test images; None of a model that is not made to sample, or for few images."""
    binary = isinstance(model, VAE) and model.binary  # their means are grey, which gives them away at once
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
    sigma = model.gauges().get("sigma") if isinstance(model, VAE) else None
    return None if sigma is None else float(sigma.detach())


class _Filming:
    """The film of a model's training, saved with every checkpoint: one that goes on from a checkpoint has all before it."""

    def __init__(self, run: Run, place: int, model: Autoencoder | VAE, images: Images, test: Images) -> None:
        self.run, self.stored, self.model, self.test = run, run.models[place], model, test
        self.of_epoch = math.ceil(len(images) / self.stored.settings.batch_size)
        self.camera: Camera | None = None

    def begin(self, state: State | None) -> None:
        """Go on with what was filmed before this state; repetitions with other seeds are not filmed."""
        if not self.stored.replicate:
            film = None if state is None else self.run.film(self.stored)
            film = None if film is None or state is None else film.until(state.step)
            begin, k = self.stored.settings.begin, self.stored.latent_dim
            self.camera = Camera(
                self.model, self.test.pixels, k, self.of_epoch, film if film and len(film.steps) else None, begin
            )

    def save(self, state: State) -> None:
        """Save the film, and then the checkpoint: a film may know more than a checkpoint, not less."""
        if self.camera is not None and self.camera.film is not None:
            self.run.save_film(self.stored, self.camera.film)
        self.run.save_checkpoint(self.stored, self.model, state)

    def end(self, state: State) -> None:
        """The last picture, and the losses on the way."""
        if self.camera is not None:
            self.camera.end(state.step)
            if self.camera.film is not None:
                self.run.save_film(self.stored, self.camera.film.with_loss(state.history["loss"]))
