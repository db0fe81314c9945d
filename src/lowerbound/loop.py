"""A training under way, step by step: what is measured, when it is saved, and when it goes back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from lowerbound.devices import feeder, seeded
from lowerbound.errors import DivergedError, InputError
from lowerbound.order import NOISE, Order, seed_of
from lowerbound.pace import pace_of
from lowerbound.processes import Processes
from lowerbound.progress import Advance
from lowerbound.settings import Settings
from lowerbound.state import Keep, State
from lowerbound.validation import parameters_of, validated

__all__ = ["Log", "Loop", "Watch"]

Log = Callable[[int, Mapping[str, float]], object]
"""Takes a step, and the means of what was measured since the last call."""

Watch = Callable[[int, float], object]
"""Takes a step and how much of the training is done: before the first step, and after every one."""

SAVE_EVERY = 10.0  # seconds: what a power cut may cost
LOOK_EVERY = 0.5  # seconds after which what was measured is fetched from the device
MOST_SKIPPED = 5  # steps that were not taken since the last good state; then training goes back to it
MOST_ROLLBACKS = 3


def _by_rate(model: nn.Module) -> list[dict[str, Any]]:
    """Parameters in groups, each with its part of the learning rate: what a module says in ``rate`` goes for all within it."""
    parts = {id(weights): 1.0 for weights in model.parameters()}
    for module in model.modules():  # the outer ones first
        if "rate" in vars(module):
            parts |= {id(weights): vars(module)["rate"] for weights in module.parameters()}
    weights = list(model.parameters())
    groups = {part: [each for each in weights if parts[id(each)] == part] for part in dict.fromkeys(parts.values())}
    return [{"params": params, "part": part} for part, params in groups.items()]


def _nobody(step: int, fraction: float) -> None:
    """Nobody watches."""


class _Loss(nn.Module):
    """A model's loss as a module, which is what gradients of several processes are averaged through."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, fraction: float) -> dict[str, Tensor]:
        """The terms by name, ``[batch]`` each; not a number where the model's distributions refuse its parameters."""
        try:
            return dict(vars(self.model.loss(images, fraction)))
        except ValueError as error:
            weights = list(self.model.parameters())
            if "invalid values" not in str(error) and all(bool(each.isfinite().all()) for each in weights):
                raise
            nothing = torch.nan * torch.stack([each.sum() for each in weights]).sum()
            return dict.fromkeys(("loss", "distortion", "rate"), nothing.expand(len(images)))


class Loop:
    """A training under way."""

    def __init__(
        self,
        model: Any,
        pixels: np.ndarray,
        settings: Settings,
        state: State,
        keep: Keep,
        validation: np.ndarray | None,
        log: Log | None,
        processes: Processes,
        watch: Watch | None = None,
    ) -> None:
        if not len(pixels):
            raise InputError("there are no images to learn from; expected at least 1, as uint8 [N, C, H, W]")
        if processes.size > 1 and getattr(model, "whole_batch", False):
            raise InputError(
                "the loss of this model is a statistic of the whole batch, which several processes do not share; train it with "
                "one process, or without free bits, an optimal sigma, MMD or a total correlation"
            )
        self.model, self.settings, self.keep, self.processes = model, settings, keep, processes
        self.validation, self.log, self.watch = validation, log, watch or _nobody
        self.order = Order(len(pixels), settings.batch_size, settings.seed, pixels[:1].nbytes)
        self.pace = pace_of(settings, self.order.steps)
        state = replace(state)
        state.stopped &= settings.begin != state.step // self.order.steps  # more epochs were asked for
        if not settings.minutes:
            state.fraction = self.pace.fraction(state.step, 0.0, 0.0)
        self.feed = feeder(pixels, processes.device)
        self.loss = processes.prepare(_Loss(model.to(processes.device).train()))
        self.optimizer = torch.optim.Adam(
            _by_rate(model), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._recall(state)
        now = time.monotonic()
        self.began, self.looked, self.saved = now - self.state.seconds, now, -math.inf
        self.measured: list[Tensor] = []  # of each step since the last look: is it broken, then the columns
        self.columns: list[str] = []
        self.row = torch.empty(0)  # of the step that is being taken
        self.waiting = 0  # steps skipped since the last good state
        self.shown = 0.0

    def _recall(self, state: State) -> None:
        """Take over a state: what Adam remembers, and the averaged weights."""
        self.state = state = replace(state, history=dict(state.history))
        self.optimizer.state.clear()
        named = self.model.named_parameters() if state.optimizer else iter([])
        for place, (name, weights) in enumerate(named):
            remembered = state.optimizer.get(name, state.optimizer.get(str(place), {}))  # by number in runs of before
            if {tuple(value.shape) for value in remembered.values()} != {(), tuple(weights.shape)}:
                raise InputError(f"what Adam remembers of {name} is of another model; train this one anew")
            own = {
                each: value.to(weights.device, copy=True) for each, value in remembered.items()
            }  # Adam writes into it
            self.optimizer.state[weights] = own
        self.weights = parameters_of(self.model)
        if self.settings.average:
            device = self.processes.device
            state.average = {n: state.average.get(n, value).to(device).clone() for n, value in self.weights.items()}

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state.stopped or self.pace.ended(self.state.step, self.state.fraction, self.state.seconds)

    @property
    def work(self) -> int:
        """What is left to do, as progress counts it: steps, or tenths of seconds."""
        if self.settings.minutes:
            return max(0, round(10 * (60 * self.settings.minutes - self.state.seconds)))
        return max(0, round(self.settings.epochs * self.order.steps) - self.state.step)

    def go(self, asked: Callable[[], bool], advance: Advance) -> None:
        """Take steps until the training is over, or it was asked to stop."""
        stop, self.shown = False, self._done()
        self.watch(self.state.step, self.state.fraction)
        while not self.over and not stop:
            step = self.state.step
            now = time.monotonic()
            with self.processes.watched(step):
                broken = self._gradients(self.order.batch(step))
                due = [now - self.looked > LOOK_EVERY, now - self.saved > SAVE_EVERY]
                stop, look, save, broken = self._agree(asked(), *due, broken=broken)
                if save and not self.waiting and not broken:  # weights are good that have just given finite gradients
                    self._look(advance)
                    self.keep.save(self.standing())
                    self.saved = time.monotonic()
                self._take(broken)
                self.watch(self.state.step, self.state.fraction)
                ends_epoch = self.state.step % self.order.steps == 0
                if look or stop or ends_epoch or self.over or broken is True:
                    self._look(advance)
                if ends_epoch and self.validation is not None:
                    self._validate(self.validation)
                if self.waiting >= MOST_SKIPPED or (
                    self.over and bool(broken)
                ):  # not to end on weights that are broken
                    self._go_back()

    def _gradients(self, places: np.ndarray) -> Tensor:
        """Gradients of the mean loss of images at these places; whether they are broken, bool ``[]`` on the device."""
        settings, state = self.settings, self.state
        rows, weight = self.processes.rows(len(places))
        rate = settings.schedule(min(1.0, state.fraction + self.pace.stride / 2))
        for group in self.optimizer.param_groups:
            group["lr"] = state.rate * settings.learning_rate * rate * group["part"]
        seeded(self.processes.device, seed_of(settings.seed, NOISE, state.step))
        fraction = (
            1.0 if settings.begin else state.fraction
        )  # trained on, a model is past what its objective began with
        with self.processes.draws(len(places), rows):
            terms = self.loss(self.feed(places[rows]), fraction)
        self.optimizer.zero_grad()
        loss = terms["loss"].sum() * weight
        self.processes.backward(loss)
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        norm = get_total_norm(gradients)
        if settings.clip:
            clip_grads_with_norm_(self.model.parameters(), settings.clip, norm)
        means = {name: value.detach().sum() * weight for name, value in terms.items()} | dict(self.model.gauges())
        self.columns = list(means)
        self.row = torch.stack([value.detach() for value in means.values()]) / self.processes.size
        return ~(norm + loss.detach()).isfinite()

    def _agree(self, *flags: bool, broken: Tensor) -> list[Any]:
        """Flags that any process has raised. A card that works alone is not waited for: whether its step is broken it knows."""
        if self.processes.size == 1 and broken.is_cuda:
            return [*flags, broken]
        return list(self.processes.any([*flags, bool(broken)]))

    def _take(self, broken: bool | Tensor) -> None:  # noqa: FBT001
        """Take the step, unless it is broken."""
        state, average = self.state, self.settings.average
        flag = torch.as_tensor(broken, dtype=torch.float32, device=self.processes.device)
        self.optimizer.found_inf = flag  # type: ignore[attr-defined]  # Adam then leaves weights and memory as they are
        self.optimizer.step()
        state.step += 1
        if average:
            decay = min(average, (1 + state.step) / (10 + state.step))  # the first weights are soon forgotten
            averages, weights = list(state.average.values()), list(self.weights.values())
            torch._foreach_lerp_(averages, weights, 1 - decay)  # type: ignore[attr-defined]
        self.measured.append(torch.cat([flag.view(1), self.row]))
        state.seconds = self._seconds()
        state.fraction = self.pace.fraction(state.step, state.fraction, state.seconds)

    def _seconds(self) -> float:
        """Time that training took; where it rules the schedule, that of the main process, so that all do the same."""
        seconds, processes = time.monotonic() - self.began, self.processes
        if self.settings.minutes:
            return float(processes.total(np.array([seconds if processes.main else 0.0]))[0])
        return seconds

    def _look(self, advance: Advance) -> None:
        """Fetch what was measured: history, skipped steps, and what the progress shows."""
        state = self.state
        self.looked = time.monotonic()
        if not self.measured:
            return
        table = self.processes.total(torch.stack(self.measured).cpu().numpy())  # the only wait for the device
        self.measured = []
        whole = table[:, 0] == 0
        skipped = int((~whole).sum())
        state.skipped += skipped
        self.waiting += skipped
        for name, column in zip(self.columns, table[whole, 1:].T, strict=True):
            state.history[name] = np.concatenate([state.history.get(name, np.zeros(0, np.float32)), column])
        means = dict(zip(self.columns, table[whole, 1:].mean(0), strict=True)) if whole.any() else {}
        if self.log is not None and means:
            self.log(state.step, {name: float(value) for name, value in means.items()})
        epoch = f"epoch {(state.step - 1) // self.order.steps + 1}"
        if not self.settings.minutes:
            epoch += f"/{self.settings.epochs}"
        done = self._done()
        advance(int(done) - int(self.shown), f"{epoch} loss {means['loss']:.4g}" if means else f"{epoch} step skipped")
        self.shown = done

    def _done(self) -> float:
        """What is done, as progress counts it."""
        return 10 * self.state.seconds if self.settings.minutes else self.state.step

    def _validate(self, images: np.ndarray) -> None:
        """Take the loss of validation images, and stop where it has not fallen for long."""
        self.state = validated(
            self.model, images, self.state, self.settings.seed, self.processes, self.settings.patience, self.order.steps
        )

    def _go_back(self) -> None:
        """Go back to the last good state, at half the rate.

        Raises:
            DivergedError: It has happened too often.
        """
        before, good = self.state, self.keep.load()
        if good is None:
            raise DivergedError(
                "the loss or its gradient is not a number from the first step on; nothing was learned or saved"
            )
        self._recall(replace(good, skipped=before.skipped, rollbacks=before.rollbacks + 1, seconds=before.seconds))
        self.state.rate = before.rate / 2
        self.waiting = 0
        self.keep.save(self.standing())
        if self.state.rollbacks > MOST_ROLLBACKS:
            raise DivergedError(
                f"the loss or its gradient stopped being a number {before.skipped} times, at {MOST_ROLLBACKS} halvings of the "
                f"rate, too; the model after step {good.step} is kept; try a learning rate below {self.settings.learning_rate:g}"
            )

    def standing(self) -> State:
        """Where the training stands, on the CPU."""
        remembered = self.optimizer.state
        adam = {
            name: {each: value.cpu() for each, value in remembered[weights].items()}
            for name, weights in self.model.named_parameters()
            if weights in remembered
        }
        average = {name: value.cpu() for name, value in self.state.average.items()}
        best = {name: value.cpu() for name, value in self.state.best.items()}
        return replace(self.state, optimizer=adam, average=average, best=best, history=dict(self.state.history))
