"""What the scikit-learn estimators share: reading arrays, the verbs, and weights that are pickled as safetensors."""

# ruff: noqa: N803, N806

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Self

import numpy as np
import safetensors.torch
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from lowerbound.eigen import Spectrum, principal
from lowerbound.formats import to_bytes
from lowerbound.pca import PCA
from lowerbound.sklearn_data import Units, blocks, choose_components, choose_shape, flattened, over_blocks
from lowerbound.sklearn_models import real_spectrum

__all__ = ["ImageEstimator", "seed_from"]

READ: Any = [np.float64, np.float32, np.uint8]  # what is kept as it comes; all else becomes the first


class ImageEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """An estimator over a model of images; ``lowerbound.sklearn`` has those for users.

    What is special to a model is in ``_learn``, which sets ``model_``, in ``_precise`` and in ``_rebuilt``.

    Example:
        >>> from lowerbound.sklearn import PCA
        >>> images = np.random.default_rng(0).normal(size=(30, 3, 4, 5))
        >>> pca = PCA(n_components=2).fit(images)
        >>> isinstance(pca, ImageEstimator), pca.image_shape_, pca.inverse_transform(pca.transform(images)).shape
        (True, (3, 4, 5), (30, 3, 4, 5))
    """

    n_components: int | None
    image_shape: tuple[int, ...] | None
    random_state: Any
    n_features_in_: int
    model_: Any

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Learn from images.

        Args:
            X: ``[N, D]``, ``[N, H, W]`` or ``[N, C, H, W]``: uint8, or any finite numbers.
            y: Not used; there for scikit-learn's sake.

        Returns:
            The estimator itself.

        Raises:
            ValueError: Values that are no finite numbers, fewer than two samples, more components than samples or features.
        """
        rows = self._read(X, reset=True)
        samples, features = rows.shape
        self.n_components_ = choose_components(self.n_components, samples, features)
        shape = choose_shape(self.image_shape, self._came, features)
        self.image_shape_, self.layout_ = shape, self._came or (features,)
        units = Units.of(rows)
        self.data_min_, self.data_range_ = units.low, units.range
        self._n_features_out = self.n_components_
        self._learn(rows, seed_from(self.random_state))
        return self

    def _learn(self, rows: np.ndarray, seed: int) -> None:
        """Set ``model_`` from training data ``[N, D]``."""
        raise NotImplementedError

    def transform(self, X: Any) -> np.ndarray:
        """Codes ``[N, K]`` of images in the layout and units of the training data; the same at every call.

        Raises:
            ValueError: Other images than those it was fitted to.
            NotFittedError: ``fit`` was not called.
        """
        check_is_fitted(self)
        rows = self._read(X)
        model = self._precise()
        codes = over_blocks(lambda block: model.transform(self._pixels(block)), rows)
        return codes.astype(_kind(rows), copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Images of codes ``[N, K]``, in the layout and units of the training data, not clipped.

        Raises:
            ValueError: Codes of another length.
            NotFittedError: ``fit`` was not called.
        """
        check_is_fitted(self)
        codes = check_array(X, dtype=READ[:2], input_name="X", estimator=self)
        if codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X has {codes.shape[1]} features, but {type(self).__name__}.inverse_transform is expecting "
                f"{self.n_components_} components as input"
            )
        images = over_blocks(lambda block: self._outward(self.model_.inverse_transform(block)), codes)
        return images.astype(codes.dtype, copy=False)

    def _read(self, X: Any, *, reset: bool = False) -> np.ndarray:
        """Rows ``[N, D]`` of data as they come, checked."""
        X, came = flattened(X)
        rows: Any = validate_data(self, X, dtype=READ, reset=reset, ensure_min_samples=2 if reset else 1)
        if reset:
            self._came = came
        elif came is not None and (1, *came)[-3:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {list(came)}, but {type(self).__name__} is expecting {list(self.image_shape_)}"
            )
        return rows

    @property
    def _units(self) -> Units:
        return Units(self.data_min_, self.data_range_)

    def _pixels(self, rows: np.ndarray) -> np.ndarray:
        """Rows as the model's images ``[N, C, H, W]``, float64."""
        return self._units.inward(rows).reshape(-1, *self.image_shape_)

    def _outward(self, images: np.ndarray) -> np.ndarray:
        """The model's images in the data's layout and units."""
        return self._units.outward(images).reshape(-1, *self.layout_)

    def _precise(self) -> Any:
        """The model, with ``transform`` in double precision."""
        raise NotImplementedError

    def _spectrum(self, rows: np.ndarray) -> Spectrum:
        """Principal components of training data, pixels in [0, 1]: exact sums of integers where they are 8-bit."""
        if rows.dtype == np.uint8:
            return principal(rows.reshape(-1, *self.image_shape_), self.n_components_)
        return real_spectrum(lambda: blocks(rows, self._units), self.image_shape_, self.n_components_)

    def _densities(self, X: Any, score: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """A log-density of pixels in [0, 1], over data as they come and in their own units: less D log(range), nats ``[N]``."""
        check_is_fitted(self)
        scores = over_blocks(lambda block: score(self._pixels(block)), self._read(X))
        return scores - self.n_features_in_ * math.log(self.data_range_)

    def _samples(self, number: int, random_state: Any) -> np.ndarray:
        """Images decoded from codes drawn from N(0, I), in the data's layout and units."""
        check_is_fitted(self)
        if number < 1:
            raise ValueError(f"n_samples={number}; expected at least 1")
        seed = seed_from(self.random_state if random_state is None else random_state)
        return self._outward(self.model_.sample(number, seed))

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn should know: single precision in, single precision out."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """All attributes; the model as bytes of a safetensors file, which no pickle of tensors can outlive or outwit."""
        state: Any = super().__getstate__()
        state = {**state, "_lowerbound_version": version("lowerbound")}
        if "model_" in state:
            state["model_"] = to_bytes(_tensors(state["model_"]))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the model again and give it its weights; another version of the library is said aloud."""
        state = dict(state)
        then, now = state.pop("_lowerbound_version", "unknown"), version("lowerbound")
        if then != now:
            warnings.warn(
                f"this {type(self).__name__} was pickled by lowerbound {then}, and this is {now}; "
                "what it gives may differ; fit it anew where that matters",
                UserWarning,
                stacklevel=2,
            )
        if "model_" in state:
            tensors = safetensors.torch.load(state["model_"])
            state["model_"] = self._rebuilt(tensors, state)
        super().__setstate__(state)

    @staticmethod
    def _rebuilt(tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> Any:
        """The model that its tensors came from, given all other attributes."""
        raise NotImplementedError


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    """All weights of a model by name."""
    if isinstance(model, PCA):
        return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in model.tensors().items()}
    return model.state_dict()


def _kind(rows: np.ndarray) -> type:
    """Codes are as precise as the data: float32 of float32, else float64."""
    return np.float32 if rows.dtype == np.float32 else np.float64


def seed_from(random_state: Any) -> int:
    """A whole number as it is; one drawn from a ``RandomState``; of None one that nobody knows, from the system.

    NumPy's global generator is neither asked nor changed.

    Raises:
        ValueError: Anything else.

    Example:
        >>> seed_from(3), seed_from(np.random.RandomState(0)) == seed_from(np.random.RandomState(0))  # noqa: NPY002
        (3, True)
    """
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    random = check_random_state(random_state)  # refuses what is neither
    if isinstance(random_state, np.random.RandomState):
        return int(random.randint(2**31))
    return int(random_state)
