"""Where images come from: five known sources, a folder of image files, parquet or Arrow files, or a NumPy file.

Two of the known sources need no download: ``digits``, handwritten digits that come with scikit-learn, and
``patches``, cut from its two sample photographs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.errors import InputError, nearest
from lowerbound.images import Images, ImageSet
from lowerbound.progress import Progress, quiet
from lowerbound.splits import SEED, hold_out
from lowerbound.streams import collect, left_out, none_readable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lowerbound.streams import Stream

__all__ = ["SOURCES", "Source", "cut_patches", "digits", "fetch", "load", "pack", "patches", "read", "stream"]

ARRAY_FILES, TABLE_FILES = (".npy", ".npz"), (".parquet", ".arrow")
BLOCK, PATCH, STRIDE = 64, 32, 4  # pixels: a photograph is cut in blocks, and patches lie within one block


@dataclass(frozen=True)
class Source:
    """What is known of a source before it is read: what it shows, its size, and where it comes from."""

    description: str
    image_shape: tuple[int, int, int]
    train: int
    test: int
    origin: str
    download: bool


SOURCES: Mapping[str, Source] = {
    "digits": Source("handwritten digits, 8 x 8 grey", (1, 8, 8), 1_437, 360, "scikit-learn", download=False),
    "patches": Source(
        "pieces of two photographs, 32 x 32 colour", (3, 32, 32), 7_776, 1_944, "scikit-learn", download=False
    ),
    "mnist": Source("handwritten digits, 28 x 28 grey", (1, 28, 28), 60_000, 10_000, "MNIST, 12 MB", download=True),
    "fashion_mnist": Source(
        "clothes and shoes, 28 x 28 grey", (1, 28, 28), 60_000, 10_000, "Fashion-MNIST, 31 MB", download=True
    ),
    "cifar10": Source(
        "animals and vehicles, 32 x 32 colour", (3, 32, 32), 50_000, 10_000, "CIFAR-10, 170 MB", download=True
    ),
}


def load(source: str, *, data_dir: Path | None = None, size: int | None = None, progress: Progress = quiet) -> ImageSet:
    """Train and test images of a known source, of a folder of image files, of tables, or of a ``.npy`` or ``.npz`` file.

    Args:
        source: A name in ``SOURCES``, or a path; a folder named like a known source is reached as ``./name``.
        data_dir: Where published data sets lie or are downloaded to; by default the environment's LOWERBOUND_DATA,
            else the user's cache.
        size: Height and width to bring the images of a folder or of a table to.
        progress: Shown while images are downloaded and read.

    Returns:
        Images uint8 ``[N, C, H, W]``, with every choice that was made for the user; memory-mapped where the images of a
        folder or of a table would take more than a quarter of the memory that is free.

    Raises:
        InputError: An unknown name, a size where images have theirs already, or images that cannot be read.

    Example:
        >>> images = load("digits")
        >>> images.image_shape, len(images.train), len(images.test)
        ((1, 8, 8), 1437, 360)
        >>> load("digit")
        Traceback (most recent call last):
        lowerbound.errors.InputError: there is no source "digit"; did you mean "digits"?; ...
    """
    if size is not None and size < 1:
        raise InputError(f"size is {size}; expected at least 1 pixel; give 32 or so")
    path = Path(source).expanduser()
    if source not in SOURCES and (loader := _loader(path)) is not None:
        return replace(loader(path, size=size, data_dir=data_dir, progress=progress), source=source)
    if size is not None:
        raise InputError(
            f"size is {size}, but only images of a folder or of a table are resized; leave it out for {source}"
        )
    if source == "digits":
        return digits()
    if source == "patches":
        return patches()
    if source in SOURCES:
        from lowerbound.downloads import load_dataset

        return load_dataset(source, data_dir=data_dir, progress=progress)
    if path.suffix.lower() in ARRAY_FILES and path.is_file():
        from lowerbound.arrays import load_arrays

        return replace(load_arrays(path, progress=progress), source=source)
    raise _unknown(source, path)


def pack(source: str, out: Path, *, size: int | None = None, progress: Progress = quiet) -> ImageSet:
    """Decode the images of a folder or of tables to a ``.npy`` file, which is a source in turn and is never read whole.

    Args:
        source: Path of a folder of image files, or of parquet or Arrow files.
        out: The file to write; where a killed process had begun it, the work goes on.
        size: Height and width to bring the images to.
        progress: Shown while images are read.

    Raises:
        InputError: A source that is no folder and no table, another file at ``out``, no room on the disk.

    Example:
        >>> pack("digits", Path("digits.npy"))
        Traceback (most recent call last):
        lowerbound.errors.InputError: digits is no folder of images and no parquet or Arrow file; ...
    """
    loader = _loader(Path(source).expanduser())
    if loader is None:
        raise InputError(
            f"{source} is no folder of images and no parquet or Arrow file; only such are packed; give one"
        )
    return loader(Path(source).expanduser(), size=size, out=out, progress=progress)


def _loader(path: Path) -> Callable[..., ImageSet] | None:
    """What loads a folder, or tables in one or more files; None for any other path."""
    if path.is_dir():
        from lowerbound.folder import load_folder
        from lowerbound.tables import load_tables

        return load_tables if _is_tables(path) else load_folder
    if path.suffix.lower() in TABLE_FILES and path.is_file():
        from lowerbound.tables import load_tables

        return load_tables
    return None


def _is_tables(path: Path) -> bool:
    """Whether a folder holds parquet or Arrow files and no image files."""
    from lowerbound.folder import listing
    from lowerbound.shards import shards

    return bool(shards(path)) and not listing(path)[0]


def fetch(name: str, *, data_dir: Path | None = None, progress: Progress = quiet) -> list[Path]:
    """Files of a known source, downloaded where they are missing and checked; none for a source that needs no download.

    Raises:
        InputError: An unknown name, a file that is not the published one, or no mirror that gives it.

    Example:
        >>> fetch("digits")
        []
    """
    if name not in SOURCES:
        raise InputError(f'there is no source "{name}" to get{nearest(name, SOURCES)}; known are {", ".join(SOURCES)}')
    if not SOURCES[name].download:
        return []
    from lowerbound.downloads import fetch_dataset

    return fetch_dataset(name, data_dir=data_dir, progress=progress)


def read(path: Path, image_shape: tuple[int, int, int], progress: Progress = quiet) -> Images:
    """New images for a model of images ``(C, H, W)``: all that ``stream`` finds, in memory but for a large ``.npy``.

    Files of a folder that cannot be read are left out, with one warning that names them.

    Raises:
        InputError: Nothing there, no readable image, or an array of another size.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "noise.npy"
        >>> np.save(file, np.zeros((2, 8, 8), np.uint8))
        >>> len(read(file, (1, 8, 8)))
        2
    """
    path = Path(path).expanduser()
    if path.suffix.lower() in ARRAY_FILES and path.is_file():
        from lowerbound.arrays import read_arrays

        return read_arrays(path, image_shape, progress=progress)
    images, skipped = collect(stream(path, image_shape), progress)
    if not len(images):
        raise none_readable(skipped, f" in {path}")
    if skipped:
        warnings.warn(left_out(skipped), stacklevel=2)
    return images


def stream(path: Path, image_shape: tuple[int, int, int], progress: Progress = quiet) -> Stream:
    """New images for a model of images ``(C, H, W)``, a block at a time: of a folder, an image file, tables or an array file.

    Image files are brought to the size, and to grey or colour, by the rules for folders; arrays must have the size.

    Raises:
        InputError: Nothing there, or an array of another size.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "noise.npy"
        >>> np.save(file, np.zeros((2, 8, 8), np.uint8))
        >>> stream(file, (1, 8, 8)).count
        2
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a folder, an image file, a table, a .npy or a .npz file")
    if path.suffix.lower() in ARRAY_FILES and path.is_file():
        from lowerbound.arrays import array_stream

        return array_stream(path, image_shape, progress=progress)
    if path.suffix.lower() in TABLE_FILES or (path.is_dir() and _is_tables(path)):
        from lowerbound.tables import table_stream

        return table_stream(path, image_shape)
    from lowerbound.folder import folder_stream

    return folder_stream(path, image_shape)


def digits() -> ImageSet:
    """The 1,797 handwritten digits of scikit-learn, uint8 ``[N, 1, 8, 8]``.

    Example:
        >>> digits().class_names[:3]
        ('0', '1', '2')
    """
    from sklearn.datasets import load_digits

    levels, labels = load_digits(return_X_y=True)
    pixels = np.rint(levels * (255 / 16)).astype(np.uint8)
    images = Images(pixels.reshape(-1, 1, 8, 8), np.asarray(labels, np.int64))
    train, test = hold_out(len(images), SOURCES["digits"].test)
    choices = (
        f"{len(test)} of {len(images):,} images are kept apart for testing, drawn by a permutation with seed {SEED}",
        "grey levels v from 0 to 16 are stored as round(255 v / 16)",
    )
    return ImageSet("digits", images[train], images[test], tuple("0123456789"), choices, source="digits")


def patches() -> ImageSet:
    """Patches uint8 ``[N, 3, 32, 32]`` of two photographs; no pixel of a test patch lies in a train patch.

    Example:
        >>> patches().class_names
        ('china', 'flower')
    """
    from sklearn.datasets import load_sample_images

    blocks = [cut_patches(photo) for photo in load_sample_images().images]
    train, test = hold_out(len(blocks[0]), len(blocks[0]) // 5)
    choices = (
        f"each photograph is cut in {len(blocks[0])} blocks of {BLOCK} x {BLOCK} pixels, and {len(test)} of them, "
        f"drawn by a permutation with seed {SEED}, are kept apart for testing",
        f"patches lie within one block, {STRIDE} pixels from one to the next: those for testing overlap no others",
        "the class of a patch is its photograph",
    )
    return ImageSet(
        "patches", _gather(blocks, train), _gather(blocks, test), ("china", "flower"), choices, source="patches"
    )


def cut_patches(photo: np.ndarray) -> np.ndarray:
    """Patches of a photograph ``[H, W, C]``, block by block: ``[blocks, patches per block, C, 32, 32]``.

    Example:
        >>> cut_patches(np.zeros((130, 200, 3), np.uint8)).shape
        (6, 81, 3, 32, 32)
    """
    rows, columns, channels = photo.shape[0] // BLOCK, photo.shape[1] // BLOCK, photo.shape[2]
    whole = photo[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, channels)
    blocks = whole.swapaxes(1, 2).reshape(rows * columns, BLOCK, BLOCK, channels)
    windows = np.lib.stride_tricks.sliding_window_view(blocks, (PATCH, PATCH), axis=(1, 2))
    return windows[:, ::STRIDE, ::STRIDE].reshape(len(blocks), -1, channels, PATCH, PATCH)


def _gather(photos: list[np.ndarray], blocks: np.ndarray) -> Images:
    """The patches of some blocks of every photograph, labelled by photograph."""
    parts = [photo[blocks].reshape(-1, *photo.shape[2:]) for photo in photos]
    return Images(np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts]))


def _unknown(source: str, path: Path) -> InputError:
    """What to say of a source that is neither a known name nor a folder nor an array file."""
    if path.is_file():
        return InputError(
            f"{source} is a single file; expected a folder of images, a .parquet, .arrow, .npy or .npz file; give its folder"
        )
    known = f"known are {', '.join(SOURCES)}, a folder of images, a .parquet, .arrow, .npy or .npz file"
    if path.suffix or len(path.parts) > 1:
        return InputError(f"{source} does not exist; {known}; check the path")
    return InputError(f'there is no source "{source}"{nearest(source, SOURCES)}; {known}')
