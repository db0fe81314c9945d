"""Codes of any number of images, a block at a time: memory does not grow with them, and what is done is not done again.

While it is made, ``codes.parquet`` is a folder ``.codes.parquet.parts`` of Arrow files, each of them whole, with the codes
of some thousand images. When all are there, they become the file in one go.
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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from lowerbound.formats import codes_table
from lowerbound.packed import array_header
from lowerbound.progress import Progress, quiet
from lowerbound.streams import named, none_readable
from lowerbound.whole import make_folder, refusal, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lowerbound.streams import Block, Stream

__all__ = ["Encoded", "encode"]

PART = 8_000  # images in one file of codes, and in one row group of a table
PART_PIXELS = 2**26  # and their bytes, for large images
KEY = b"lowerbound"


class Encoder(Protocol):
    """What is asked of a model."""

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Codes ``[N, K]`` of images ``[N, C, H, W]``."""
        ...


@dataclass(frozen=True)
class Encoded:
    """What became of the images of a stream.

    Args:
        rows: Codes in the file.
        found: Codes that an earlier, broken run had made already.
        anew: Whether an earlier run had begun the file with another model or other images.
        seconds: That this run took, writing included.
        skipped: Name and reason of what could not be read.
    """

    rows: int
    found: int
    anew: bool
    seconds: float
    skipped: tuple[tuple[str, str], ...]

    @property
    def images_per_second(self) -> float:
        """Images encoded per second of this run."""
        return (self.rows - self.found) / max(self.seconds, 1e-9)


def encode(model: Encoder, stream: Stream, out: Path, *, stamp: str, progress: Progress = quiet) -> Encoded:
    """Write the codes of a stream's images to a ``.npy`` or ``.parquet`` file, which appears when it is whole.

    Args:
        model: Anything with ``transform``.
        stream: Images of the model's size.
        out: The file; what an earlier run had begun for it is gone on with if the model and the images are the same.
        stamp: A text that is another one when the model is another.
        progress: Shown on the way.

    Raises:
        InputError: No image that can be read, or no room on the disk.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from lowerbound import PCA, Images
        >>> from lowerbound.streams import stream_of
        >>> images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
        >>> out, pca = Path(tempfile.mkdtemp()) / "codes.npy", PCA(3).fit(images)
        >>> encode(pca, stream_of(Images(images), "noise"), out, stamp="pca").rows, np.load(out).shape
        (50, (50, 3))
    """
    began = time.monotonic()
    parts = out.with_name(f".{out.name}.parts")
    make_folder(parts)
    size = max(1, min(PART, PART_PIXELS // math.prod(stream.image_shape)))
    anew = _begin(parts, f"{stamp} {stream.stamp} {size}")
    with progress("encoding", stream.count) as advance:
        done, files, rows, skipped = _finished(parts)
        advance(done, "")
        found = rows
        for at, codes, stop, unread in _codes(model, stream, done, size):
            files.append(parts / f"{done:015}.arrow")
            _write_part(files[-1], stream, at, codes, stop, unread)
            rows += len(codes)
            skipped += named(stream, unread)
            advance(stop - done, f"{(rows - found) / (time.monotonic() - began):,.0f} images/s")
            done = stop
    if not rows:
        shutil.rmtree(parts)
        raise none_readable(skipped)
    (_join_array if out.suffix.lower() == ".npy" else _join_table)(files, rows, out)
    shutil.rmtree(parts)
    return Encoded(rows, found, anew, time.monotonic() - began, tuple(skipped))


# Parts


def _codes(
    model: Encoder, stream: Stream, start: int, size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int, list[tuple[int, str]]]]:
    """From a position on, for so many images at a time: positions, codes, where they stop, and what cannot be read."""
    waiting: list[Block] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        for block in stream.blocks(start):
            waiting.append(block)
            if block.stop - start >= size or block.stop == stream.count:
                pixels = np.concatenate([each.pixels for each in waiting])
                at = np.concatenate([each.at for each in waiting])
                codes = model.transform(pixels)
                yield at, codes, block.stop, [pair for each in waiting for pair in each.skipped]
                waiting, start = [], block.stop


def _begin(parts: Path, stamp: str) -> bool:
    """Keep the parts of this model and these images, else clear them away; whether there were others."""
    file = parts / "stamp"
    there = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else None
    if there == stamp:
        return False
    for old in parts.iterdir():
        old.unlink()
    write_whole(file, stamp.encode(errors="backslashreplace"))
    return there is not None


def _finished(parts: Path) -> tuple[int, list[Path], int, list[tuple[str, str]]]:
    """Up to where the parts follow on each other: the position, the files, their rows, and what could not be read."""
    import pyarrow.ipc

    done, files, rows, skipped = 0, [], 0, []
    while (file := parts / f"{done:015}.arrow").is_file():
        try:
            with pyarrow.ipc.open_file(pyarrow.memory_map(str(file))) as reader:
                told = json.loads((reader.schema.metadata or {})[KEY])
                table = reader.read_all()
                table.validate(full=True)
            stop, unread = told["stop"], [(name, reason) for name, reason in told["skipped"]]
            if (
                len(table) + len(unread) != stop - done
                or stop <= done
                or (files and table.schema != _part(files[0]).schema)
            ):
                break
            numbers = [name for name in table.column_names if name not in ("name", "label")]
            kinds = {table[name].type for name in numbers}
            if numbers != [f"z{n + 1}" for n in range(len(numbers))] or kinds != {pyarrow.float32()}:
                break
        except (OSError, ValueError, LookupError, TypeError, pyarrow.ArrowException):
            break  # what is damaged is made again
        rows += len(table)
        done = stop
        files.append(file)
        skipped += unread
    return done, files, rows, skipped


def _write_part(
    file: Path, stream: Stream, at: np.ndarray, codes: np.ndarray, stop: int, unread: list[tuple[int, str]]
) -> None:
    """Codes with their names and labels, and what is known besides, as one Arrow file."""
    import pyarrow.ipc

    names = None if stream.names is None else stream.names(at)
    table = codes_table(codes, names, None if stream.labels is None else stream.labels[at])
    told = json.dumps({"stop": stop, "skipped": named(stream, unread)})
    content = io.BytesIO()
    with pyarrow.ipc.new_file(content, table.schema.with_metadata({KEY: told.encode()})) as writer:
        writer.write_table(table)
    write_whole(file, content.getvalue())


# The file


def _join_table(files: list[Path], rows: int, out: Path) -> None:  # noqa: ARG001
    """The parts as a parquet file, each of them a row group."""
    import pyarrow.parquet

    schema = _part(files[0]).schema.remove_metadata()
    with _appearing(out) as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for part in files:
            table = _part(part).replace_schema_metadata(None)
            if len(table):
                writer.write_table(table)


def _join_array(files: list[Path], rows: int, out: Path) -> None:
    """The codes of the parts as float32 ``[N, K]``."""
    names = [name for name in _part(files[0]).column_names if name.startswith("z")]
    with _appearing(out) as file:
        file.write(array_header((rows, len(names)), np.float32))
        for part in files:
            table = _part(part)
            file.write(np.stack([table[name].to_numpy() for name in names], axis=1).astype(np.float32).data)


def _part(file: Path) -> Any:
    """The table of a part, mapped."""
    import pyarrow.ipc

    return pyarrow.ipc.open_file(pyarrow.memory_map(str(file))).read_all()


@contextlib.contextmanager
def _appearing(out: Path) -> Iterator[BinaryIO]:
    """A file to write that has its name when all of it is there, and is not there when something goes wrong."""
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise refusal(out, error) from error
    finally:
        partial.unlink(missing_ok=True)
