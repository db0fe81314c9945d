"""See inside latent-variable models of images, from PCA to the variational autoencoder.

Names here are looked up when they are first used, so importing the package is quick and does not import torch.

Example:
    >>> import lowerbound as lb
    >>> digits = lb.load("digits")
    >>> model = lb.recipes.vae(digits.image_shape, latent_dim=2)
    >>> model = model.fit(digits.train.pixels, lb.Settings(epochs=1))
    >>> model.transform(digits.test.pixels).shape, model.sample(3).shape
    ((360, 2), (3, 1, 8, 8))
    >>> lb.evaluate(lb.PCA(2).fit(digits.train.pixels), digits.test.pixels).mse.mean < 0.06
    True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lowerbound import recipes
    from lowerbound.amortisation import infer_for
    from lowerbound.autoencoder import Autoencoder
    from lowerbound.errors import InputError
    from lowerbound.evaluation import evaluate
    from lowerbound.gaps import where_the_nats_go
    from lowerbound.images import Images, ImageSet
    from lowerbound.inference import infer
    from lowerbound.pca import PCA
    from lowerbound.runs import compare, open_run
    from lowerbound.settings import Settings
    from lowerbound.sources import load
    from lowerbound.vae import VAE

__all__ = [
    "PCA",
    "VAE",
    "Autoencoder",
    "ImageSet",
    "Images",
    "InputError",
    "Settings",
    "compare",
    "evaluate",
    "infer",
    "infer_for",
    "load",
    "open_run",
    "recipes",
    "where_the_nats_go",
]

_HOMES = {
    "Autoencoder": "autoencoder",
    "ImageSet": "images",
    "Images": "images",
    "InputError": "errors",
    "PCA": "pca",
    "Settings": "settings",
    "VAE": "vae",
    "compare": "runs",
    "evaluate": "evaluation",
    "infer": "inference",
    "infer_for": "amortisation",
    "load": "sources",
    "open_run": "runs",
    "where_the_nats_go": "gaps",
}


def __getattr__(name: str) -> object:
    """A public name, imported now (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("lowerbound")
    elif name == "recipes":
        value = importlib.import_module("lowerbound.recipes")
    elif name in _HOMES:
        value = getattr(importlib.import_module(f"lowerbound.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next look-up finds it at once
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted([*__all__, "__version__"])
