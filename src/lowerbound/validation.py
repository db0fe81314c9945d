"""A model's loss on images it does not learn from, and the weights with which it was best."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.devices import feeder
from lowerbound.order import VALIDATION, seed_of
from lowerbound.processes import Processes
from lowerbound.state import State

__all__ = ["parameters_of", "put_weights", "validated", "with_weights"]

BLOCK = 500  # images of which a loss is taken at a time


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, sharing their memory."""
    return {name: weights.detach() for name, weights in model.named_parameters()}


@torch.no_grad()
def put_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Put weights in the place of those of the same name; with none at all the model stays as it is."""
    own = parameters_of(model)
    for name, value in weights.items():
        own[name].copy_(value)


@contextlib.contextmanager
def with_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Within, a model has other weights; without any its own."""
    before = {name: value.clone() for name, value in parameters_of(model).items()} if weights else {}
    put_weights(model, weights)
    try:
        yield
    finally:
        put_weights(model, before)


@torch.no_grad()
def loss_of(model: Any, images: np.ndarray, seed: int, processes: Processes) -> float:
    """Mean loss of images uint8 ``[N, C, H, W]``, with the same noise whenever it is asked for."""
    feed = feeder(images, processes.device)
    summed = 0.0
    starts = range(0, len(images), BLOCK)
    for number, start in enumerate(starts):
        if number % processes.size == processes.rank:
            torch.manual_seed(seed_of(seed, VALIDATION, number))
            summed += float(
                model.loss(feed(np.arange(start, min(start + BLOCK, len(images)))), 1.0).loss.double().sum()
            )
    return float(processes.total(np.array([summed]))[0]) / len(images)


def validated(
    model: Any, images: np.ndarray, state: State, seed: int, processes: Processes, patience: int, steps: int
) -> State:
    """The state after a look at validation images.

    Args:
        model: With the weights of the last step; looked at with its averaged ones where there are any.
        images: uint8 ``[N, C, H, W]``.
        state: After that step.
        seed: Fixes the noise.
        processes: Which share the work.
        patience: Epochs without a better loss after which training stops; 0 for never.
        steps: Of an epoch.
    """
    model.eval()
    with with_weights(model, state.average):
        loss = loss_of(model, images, seed, processes)
    model.train()
    row = np.array([[state.step, loss]], np.float32)
    state = replace(state, validation=np.concatenate([state.validation, row]))
    if loss < state.best_loss:
        weights = state.average or parameters_of(model)
        best = {name: value.clone() for name, value in weights.items()} if patience else {}
        return replace(state, best_step=state.step, best_loss=loss, best=best)
    return replace(state, stopped=bool(patience) and state.step - state.best_step >= patience * steps)
