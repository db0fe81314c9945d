"""The four models as scikit-learn estimators: for ``Pipeline``, ``GridSearchCV``, ``cross_val_score``, ``set_output`` and pickle.

They take what scikit-learn's own take, ``[N, D]``, and images as they are, ``[N, H, W]`` or ``[N, C, H, W]``. Rows are seen as
square grey images where D is a square, and as one row of D pixels elsewhere; ``image_shape`` says otherwise. For PCA and the
linear autoencoder it does not matter. Every network takes every shape.

Numbers may have any range. Models compute with pixels in [0, 1]: uint8 are divided by 255, of all others the least and the
largest of the training data become 0 and 1, the same two for all features. Features of different units are best scaled before,
as for any PCA (``make_pipeline(StandardScaler(), VAE())``). What comes back is in the data's own units.

Example:
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> images, labels = load_digits(return_X_y=True)
    >>> classifier = make_pipeline(PCA(n_components=16), LogisticRegression()).fit(images[:500], labels[:500])
    >>> classifier.score(images[1400:], labels[1400:]) > 0.8
    True
"""

# ruff: noqa: N803

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from lowerbound.recipes import DEFAULT
from lowerbound.settings import Settings
from lowerbound.sklearn_estimator import ImageEstimator
from lowerbound.sklearn_models import RealPCA, unbiased
from lowerbound.sklearn_networks import NetworkEstimator

__all__ = ["PCA", "VAE", "ConvAutoencoder", "LinearAutoencoder"]


class PCA(ImageEstimator):
    """Principal component analysis with whitened codes, and as a density probabilistic PCA.

    The covariance of 8-bit images (uint8) is formed from exact sums of integers; that of other numbers from stable ones in
    float64. Variances are divided by N - 1, as in ``sklearn.decomposition.PCA``, so that ``components_`` (up to sign),
    ``explained_variance_``, ``mean_``, and with more samples than features ``noise_variance_`` and ``score`` are the same numbers
    there. ``transform`` is what that one gives with ``whiten=True``.

    Args:
        n_components: K; by default 20, or as many as there are samples or features.
        image_shape: Of rows: (channels, height, width) or (height, width). It changes no number.
        random_state: For ``sample`` alone; the fit draws nothing.

    Attributes:
        components_: As rows ``[K, D]``, of length 1.
        explained_variance_: Along each of them ``[K]``, in the data's units squared.
        explained_variance_ratio_: Their parts of the variance of all features ``[K]``.
        mean_: Of each feature ``[D]``.
        noise_variance_: Sigma^2 of probabilistic PCA: the mean of the D - K variances left out.
        n_components_: K.
        n_features_in_: D.
        image_shape_: Channels, height, width of the images that rows are seen as.
        data_min_, data_range_: What is 0 to the model, and what is 1 above that.
        model_: The ``lowerbound.PCA`` of pixels in [0, 1].

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = load_digits().images  # [N, 8, 8], from 0 to 16
        >>> pca = PCA(n_components=8).fit(images)
        >>> pca.transform(images).shape, pca.inverse_transform(pca.transform(images)).shape
        ((1797, 8), (1797, 8, 8))
        >>> pca.score(images) < pca.set_params(n_components=16).fit(images).score(images)
        True
    """

    def __init__(
        self, n_components: int | None = None, *, image_shape: tuple[int, ...] | None = None, random_state: Any = None
    ) -> None:
        self.n_components = n_components
        self.image_shape = image_shape
        self.random_state = random_state

    @property
    def components_(self) -> np.ndarray:
        """As rows ``[K, D]``."""
        return self._fitted().components

    @property
    def explained_variance_(self) -> np.ndarray:
        """Along each component ``[K]``, in the data's units squared."""
        model = self._fitted()
        return model.variances[: model.latent_dim] * self.data_range_**2

    @property
    def explained_variance_ratio_(self) -> np.ndarray:
        """Part of the variance of all features along each component ``[K]``."""
        model = self._fitted()
        return model.variances[: model.latent_dim] / (model.total_variance or 1.0)

    @property
    def mean_(self) -> np.ndarray:
        """Of each feature ``[D]``."""
        return self._units.outward(self._fitted().mean)

    @property
    def noise_variance_(self) -> float:
        """Sigma^2 of probabilistic PCA, in the data's units squared."""
        return self._fitted().noise_variance * self.data_range_**2

    def _fitted(self) -> RealPCA:
        check_is_fitted(self)  # an AttributeError, so that hasattr says no
        return self.model_

    def _precise(self) -> RealPCA:
        return self.model_

    def _learn(self, rows: np.ndarray, seed: int) -> None:  # noqa: ARG002
        self.model_ = RealPCA(self.n_components_).fit_spectrum(unbiased(self._spectrum(rows)))

    @staticmethod
    def _rebuilt(tensors: dict[str, Tensor], state: dict[str, Any]) -> Any:
        return RealPCA.from_tensors({name: value.numpy() for name, value in tensors.items()}, state["image_shape_"])

    def score_samples(self, X: Any) -> np.ndarray:
        """log p(x) of probabilistic PCA (Tipping & Bishop, 1999), exact.

        Args:
            X: Images as in ``fit``.

        Returns:
            Nats per sample with all constants, of the data in their own units ``[N]``.
        """
        return self._densities(X, lambda images: self._fitted().score_samples(images))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """The mean of ``score_samples``: nats per sample, higher is better."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """New images decoded from codes drawn from N(0, I), without pixel noise.

        Args:
            n_samples: How many.
            random_state: Fixes the draws; by default the estimator's own.

        Returns:
            In the layout and units of the training data.
        """
        return self._samples(n_samples, random_state)


class LinearAutoencoder(NetworkEstimator):
    """One matrix to K numbers and one back, trained by gradient descent: it finds the subspace of PCA, but not its axes.

    Args:
        n_components: K; by default 20, or as many as there are samples or features.
        image_shape: Of rows: (channels, height, width) or (height, width). It changes no number.
        max_epochs: Times that every image is seen; by default what the recipe gives for their number.
        settings: All about the training, in place of the recipe's; its seed is that of ``random_state``.
        random_state: Fixes weights and order; None for others at every fit. Global generators are not touched.
        verbose: Whether to show the progress.

    Attributes:
        model_: The ``lowerbound.Autoencoder`` of pixels in [0, 1].
        history_: Of each batch the loss, among others.
        stored_: Recipe, network and settings of the model.
        n_components_, n_features_in_, image_shape_, data_min_, data_range_: As of ``PCA``.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = load_digits().data[:300]
        >>> pca = PCA(n_components=8).fit(images)
        >>> model = LinearAutoencoder(n_components=8, max_epochs=50, random_state=0).fit(images)
        >>> bool(-model.score(images) > np.square(pca.inverse_transform(pca.transform(images)) - images).mean())
        True
    """

    recipe = "linear"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        max_epochs: float | None = None,
        settings: Settings | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.settings = settings
        self.random_state = random_state
        self.verbose = verbose

    network = DEFAULT  # it has none; whoever asks for its settings need not know

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Minus the mean squared error per feature, in the data's units squared; higher is better.

        A plain autoencoder is no density: this compares with no log-likelihood.
        """
        return self._negative_error(X)


class ConvAutoencoder(NetworkEstimator):
    """A convolutional autoencoder, started at PCA.

    Args:
        n_components: K; by default 20, or as many as there are samples or features.
        image_shape: Of rows: (channels, height, width) or (height, width).
        network: "patched" or "strided", which start at PCA, "tutorial", or "dense" without convolutions.
        max_epochs: Times that every image is seen; by default what the recipe gives for their number.
        settings: All about the training, in place of the recipe's; its seed is that of ``random_state``.
        random_state: Fixes weights and order; None for others at every fit. Global generators are not touched.
        verbose: Whether to show the progress.

    Attributes:
        model_: The ``lowerbound.Autoencoder`` of pixels in [0, 1].
        history_: Of each batch the loss, among others.
        stored_: Recipe, network and settings of the model.
        n_components_, n_features_in_, image_shape_, data_min_, data_range_: As of ``PCA``.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = load_digits().images[:300]
        >>> model = ConvAutoencoder(n_components=8, max_epochs=5, random_state=0).fit(images)
        >>> pca = PCA(8).fit(images)
        >>> bool(-model.score(images) < np.square(pca.inverse_transform(pca.transform(images)) - images).mean())
        True
    """

    recipe = "conv"

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """Minus the mean squared error per feature, in the data's units squared; higher is better.

        A plain autoencoder is no density: this compares with no log-likelihood.
        """
        return self._negative_error(X)


class VAE(NetworkEstimator):
    """A variational autoencoder with a Gaussian likelihood of one learned sigma, started at probabilistic PCA.

    Sigma is not taken below the rounding to 8 bits, 1 / 883 of the data's range.

    Args:
        n_components: K; by default 20, or as many as there are samples or features.
        image_shape: Of rows: (channels, height, width) or (height, width).
        network: "patched" or "strided", which start at PCA, "tutorial", or "dense" without convolutions.
        max_epochs: Times that every image is seen; by default what the recipe gives for their number.
        settings: All about the training, in place of the recipe's; its seed is that of ``random_state``.
        random_state: Fixes weights, order and noise; None for others at every fit. Global generators are not touched.
        verbose: Whether to show the progress.

    Attributes:
        model_: The ``lowerbound.VAE`` of pixels in [0, 1].
        history_: Of each batch the loss, distortion, rate and sigma.
        stored_: Recipe, network and settings of the model.
        n_components_, n_features_in_, image_shape_, data_min_, data_range_: As of ``PCA``.

    Example:
        >>> from sklearn.datasets import load_digits
        >>> images = load_digits().images[:300]
        >>> model = VAE(n_components=8, max_epochs=15, random_state=0).fit(images)
        >>> model.sample(3).shape, bool(model.score(images) > PCA(n_components=8).fit(images).score(images))
        ((3, 8, 8), True)
    """

    recipe = "vae"

    def score_samples(self, X: Any) -> np.ndarray:
        """The evidence lower bound (ELBO) of log p(x), with one draw from q for each sample.

        The draw is fixed by the sample's own values and the seed of the fit: a sample has the same bound among any others.

        Args:
            X: Images as in ``fit``.

        Returns:
            Nats per sample with all constants, of the data in their own units ``[N]``.
        """
        check_is_fitted(self)
        model, seed = self._precise(), self.stored_.settings.seed
        return self._densities(X, lambda images: model.score_samples(images, seed))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """The mean of ``score_samples``: nats per sample, higher is better."""
        return float(self.score_samples(X).mean())

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """New images decoded from codes drawn from N(0, I), without pixel noise.

        Args:
            n_samples: How many.
            random_state: Fixes the draws; by default the estimator's own.

        Returns:
            In the layout and units of the training data.
        """
        return self._samples(n_samples, random_state)
