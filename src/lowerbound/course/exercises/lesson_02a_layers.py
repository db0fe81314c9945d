"""Lesson 2, sizes after convolutions, and a layer with an offset for every pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lowerbound.course.exercise import Exercise, Wrong, expect

if TYPE_CHECKING:
    pass

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


def _size(size_after: Answer, size: int, filter_size: int, convolutions: int, nudge: str) -> None:
    """Compare with what convolutions really leave."""
    import torch
    from torch import nn

    row = torch.zeros(1, 1, size)
    for _ in range(convolutions):
        row = nn.Conv1d(1, 1, filter_size)(row)
    given = size_after(size, filter_size, convolutions)
    if given is ...:
        raise NotImplementedError
    expect(given is not None, "no number came back: is there a return?")
    expect(
        given == row.shape[-1],
        f"{size} rows and {convolutions} convolution{'s' * (convolutions > 1)} with filters of {filter_size} leave "
        f"{row.shape[-1]} rows; yours gives {given}{nudge}",
    )


def one_convolution(size_after: Answer) -> None:
    """A filter of 5 has 24 places in 28 rows."""
    _size(size_after, 28, 5, 1, ": at how many places does the filter lie wholly within the image?")


def two_convolutions(size_after: Answer) -> None:
    """Each one takes its share."""
    _size(size_after, 28, 5, 2, ": every convolution takes away filter_size - 1")


def even_filter(size_after: Answer) -> None:
    """Half the filter, twice, is no rule for even filters."""
    _size(size_after, 28, 4, 1, ": twice half the filter is right for odd filters only")


def keeps_the_shape(pixel_bias: Answer) -> None:
    """Images in, images out."""
    import torch

    out = pixel_bias((3, 4, 5))(torch.rand(2, 3, 4, 5))
    expect(out is not None, "nothing came out: does forward return the images?")
    expect(
        tuple(out.shape) == (2, 3, 4, 5),
        f"images of shape (2, 3, 4, 5) should keep their shape; yours have {tuple(out.shape)}",
    )


def starts_at_zero(pixel_bias: Answer) -> None:
    """Before training nothing is changed."""
    import torch

    x = torch.rand(2, 3, 4, 5)
    off = float((pixel_bias((3, 4, 5))(x) - x).detach().abs().max())
    expect(
        off < 1e-6, f"at the start the offsets are zero, so images pass unchanged; yours are changed by up to {off:.3g}"
    )


def is_learned(pixel_bias: Answer) -> None:
    """An optimiser finds it."""
    found = list(pixel_bias((3, 4, 5)).parameters())
    expect(
        len(found) == 1,
        f"your layer has {len(found)} parameters; expected one, the offsets: only an nn.Parameter set on self is trained",
    )


def one_per_pixel(pixel_bias: Answer) -> None:
    """Not one per channel, and not one per image."""
    (offset,) = pixel_bias((3, 4, 5)).parameters()
    expect(
        tuple(offset.shape) == (3, 4, 5),
        f"images of shape (3, 4, 5) need 60 offsets, one for each value; yours has shape {tuple(offset.shape)}, "
        f"{offset.numel()} of them",
    )


def is_added(pixel_bias: Answer) -> None:
    """The same offsets for every image of the batch."""
    import torch

    layer = pixel_bias((1, 2, 3))
    with torch.no_grad():
        for offset in layer.parameters():
            offset.copy_(torch.arange(6.0).reshape(1, 2, 3))
    change = layer(torch.ones(4, 1, 2, 3)).detach() - 1
    expect(
        torch.allclose(change, torch.arange(6.0).reshape(1, 1, 2, 3).expand(4, 1, 2, 3), atol=1e-5),
        f"with offsets 0 to 5, the pixels of every image should rise by 0 to 5; those of your first image change by "
        f"{[round(float(c), 2) for c in change[0].flatten()]}",
    )


EXERCISES = (
    Exercise(
        name="size_after",
        lesson="02",
        task="the rows that are left of an image after some convolutions without padding",
        cases=(one_convolution, two_convolutions, even_filter),
        hints=(
            "A filter of 5 rows can begin at row 1, 2, ... of 28; the last place where it fits ends at row 28. Count them.",
            "One convolution leaves size - (filter_size - 1) rows, whether the filter is odd or even.",
            "return size - convolutions * (filter_size - 1)",
        ),
        wrong=(
            Wrong("the whole filter lost", "one_convolution", (("(filter_size - 1)", "filter_size"),)),
            Wrong("half the filter lost", "one_convolution", (("(filter_size - 1)", "(filter_size // 2)"),)),
            Wrong("always one", "two_convolutions", (("convolutions * ", ""),)),
            Wrong("twice half the filter", "even_filter", (("(filter_size - 1)", "2 * (filter_size // 2)"),)),
        ),
    ),
    Exercise(
        name="PixelBias",
        lesson="02",
        task="a layer that adds a learned offset to every pixel of every channel, all of them 0 at the start",
        cases=(keeps_the_shape, starts_at_zero, is_learned, one_per_pixel, is_added),
        hints=(
            "Only an nn.Parameter is seen by the optimiser; a plain tensor on self is not.",
            "Its shape is image_shape, without the batch: adding it to images [b, C, H, W] gives every image the same offsets.",
            "self.bias = nn.Parameter(torch.zeros(image_shape)), and in forward: images + self.bias.",
        ),
        wrong=(
            Wrong("a row more", "keeps_the_shape", (("images + self.bias", "(images + self.bias).flatten(1)"),)),
            Wrong("a random start", "starts_at_zero", (("torch.zeros(", "torch.randn("),)),
            Wrong(
                "a plain tensor",
                "is_learned",
                (("nn.Parameter(torch.zeros(image_shape))", "torch.zeros(image_shape)"),),
            ),
            Wrong(
                "one per channel", "one_per_pixel", (("torch.zeros(image_shape)", "torch.zeros(image_shape[0], 1, 1)"),)
            ),
            Wrong("taken off", "is_added", (("images + self.bias", "images - self.bias"),)),
        ),
    ),
)
