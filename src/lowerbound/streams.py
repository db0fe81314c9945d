"""Images that are read a block at a time and never held together, whatever they are stored in."""

from __future__ import annotations

import os
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.photo import read_pixels
from lowerbound.progress import Progress, quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "DECODED",
    "Block",
    "Stream",
    "collect",
    "decoded",
    "in_threads",
    "left_out",
    "named",
    "none_readable",
    "stream_of",
]

DECODED = 64  # image files that one thread decodes at a time
STEP = 1000  # images of an array in one block

Item = TypeVar("Item")
Result = TypeVar("Result")


class Block(NamedTuple):
    """Some images of a stream, one after another.

    Attributes:
        pixels: Of those that could be read, uint8 ``[n, C, H, W]``.
        at: Their positions in the stream, integers ``[n]``.
        stop: The position after the last one, readable or not.
        skipped: Position and reason of those that could not be read.
    """

    pixels: np.ndarray
    at: np.ndarray
    stop: int
    skipped: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Stream:
    """Images of one size, in a fixed order, read from any of them on.

    Args:
        count: How many, readable or not.
        image_shape: Channels, height, width.
        stamp: A text that is another one when the images are others.
        blocks: From a position, the blocks that begin there.
        names: From positions, the names of the images there; None where they have none.
        labels: Class of each image, integers ``[count]``, or None.

    Example:
        >>> stream = stream_of(Images(np.zeros((5, 1, 2, 2), np.uint8)), "blank")
        >>> [block.at.tolist() for block in stream.blocks(3)]
        [[3, 4]]
    """

    count: int
    image_shape: tuple[int, int, int]
    stamp: str
    blocks: Callable[[int], Iterator[Block]]
    names: Callable[[np.ndarray], list[str]] | None = None
    labels: np.ndarray | None = None


def stream_of(images: Images, stamp: str) -> Stream:
    """The stream of images that are there already, in memory or in a memory-mapped file.

    Args:
        images: Any number of them.
        stamp: A text that is another one when the images are others.

    Example:
        >>> stream_of(Images(np.zeros((5, 1, 2, 2), np.uint8)), "blank").count
        5
    """

    def blocks(start: int) -> Iterator[Block]:
        for first in range(start, len(images), STEP):
            pixels = images.pixels[first : first + STEP]
            yield Block(pixels, np.arange(first, first + len(pixels)), first + len(pixels))

    known = images.names

    def names(at: np.ndarray) -> list[str]:
        return [] if known is None else [known[int(place)] for place in at]

    return Stream(len(images), images.image_shape, stamp, blocks, None if known is None else names, images.labels)


def collect(stream: Stream, progress: Progress = quiet) -> tuple[Images, tuple[tuple[str, str], ...]]:
    """All images of a stream in memory, and ``(name, reason)`` of those that could not be read.

    Example:
        >>> images = Images(np.zeros((5, 1, 2, 2), np.uint8))
        >>> len(collect(stream_of(images, "blank"))[0])
        5
    """
    pixels = np.empty((stream.count, *stream.image_shape), np.uint8)
    at, skipped = [np.empty(0, np.int64)], []
    with warnings.catch_warnings(), progress("reading images", stream.count) as advance:
        warnings.filterwarnings("ignore", module="PIL")
        for block in stream.blocks(0):
            pixels[block.at] = block.pixels
            at.append(block.at)
            skipped += named(stream, block.skipped)
            advance(len(block.at) + len(block.skipped), "")
    kept = np.concatenate(at)
    names = None if stream.names is None else tuple(stream.names(kept))
    whole = len(kept) == stream.count
    labels = None if stream.labels is None else stream.labels[kept]
    return Images(pixels if whole else pixels[kept], labels, names), tuple(skipped)


def named(stream: Stream, skipped: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    """Those that could not be read by their names, or by their positions where they have none.

    Example:
        >>> named(stream_of(Images(np.zeros((5, 1, 2, 2), np.uint8)), "blank"), [(3, "broken")])
        [('image 3', 'broken')]
    """
    places = [place for place, _ in skipped]
    names = [f"image {place}" for place in places] if stream.names is None else stream.names(np.array(places, np.int64))
    return [(name, reason) for name, (_, reason) in zip(names, skipped, strict=True)]


def left_out(skipped: Sequence[tuple[str, str]]) -> str:
    """One line on what could not be read.

    Example:
        >>> left_out([("a.png", "cut short")])
        'left out as unreadable: a.png (cut short)'
    """
    shown = ", ".join(f"{file} ({reason})" for file, reason in skipped[:3])
    return f"left out as unreadable: {shown}" + (f" and {len(skipped) - 3:,} more" if len(skipped) > 3 else "")


def none_readable(skipped: Sequence[tuple[str, str]], where: str = "") -> InputError:
    """What to say when nothing can be read of a source.

    Example:
        >>> none_readable([("a.png", "cut short")], " in photos")
        InputError('none of the 1 images in photos can be read (a.png: cut short); ...; give others')
    """
    file, reason = skipped[0]
    expected = "expected PNG, JPEG, GIF, BMP, TIFF, WebP or PPM"
    return InputError(
        f"none of the {len(skipped):,} images{where} can be read ({file}: {reason}); {expected}; give others"
    )


def decoded(groups: Iterable[Sequence[Path | bytes | str]], start: int, shape: tuple[int, int, int]) -> Iterator[Block]:
    """Blocks from groups of image files, decoded by several threads to ``(C, H, W)``.

    Args:
        groups: Paths of image files, or the bytes of such; or a text, the reason why there is no file to read.
        start: The position of the first.
        shape: What every image is brought to.

    Example:
        >>> [block.skipped for block in decoded([[b"no image"]], 7, (1, 8, 8))]
        [((7, 'not an image of a known format'),)]
    """

    def decode(work: tuple[int, Sequence[Path | bytes | str]]) -> Block:
        first, group = work
        found, at, skipped = [], [], []
        for place, file in enumerate(group, first):
            try:
                if isinstance(file, str):
                    raise InputError(file)
                found.append(read_pixels(file, shape))
                at.append(place)
            except InputError as wrong:
                skipped.append((place, str(wrong)))
        pixels = np.stack(found) if found else np.empty((0, *shape), np.uint8)
        return Block(pixels, np.array(at, np.int64), first + len(group), tuple(skipped))

    return in_threads(decode, _numbered(groups, start))


def _numbered(groups: Iterable[Sequence[Item]], start: int) -> Iterator[tuple[int, Sequence[Item]]]:
    """Each group with the position of its first item."""
    for group in groups:
        yield start, group
        start += len(group)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The result of each item's work, in order; decoding frees the interpreter's lock, so threads do help.

    Only a few items are worked on ahead of what is asked for, so that memory stays bounded.

    Example:
        >>> list(in_threads(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    threads = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 3 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
