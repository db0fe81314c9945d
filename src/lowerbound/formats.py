"""Numbers and settings as files that any program can read, and back: JSON, CSV, safetensors, parquet.

Nothing that is read here can run code, and what cannot be read is refused in one line.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError

from lowerbound.errors import InputError
from lowerbound.state import History, State

__all__ = [
    "check_like",
    "codes_table",
    "from_state",
    "pca_like",
    "read_csv",
    "read_heads",
    "read_json",
    "read_sealed",
    "read_tensors",
    "sealed",
    "to_bytes",
    "to_csv",
    "to_json",
    "to_state",
]


def codes_table(codes: np.ndarray, names: Sequence[str] | None = None, labels: np.ndarray | None = None) -> Any:
    """A ``pyarrow`` table of codes ``[N, K]``: name and label of each image where there are any, then z1 ... zK.

    Example:
        >>> codes_table(np.zeros((2, 1), np.float32), ["a.png", "b.png"]).to_pydict()
        {'name': ['a.png', 'b.png'], 'z1': [0.0, 0.0]}
    """
    import pyarrow

    columns: dict[str, Any] = {}
    if names is not None:
        texts = [name.encode(errors="backslashreplace").decode() for name in names]
        columns["name"] = pyarrow.array(texts, pyarrow.string())
    if labels is not None:
        columns["label"] = labels
    return pyarrow.table(columns | {f"z{n + 1}": codes[:, n] for n in range(codes.shape[1])})


JSON_LIMIT = 64_000_000  # bytes


def to_json(value: object) -> bytes:
    """JSON that people can read, with a line break at its end; of file names that are no text, the bytes escaped."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(errors="backslashreplace")


def read_json(file: Path) -> Any:
    """What a JSON file holds, or one line on what is wrong with it."""
    try:
        if not file.is_file():
            raise ValueError("it is not there")
        if file.stat().st_size > JSON_LIMIT:
            raise ValueError(f"it holds more than {JSON_LIMIT // 10**6} MB")
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read ({error}); the run is damaged, make it again") from error


SEAL = "sha256"
MOST_SAID = 20  # differences in one line
HEADER_LIMIT = 4_000_000  # bytes; a header of ten thousand tensors has a quarter of that
KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def to_bytes(tensors: dict[str, torch.Tensor]) -> bytes:
    """Tensors as a safetensors file holds them, their hash noted in its header."""
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return safetensors.torch.save(whole, {SEAL: _hash_of(whole).hex()})


def read_heads(file: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Names, types and shapes of the tensors of a safetensors file, as tensors without numbers; and what is noted beside them.

    Nothing but the header is read, so that what claims to be anything large is refused before it takes any memory.

    Raises:
        InputError: No such file, or no header of one.
    """
    if not file.is_file():  # a pipe would be waited on for ever
        raise InputError(f"{file} is missing; the run is damaged, make it again")
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(HEADER_LIMIT, file.stat().st_size - 8):
                raise ValueError(f"its header claims {length:,} bytes")
            told = json.loads(stream.read(length).decode())
        noted = told.pop("__metadata__", {})
        heads = {
            name: torch.empty(head["shape"], dtype=KINDS[head["dtype"]], device="meta") for name, head in told.items()
        }
        return heads, {str(name): str(value) for name, value in noted.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise InputError(f"{file} is no whole safetensors file ({_said(error)}); make the run again") from error


def read_tensors(file: Path) -> dict[str, torch.Tensor]:
    """What a safetensors file holds, held to its hash where it notes one; or one line on what is wrong with it."""
    heads, noted = read_heads(file)
    try:
        tensors = safetensors.torch.load(file.read_bytes())
        if {name: _kind(each) for name, each in tensors.items()} != {name: _kind(each) for name, each in heads.items()}:
            raise ValueError("its header names a tensor twice")
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is no whole safetensors file ({_said(error)}); make the run again") from error
    if SEAL in noted and noted[SEAL] != _hash_of(tensors).hex():
        raise _damaged(file)
    return tensors


def _damaged(file: Path) -> InputError:
    return InputError(
        f"{file} is damaged (its content has another sha256 than when it was written); make the run again"
    )


def _said(error: Exception) -> str:
    """What an error says, in one line of bounded length."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def sealed(tensors: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    """What writes tensors to a safetensors file, with the hash of their names, types, shapes and bytes among them.

    A file that was cut is no safetensors file; one in which a bit has turned over is, and only the hash tells. Tensors go to the
    file from where they are, without another copy of them all in memory.

    Raises:
        OSError: When it writes: no room, or no right to write there.
    """
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    whole[SEAL] = _as_tensor(_hash_of(whole))

    def write(file: Path) -> None:
        try:
            safetensors.torch.save_file(whole, file)
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(file)) from error

    return write


def read_sealed(file: Path) -> dict[str, torch.Tensor]:
    """What ``sealed`` wrote, held to its hash; files of before there was one are read without.

    Raises:
        InputError: No whole safetensors file, or other tensors than were written.
    """
    tensors = read_tensors(file)
    seal = tensors.pop(SEAL, None)
    if seal is not None and not torch.equal(seal, _as_tensor(_hash_of(tensors))):
        raise InputError(f"{file} is damaged (its content has another sha256 than when it was written)")
    return tensors


def _hash_of(tensors: dict[str, torch.Tensor]) -> bytes:
    """SHA-256 over all tensors in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode(errors="backslashreplace"))
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()


def _as_tensor(digest: bytes) -> torch.Tensor:
    """A hash as a tensor, uint8 ``[32]``."""
    return torch.tensor(list(digest), dtype=torch.uint8)


def from_state(state: State) -> dict[str, torch.Tensor]:
    """Where a training stands, as named tensors."""
    numbers = {f"training.{name}": torch.tensor(value, dtype=torch.float64) for name, value in state.numbers.items()}
    adam = {f"optimizer.{n}.{name}": value for n, each in state.optimizer.items() for name, value in each.items()}
    average = {f"average.{name}": value for name, value in state.average.items()}
    best = {f"best.{name}": value for name, value in state.best.items()}
    history = {f"history.{name}": torch.from_numpy(column) for name, column in state.history.items()}
    return {**numbers, **adam, **average, **best, **history, "validation": torch.from_numpy(state.validation)}


def to_state(file: Path, tensors: dict[str, torch.Tensor]) -> State:
    """What ``from_state`` wrote to a file, among other tensors."""
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        parts.setdefault(kind, {})[rest] = value
    try:
        numbers = {name: float(value) for name, value in parts.get("training", {}).items()}
        if "state" in parts:  # of before steps were counted
            numbers = {"step": len(parts["history"]["loss"]), "seconds": float(tensors["state"][1])}
        state = State.from_numbers({"step": numbers.pop("step"), **numbers})
        for name, value in parts.get("optimizer", {}).items():
            parameter, dot, what = name.rpartition(".")
            if not (dot and what in ("step", "exp_avg", "exp_avg_sq")):
                raise ValueError(f"optimizer.{name} is nothing that Adam remembers")
            state.optimizer.setdefault(parameter, {})[what] = value
        state.average, state.best = parts.get("average", {}), parts.get("best", {})
        state.history = {name: column.numpy() for name, column in parts.get("history", {}).items()}
        state.validation = tensors["validation"].numpy() if "validation" in tensors else state.validation
    except (LookupError, ValueError, TypeError) as error:
        raise InputError(f"{file} is no checkpoint ({error}); remove it to train this model anew") from error
    return state


def check_like(file: Path, tensors: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Refuse tensors of other names, shapes or types of number than a model has, and say each difference."""
    found, wanted = ({name: _kind(tensor) for name, tensor in each.items()} for each in (tensors, expected))
    wrong = [
        f"{ascii(name[:80])[1:-1]} is {found.get(name, 'missing')}, expected {wanted.get(name, 'no such tensor')}"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
    ]
    if wrong:
        more = [f"and {len(wrong) - MOST_SAID} more"] if len(wrong) > MOST_SAID else []
        said = ", ".join([*wrong[:MOST_SAID], *more])
        raise InputError(f"{file} is not of this model: {said}; make the run again")


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def pca_like(
    latent_dim: int, image_shape: tuple[int, int, int], tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Tensors as a PCA of this K has them; the length of its spectrum is its own, and bounds of it are there or not."""
    pixels = math.prod(image_shape)
    spectrum = min(tensors["variances"].numel(), pixels) if "variances" in tensors else 0
    bounds = {"residuals": [max(spectrum, latent_dim)]} if "residuals" in tensors else {}
    shapes = {
        "mean": [pixels],
        "components": [latent_dim, pixels],
        "variances": [max(spectrum, latent_dim)],
        "total_variance": [1],
        **bounds,
    }
    return {name: torch.empty(shape, dtype=torch.float64) for name, shape in shapes.items()}


def to_csv(history: History) -> bytes:
    """A table with one line per batch; numbers with all the digits a float32 has, so that they come back the same.

    The order of columns is fixed: a checkpoint does not keep it, and a run that was interrupted is to have the same table.
    """
    first = [name for name in ("loss", "distortion", "rate") if name in history]
    names = [*first, *sorted(history.keys() - set(first))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["batch", *names])
    columns = [np.char.mod("%.9g", history[name]) for name in names]
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
