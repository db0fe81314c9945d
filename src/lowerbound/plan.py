"""What is to be trained on which images: models, K, seeds, parts. What the user left open is chosen, what cannot be refused."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import ImageSet
from lowerbound.outside import Outside
from lowerbound.pca import PCA
from lowerbound.recipes import DEFAULT, NETWORKS, recipe
from lowerbound.stored import OWN, StoredModel

__all__ = ["FOUR", "Plan", "choose_k", "default_folder"]

FOUR = ("pca", "linear", "conv", "vae")
ENOUGH = 4  # training images at least for each number kept, or models learn the images by heart


def choose_k(images: ImageSet) -> tuple[int, str]:
    """How many numbers to keep of an image when nobody says, and why.

    Example:
        >>> from lowerbound import sources
        >>> choose_k(sources.load("digits"))
        (8, '8, for grey images of 8 x 8 pixels')
    """
    channels, height, width = images.image_shape
    values, number = channels * height * width, len(images.train)
    most = min(values, max(2, number // ENOUGH), number)
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
        k = most
        reason = (
            f"all that images of {values:,} values have"
            if most == values
            else f"as few as {number:,} training images allow"
        )
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
        seeds: How many seeds, from ``seed`` on, each model that is random is trained with.
        parts: What is asked for in place of a recipe's own parts, by kind.
        outside: The user's function that makes the model, of ``models`` ("own",).
        settings: What is asked for in place of a recipe's own settings of training, by name.
        tensorboard: Whether to log for TensorBoard.
        style: Of the figures: "plain" or "xkcd".
        open: What nobody said: "model", "network", "epochs"; it is chosen, and said with a reason.
        reason: Why these Ks, where they were chosen for the user.
    """

    ks: tuple[int, ...]
    models: tuple[str, ...] = FOUR
    network: str = DEFAULT
    epochs: float | None = None
    seed: int = 0
    seeds: int = 1
    style: str = "plain"
    reason: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    outside: Outside | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tensorboard: bool = False
    open: tuple[str, ...] = ()

    def chosen(self, images: ImageSet) -> list[str]:
        """A line for each thing that was chosen because nobody said: what, why, and how to have another.

        Example:
            >>> from lowerbound import sources
            >>> Plan((8,), ("vae",), open=("epochs",)).chosen(sources.load("digits"))
            ['chose 40 epochs: 600 steps of 100 images, fewer epochs of more images; --epochs or --minutes gives another time']
        """
        first = self.stored(images)[0]
        batch = min(first.settings.batch_size, len(images.train))
        steps = first.settings.epochs * math.ceil(len(images.train) / first.settings.batch_size)
        lines = {
            "model": f"chose the model {first.recipe}: it can be sampled, searched and restored from; --model gives another",
            "network": f"chose the network {self.network}: convolutions that begin at PCA; --network gives another",
            "epochs": f"chose {first.settings.epochs} epochs: {steps:,} steps of {batch:,} images, fewer epochs of more images; "
            "--epochs or --minutes gives another time",
        }
        return [lines[name] for name in self.open]

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
        if self.parts.get("likelihood") == "bernoulli":
            _check_binary(images)
        if self.epochs is not None and self.epochs <= 0:
            raise InputError(f"epochs is {self.epochs}; expected at least 1")

    def stored(self, images: ImageSet) -> list[StoredModel]:
        """The models to train, in order."""
        return [
            self._stored(name, k, replicate, images)
            for k in self.ks
            for name in self.models
            for replicate in range(1 if name == "pca" else self.seeds)
        ]

    def _stored(self, name: str, k: int, replicate: int, images: ImageSet) -> StoredModel:
        chosen = recipe("vae" if name == OWN else name)
        settings = chosen.settings(len(images.train), images.image_shape)
        if self.network == "tutorial":
            settings = chosen.tutorial
        elif name != "linear":  # a network has no say in it
            settings = replace(settings, learning_rate=settings.learning_rate * NETWORKS[self.network].rate)
        epochs = settings.epochs if self.epochs is None or chosen.build is None else self.epochs
        given = {} if chosen.build is None else self.settings
        return StoredModel(
            name,
            k,
            images.image_shape,
            self.network,
            replace(settings, epochs=epochs, seed=self.seed + replicate, **given),
            replace(chosen.parts, **self.parts),
            images=len(images.train),
            replicate=replicate,
            outside=self.outside and {"name": self.outside.name, "sha256": self.outside.sha256},
        )

    @property
    def binarise(self) -> str | None:
        """How grey images become images of 0 and 1; None where they stay as they are."""
        kind = self.parts.get("binarise", "none")
        return None if kind == "none" else kind


def _check_binary(images: ImageSet) -> None:
    """Refuse grey test images for a likelihood of 0 and 1; they are binarised before, whatever the training images are."""
    grey = next((int(level) for level in np.unique(images.test.pixels) if level not in (0, 255)), None)
    if grey is not None:
        raise InputError(
            f"{images.name} has grey pixels (such as {grey} of 255); a Bernoulli likelihood is of 0 and 1 alone; "
            "add --binarise dynamic or static, or take the likelihood continuous-bernoulli or logistic"
        )


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
