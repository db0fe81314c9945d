"""What cases of exercises say of tensors: that one was expected, of which shape, and what a few of its numbers are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lowerbound.course.exercise import expect

__all__ = ["as_tensor_of", "expect_tensor", "listed", "named"]


def named(thing: object) -> str:
    """What something is, in words.

    Example:
        >>> named(None), named(3.5)
        ('nothing', 'a float')
    """
    return "nothing" if thing is None else f"a {type(thing).__name__}"


def listed(values: Tensor) -> str:
    """A few numbers in words.

    Example:
        >>> import torch
        >>> listed(torch.tensor([[0.5, 1.25]]))
        '0.50, 1.25'
    """
    return ", ".join(f"{value:.2f}" for value in values.detach().flatten().tolist())


def expect_tensor(answer: Any, what: str, shape: tuple[int, ...] | None = None, axes: str = "") -> None:
    """Expect a tensor, and one of a shape where that is given.

    Args:
        answer: What the learner's function gave.
        what: What gave it, such as "elbo, for 4 images,".
        shape: Of the tensor.
        axes: Its axes in words, such as "[b, n]".

    Raises:
        Miss: It is none, or of another shape.

    Example:
        >>> import torch
        >>> expect_tensor(torch.zeros(2), "elbo", (3,), "[b], for 3 images,")
        Traceback (most recent call last):
        lowerbound.course.exercise.Miss: elbo gives shape [2]; expected [b], for 3 images, here [3]
    """
    wanted = f" {axes}" if axes else ""
    expect(isinstance(answer, Tensor), f"{what} gives {named(answer)}; expected a tensor{wanted}: is there a return?")
    if shape is not None:
        came, known = list(answer.shape), f"{axes} here {list(shape)}" if axes else str(list(shape))
        expect(came == list(shape), f"{what} gives shape {came}; expected {known}")


def as_tensor_of(answer: Any, shape: tuple[int, ...], what: str) -> Tensor:
    """The answer, numbers of any kind, as a float64 tensor of a shape.

    Args:
        answer: What the learner's function gave.
        shape: It should have.
        what: The answer should be, in words.

    Raises:
        Miss: It is nothing, or of another shape.

    Example:
        >>> as_tensor_of([1, 2], (3,), "a mean for each of 3 images")
        Traceback (most recent call last):
        lowerbound.course.exercise.Miss: yours has shape [2]; expected [3]: a mean for each of 3 images
    """
    expect(answer is not None, f"yours returns nothing; expected {what}: is a return missing?")
    tensor = torch.as_tensor(answer)
    expect(tuple(tensor.shape) == shape, f"yours has shape {list(tensor.shape)}; expected {list(shape)}: {what}")
    return tensor.detach().double()
