"""The scikit-learn estimators whose models are trained: by which settings, on what, and how well they reconstruct."""

# ruff: noqa: N803

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from lowerbound.pca import PCA
from lowerbound.progress import Progress, quiet, terminal
from lowerbound.recipes import DEFAULT, MNIST_PIXELS, NETWORKS, recipe
from lowerbound.settings import Settings
from lowerbound.sklearn_data import blocks, over_blocks
from lowerbound.sklearn_estimator import ImageEstimator
from lowerbound.sklearn_models import InDouble
from lowerbound.stored import StoredModel
from lowerbound.training import run

__all__ = ["NetworkEstimator"]


class NetworkEstimator(ImageEstimator):
    """An estimator over a recipe whose model is trained; ``lowerbound.sklearn`` has those for users.

    Example:
        >>> from lowerbound.sklearn import ConvAutoencoder
        >>> images = np.random.default_rng(0).normal(size=(30, 4, 5))
        >>> ConvAutoencoder(n_components=2, max_epochs=3, random_state=0).fit(images).history_["loss"].shape
        (3,)
    """

    recipe: ClassVar[str]

    def __init__(
        self,
        n_components: int | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        network: str = DEFAULT,
        max_epochs: float | None = None,
        settings: Settings | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.image_shape = image_shape
        self.network = network
        self.max_epochs = max_epochs
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, rows: np.ndarray, seed: int) -> None:
        start = PCA(self.n_components_).fit_spectrum(self._spectrum(rows))
        self.stored_ = StoredModel(
            self.recipe,
            self.n_components_,
            self.image_shape_,
            self.network,
            self._how(len(rows), seed),
            images=len(rows),
        )
        self.model_ = self.stored_.build(start)
        progress: Progress = terminal if self.verbose else quiet
        state = run(
            self.model_, self._training(rows), self.stored_.settings, progress=progress, task=type(self).__name__
        )
        self.history_ = state.history

    def _how(self, images: int, seed: int) -> Settings:
        """The settings asked for, else the recipe's own for the network."""
        if self.network not in NETWORKS:
            raise ValueError(f"network={self.network!r}; known are {', '.join(NETWORKS)}")
        chosen = recipe(self.recipe)
        settings = chosen.settings(images, self.image_shape_)
        if self.network == "tutorial":
            settings = chosen.tutorial
        elif self.recipe != "linear":  # a network has no say in it
            settings = replace(settings, learning_rate=settings.learning_rate * NETWORKS[self.network].rate)
        settings = _of_few_numbers(settings, images, self.n_features_in_)
        if self.settings is not None:
            settings = self.settings
        epochs = settings.epochs if self.max_epochs is None else self.max_epochs
        return replace(settings, epochs=epochs, seed=seed)

    def _training(self, rows: np.ndarray) -> np.ndarray:
        """Training images as the loop takes them, 0 to 255: 8-bit ones as they are, others as float32."""
        if rows.dtype == np.uint8:
            return rows.reshape(-1, *self.image_shape_)
        scaled = np.empty(rows.shape, np.float32)
        done = 0
        for block in blocks(rows, self._units):
            scaled[done : done + len(block)] = 255 * block
            done += len(block)
        return scaled.reshape(-1, *self.image_shape_)

    def _precise(self) -> InDouble:
        return InDouble(self.model_)

    @staticmethod
    def _rebuilt(tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> Any:
        model = state["stored_"].build()
        model.load_state_dict(tensors)
        return model.eval()

    def _negative_error(self, X: Any) -> float:
        """Minus the mean squared error of reconstructions per feature, in the data's units squared."""
        check_is_fitted(self)
        model = self._precise()

        def errors(block: np.ndarray) -> np.ndarray:
            images = self._pixels(block)
            return np.square(images - self.model_.inverse_transform(model.transform(images))).mean((1, 2, 3))

        return -float(over_blocks(errors, self._read(X)).mean()) * self.data_range_**2


def _of_few_numbers(settings: Settings, images: int, features: int) -> Settings:
    """A recipe's hundreds of epochs as fewer of larger steps, where a data set has but a few thousand numbers.

    The recipes are made for images. As their rate falls with the square root of the number of pixels, so it rises here.
    """
    enough = max(100, images * features // 20)
    if settings.epochs <= enough:
        return settings
    rate = settings.learning_rate * max(1.0, math.sqrt(MNIST_PIXELS / features))
    return replace(settings, epochs=enough, learning_rate=rate)
