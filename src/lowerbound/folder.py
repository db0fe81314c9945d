"""A folder of image files of any sizes, brought to one size and one number of channels.

Files are read twice: first their headers, which settle the size and the channels of all; then their pixels, each
written straight to its place in one array, which lies in memory where it has room there, else on disk.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.arrays import name_from
from lowerbound.errors import InputError
from lowerbound.images import ImageSet
from lowerbound.packed import home, is_packed, open_packed
from lowerbound.packing import Arrangement, Skipped, gather, pack
from lowerbound.photo import ENDINGS, Header, choose_shape, read_header
from lowerbound.progress import Progress, quiet
from lowerbound.splits import SEED, hold_out
from lowerbound.streams import DECODED, Stream, decoded, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["folder_stream", "listing", "load_folder"]

TEST_FOLDERS = ("test", "val", "valid")


def load_folder(
    folder: Path,
    *,
    size: int | None = None,
    data_dir: Path | None = None,
    out: Path | None = None,
    progress: Progress = quiet,
) -> ImageSet:
    """Train and test images of a folder: sub-folders are classes, ``train`` and ``test`` folders are the split.

    Args:
        folder: Where the files lie, at any depth; hidden files are left out.
        size: Height and width to bring every image to; by default the most common size, its longer side at most 64.
        data_dir: Where the decoded images are kept if they have no room in memory, as ``downloads.data_folder`` has it.
        out: A ``.npy`` file to keep them in, however few they are.
        progress: Shown while headers and pixels are read.

    Returns:
        Images uint8 ``[N, C, H, W]`` in the order of their paths; ``C`` is 3 where any file is in colour, else 1. They are
        memory-mapped where they have no room in memory, and when such a file was made before.

    Raises:
        InputError: No readable image, or fewer than two without folders ``train`` and ``test``.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (folder / name).mkdir()
        ...     for number in range(6):
        ...         Image.new("L", (20, 10)).save(folder / name / f"{number}.png")
        >>> images = load_folder(folder)
        >>> images.image_shape, images.class_names, len(images.train), len(images.test)
        ((1, 10, 20), ('cat', 'dog'), 10, 2)
    """
    found, others = listing(folder)
    split_folders = _split_folders(folder)
    files = [file for file in found if split_folders is None or file.partition("/")[0] in split_folders]
    name = name_from(folder.resolve())
    stamp = _stamp(folder, files, size)
    place = home(name, stamp, data_dir) if out is None else out
    if is_packed(place, stamp):
        return replace(open_packed(place), source=str(folder))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", module="PIL"
        )  # it warns of odd files; what matters is said in choices and skipped
        headers, unread = _headers(folder, files, progress)
    if not headers:
        raise _nothing(folder, len(files), others, unread)
    shape, choices = choose_shape(headers.values(), size)
    if len(files) < len(found):
        choices += (f"images that lie in neither are left out: {len(found) - len(files):,}",)
    if others:
        choices += (f"{_kinds(others)} of other kinds left out",)
    readable = list(headers)

    def arrange(kept: np.ndarray, broken: Skipped) -> Arrangement:
        if not len(kept):
            undecoded = [(readable[place], reason) for place, reason in broken]
            raise _nothing(folder, len(files), others, unread + undecoded)
        return _arrange(folder, readable, kept, split_folders)

    stream = _stream(folder, readable, shape, stamp)
    about = {"name": name, "choices": choices, "skipped": tuple(unread), "source": str(folder)}
    return (gather if out is None else pack)(stream, arrange, about, place, progress)


def folder_stream(path: Path, image_shape: tuple[int, int, int]) -> Stream:
    """The images of a folder, or of one image file, brought to ``(C, H, W)``, decoded as they are asked for.

    Raises:
        InputError: No image file there.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "photo.png"
        >>> Image.new("RGB", (40, 30)).save(file)
        >>> stream = folder_stream(file, (1, 28, 28))
        >>> [block.pixels.shape for block in stream.blocks(0)], stream.names(np.arange(1))
        ([(1, 1, 28, 28)], ['photo.png'])
    """
    folder = path if path.is_dir() else path.parent
    files, others = listing(path) if path.is_dir() else ([path.name], [])
    if not files:
        raise _nothing(path, 0, others, [])
    return _stream(folder, files, image_shape, _stamp(folder, files, None))


def _stream(folder: Path, files: list[str], shape: tuple[int, int, int], stamp: str) -> Stream:
    """The images of some files."""

    def groups(start: int) -> Iterator[list[Path | bytes | str]]:
        for first in range(start, len(files), DECODED):
            yield [folder / file for file in files[first : first + DECODED]]

    return Stream(
        len(files),
        shape,
        stamp,
        lambda start: decoded(groups(start), start, shape),
        lambda at: [files[place] for place in at],
    )


def _stamp(folder: Path, files: list[str], size: int | None) -> str:
    """A hash of what files there are, of their sizes and times, and of the size asked for."""
    digest = hashlib.sha256(f"folder {size}".encode())
    for file in files:
        try:
            status = os.stat(folder / file)  # noqa: PTH116
            digest.update(f"{file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
        except OSError as wrong:
            digest.update(f"{file}\0{wrong.errno}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


# Finding files


def listing(folder: Path) -> tuple[list[str], list[str]]:
    """Image files below the folder, and other files, as sorted relative paths. Hidden ones are left out.

    Links to folders are followed, each real folder once, so that a loop of links ends.

    Example:
        >>> listing(Path(__file__).parent / "fonts")[0]
        []
    """
    images, others = [], []
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place).relative_to(folder).as_posix()
        prefix = "" if here == "." else here + "/"
        for name in files:
            if not name.startswith("."):
                (images if _ending(name) in ENDINGS else others).append(prefix + name)
    return sorted(images), sorted(others)


def _ending(file: str) -> str:
    """The part of a file's name that tells its kind."""
    return os.path.splitext(file)[1].lower()  # noqa: PTH122  (a Path for each of a million names takes seconds)


def _kinds(others: list[str]) -> str:
    """How many files are of which kinds, most frequent first: ``5 files (.txt, .csv)``."""
    endings = [ending or "without ending" for ending, _ in Counter(map(_ending, others)).most_common(4)]
    return f"{len(others):,} {'file' if len(others) == 1 else 'files'} ({', '.join(endings)})"


def _split_folders(folder: Path) -> tuple[str, str] | None:
    """The names of the top folders that hold train and test images, where there are two such."""
    names = {item.name.lower(): item.name for item in folder.iterdir() if item.is_dir()}
    test = next((names[name] for name in TEST_FOLDERS if name in names), None)
    return (names["train"], test) if "train" in names and test else None


def _nothing(path: Path, images: int, others: list[str], skipped: list[tuple[str, str]]) -> InputError:
    expected = "expected PNG, JPEG, GIF, BMP, TIFF, WebP or PPM"
    if not skipped:
        found = f"{_kinds(others)} and no image" if others else "no files"
        return InputError(f"{path} holds {found}; {expected} images, in sub-folders or not; give another folder")
    file, reason = skipped[0]
    if images == 1 and path.name == file:
        return InputError(f"{path} cannot be read ({reason}); {expected}; give another file")
    return InputError(
        f"none of the {images:,} image files in {path} can be read ({file}: {reason}); {expected}; give another folder"
    )


# The first pass: headers


def _headers(folder: Path, files: list[str], progress: Progress) -> tuple[dict[str, Header], list[tuple[str, str]]]:
    """The header of each file by its name, and ``(file, reason)`` of those that have none."""

    def work(group: list[str]) -> list[Header | str]:
        return [_header(folder / file) for file in group]

    headers, skipped = {}, []
    groups = [files[first : first + DECODED] for first in range(0, len(files), DECODED)]
    with progress("reading headers", len(files)) as advance:
        for group, found in zip(groups, in_threads(work, groups), strict=True):
            for file, header in zip(group, found, strict=True):
                if isinstance(header, Header):
                    headers[file] = header
                else:
                    skipped.append((file, header))
            advance(len(group), "")
    return headers, skipped


def _header(file: Path) -> Header | str:
    """The header of a file, or why it has none."""
    try:
        return read_header(file)
    except InputError as wrong:
        return str(wrong)


# Labels and split


def _arrange(folder: Path, files: list[str], kept: np.ndarray, split_folders: tuple[str, str] | None) -> Arrangement:
    """The files that can be read, in order: those for training, those for testing; the folders they lie in are classes."""
    names = [files[place] for place in kept]
    labels, class_names, labelling = _label(names, depth=1 if split_folders else 0)
    train, test, split = _split(folder, names, split_folders)
    order = np.concatenate([train, test])
    labels = None if labels is None else labels[order]
    return Arrangement(kept[order], len(train), labels, class_names, (split, *labelling))


def _label(names: list[str], depth: int) -> tuple[np.ndarray | None, tuple[str, ...], tuple[str, ...]]:
    """The folder at a depth as the class of each image, the class names, and what was decided about them."""
    parents = [name.split("/")[depth:-1] for name in names]
    outside = sum(not folders for folders in parents)
    if outside == len(parents):
        return None, (), ("the images lie in no class folders: they have no labels",)
    if outside:
        return None, (), (f"no image gets a label, as {outside:,} of {len(parents):,} lie outside the class folders",)
    classes, labels = np.unique([folders[0] for folders in parents], return_inverse=True)
    class_names = tuple(str(name) for name in classes)
    found = "1 folder is the class" if len(class_names) == 1 else f"{len(class_names):,} folders are the classes"
    return labels.astype(np.int64), class_names, (f"{found} of the images in it",)


def _split(folder: Path, names: list[str], split_folders: tuple[str, str] | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Which are train images, which test images, and how they were told apart."""
    if split_folders is None:
        try:
            train, test = hold_out(len(names))
        except InputError as wrong:
            raise InputError(f"{folder}: {wrong}") from None
        drawn = f"{len(test):,} of {len(names):,} images (one in six) are kept apart for testing"
        return train, test, f"{drawn}, drawn by a permutation with seed {SEED}"
    top = np.array([name.partition("/")[0] for name in names])
    train, test = (np.flatnonzero(top == name) for name in split_folders)
    for name, part in zip(split_folders, (train, test), strict=True):
        if not len(part):
            raise InputError(f"{folder / name} holds no readable image; expected at least 1; add some or rename it")
    return train, test, f"train and test images are those of the folders {' and '.join(split_folders)}"
