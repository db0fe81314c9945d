"""The images that a search looks through, with their names: of a run, of a folder, of an array; never copied when they are many.

A gallery is indexed as one array ``[N, C, H, W]`` is, by a slice or by positions, whatever lies behind it: the training and the
test images of a run, which may be two memory-mapped files, or images decoded from a folder into a file without a name.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.progress import Progress, quiet
from lowerbound.streams import named, none_readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lowerbound.streams import Stream

__all__ = ["Gallery", "Pixels", "blocks_of", "gallery_of"]

IN_MEMORY = 2**28  # bytes of decoded pixels; what is more goes to a file that the system maps


class Pixels(Protocol):
    """What the searches take for images: an array uint8 ``[N, C, H, W]``, or what is indexed as one."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, index: slice | np.ndarray, /) -> np.ndarray:
        """The images at a slice or at positions."""
        ...


@dataclass(frozen=True)
class Gallery:
    """Images in parts, one after another.

    Args:
        parts: Of one image size.
        kinds: What each part is, in a word: its images are called "train 17" where they have no names.
        skipped: Name and reason of what could not be read.

    Raises:
        InputError: No images, or images of different sizes.

    Example:
        >>> first, second = Images(np.zeros((2, 1, 4, 4), np.uint8)), Images(np.ones((3, 1, 4, 4), np.uint8))
        >>> both = Gallery((first, second), ("train", "test"))
        >>> len(both), both[np.array([0, 4])].max((1, 2, 3)).tolist(), both.name(4), len(both[1:4])
        (5, [0, 1], 'test 2', 3)
    """

    parts: tuple[Images, ...]
    kinds: tuple[str, ...] = ("image",)
    skipped: tuple[tuple[str, str], ...] = ()
    ends: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Find where the parts end."""
        object.__setattr__(self, "ends", np.cumsum([len(part) for part in self.parts]))
        if not len(self):
            raise InputError("there are no images to look through; expected at least 1; give others")
        if len({part.image_shape for part in self.parts}) > 1:
            raise InputError(f"images have sizes {[part.image_shape for part in self.parts]}; expected one size")

    def __len__(self) -> int:
        """Number of images."""
        return int(self.ends[-1])

    def __getitem__(self, index: slice | np.ndarray, /) -> np.ndarray:
        """Pixels at a slice or at positions, uint8 ``[n, C, H, W]``."""
        if len(self.parts) == 1:
            return np.asarray(self.parts[0].pixels[index])
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        index = np.asarray(index, np.int64)
        of, begins = np.searchsorted(self.ends, index, side="right"), np.concatenate([[0], self.ends])
        found = np.empty((len(index), *self.image_shape), np.uint8)
        for number, part in enumerate(self.parts):
            mine = of == number
            found[mine] = part.pixels[index[mine] - begins[number]]
        return found

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.parts[0].image_shape

    @property
    def labels(self) -> np.ndarray | None:
        """Class of each image ``[N]``, where all have one."""
        found = [part.labels for part in self.parts if part.labels is not None]
        return np.concatenate(found) if len(found) == len(self.parts) else None

    def name(self, position: int) -> str:
        """The name of an image, or its part and its position there."""
        part = int(np.searchsorted(self.ends, position, side="right"))
        within = int(position) - (int(self.ends[part - 1]) if part else 0)
        names = self.parts[part].names
        return f"{self.kinds[part]} {within}" if names is None else str(names[within])

    def names(self, positions: Sequence[int] | np.ndarray | None = None) -> list[str]:
        """The names of some images, or of all."""
        return [self.name(int(position)) for position in (range(len(self)) if positions is None else positions)]


def gallery_of(stream: Stream, progress: Progress = quiet) -> Gallery:
    """The images of a stream: in memory, or where they are many in a file that goes with this process.

    Raises:
        InputError: None of them can be read.

    Example:
        >>> from lowerbound.streams import stream_of
        >>> len(gallery_of(stream_of(Images(np.zeros((5, 1, 2, 2), np.uint8)), "blank")))
        5
    """
    shape = (stream.count, *stream.image_shape)
    if math.prod(shape) <= IN_MEMORY:
        pixels = np.empty(shape, np.uint8)
    else:
        with tempfile.TemporaryFile() as file:  # the map keeps it open
            pixels = np.memmap(file, np.uint8, "w+", shape=shape)
    done, at, skipped = 0, [np.empty(0, np.int64)], []
    with warnings.catch_warnings(), progress("reading images", stream.count) as advance:
        warnings.filterwarnings("ignore", module="PIL")
        for block in stream.blocks(0):
            pixels[done : done + len(block.at)] = block.pixels  # without gaps where one could not be read
            done += len(block.at)
            at.append(block.at)
            skipped += named(stream, block.skipped)
            advance(len(block.at) + len(block.skipped), "")
    if not done:
        raise none_readable(skipped or [("no file", "there is none")])
    kept = np.concatenate(at)
    names = None if stream.names is None else tuple(stream.names(kept))
    labels = None if stream.labels is None else stream.labels[kept]
    return Gallery((Images(pixels[:done], labels, names),), ("image",), tuple(skipped))


def blocks_of(images: Pixels, size: int = 500) -> Iterator[tuple[slice, np.ndarray]]:
    """Where each block of images lies, and its pixels.

    Example:
        >>> [place.stop for place, _ in blocks_of(np.zeros((5, 1, 2, 2), np.uint8), 2)]
        [2, 4, 5]
    """
    for start in range(0, len(images), size):
        place = slice(start, min(start + size, len(images)))
        yield place, images[place]
