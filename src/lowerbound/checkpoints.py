"""Checkpoints of a training: all that it needs to go on, in files that are whole, and two of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import nn

from lowerbound.errors import DivergedError, InputError
from lowerbound.formats import check_like, from_state, read_sealed, sealed, to_state
from lowerbound.state import State
from lowerbound.whole import make_folder, write_whole

__all__ = ["check_finite", "files", "load", "save"]


def files(folder: Path) -> tuple[Path, Path]:
    """Where a folder has the last checkpoint, and the one before."""
    return folder / "checkpoint.safetensors", folder / "checkpoint-before.safetensors"


def save(folder: Path, model: nn.Module, state: State) -> None:
    """Write all that training needs to go on, in one file, so that it can never disagree with itself.

    The last two are kept, also when the training is done: `--epochs +5` then has one to begin from even where the disk
    has lost the other. They take twice the weights and Adam's two moments: six times the model's own file.

    Raises:
        DivergedError: Weights that are not finite; what was saved before is kept.
    """
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors = {**weights, **from_state(state)}
    file, before = files(folder)
    told = ("training", "optimizer", "history", "validation")  # what was measured may be infinite; weights may not
    check_finite(file, {name: value for name, value in tensors.items() if name.partition(".")[0] not in told})
    make_folder(folder)
    write_whole(file, sealed(tensors), before=before)


def load(folder: Path, model: nn.Module, warn: Callable[[str], object]) -> State | None:
    """Put the weights of the last checkpoint in a model; where its training stands, None before the first.

    Args:
        folder: Of the model.
        model: Its weights are set.
        warn: Called with one line where the last checkpoint is damaged and the one before it serves in its place.

    Raises:
        InputError: There are checkpoints, and none that is whole and of this model.
    """
    file, before = files(folder)
    expected = model.state_dict()
    if not file.is_file():  # a process may have been killed between the two renamings
        if not before.is_file():
            return None
        weights, state = _read(before, expected)
    else:
        try:
            weights, state = _read(file, expected)
        except InputError as error:
            weights, state = _fall_back(file, before, expected, error)
            warn(f"{error}; went on from the checkpoint before it")
    model.load_state_dict(weights)
    return state


def _fall_back(
    file: Path, before: Path, expected: dict[str, torch.Tensor], error: InputError
) -> tuple[dict[str, torch.Tensor], State]:
    """The checkpoint before a damaged one, in whose place it is put: or the next save would keep the damaged one."""
    if not before.is_file():
        raise error
    try:
        found = _read(before, expected)
    except InputError:
        raise InputError(f"{error}; the one before it, {before.name}, is of no use either") from error
    before.replace(file)
    return found


def _read(file: Path, expected: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], State]:
    """Weights as a model has them, and where its training stands."""
    tensors = read_sealed(file)
    weights = {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
    check_like(file, weights, expected)
    return weights, to_state(file, tensors)


def check_finite(file: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse to write what no training could go on from; the loop should have seen it first.

    Raises:
        DivergedError: A tensor that is not finite.
    """
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise DivergedError(f"{name} is not finite and was not written to {file}; what was saved before is kept")
