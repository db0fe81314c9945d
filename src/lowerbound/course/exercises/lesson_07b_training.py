"""Lesson 7, the training of the VAE: what a step does, and that the bound rises."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]


class _Climber(nn.Module):
    """A model whose ELBO is known: the mean brightness times one weight, plus another; it notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.slope, self.height = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))
        self.numbers: list[int] = []
        self.images: list[int] = []

    def elbo(self, x: Tensor, number: int = 1) -> Tensor:
        """Nats of each image."""
        self.numbers.append(number)
        self.images.append(len(x))
        return self.height + self.slope * x.flatten(1).mean(1)


PIXELS = np.full((10, 1, 2, 2), 255, np.uint8)


def one_number_per_batch(train_vae: Any) -> None:
    """A plain number for every batch, also for a last one that is short."""
    model = _Climber()
    bounds = train_vae(model, PIXELS, 2, batch_size=4)
    expect(
        isinstance(bounds, list) and len(bounds) == 6,
        f"10 images in batches of 4, twice, are 6 batches; yours gives "
        f"{len(bounds) if isinstance(bounds, list) else type(bounds).__name__} numbers: note one after each "
        "step, and return the list",
    )
    expect(
        all(isinstance(value, float) for value in bounds),
        f"the list holds a {type(bounds[0]).__name__}; note plain numbers by .item(), or every graph stays in memory",
    )


def every_image(train_vae: Any) -> None:
    """All images of every epoch go through the ELBO."""
    model = _Climber()
    train_vae(model, PIXELS, 3, batch_size=4)
    expect(sum(model.images) == 30, f"3 epochs of 10 images are 30 images; the ELBO saw {sum(model.images)}")


def number_is_used(train_vae: Any) -> None:
    """The draws that were asked for are taken."""
    model = _Climber()
    train_vae(model, PIXELS, 1, number=7, batch_size=5)
    expect(
        set(model.numbers) == {7},
        f"number=7 was asked for and the ELBO was given {sorted(set(model.numbers))}: hand it on, model.elbo(x, number)",
    )


def the_bound_rises(train_vae: Any) -> None:
    """Up, and by the mean over images, not the sum."""
    model = _Climber()
    bounds = train_vae(model, PIXELS, 5, batch_size=5)
    expect(
        bounds[-1] > bounds[0],
        f"the ELBO went from {bounds[0]:.4f} to {bounds[-1]:.4f}; Adam lowers what it is "
        "given: give it minus the bound, and step",
    )
    with torch.no_grad():
        now = float(model.height + model.slope)
    expect(
        bounds[-1] < now < bounds[-1] * 1.5,
        f"the last number is {bounds[-1]:.4f} where the model's ELBO is {now:.4f} per image after it: note the mean "
        "over the batch",
    )


def fresh_gradients(train_vae: Any) -> None:
    """Gradients do not pile up."""
    model = _Climber()
    train_vae(model, PIXELS, 6, batch_size=10)
    left = 0.0 if model.height.grad is None else abs(float(model.height.grad))
    expect(
        left < 1.5,
        f"after 6 steps the gradient of a parameter is {left:.1f} where that of one step is 1: clear it before "
        "each step, adam.zero_grad()",
    )


TRAIN_VAE = Exercise(
    name="train_vae",
    lesson="07",
    task="Write what happens for each batch: the mean ELBO with so many draws, its gradient, a step up, a number noted.",
    cases=(one_number_per_batch, every_image, number_is_used, the_bound_rises, fresh_gradients),
    hints=(
        "It is the loop of lesson 1, with model.elbo in place of the squared error, and up in place of down.",
        "model.elbo(x.to(device), number) gives one number per image; its mean is what is raised, so minus "
        "the mean is what is lowered.",
        "bound = model.elbo(x.to(device), number).mean(); adam.zero_grad(); (-bound).backward(); adam.step(); "
        "bounds.append(bound.item())",
    ),
    wrong=(
        Wrong("down the ELBO", "the_bound_rises", (("(-bound).backward()", "bound.backward()"),)),
        Wrong(
            "number is never used",
            "number_is_used",
            (("model.elbo(x.to(device), number)", "model.elbo(x.to(device))"),),
        ),
        Wrong("sums over the batch", "the_bound_rises", (("number).mean()", "number).sum()"),)),
        Wrong("keeps tensors", "one_number_per_batch", (("bound.item()", "bound"),)),
        Wrong("gradients pile up", "fresh_gradients", (("        adam.zero_grad()\n", ""),)),
        Wrong("never steps", "the_bound_rises", (("        adam.step()\n", ""),)),
        Wrong(
            "a number for every epoch",
            "one_number_per_batch",
            (("        bounds.append(bound.item())\n", "    bounds.append(bound.item())\n"),),
        ),
        Wrong(
            "one batch is enough",
            "one_number_per_batch",
            (("        bounds.append(bound.item())\n", "        bounds.append(bound.item())\n        break\n"),),
        ),
    ),
)


EXERCISES = (TRAIN_VAE,)
