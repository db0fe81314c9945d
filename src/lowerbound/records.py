"""The two binary forms in which small images are published: IDX files, and the records of CIFAR-10."""

from __future__ import annotations

import hashlib
import math
import struct
import tarfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import Images
from lowerbound.progress import Progress, quiet
from lowerbound.published import DATASETS, File, published_bytes, read_bytes, spoiled

if TYPE_CHECKING:
    from pathlib import Path

    from lowerbound.progress import Advance

__all__ = ["CIFAR_MEMBERS", "parse_idx", "read_published"]

CIFAR_RECORD = 1 + 3 * 32 * 32  # the label, then the red, green and blue plane
CIFAR_MEMBER = 10_000 * CIFAR_RECORD
CIFAR_MEMBERS = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")


def read_published(name: str, paths: list[Path], progress: Progress = quiet) -> tuple[Images, Images]:
    """Train and test images of a data set from its files, each held to what was published.

    Args:
        name: ``mnist``, ``fashion_mnist`` or ``cifar10``.
        paths: One path for each file of its table; for CIFAR-10 the archive, or its six unpacked members.
        progress: Shown while files are read.

    Returns:
        Images uint8 ``[N, 1, 28, 28]``, or ``[N, 3, 32, 32]`` for CIFAR-10, with labels.

    Raises:
        InputError: A file that is broken or not the published one.

    Example:
        >>> from pathlib import Path
        >>> read_published("mnist", [Path(__file__)] * 4)
        Traceback (most recent call last):
        lowerbound.errors.InputError: ...records.py holds ...; delete or move it, then run `lowerbound data get mnist`
    """
    read = _read_cifar if name == "cifar10" else _read_idx
    with progress(f"reading {DATASETS[name].title}", len(paths)) as advance:
        return read(name, paths, advance)


def parse_idx(data: bytes) -> np.ndarray:
    """The array in an IDX file of unsigned bytes: a mark, the number of axes, their lengths, the values.

    Raises:
        InputError: Another mark, or a length that is not the one the header tells.

    Example:
        >>> parse_idx(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9]))
        array([[7, 8, 9]], dtype=uint8)
    """
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise InputError(f"starts with {data[:4].hex(' ') or 'nothing'}; expected 00 00 08, the mark of IDX bytes")
    axes = data[3]
    start = 4 + 4 * axes
    if len(data) < start:
        raise InputError(f"ends at byte {len(data)}, within its header of {start}")
    shape = struct.unpack_from(f">{axes}I", data, 4)
    expected = start + math.prod(shape)
    if axes == 0 or len(data) != expected:
        raise InputError(f"holds {len(data):,} bytes; expected {expected:,} for an array of shape {list(shape)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _read_idx(name: str, paths: list[Path], advance: Advance) -> tuple[Images, Images]:
    """Images and labels from four IDX files, in the order of the table."""
    arrays = []
    for file, path in zip(DATASETS[name].files, paths, strict=True):
        try:
            arrays.append(parse_idx(published_bytes(path, file, name)))
        except InputError as wrong:
            raise spoiled(path, wrong, name) from wrong
        advance(1, path.name)
    parts = []
    for images, labels, path in ((*arrays[:2], paths[0]), (*arrays[2:], paths[2])):
        if images.shape[1:] != (28, 28) or labels.shape != images.shape[:1] or labels.max() > 9:
            found = f"has shape {list(images.shape)} and labels {list(labels.shape)} up to {labels.max()}"
            why = f"{found}; expected [N, 28, 28] and [N] up to 9"
            raise spoiled(path, why, name)
        parts.append(Images(images[:, None], labels.astype(np.int64)))
    return parts[0], parts[1]


def _read_cifar(name: str, paths: list[Path], advance: Advance) -> tuple[Images, Images]:
    """Images from the archive, or from the six files of records that were unpacked from it."""
    if len(paths) == 1:
        records = _archived(paths[0], DATASETS[name].files[0], name)
    else:
        records = [_unarchived(path, name) for path in paths]
    parts = [np.frombuffer(data, np.uint8).reshape(-1, CIFAR_RECORD) for data in records]
    for part, member in zip(parts, CIFAR_MEMBERS, strict=True):
        if part[:, 0].max() > 9:
            raise spoiled(paths[0], f"has a label {part[:, 0].max()} in {member}; expected 0 to 9", name)
    advance(len(paths), "")
    return _images(parts[:5]), _images(parts[5:])


def _images(parts: list[np.ndarray]) -> Images:
    """Images of some stacks of records ``[N, 3073]``."""
    pixels = np.concatenate([part[:, 1:] for part in parts]).reshape(-1, 3, 32, 32)
    return Images(pixels, np.concatenate([part[:, 0] for part in parts]).astype(np.int64))


def _unarchived(path: Path, name: str) -> bytes:
    """The records of one member of the archive that someone has unpacked."""
    try:
        data = read_bytes(path, CIFAR_MEMBER)
    except InputError as wrong:
        raise spoiled(path, wrong, name) from wrong
    if len(data) != CIFAR_MEMBER:
        raise spoiled(path, f"holds {len(data):,} bytes; expected {CIFAR_MEMBER:,}", name)
    return data


def _archived(path: Path, file: File, name: str) -> list[bytes]:
    """The members of the archive that hold records, in order; nothing is ever unpacked to disk."""
    try:
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                raise spoiled(path, f"is not the published {file.name} of {file.size:,} bytes", name)
        found = {}
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                short = member.name.rpartition("/")[2]
                if short in CIFAR_MEMBERS and member.isfile() and member.size == CIFAR_MEMBER:
                    stream = archive.extractfile(member)
                    found[short] = stream.read() if stream else b""
        return [found[short] for short in CIFAR_MEMBERS]
    except KeyError as wrong:
        raise spoiled(path, f"holds no {wrong.args[0]} of {CIFAR_MEMBER:,} bytes", name) from wrong
    except InputError:
        raise
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, tarfile.TarError) as wrong:
        raise spoiled(path, f"cannot be read ({wrong})", name) from wrong
