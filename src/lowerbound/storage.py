"""Run folders: what was asked, what was learned, what was measured, in files that any program can read.

    runs/mnist-k20-2026-11-22/
        run.json            what was asked and chosen; says "training" until all is there, then "complete"
        metrics.json        of each model and K: errors and scores on the test images, seconds
        report.html         the page to open
        figures/            every figure as PNG and SVG
        models/vae-k20/     model.json, model.safetensors, history.csv, and checkpoint.safetensors to train on

Weights are safetensors and settings JSON: nothing that is read here can run code.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from lowerbound.autoencoder import Autoencoder
from lowerbound.errors import InputError, nearest
from lowerbound.images import Images
from lowerbound.pca import PCA
from lowerbound.recipes import NETWORKS, RECIPES
from lowerbound.training import History, Settings, State
from lowerbound.vae import VAE
from lowerbound.whole import write_whole

__all__ = ["FORMAT", "Model", "Run", "StoredModel", "codes_table", "to_json"]

FORMAT = 1
Model = PCA | Autoencoder | VAE


@dataclass
class StoredModel:
    """One model of a run: which, of how many numbers, and how trained.

    Attributes:
        recipe: Its name in ``recipes.RECIPES``.
        latent_dim: K.
        image_shape: Channels, height, width.
        network: Its name in ``recipes.NETWORKS``.
        settings: How it is trained.
    """

    recipe: str
    latent_dim: int
    image_shape: tuple[int, int, int]
    network: str = "strided"
    settings: Settings = field(default_factory=lambda: Settings(epochs=0))

    @property
    def name(self) -> str:
        """Its folder within the run."""
        return f"{self.recipe}-k{self.latent_dim}"

    def build(self, start: PCA | None = None) -> Autoencoder | VAE:
        """The untrained model, its random weights fixed by the seed; started at a PCA where its network can be."""
        recipe, network = RECIPES[self.recipe], NETWORKS[self.network]
        if recipe.build is None:
            raise InputError(f'a model "{self.recipe}" is not trained')
        with torch.random.fork_rng([]):
            torch.manual_seed(self.settings.seed)
            start = start if network.starts_at_pca else None
            return recipe.build(self.image_shape, self.latent_dim, network, start)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON holds it."""
        return {**vars(self), "image_shape": list(self.image_shape), "settings": self.settings.to_json()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> StoredModel:
        """What ``to_json`` stored."""
        shape, settings = tuple(stored["image_shape"]), Settings.from_json(stored["settings"])
        return cls(**{**stored, "image_shape": shape, "settings": settings})


class Run:
    """A run folder.

    Args:
        path: The folder.
        about: What ``run.json`` holds.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.path, self.about = path, about

    @classmethod
    def create(cls, path: Path, about: dict[str, Any]) -> Run:
        """Begin a run in a folder that is not there yet.

        Raises:
            InputError: The folder exists, or cannot be made.
        """
        path = Path(path)
        if path.exists():
            raise InputError(f"{path} exists already; nothing in it was touched; give another folder with --out")
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{path} cannot be made ({error.strerror}); choose another folder with --out") from error
        created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        run = cls(path, {"format": FORMAT, "status": "training", "created": created, **about})
        run.write_about()
        return run

    @classmethod
    def open(cls, path: Path, *, unfinished: bool = False) -> Run:
        """A run that is there.

        Args:
            path: Its folder.
            unfinished: Whether one that is still training will do.

        Raises:
            InputError: No run is there, it is not finished, or a newer program wrote it.
        """
        path = Path(path)
        file = path / "run.json"
        if not file.is_file():
            what = "is no run folder (it has no run.json)" if path.is_dir() else "does not exist"
            raise InputError(f"{path} {what}; expected what `lowerbound compare` or `lowerbound train` wrote")
        about = _read_json(file)
        if about.get("format") != FORMAT:
            raise InputError(f"{file} has format {about.get('format')}; this program reads {FORMAT}; update lowerbound")
        if about.get("status") != "complete" and not unfinished:
            raise InputError(
                f"{path} is not finished (run.json says {about.get('status')}); "
                f"go on with `lowerbound train --resume {path}`"
            )
        return cls(path, about)

    def write_about(self) -> None:
        """Write ``run.json``."""
        write_whole(self.path / "run.json", to_json(self.about))

    def complete(self) -> None:
        """Say that all is there."""
        self.about["status"] = "complete"
        self.write_about()

    @property
    def models(self) -> list[StoredModel]:
        """Its models, in the order in which they are trained."""
        return [StoredModel.from_json(stored) for stored in self.about["models"]]

    def choose(self, recipe: str | None = None, latent_dim: int | None = None) -> StoredModel:
        """The model of a name and a K; by default the VAE, else the last, with the K that the figures show.

        Raises:
            InputError: The run has no such model.
        """
        there = self.models
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
        raise InputError(f'{self.path} has no model "{wanted}"{nearest(wanted, [names])}; it has {names}')

    def folder(self, stored: StoredModel) -> Path:
        """Where a model is stored."""
        return self.path / "models" / stored.name

    def save(self, stored: StoredModel, model: Model, history: History | None = None) -> None:
        """Write a model that is trained: its weights, what it is, and what was measured on the way."""
        folder = self.folder(stored)
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(model, PCA):
            tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in model.tensors().items()}
        else:
            tensors = model.state_dict()
        if history:
            write_whole(folder / "history.csv", _to_csv(history))
        write_whole(folder / "model.json", to_json(stored.to_json()))
        write_whole(folder / "model.safetensors", _to_bytes(tensors))

    def save_checkpoint(self, stored: StoredModel, model: Autoencoder | VAE, state: State) -> None:
        """Write all that training needs to go on, in one file, so that it can never disagree with itself."""
        held = {f"optimizer.{n}.{name}": value for n, each in state.optimizer.items() for name, value in each.items()}
        weights = {f"model.{name}": value for name, value in model.state_dict().items()}
        history = {f"history.{name}": torch.from_numpy(column) for name, column in state.history.items()}
        place = {"state": torch.tensor([state.epochs, state.seconds], dtype=torch.float64)}
        self.folder(stored).mkdir(parents=True, exist_ok=True)
        write_whole(self.folder(stored) / "checkpoint.safetensors", _to_bytes({**place, **weights, **held, **history}))

    def load_checkpoint(self, stored: StoredModel, model: Autoencoder | VAE) -> State | None:
        """Put the weights of the last checkpoint in a model; where its training stands, None before the first."""
        file = self.folder(stored) / "checkpoint.safetensors"
        if not file.is_file():
            return None
        tensors = _read_tensors(file)
        weights = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        _check_like(file, weights, {name: value.shape for name, value in model.state_dict().items()})
        model.load_state_dict(weights)
        epochs, seconds = tensors["state"].tolist()
        state = State(int(epochs), seconds)
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                parameter, what = rest.split(".")
                state.optimizer.setdefault(int(parameter), {})[what] = value
            elif kind == "history":
                state.history[rest] = value.numpy()
        return state

    def is_trained(self, stored: StoredModel) -> bool:
        """Whether a model has done all its epochs and is written."""
        folder = self.folder(stored)
        if not (folder / "model.safetensors").is_file():
            return False
        if stored.recipe == "pca":
            return True
        with safetensors.safe_open(folder / "checkpoint.safetensors", "pt") as checkpoint:  # type: ignore[no-untyped-call]
            return int(checkpoint.get_tensor("state")[0]) >= stored.settings.epochs

    def load(self, stored: StoredModel) -> Model:
        """A model with its weights.

        Raises:
            InputError: Weights that are missing, damaged, not finite, or not of this model.
        """
        file = self.folder(stored) / "model.safetensors"
        tensors = _read_tensors(file)
        bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
        if bad:
            raise InputError(f"{file} holds numbers that are not finite ({bad[0]}); train the model again")
        if stored.recipe == "pca":
            _check_like(file, tensors, {name: tensor.shape for name, tensor in _pca_shapes(stored, tensors).items()})
            return PCA.from_tensors({name: tensor.numpy() for name, tensor in tensors.items()}, stored.image_shape)
        model = stored.build()
        _check_like(file, tensors, {name: value.shape for name, value in model.state_dict().items()})
        model.load_state_dict(tensors)
        return model.eval()

    def history(self, stored: StoredModel) -> History:
        """What was measured at every training batch; empty for PCA."""
        file = self.folder(stored) / "history.csv"
        if not file.is_file():
            return {}
        with file.open(newline="", encoding="utf-8") as lines:
            header, *rows = csv.reader(lines)
        table = np.array(rows, np.float32).reshape(-1, len(header)).T
        return {name: column for name, column in zip(header, table, strict=True) if name != "batch"}

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Of each model: errors, scores and seconds."""
        return _read_json(self.path / "metrics.json")


def codes_table(codes: np.ndarray, images: Images) -> bytes:
    """A parquet file of codes ``[N, K]``: name and label of each image where there are any, then z1 ... zK."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, Any] = {}
    if images.names is not None:
        columns["name"] = list(images.names)
    if images.labels is not None:
        columns["label"] = images.labels
    columns |= {f"z{n + 1}": codes[:, n] for n in range(codes.shape[1])}
    whole = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), whole)
    return whole.getvalue()


def to_json(value: object) -> bytes:
    """JSON that people can read, with a line break at its end."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _read_json(file: Path) -> Any:
    """What a JSON file holds, or one line on what is wrong with it."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}); the run is damaged, make it again") from error


def _to_bytes(tensors: dict[str, torch.Tensor]) -> bytes:
    """Tensors as a safetensors file holds them."""
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


def _read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds, or one line on what is wrong with it."""
    try:
        return safetensors.torch.load(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{file} is missing; the run is damaged, make it again") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{file} is no whole safetensors file ({error}); make the run again") from error


def _pca_shapes(stored: StoredModel, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of the shapes that a PCA of this K has; the length of its spectrum is its own."""
    pixels = int(np.prod(stored.image_shape))
    spectrum = tensors.get("variances", torch.zeros(0))
    return {
        "mean": torch.empty(pixels),
        "components": torch.empty(stored.latent_dim, pixels),
        "variances": torch.empty(max(len(spectrum), stored.latent_dim)),
        "total_variance": torch.empty(1),
    }


def _check_like(file: Path, tensors: dict[str, torch.Tensor], expected: dict[str, torch.Size]) -> None:
    """Refuse tensors of other names or shapes than a model has."""
    found = {name: tensor.shape for name, tensor in tensors.items()}
    if found == expected:
        return
    names = sorted(set(found) ^ set(expected)) or [name for name in expected if found[name] != expected[name]]
    raise InputError(
        f"{file} is not of this model: {names[0]} has shape {list(found.get(names[0], []))}, "
        f"expected {list(expected.get(names[0], []))}; make the run again"
    )


def _to_csv(history: History) -> bytes:
    """A table with one line per batch; numbers with all the digits a float32 has, so that they come back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["batch", *history])
    columns = [np.char.mod("%.9g", column) for column in history.values()]
    writer.writerows(zip(range(1, len(columns[0]) + 1) if columns else (), *columns, strict=True))
    return text.getvalue().encode()
