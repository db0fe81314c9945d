"""One training loop for every model: anything with ``.loss(images, fraction) -> Terms``. The only file that knows devices.

Order and noise are functions of (seed, epoch, step), never of what ran before: a run that goes on from a checkpoint takes
the same steps as one that was never interrupted, to the last bit on the same machine and threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.progress import Advance, Progress, quiet

__all__ = [
    "SCHEDULES",
    "DivergedError",
    "History",
    "Settings",
    "State",
    "batched",
    "choose_device",
    "constant",
    "one_cycle",
    "run",
]

History = dict[str, np.ndarray]
"""Of each batch: ``loss``, ``distortion``, ``rate`` and the model's gauges, float32 ``[batches]`` each."""

ORDER, NOISE = 0, 1  # streams of random numbers: which image comes when, and what the model draws
SAVE_EVERY = 10.0  # seconds: what a power cut may cost


class DivergedError(RuntimeError):
    """A loss stopped being a number; what was saved before is untouched."""


class Trainable(Protocol):
    """What the loop asks of a model besides being an ``nn.Module``."""

    def loss(self, images: Tensor, fraction: float) -> Any:
        """Terms of the objective for images ``[batch, C, H, W]``, when a fraction of the training is done."""
        ...

    def gauges(self) -> Mapping[str, Tensor]:
        """Scalars worth recording with every batch."""
        ...


def constant(fraction: float) -> float:  # noqa: ARG001
    """The same learning rate from beginning to end.

    Example:
        >>> constant(0.7)
        1.0
    """
    return 1.0


def one_cycle(fraction: float) -> float:
    """The learning rate rises over the first fifth, then falls along a cosine to zero (after Smith, 2018, arXiv:1803.09820).

    Example:
        >>> one_cycle(0.1), one_cycle(0.2), one_cycle(1.0)
        (0.5, 1.0, 0.0)
    """
    rise = 0.2
    return fraction / rise if fraction < rise else 0.5 * (1 + math.cos(math.pi * (fraction - rise) / (1 - rise)))


SCHEDULES: dict[str, Callable[[float], float]] = {"constant": constant, "one_cycle": one_cycle}


@dataclass(frozen=True)
class Settings:
    """How a model is trained, by Adam (Kingma & Ba, 2015, https://arxiv.org/abs/1412.6980).

    Args:
        epochs: Times that every image is seen.
        batch_size: Images in one step; the last step of an epoch takes what is left.
        learning_rate: The highest rate.
        weight_decay: Strength of the L2 penalty that Adam adds to the gradient.
        schedule: The fraction of the rate at a fraction of the training.
        seed: Fixes order and noise.
        begin: Epoch at which the schedule begins: 0, or where an earlier training had ended.

    Raises:
        ValueError: A setting with which nothing could be trained.

    Example:
        >>> Settings(epochs=5).steps(images=1050)
        55
    """

    epochs: int = 10
    batch_size: int = 100
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Callable[[float], float] = constant
    seed: int = 0
    begin: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if (
            self.epochs < 0
            or self.batch_size < 1
            or not self.learning_rate > 0
            or self.weight_decay < 0
            or self.seed < 0
        ):
            raise ValueError(
                f"{self} cannot train; expected epochs, weight decay and seed >= 0, batch size >= 1 and a rate > 0"
            )

    def steps(self, images: int) -> int:
        """Steps that these epochs take over a number of images."""
        return self.epochs * math.ceil(images / self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON holds them; the schedule by its name."""
        return {**vars(self), "schedule": self.schedule.__name__}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Settings:
        """The settings that ``to_json`` stored."""
        return cls(**{**stored, "schedule": SCHEDULES[stored["schedule"]]})


@dataclass
class State:
    """Where a training stands after whole epochs, all that is needed to go on.

    Attributes:
        epochs: Epochs done.
        seconds: Time it took.
        optimizer: What Adam remembers of every parameter.
        history: Of each batch so far.
    """

    epochs: int = 0
    seconds: float = 0.0
    optimizer: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    history: History = field(default_factory=dict)


def choose_device() -> torch.device:
    """The fastest device here: CUDA, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def seed_of(*place: int) -> int:
    """A seed for one place (seed, stream, epoch, step), unlike that of every other place.

    Example:
        >>> seed_of(0, NOISE, 1, 2) == seed_of(0, NOISE, 1, 2), seed_of(0, NOISE, 1, 2) == seed_of(0, NOISE, 2, 1)
        (True, False)
    """
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


def batches(pixels: np.ndarray, settings: Settings, epoch: int) -> Iterator[np.ndarray]:
    """The images of one epoch in its own random order, 8-bit, a batch at a time; every image once."""
    order = np.random.default_rng(seed_of(settings.seed, ORDER, epoch)).permutation(len(pixels))
    for start in range(0, len(pixels), settings.batch_size):
        yield pixels[order[start : start + settings.batch_size]]


def run(
    model: nn.Module,
    pixels: np.ndarray,
    settings: Settings,
    *,
    state: State | None = None,
    save: Callable[[State], None] | None = None,
    device: torch.device | None = None,
    progress: Progress = quiet,
    task: str = "training",
) -> State:
    """Train a model on images until the settings' epochs are done.

    Args:
        model: Has ``loss(images, fraction) -> Terms`` and ``gauges()``; trained in place, on the CPU again afterwards.
        pixels: uint8 ``[N, C, H, W]``; never copied whole.
        settings: How.
        state: Where an earlier training stopped; by default the beginning.
        save: Called with the state now and then, after whole epochs, and at the end.
        device: Where to compute; by default the fastest here.
        progress: Shown while training.
        task: What the progress is called.

    Returns:
        The state after the last epoch, with the history of every batch.

    Raises:
        DivergedError: A loss was not a number.
    """
    device = choose_device() if device is None else device
    state = State() if state is None else replace(state)
    model.to(device).train()
    optimizer = torch.optim.Adam(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    if state.optimizer:
        remembered = deepcopy(state.optimizer)  # Adam writes into what it is given
        optimizer.load_state_dict({**optimizer.state_dict(), "state": remembered})
    left = replace(settings, epochs=settings.epochs - state.epochs).steps(len(pixels))
    saved = time.monotonic()
    began = saved - state.seconds
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda), progress(task, left) as advance:  # the caller's random numbers stay as they were
        while state.epochs < settings.epochs:
            record = _epoch(model, optimizer, pixels, settings, state, advance)
            state.history = {
                name: np.concatenate([state.history.get(name, column[:0]), column]) for name, column in record.items()
            }
            state.epochs += 1
            state.seconds = time.monotonic() - began
            if save is not None and time.monotonic() - saved > SAVE_EVERY and state.epochs < settings.epochs:
                state.optimizer = optimizer.state_dict()["state"]
                save(state)
                saved = time.monotonic()
    model.to("cpu").eval()
    remembered = optimizer.state_dict()["state"]
    state.optimizer = {n: {name: value.cpu() for name, value in each.items()} for n, each in remembered.items()}
    if save is not None:
        save(state)
    return state


def _epoch(
    model: Any, optimizer: torch.optim.Adam, pixels: np.ndarray, settings: Settings, state: State, advance: Advance
) -> History:
    """One pass over all images; what was measured at every batch."""
    device = next(model.parameters()).device
    steps = settings.steps(len(pixels)) // settings.epochs  # of one epoch
    cycle = steps * (settings.epochs - settings.begin)
    loss_before = f"loss {state.history['loss'][-steps:].mean():.4g}" if state.history else ""
    word = f"epoch {state.epochs + 1}/{settings.epochs} {loss_before}"
    measured: list[Tensor] = []
    shown = time.monotonic()
    waiting = 0
    names: list[str] = []
    for step, batch in enumerate(batches(pixels, settings, state.epochs)):
        done = (state.epochs - settings.begin) * steps + step
        fraction = 1.0 if settings.begin else done / cycle  # trained on, a model is past what its objective began with
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * settings.schedule((done + 1) / (cycle + 1))
        torch.manual_seed(seed_of(settings.seed, NOISE, state.epochs, step))
        images = torch.from_numpy(batch).to(device).float().div_(255)
        try:
            columns = _step(model, optimizer, images, fraction)
        except ValueError as error:  # torch.distributions takes no parameters that are not numbers
            if _is_broken(model) or "invalid values" in str(error):
                raise _diverged(settings, state) from error
            raise
        names = list(columns)
        measured.append(torch.stack(list(columns.values())))
        waiting += 1
        if time.monotonic() - shown > 0.1:  # a screen needs no more
            advance(waiting, word)
            waiting, shown = 0, time.monotonic()
    advance(waiting, word)
    table = torch.stack(measured).cpu().numpy()  # [steps, columns]: the only wait for the device in an epoch
    if _is_broken(model) or not np.isfinite(table).all():  # the last step has no loss after it
        raise _diverged(settings, state)
    return dict(zip(names, table.T.copy(), strict=True))


def _step(model: Any, optimizer: torch.optim.Adam, images: Tensor, fraction: float) -> dict[str, Tensor]:
    """One step down the gradient of the mean loss; the terms, averaged over the batch, and the model's gauges."""
    terms = model.loss(images, fraction)
    optimizer.zero_grad()
    terms.loss.mean().backward()
    optimizer.step()
    columns = {name: value.mean() for name, value in vars(terms).items()} | dict(model.gauges())
    return {name: value.detach() for name, value in columns.items()}


def _is_broken(model: nn.Module) -> bool:
    """Whether a weight is not a number any more."""
    return not all(bool(weights.isfinite().all()) for weights in model.parameters())


def _diverged(settings: Settings, state: State) -> DivergedError:
    return DivergedError(
        f"the loss stopped being a number in epoch {state.epochs + 1}; what was saved before is kept; "
        f"try a learning rate below {settings.learning_rate:g}"
    )


@torch.no_grad()
def batched(
    function: Callable[[Tensor], Tensor], rows: np.ndarray, prepare: Callable[[np.ndarray], np.ndarray], size: int = 500
) -> np.ndarray:
    """A function of tensors over the rows of an array, a block at a time, so that memory stays bounded.

    Args:
        function: From ``[block, ...]`` to ``[block, ...]``.
        rows: ``[N, ...]``.
        prepare: What makes a block of rows fit for the function.
        size: Rows in a block.

    Example:
        >>> batched(lambda x: x.sum(1), np.ones((5, 2), np.float32), lambda block: block, size=2)
        array([2., 2., 2., 2., 2.], dtype=float32)
    """
    blocks = [
        function(torch.from_numpy(prepare(rows[start : start + size]))).numpy()
        for start in range(0, max(1, len(rows)), size)
    ]
    return np.concatenate(blocks)
