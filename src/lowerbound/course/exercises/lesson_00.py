"""Lesson 0, looking at images: what range their values have, and what the mean and the spread over images are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lowerbound.course.exercise import Exercise, Wrong, expect

__all__ = ["EXERCISES"]

Answer = Callable[..., Any]


def _pixels() -> np.ndarray:
    """Twelve grey images of 3 x 4 whose values run from 51 to 204, that is from 0.2 to 0.8; the ends are not in the first one."""
    pixels = np.random.default_rng(3).integers(70, 190, (12, 1, 3, 4)).astype(np.uint8)
    pixels[4, 0, 1, 2], pixels[7, 0, 2, 3] = 51, 204
    return pixels


def two_numbers(value_range: Answer) -> None:
    """It gives a pair."""
    given = value_range(_pixels())
    expect(
        isinstance(given, (tuple, list)) and len(given) == 2,
        f"expected two numbers, lowest and highest; yours gives {type(given).__name__}: is there a return with both?",
    )
    sizes = [int(np.size(number)) for number in given]
    expect(
        sizes == [1, 1],
        f"expected one number each; yours have {sizes[0]} and {sizes[1]} numbers: min and max of everything",
    )


def in_order(value_range: Answer) -> None:
    """The lower one first."""
    low, high = (float(number) for number in value_range(_pixels()))
    expect(low < high, f"yours gives {low:.3g} and then {high:.3g}: the lowest comes first")


def scaled(value_range: Answer) -> None:
    """Pixels in [0, 1], not bytes."""
    high = float(value_range(_pixels())[1])
    expect(high <= 1, f"the highest value came out as {high:.4g}; a byte of 255 is to count as 1.0: divide by 255")


def of_these_images(value_range: Answer) -> None:
    """What is there, not what could be."""
    low, high = (float(number) for number in value_range(_pixels()))
    expect(
        abs(low - 0.2) < 1e-4 and abs(high - 0.8) < 1e-4,
        f"these images run from 0.2 to 0.8, yours says {low:.3f} to {high:.3f}: take the smallest and the largest value that "
        "occur in all of them, not in some, and not what bytes could hold",
    )


def one_image_each(mean_and_spread: Answer) -> None:
    """The mean is an image, and so is the spread."""
    pixels = _pixels()
    given = mean_and_spread(pixels)
    expect(
        isinstance(given, (tuple, list)) and len(given) == 2,
        f"expected two arrays, the mean image and the spread; yours gives {type(given).__name__}",
    )
    for name, array in zip(("mean", "spread"), given, strict=True):
        shape = tuple(np.shape(array))
        expect(
            shape == (1, 3, 4),
            f"of 12 images of shape (1, 3, 4) the {name} is one image, (1, 3, 4); yours has shape {shape}: go over the "
            "images, axis 0, and leave the pixels apart",
        )


def mean_of_zero_and_one(mean_and_spread: Answer) -> None:
    """Half of a pixel's images black, half white."""
    pixels = np.zeros((8, 1, 2, 2), np.uint8)
    pixels[::2, 0, 0, 0] = 255
    mean = float(np.asarray(mean_and_spread(pixels)[0])[0, 0, 0])
    expect(
        abs(mean - 0.5) < 1e-6,
        f"a pixel that is 0 in half of the images and 255 in the others has mean 0.5 in units of [0, 1]; yours is {mean:.4g}",
    )


def spread_of_zero_and_one(mean_and_spread: Answer) -> None:
    """A standard deviation, not a variance, in the same unit."""
    pixels = np.zeros((400, 1, 2, 2), np.uint8)
    pixels[::4, 0, 1, 1] = 255
    spread = float(np.asarray(mean_and_spread(pixels)[1])[0, 1, 1])
    expect(
        abs(spread - np.sqrt(3) / 4) < 1e-3,
        f"a pixel that is 1 in a quarter of the images has a standard deviation of 0.433; yours is {spread:.3f}"
        + (": that is the variance; take its square root" if abs(spread - 3 / 16) < 1e-3 else ""),
    )


EXERCISES = (
    Exercise(
        name="value_range",
        lesson="00",
        task="the lowest and the highest pixel value that occur in images, in units of [0, 1]",
        cases=(two_numbers, in_order, scaled, of_these_images),
        hints=(
            "NumPy arrays know their own extremes: pixels.min() and pixels.max() go over everything.",
            "The pixels are bytes, 0 to 255; in units of [0, 1] a byte of 255 is 1.0.",
            "return float(pixels.min()) / 255, and the same with max after a comma.",
        ),
        wrong=(
            Wrong("bytes, not fractions", "scaled", (("pixels.max() / 255", "pixels.max() / 1"),)),
            Wrong(
                "the highest first", "in_order", (("pixels.min()", "pixels.MAX()"), ("max()", "min()"), ("MAX", "max"))
            ),
            Wrong("the first image only", "of_these_images", (("pixels.", "pixels[0]."),)),
            Wrong("what bytes could hold", "of_these_images", (("float(pixels.min() / 255)", "0.0"),)),
            Wrong("an extreme for every pixel", "two_numbers", (("float(pixels.min() / 255)", "pixels.min(0) / 255"),)),
        ),
    ),
    Exercise(
        name="mean_and_spread",
        lesson="00",
        task="the mean image and, for every pixel, its standard deviation over the images, in units of [0, 1]",
        cases=(one_image_each, mean_of_zero_and_one, spread_of_zero_and_one),
        hints=(
            "Axis 0 of pixels counts the images; the mean over that axis alone is an image.",
            "pixels.mean(axis=0) is in bytes; divide by 255. The same goes for the standard deviation, std.",
            "return pixels.mean(axis=0) / 255, and the same with std after a comma.",
        ),
        wrong=(
            Wrong("one number for all pixels", "one_image_each", (("pixels.mean(axis=0)", "pixels.mean()"),)),
            Wrong("over the wrong axis", "one_image_each", (("axis=0", "axis=1"),)),
            Wrong(
                "bytes, not fractions", "mean_of_zero_and_one", (("pixels.mean(axis=0) / 255", "pixels.mean(axis=0)"),)
            ),
            Wrong(
                "the variance", "spread_of_zero_and_one", (("pixels.std(axis=0) / 255", "pixels.var(axis=0) / 255**2"),)
            ),
            Wrong("the largest step", "spread_of_zero_and_one", (("pixels.std(axis=0)", "pixels.max(axis=0)"),)),
        ),
    ),
)
