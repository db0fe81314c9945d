"""Run folders: what was asked, what was learned, what was measured, in files that any program can read.

    runs/mnist-k20-2026-11-22/
        run.json            what was asked and chosen; says "training" until all is there, then "complete"
        metrics.json        of each model and K: errors and scores on the test images, seconds
        report.html         the page to open; figures.html beside it where that is the live page
        diagnosis.json      what is wrong with the VAE; posterior.json: how q finds the codes of a few images
        figures/            every figure as PNG and SVG
        models/vae-k20/     model.json, model.safetensors, history.csv, film.safetensors, and to train on from
                            checkpoint.safetensors and checkpoint-before.safetensors

Weights are safetensors and settings JSON: nothing that is read here can run code.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lowerbound import checkpoints
from lowerbound.autoencoder import Autoencoder
from lowerbound.errors import InputError, nearest
from lowerbound.film import Film
from lowerbound.formats import (
    read_csv,
    read_json,
    read_tensors,
    to_bytes,
    to_csv,
    to_json,
)
from lowerbound.images import ImageSet
from lowerbound.lock import lock
from lowerbound.outside import Outside
from lowerbound.pca import PCA
from lowerbound.rebuilt import rebuild
from lowerbound.state import History, State
from lowerbound.stored import Model, StoredModel
from lowerbound.vae import VAE
from lowerbound.whole import make_folder, name_folder, refuse_existing, write_whole

__all__ = ["FORMAT", "Run"]

FORMAT = 2  # 1 knew no parts


class Run:
    """A run folder.

    Args:
        path: The folder.
        about: What ``run.json`` holds.
        outside: The user's function that makes its models, where one does.
    """

    def __init__(self, path: Path, about: dict[str, Any], outside: Outside | None = None) -> None:
        self.path, self.about, self.outside = path, about, outside

    @classmethod
    def create(cls, path: Path, about: dict[str, Any], outside: Outside | None = None) -> Run:
        """Begin a run in a folder that is not there yet.

        Raises:
            InputError: The folder exists, or cannot be made.
        """
        path = Path(path)
        refuse_existing(path)
        partial = path.with_name(f".{path.name}.{os.getpid()}")  # the run is there with its run.json, or not at all
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed and had our number
        make_folder(partial, new=True)
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        run = cls(partial, {"format": FORMAT, "status": "training", "created": created, **about}, outside)
        try:
            run.write_about()
            name_folder(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        run.path = path
        return run

    @classmethod
    def open(cls, path: Path, *, unfinished: bool = False, outside: Outside | None = None) -> Run:
        """A run that is there.

        Args:
            path: Its folder.
            unfinished: Whether one that is still training will do.
            outside: The user's function that makes its models, where one does.

        Raises:
            InputError: No run is there, it is not finished, or a newer program wrote it.
        """
        path = Path(path)
        file = path / "run.json"
        if not file.is_file():
            raise InputError(
                f"{path} {_what_it_is(path)}; expected what `lowerbound compare` or `lowerbound train` wrote"
            )
        run = cls(path, read_json(file), outside)
        run._check()
        if run.about["status"] != "complete" and not unfinished:
            raise InputError(
                f"{path} is not finished (run.json says {run.about['status']}); "
                f"go on with `lowerbound train --resume {path}`"
            )
        return run

    def _check(self) -> None:
        """Refuse what is no ``run.json`` of this format."""
        file, about = self.path / "run.json", self.about
        found = about.get("format") if isinstance(about, dict) else None
        if found not in (1, FORMAT):
            advice = "update lowerbound" if isinstance(found, int) and found > FORMAT else "the run is damaged"
            said = " ".join(str(found).split())[:40]
            raise InputError(f"{file} has format {said}; this program reads {FORMAT}; {advice}")
        try:
            damaged = not self.models or about["status"] not in ("training", "complete")
            for source in ("name", "source", "sha256"):
                damaged |= not isinstance(about["source"][source], str)
            damaged |= any(model.image_shape != tuple(about["source"]["image_shape"]) for model in self.models)
            damaged |= len({model.name for model in self.models}) < len(self.models)
            damaged |= about["shown_k"] not in [model.latent_dim for model in self.models]
        except (LookupError, TypeError, ValueError, AttributeError):
            damaged = True
        if damaged:
            raise InputError(f"{file} is not as lowerbound wrote it; the run is damaged, make it again")

    def write_about(self) -> None:
        """Write ``run.json``."""
        write_whole(self.path / "run.json", to_json(self.about))

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only process that writes in this run, and clear away what one that was killed had begun to write.

        Raises:
            InputError: Another process is at it, or was since this run was opened.
        """
        with lock(self.path):
            if read_json(self.path / "run.json") != json.loads(to_json(self.about)):
                raise InputError(
                    f"{self.path} was changed by another process since it was opened; run the command again"
                )
            for left in (".*.[0-9]*", ".tmp*"):  # ours, and those within safetensors' own writing
                for partial in self.path.rglob(left):
                    partial.unlink(missing_ok=True)
            yield

    def complete(self) -> None:
        """Say that all is there."""
        self.about["status"] = "complete"
        self.write_about()

    def check_images(self, images: ImageSet) -> None:
        """Hold images to those of the run.

        Raises:
            InputError: Other images.
        """
        source = self.about["source"]
        if images.sha256() != source["sha256"]:
            raise InputError(
                f"{source['source']} holds other images than when {self.path} was begun; bring them back, begin a new run, "
                f"or go on with those of now: `lowerbound train --resume {self.path} --allow-data-change`"
            )

    def accept_images(self, images: ImageSet) -> None:
        """Go on with other images than before, and note in ``run.json`` when, and which they were.

        What was measured on the images of before is to be measured again. Weights and checkpoints stay.

        Raises:
            InputError: Images of another size, which no model of the run could take.
        """
        source = self.about["source"]
        if list(images.image_shape) != list(source["image_shape"]):
            raise InputError(
                f"{source['source']} holds images of {list(images.image_shape)} now, and {self.path} was begun with "
                f"{source['image_shape']}; begin a new run"
            )
        before, now = source["sha256"], images.sha256()
        if now == before:
            return
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        said = f"the images changed on {when[:10]} and training went on: sha256 {before[:12]} before, {now[:12]} since"
        changes = [*source.get("changes", []), {"when": when, "sha256_before": before, "sha256": now}]
        counts = {"train": len(images.train), "test": len(images.test), "class_names": list(images.class_names)}
        with self.writing():
            self.about["status"] = "training"
            self.write_about()  # before its numbers: wherever this stops, the run can be gone on with
            if (self.path / "metrics.json").is_file():  # rows that nothing was asked of are measured again
                write_whole(self.path / "metrics.json", to_json([{**row, "asked": None} for row in self.metrics]))
            self.about["source"] = {
                **source,
                **counts,
                "sha256": now,
                "choices": [*source.get("choices", []), said],
                "changes": changes,
            }
            self.write_about()

    @property
    def models(self) -> list[StoredModel]:
        """Its models, in the order in which they are trained."""
        return [StoredModel.from_json(stored) for stored in self.about["models"]]

    @property
    def shown(self) -> list[StoredModel]:
        """Those that figures show: of each model and K the first, not its repetitions with other seeds."""
        return [model for model in self.models if not model.replicate]

    def choose(self, recipe: str | None = None, latent_dim: int | None = None) -> StoredModel:
        """The model of a name and a K; by default the VAE, else the last, with the K that the figures show.

        Raises:
            InputError: The run has no such model.
        """
        there = self.shown
        if recipe is None:
            names = [model.recipe for model in there]
            recipe = "vae" if "vae" in names else names[-1]
        if latent_dim is None:
            ks = [model.latent_dim for model in there if model.recipe == recipe]
            shown = self.about.get("shown_k")
            latent_dim = shown if shown in ks or not ks else ks[-1]
        for model in there:
            if (model.recipe, model.latent_dim) == (recipe, latent_dim):
                return model
        names = ", ".join(model.name for model in there)
        wanted = f"{recipe}-k{latent_dim}"
        raise InputError(f'{self.path} has no model "{wanted}"{nearest(wanted, names.split(", "))}; it has {names}')

    def folder(self, stored: StoredModel) -> Path:
        """Where a model is stored."""
        return self.path / "models" / stored.name

    def save(self, stored: StoredModel, model: Model, history: History | None = None) -> None:
        """Write a model that is trained: its weights, what it is, and what was measured on the way.

        Raises:
            DivergedError: Weights that are not finite; nothing is written.
        """
        folder = self.folder(stored)
        make_folder(folder)
        if isinstance(model, PCA):
            tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.tensors().items()}
        else:
            tensors = model.state_dict()
        checkpoints.check_finite(folder / "model.safetensors", tensors)
        for fitted in folder.glob("prior-*"):  # to the codes of other weights
            fitted.unlink()
        if history:
            write_whole(folder / "history.csv", to_csv(history))
        write_whole(folder / "model.json", to_json(stored.to_json()))
        write_whole(folder / "model.safetensors", to_bytes(tensors))

    def save_film(self, stored: StoredModel, film: Film) -> None:
        """Write what a model's training looked like."""
        make_folder(self.folder(stored))
        write_whole(self.folder(stored) / "film.safetensors", to_bytes(film.tensors()))

    def film(self, stored: StoredModel) -> Film | None:
        """What a model's training looked like; None where it was not filmed, or the film is of no use."""
        file = self.folder(stored) / "film.safetensors"
        if not file.is_file():
            return None
        with contextlib.suppress(InputError, ValueError):  # it is there to be looked at, and nothing depends on it
            return Film.of(read_tensors(file))
        return None

    def save_measured(self, stored: StoredModel, errors: np.ndarray, scores: np.ndarray | None) -> None:
        """Write what was measured of each test image ``[N]``: squared error per pixel, and the score where there is one."""
        measured = {"squared_error": errors} | ({} if scores is None else {"score": scores})
        tensors = {name: torch.from_numpy(np.asarray(values, np.float64)) for name, values in measured.items()}
        write_whole(self.folder(stored) / "test.safetensors", to_bytes(tensors))

    def measured(self, name: str, latent_dim: int) -> dict[str, np.ndarray]:
        """Of each model of a K, ``squared_error`` or ``score`` of each test image under each of S seeds, ``[S, N]``."""
        found: dict[str, list[np.ndarray]] = {}
        for stored in self.models:
            file = self.folder(stored) / "test.safetensors"
            if stored.latent_dim == latent_dim and file.is_file():  # runs of the first format have none
                tensors = read_tensors(file)
                if name in tensors:
                    found.setdefault(stored.recipe, []).append(tensors[name].numpy())
        return {recipe: np.stack(values) for recipe, values in found.items()}

    def save_prior(self, stored: StoredModel, name: str, prior: nn.Module, about: dict[str, Any]) -> None:
        """Write a prior that was fitted to a model's codes, and what is known of the fit.

        Raises:
            InputError: The run is being trained on by another process: the codes are not what they were.
        """
        with self.writing():
            write_whole(self.folder(stored) / f"prior-{name}.json", to_json(about))
            write_whole(self.folder(stored) / f"prior-{name}.safetensors", to_bytes(prior.state_dict()))

    def load_prior(self, stored: StoredModel, name: str, model: Model) -> nn.Module | None:
        """The fitted prior of that name; None where none was fitted yet.

        Raises:
            InputError: A file that holds no such prior.
        """
        file = self.folder(stored) / f"prior-{name}.safetensors"
        if not file.is_file():
            return None
        try:
            tensors = read_tensors(file)
            if "loc" in tensors and tensors["loc"].numel() != stored.latent_dim:  # before anything is made of its size
                raise InputError(f"it is a prior of {tensors['loc'].numel():,} numbers, and K is {stored.latent_dim}")
            prior = rebuild(name, tensors, encoder=model.encoder if isinstance(model, VAE) else None)
            if tuple(prior().mean.shape) != (stored.latent_dim,):
                raise InputError(f"it is a prior of {prior().mean.numel():,} numbers, and K is {stored.latent_dim}")
            return prior
        except InputError as error:
            raise InputError(f"{file}: {error}; remove the file to fit it again") from error

    def save_checkpoint(self, stored: StoredModel, model: Autoencoder | VAE, state: State) -> None:
        """Write all that a model's training needs to go on; the last two are kept.

        Raises:
            DivergedError: Weights that are not finite; what was saved before is kept.
        """
        checkpoints.save(self.folder(stored), model, state)

    def load_checkpoint(
        self, stored: StoredModel, model: Autoencoder | VAE, warn: Callable[[str], object] = warnings.warn
    ) -> State | None:
        """Put the weights of the last checkpoint in a model; where its training stands, None before the first.

        Args:
            stored: Which model.
            model: Its weights are set.
            warn: Called with one line where the last checkpoint is damaged and the one before it serves in its place.

        Raises:
            InputError: There are checkpoints, and none that is whole and of this model.
        """
        return checkpoints.load(self.folder(stored), model, warn)

    def load(self, stored: StoredModel, *, allow_nonfinite: bool = False) -> Model:
        """A model with its weights.

        Args:
            stored: Which model.
            allow_nonfinite: Whether weights that are NaN or infinite will do: to see what is wrong with them.

        Raises:
            InputError: Weights that are missing, damaged, not finite, or not of this model.
        """
        file = self.folder(stored) / "model.safetensors"
        return stored.load(file, self.outside, allow_nonfinite=allow_nonfinite)

    def history(self, stored: StoredModel) -> History:
        """What was measured at every training batch; empty for PCA."""
        file = self.folder(stored) / "history.csv"
        return read_csv(file) if file.is_file() else {}

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Of each model that is trained and measured: its epochs, errors, scores and seconds."""
        file = self.path / "metrics.json"
        rows = read_json(file)
        try:
            whole = all({"name", "k", "epochs", "seconds", "score"} <= set(row) for row in rows)
            whole = whole and all(row[name]["mean"] is not None for row in rows for name in ("mse", "psnr", "ssim"))
        except (TypeError, LookupError):
            whole = False
        if not whole:
            raise InputError(f"{file} is not as lowerbound wrote it; the run is damaged, make it again")
        return rows


def _what_it_is(path: Path) -> str:
    """In place of a run: a folder of something else, a file, or nothing, perhaps with a run of a like name beside it."""
    if path.is_dir():
        return "is no run folder (it has no run.json)"
    if path.exists():
        return "is a file, no run folder"
    with contextlib.suppress(OSError):
        runs = [file.parent.name for file in path.parent.glob("*/run.json")]
        if near := nearest(path.name, runs):
            return f"does not exist{near}"
    return "does not exist"
