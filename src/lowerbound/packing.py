"""A stream of images decoded once: to memory, or to a file that is never read whole where they have no room there.

While a file is made, its images lie in ``.faces.npy.partial`` beside a record of how many are done; it has its name when all
of it is there.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.packed import KEY, array_header, beside, is_packed, open_packed
from lowerbound.progress import Progress, quiet
from lowerbound.streams import Stream, named
from lowerbound.whole import make_folder, refusal, write_whole

if TYPE_CHECKING:
    from lowerbound.streams import Block

__all__ = ["Arrangement", "Skipped", "gather", "pack", "room"]

SHARE = 4  # decoded pixels may take one part in so many of the memory that is free
UNKNOWN = 2**33  # bytes taken to be free where the system does not tell
RECORD_EVERY = 2.0  # seconds: what a killed process has to decode again
CHUNK = 1024  # images moved at a time

Skipped = tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Arrangement:
    """In which order images are kept, which of them are for training, and their classes.

    Args:
        order: Positions in the stream, integers ``[N]``: the training images, then the test images.
        train: Number of training images.
        labels: Class of each image in that order, integers ``[N]``, or None.
        class_names: What label 0, 1, ... means.
        choices: One sentence for each choice made for the user.
    """

    order: np.ndarray
    train: int
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


Arrange = Callable[[np.ndarray, Skipped], Arrangement]
"""From the positions of the images that can be read, and those that cannot with reasons, their arrangement."""


def room() -> int:
    """Bytes that decoded pixels may take: a quarter of the memory that is free, by the system or the control group.

    Example:
        >>> room() > 0
        True
    """
    free = [UNKNOWN]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):  # "max" where there is no limit
        free.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(free) // SHARE


def gather(stream: Stream, arrange: Arrange, about: dict[str, Any], out: Path, progress: Progress = quiet) -> ImageSet:
    """The images of a stream: in memory where they have room there, else packed in a file.

    Args:
        stream: Images to decode.
        arrange: What settles their order and split, once it is known which can be read.
        about: Name, source, choices and skipped files of the set, as ``ImageSet`` has them.
        out: Where the file is put if there is one.
        progress: Shown while images are decoded.

    Raises:
        InputError: No images to learn from or to test on, or no room on the disk.
    """
    needed = stream.count * math.prod(stream.image_shape)
    if needed > (limit := room()):
        why = (
            f"decoded, {stream.count:,} images take {needed / 1e9:.1f} GB, more than {limit / 1e9:.1f} GB, a quarter of "
            f"the memory that is free: they are read from {out}"
        )
        return pack(stream, arrange, {**about, "choices": (*about["choices"], why)}, out, progress)
    pixels = np.empty((stream.count, *stream.image_shape), np.uint8)
    kept, skipped = [], []
    with _no_word_of_pillow(), progress("reading images", stream.count) as advance:
        for block in stream.blocks(0):
            pixels[block.at] = block.pixels
            kept.append(block.at)
            skipped += block.skipped
            advance(len(block.at) + len(block.skipped), "")
    found = arrange(np.concatenate([*kept, np.empty(0, np.int64)]), tuple(skipped))
    names = None if stream.names is None else stream.names(found.order)
    both = []
    for part in (slice(0, found.train), slice(found.train, None)):
        labels = None if found.labels is None else found.labels[part]
        both.append(Images(pixels[found.order[part]], labels, None if names is None else tuple(names[part])))
    return ImageSet(train=both[0], test=both[1], **_told(stream, found, about, tuple(skipped)))


def pack(stream: Stream, arrange: Arrange, about: dict[str, Any], out: Path, progress: Progress = quiet) -> ImageSet:
    """Decode a stream to a ``.npy`` file that stays on disk; goes on where a killed process had stopped.

    Args:
        stream: Images to decode.
        arrange: What settles their order and split, once it is known which can be read.
        about: Name, source, choices and skipped files of the set, as ``ImageSet`` has them.
        out: The file; where it is there and of this stream, it is opened as it is.
        progress: Shown while images are decoded.

    Returns:
        Images whose pixels are memory-mapped.

    Raises:
        InputError: Another file is there, no room on the disk, or no images to learn from or to test on.

    Example:
        >>> import tempfile
        >>> from lowerbound.streams import stream_of
        >>> stream = stream_of(Images(np.arange(12, dtype=np.uint8).reshape(3, 1, 2, 2)), "three")
        >>> out = Path(tempfile.mkdtemp()) / "three.npy"
        >>> about = {"name": "three", "source": "three", "choices": (), "skipped": ()}
        >>> images = pack(stream, lambda kept, skipped: Arrangement(kept[::-1], train=2), about, out)
        >>> images.train.pixels[:, 0, 0, 0].tolist(), np.load(out).shape
        ([8, 4], (3, 1, 2, 2))
    """
    partial, record = beside(out, "partial"), beside(out, "record")
    expected = arrange(np.arange(stream.count), ())
    make_folder(out.parent)
    try:
        with _alone(partial) as file:
            if not is_packed(out, stream.stamp):
                if out.exists():
                    raise InputError(f"{out} exists already and holds other images; give another file or remove it")
                _pack(stream, arrange, expected, about, out, file, progress)
            else:
                partial.unlink(missing_ok=True)  # it was made only to wait for who packed the same images
    except OSError as error:
        raise refusal(out, error) from error
    record.unlink(missing_ok=True)
    return open_packed(out)


# Writing


def _pack(
    stream: Stream,
    arrange: Arrange,
    expected: Arrangement,
    about: dict[str, Any],
    out: Path,
    file: BinaryIO,
    progress: Progress,
) -> None:
    """Write the images to the places expected in a file that is open, and give it its name."""
    places = np.empty(stream.count, np.int64)
    places[expected.order] = np.arange(len(expected.order))
    skipped = _decode(stream, places, out, file, progress)
    found, partial = expected, beside(out, "partial")
    if skipped:
        kept = np.delete(np.arange(stream.count), [place for place, _ in skipped])
        try:
            found = arrange(kept, skipped)
        except InputError:
            partial.unlink()
            raise
        partial = _rearrange(partial, places[found.order], (stream.count, *stream.image_shape), progress)
    _write_table(out, stream, found, _told(stream, found, about, skipped))
    partial.replace(out)
    beside(out, "partial").unlink(missing_ok=True)


def _decode(stream: Stream, places: np.ndarray, out: Path, file: BinaryIO, progress: Progress) -> Skipped:
    """Write each image to its place in the file, from where the record says; those that cannot be read, with reasons."""
    header = array_header((stream.count, *stream.image_shape), np.uint8)
    size, record = math.prod(stream.image_shape), beside(out, "record")
    done, skipped = _recorded(record, stream)
    if file.seek(0, io.SEEK_END) != len(header) + stream.count * size:
        done, skipped = 0, []
    written = len(header) + done * size
    free = shutil.disk_usage(out.parent).free
    if free < len(header) + stream.count * size - written:
        raise InputError(f"{out} needs {stream.count * size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; free some")
    file.truncate(len(header) + stream.count * size)
    file.seek(0)
    file.write(header)
    recorded = time.monotonic()
    with _no_word_of_pillow(), progress("packing images", stream.count) as advance:
        advance(done, "")
        for block in stream.blocks(done):
            _put(file, block, places[block.at], len(header), size)
            skipped += block.skipped
            advance(block.stop - done, "")
            done = block.stop
            if time.monotonic() - recorded > RECORD_EVERY or done == stream.count:
                file.flush()
                os.fsync(file.fileno())  # before the record, which must never run ahead of the pixels
                write_whole(record, json.dumps({"stamp": stream.stamp, "done": done, "skipped": skipped}).encode())
                recorded = time.monotonic()
    return tuple((place, reason) for place, reason in skipped)


def _put(file: BinaryIO, block: Block, places: np.ndarray, offset: int, size: int) -> None:
    """Write the images of a block to their places, those that become neighbours at once."""
    by_place = np.argsort(places)
    for run in np.split(by_place, np.flatnonzero(np.diff(places[by_place]) != 1) + 1):
        if len(run):
            file.seek(offset + int(places[run[0]]) * size)
            file.write(np.ascontiguousarray(block.pixels[run]).data)


def _recorded(record: Path, stream: Stream) -> tuple[int, list[tuple[int, str]]]:
    """How many images of a stream were done when the record was written, and which of them could not be read."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        told = json.loads(record.read_bytes())
        if told["stamp"] == stream.stamp:
            return told["done"], [(place, reason) for place, reason in told["skipped"]]
    return 0, []


def _rearrange(partial: Path, order: np.ndarray, shape: tuple[int, ...], progress: Progress) -> Path:
    """A copy of the images at the places given, without the gaps of those that could not be read."""
    closed = partial.with_suffix(".closed")
    images = np.load(partial, mmap_mode="r")
    with closed.open("wb") as file, progress("closing gaps", len(order)) as advance:
        file.write(array_header((len(order), *shape[1:]), np.uint8))
        for start in range(0, len(order), CHUNK):
            file.write(images[order[start : start + CHUNK]].data)
            advance(len(order[start : start + CHUNK]), "")
        file.flush()
        os.fsync(file.fileno())
    return closed


def _told(stream: Stream, found: Arrangement, about: dict[str, Any], skipped: Skipped) -> dict[str, Any]:
    """What is known of a set besides its images, as ``ImageSet`` has it."""
    return {
        **about,
        "class_names": found.class_names,
        "choices": (*found.choices, *about["choices"]),
        "skipped": tuple(sorted([*about["skipped"], *named(stream, skipped)])),
    }


def _write_table(out: Path, stream: Stream, found: Arrangement, about: dict[str, Any]) -> None:
    """Name and label of each image in the order of the file, and the rest as JSON in its schema."""
    import pyarrow
    import pyarrow.feather

    columns: dict[str, Any] = {"place": np.arange(len(found.order))}
    if stream.names is not None:
        columns["name"] = [name.encode(errors="backslashreplace").decode() for name in stream.names(found.order)]
    if found.labels is not None:
        columns["label"] = found.labels
    told = json.dumps({**about, "train": found.train, "stamp": stream.stamp}, ensure_ascii=True)
    content = io.BytesIO()
    table = pyarrow.table(columns).replace_schema_metadata({KEY: told.encode()})
    pyarrow.feather.write_feather(table, content, compression="uncompressed")  # so that it can be mapped
    write_whole(beside(out), content.getvalue())


@contextlib.contextmanager
def _alone(partial: Path) -> Iterator[BinaryIO]:
    """The unfinished file, open, and no other process at it: a second one waits until the first is done."""
    with partial.open("ab"):
        pass
    with partial.open("r+b") as file:
        with contextlib.suppress(ImportError):  # only where the system has such locks, which end with their process
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextlib.contextmanager
def _no_word_of_pillow() -> Iterator[None]:
    """Without Pillow's warnings of odd files: what matters is said in choices and skipped."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield
