"""Numbers and settings as files that any program can read, and back: JSON, CSV, safetensors, parquet.

Nothing that is read here can run code, and what cannot be read is refused in one line.
"""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.training import History, State

__all__ = [
    "check_like",
    "codes_table",
    "from_state",
    "pca_like",
    "read_csv",
    "read_json",
    "read_tensors",
    "to_bytes",
    "to_csv",
    "to_json",
    "to_state",
]


def codes_table(codes: np.ndarray, images: Images) -> bytes:
    """A parquet file of codes ``[N, K]``: name and label of each image where there are any, then z1 ... zK."""
    import pyarrow
    import pyarrow.parquet

    columns: dict[str, Any] = {}
    if images.names is not None:
        columns["name"] = [name.encode(errors="backslashreplace").decode() for name in images.names]
    if images.labels is not None:
        columns["label"] = images.labels
    columns |= {f"z{n + 1}": codes[:, n] for n in range(codes.shape[1])}
    whole = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), whole)
    return whole.getvalue()


def to_json(value: object) -> bytes:
    """JSON that people can read, with a line break at its end; of file names that are no text, the bytes escaped."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="backslashreplace")


def read_json(file: Path) -> Any:
    """What a JSON file holds, or one line on what is wrong with it."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read ({error}); the run is damaged, make it again") from error


def to_bytes(tensors: dict[str, torch.Tensor]) -> bytes:
    """Tensors as a safetensors file holds them."""
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in tensors.items()})


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds, or one line on what is wrong with it."""
    try:
        return safetensors.torch.load(file.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{file} is missing; the run is damaged, make it again") from error
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is no whole safetensors file ({error}); make the run again") from error


def from_state(state: State) -> dict[str, torch.Tensor]:
    """Where a training stands, as named tensors."""
    held = {f"optimizer.{n}.{name}": value for n, each in state.optimizer.items() for name, value in each.items()}
    history = {f"history.{name}": torch.from_numpy(column) for name, column in state.history.items()}
    return {"state": torch.tensor([state.epochs, state.seconds], dtype=torch.float64), **held, **history}


def to_state(file: Path, tensors: dict[str, torch.Tensor]) -> State:
    """What ``from_state`` wrote to a file, among other tensors."""
    try:
        state = State(int(tensors["state"][0]), float(tensors["state"][1]))
        for name, value in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                parameter, what = rest.split(".")
                state.optimizer.setdefault(int(parameter), {})[what] = value
            elif kind == "history":
                state.history[rest] = value.numpy()
    except (LookupError, ValueError, TypeError) as error:
        raise InputError(f"{file} is no checkpoint ({error}); remove it to train this model anew") from error
    return state


def check_like(file: Path, tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Refuse tensors of other names, shapes or types of number than a model has."""
    found, wanted = ({name: _kind(tensor) for name, tensor in each.items()} for each in (tensors, expected))
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise InputError(
                f"{file} is not of this model: {name} is {found.get(name, 'missing')}, "
                f"expected {wanted.get(name, 'no such tensor')}; make the run again"
            )


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def pca_like(
    latent_dim: int, image_shape: tuple[int, int, int], tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Tensors as a PCA of this K has them; the length of its spectrum is its own."""
    pixels = math.prod(image_shape)
    spectrum = tensors["variances"].numel() if "variances" in tensors else 0
    shapes = {
        "mean": [pixels],
        "components": [latent_dim, pixels],
        "variances": [max(spectrum, latent_dim)],
        "total_variance": [1],
    }
    return {name: torch.empty(shape, dtype=torch.float64) for name, shape in shapes.items()}


def to_csv(history: History) -> bytes:
    """A table with one line per batch; numbers with all the digits a float32 has, so that they come back the same."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["batch", *history])
    columns = [np.char.mod("%.9g", column) for column in history.values()]
    writer.writerows(zip(range(1, len(columns[0]) + 1) if columns else (), *columns, strict=True))
    return text.getvalue().encode()


def read_csv(file: Path) -> History:
    """The columns of a table that ``to_csv`` wrote, float32 each."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            header, *rows = csv.reader(lines)
        table = np.array(rows, np.float32).reshape(-1, len(header)).T
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}); the run is damaged, make it again") from error
    return {name: column for name, column in zip(header, table, strict=True) if name != "batch"}
