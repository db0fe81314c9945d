"""Where a training stands: all that is needed to go on, or to go back to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["History", "Keep", "State", "in_memory"]

History = dict[str, np.ndarray]
"""Of each batch: ``loss``, ``distortion``, ``rate`` and the model's gauges, float32 ``[batches]`` each."""


@dataclass
class State:
    """Where a training stands after a step.

    Attributes:
        step: Steps done.
        seconds: Time it took.
        fraction: How much of the training is done, in [0, 1].
        rate: What is left of the learning rate: it is halved whenever the training was rolled back.
        skipped: Steps that were not taken, because a loss or a gradient was not finite.
        rollbacks: Times the training went back to the last good state.
        stopped: Whether the validation loss has ended it before its time.
        best_step: The step after which the validation loss was lowest.
        best_loss: What it was.
        optimizer: What Adam remembers of every parameter, by its name.
        average: The averaged weights by name, where weights are averaged.
        best: The weights of the best step, where there is a validation loss.
        history: Of each batch so far.
        validation: Step and validation loss ``[epochs, 2]``.

    Example:
        >>> State(step=3).numbers["step"]
        3.0
    """

    step: int = 0
    seconds: float = 0.0
    fraction: float = 0.0
    rate: float = 1.0
    skipped: int = 0
    rollbacks: int = 0
    stopped: bool = False
    best_step: int = 0
    best_loss: float = math.inf
    optimizer: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    validation: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    @property
    def numbers(self) -> dict[str, float]:
        """Its single numbers by name."""
        values = ((each.name, getattr(self, each.name)) for each in fields(self))
        return {name: float(value) for name, value in values if isinstance(value, bool | int | float)}

    @classmethod
    def from_numbers(cls, numbers: dict[str, float]) -> State:
        """The state with these single numbers, and nothing else yet."""
        kinds = {name: type(value) for name, value in vars(cls()).items()}
        return cls(**{name: kinds[name](value) for name, value in numbers.items()})

    def copied(self) -> State:
        """The same, sharing no tensor with it."""
        adam = {n: {name: value.clone() for name, value in each.items()} for n, each in self.optimizer.items()}
        average = {name: value.clone() for name, value in self.average.items()}
        return replace(self, optimizer=adam, average=average, history=dict(self.history))


@dataclass(frozen=True)
class Keep:
    """Where a training's last good state is kept.

    Attributes:
        save: Keeps the model's weights along with a state.
        load: Puts the weights that were kept last back in the model; gives their state, None where nothing was kept.
    """

    save: Callable[[State], object]
    load: Callable[[], State | None]


def in_memory(model: nn.Module) -> Keep:
    """A keep for a training that has no run folder.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> keep, before = in_memory(model), model.weight.item()
        >>> keep.save(State(step=7))
        >>> _ = nn.init.zeros_(model.weight)
        >>> keep.load().step, model.weight.item() == before
        (7, True)
    """
    kept: dict[str, State | dict[str, Tensor]] = {}

    def save(state: State) -> None:
        kept.update(state=state.copied(), weights={name: value.clone() for name, value in model.state_dict().items()})

    def load() -> State | None:
        if not kept:
            return None
        with torch.no_grad():
            model.load_state_dict(kept["weights"])  # type: ignore[arg-type]
        return kept["state"].copied()  # type: ignore[union-attr]

    return Keep(save, load)
