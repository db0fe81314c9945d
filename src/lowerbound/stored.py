"""What one model of a run is: its recipe, its parts and its training, as a run folder keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from lowerbound.autoencoder import Autoencoder
from lowerbound.binarise import Binarised
from lowerbound.eigen import MOST_NUMBERS
from lowerbound.errors import InputError
from lowerbound.formats import check_like, pca_like, read_heads, read_tensors
from lowerbound.outside import Outside
from lowerbound.parts import Parts
from lowerbound.pca import PCA
from lowerbound.recipes import DEFAULT, NETWORKS, RECIPES, recipe
from lowerbound.settings import Settings
from lowerbound.vae import VAE

__all__ = ["OWN", "Model", "StoredModel"]

Model = PCA | Autoencoder | VAE
OWN = "own"  # the recipe of a model that a file of the user's makes


@dataclass
class StoredModel:
    """One model of a run: which, of how many numbers, and how trained.

    Attributes:
        recipe: Its name in ``recipes.RECIPES``, or ``OWN``.
        latent_dim: K.
        image_shape: Channels, height, width.
        network: Its name in ``recipes.NETWORKS``.
        settings: How it is trained.
        parts: What it is assembled from.
        images: Number of training images.
        replicate: 0, or which repetition with another seed it is.
        outside: Of ``OWN``: name and sha256 of the file and function that make it.
    """

    recipe: str
    latent_dim: int
    image_shape: tuple[int, int, int]
    network: str = DEFAULT
    settings: Settings = field(default_factory=lambda: Settings(epochs=0))
    parts: Parts | None = None
    images: int = 0
    replicate: int = 0
    outside: dict[str, str] | None = None

    def __post_init__(self) -> None:
        """Fill in the recipe's own parts."""
        if self.parts is None:
            self.parts = RECIPES[self.recipe].parts if self.recipe in RECIPES else Parts()

    @property
    def name(self) -> str:
        """Its folder within the run."""
        return f"{self.recipe}-k{self.latent_dim}" + (f"-seed{self.settings.seed}" if self.replicate else "")

    def build(self, start: PCA | None = None, outside: Outside | None = None) -> Autoencoder | VAE:
        """The untrained model, its random weights fixed by the seed; started at a PCA where its network can be.

        Args:
            start: A PCA with K components; a user's function gets it where it has an argument of that name.
            outside: The user's function, for a model that one makes.

        Raises:
            InputError: A model that is not trained, or whose file was not given, or was given another one.
        """
        with torch.random.fork_rng([]):
            torch.manual_seed(self.settings.seed)
            if self.recipe == OWN:
                return self._own(self.check_outside(outside), start)
            build, network = RECIPES[self.recipe].build, NETWORKS[self.network]
            if build is None:
                raise InputError(f'a model "{self.recipe}" is not trained')
            start = start if network.starts_at_mean else None
            return build(self.image_shape, self.latent_dim, network, start, self.parts, self.images)

    def check_outside(self, outside: Outside | None) -> Outside:
        """The user's function that makes the model, which must be the one that it was made with.

        Raises:
            InputError: None was given, or another.
        """
        wanted = self.outside or {"name": "", "sha256": ""}
        if outside is None:
            raise InputError(
                f"{self.name} was made by {wanted['name']}, whose code no run holds; give the file: --recipe {wanted['name']}"
            )
        if outside.sha256 != wanted["sha256"]:
            raise InputError(
                f"{outside.name} is not the file that {self.name} was made with (sha256 {outside.sha256[:12]}, "
                f"expected {wanted['sha256'][:12]}); give the file as it was"
            )
        return outside

    def _own(self, outside: Outside, start: PCA | None) -> Autoencoder | VAE:
        """The model that the user's function makes."""
        model = outside.make(self.image_shape, self.latent_dim, start)
        if not isinstance(model, Autoencoder | VAE):
            raise InputError(f"{outside.name} made a {type(model).__name__}; expected a lowerbound VAE or Autoencoder")
        if self.parts is not None and self.parts.binarise == "dynamic":
            model.objective = Binarised(model.objective)
        return model

    def load(self, file: Path, outside: Outside | None = None, *, allow_nonfinite: bool = False) -> Model:
        """The model with its weights, which are held to it before any of them is read.

        Args:
            file: Of its weights.
            outside: The user's function, for a model that one makes.
            allow_nonfinite: Whether weights that are NaN or infinite will do.

        Raises:
            InputError: Weights that are missing, damaged, not finite, or not of this model.
        """
        heads = read_heads(file)[0]
        if self.recipe == "pca":
            check_like(file, heads, pca_like(self.latent_dim, self.image_shape, heads))
            tensors = _finite(file, allow_nonfinite=allow_nonfinite)
            return PCA.from_tensors({name: tensor.numpy() for name, tensor in tensors.items()}, self.image_shape)
        model = self.build(outside=outside)
        check_like(file, heads, model.state_dict())
        model.load_state_dict(_finite(file, allow_nonfinite=allow_nonfinite))
        return model.eval()

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        parts = (self.parts or Parts()).to_json()
        return {
            **vars(self),
            "image_shape": list(self.image_shape),
            "settings": self.settings.to_json(),
            "parts": parts,
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> StoredModel:
        """What ``to_json`` stored, now or in the first format, which knew no parts.

        Raises:
            LookupError: Parts of it that are not there.
            ValueError: Something else than was stored.
        """
        _hold_to_types(stored)
        shape, settings = tuple(stored["image_shape"]), Settings.from_json(stored["settings"])
        parts = Parts(**stored["parts"]) if stored.get("parts") else None
        model = cls(**{**stored, "image_shape": shape, "settings": settings, "parts": parts})
        if model.recipe == OWN:
            if not {"name", "sha256"} <= set(model.outside or ()):
                raise ValueError(f"{model.name} without the file it was made with")
        else:
            recipe(model.recipe)
        _ = NETWORKS[model.network]
        channels, height, width = shape
        pixels = channels * height * width
        if not (channels in (1, 3) and 1 <= model.latent_dim <= pixels and model.latent_dim * pixels <= MOST_NUMBERS):
            raise ValueError(f"{model.name} of images {shape}")
        return model


def _hold_to_types(stored: Any) -> None:
    """Refuse what is not of the types that ``to_json`` gives; what the values mean is looked at later."""
    wrong = not isinstance(stored, dict)
    if not wrong:
        whole = [stored["latent_dim"], *stored["image_shape"], stored.get("images", 0), stored.get("replicate", 0)]
        wrong |= any(type(number) is not int or not 0 <= number < 2**53 for number in whole)
        wrong |= any(type(stored.get(name, "")) is not str for name in ("recipe", "network"))
        for name in ("parts", "outside"):
            texts = stored.get(name) or {}
            wrong |= not isinstance(texts, dict) or any(type(text) is not str for text in texts.values())
    if wrong:
        raise ValueError("it does not describe a model")


def _finite(file: Path, *, allow_nonfinite: bool) -> dict[str, torch.Tensor]:
    """The tensors of a file, all their numbers finite unless others are allowed."""
    tensors = read_tensors(file)
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad and not allow_nonfinite:
        raise InputError(f"{file} holds numbers that are not finite ({', '.join(bad[:9])}); train the model again")
    return tensors
