"""A folder of image files of any sizes, brought to one size and one number of channels.

Files are read twice: first their headers, which settle the size and the channels of all; then their pixels, each
written straight to its place in one array.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from lowerbound.arrays import name_from
from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.photo import ENDINGS, Header, read_header, read_pixels
from lowerbound.progress import Progress, quiet
from lowerbound.splits import SEED, hold_out

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

__all__ = ["load_folder", "read_files"]

LONGEST_SIDE = 64  # of a size chosen for the user: what these models learn in minutes
BLOCK = 64  # files handed to a thread at a time

TEST_FOLDERS = ("test", "val", "valid")

Item = TypeVar("Item")
Result = TypeVar("Result")


def load_folder(folder: Path, *, size: int | None = None, progress: Progress = quiet) -> ImageSet:
    """Train and test images of a folder: sub-folders are classes, ``train`` and ``test`` folders are the split.

    Args:
        folder: Where the files lie, at any depth; hidden files are left out.
        size: Height and width to bring every image to; by default the most common size, its longer side at most 64.
        progress: Shown while headers and pixels are read.

    Returns:
        Images uint8 ``[N, C, H, W]`` in the order of their paths; ``C`` is 3 where any file is in colour, else 1.

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
    found, others = _listing(folder)
    split_folders = _split_folders(folder)
    files = [file for file in found if split_folders is None or file.partition("/")[0] in split_folders]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of odd files; what matters is said in choices and skipped
        headers, unread = _headers(folder, files, progress)
        if not headers:
            raise _nothing(folder, len(files), others, unread)
        shape, choices = _choose_shape(headers.values(), size)
        everything, undecoded = _pixels(folder, list(headers), shape, progress)
    if not len(everything):
        raise _nothing(folder, len(files), others, unread + undecoded)
    if len(files) < len(found):
        choices += (f"images that lie in neither are left out: {len(found) - len(files):,}",)
    if others:
        choices += (f"{_kinds(others)} of other kinds left out",)
    everything, class_names, labelling = _label(everything, depth=1 if split_folders else 0)
    train, test, split = _split(folder, everything, split_folders)
    return ImageSet(
        name_from(folder.resolve()),
        train,
        test,
        class_names,
        choices=(split, *labelling, *choices),
        skipped=tuple(sorted(unread + undecoded)),
        source=str(folder),
    )


def read_files(
    path: Path, image_shape: tuple[int, int, int], *, progress: Progress = quiet
) -> tuple[Images, tuple[tuple[str, str], ...]]:
    """Images of a folder, or of one image file, brought to ``(C, H, W)``; and ``(file, reason)`` of those skipped.

    Raises:
        InputError: No readable image.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "photo.png"
        >>> Image.new("RGB", (40, 30)).save(file)
        >>> images, skipped = read_files(file, (1, 28, 28))
        >>> images.pixels.shape, images.names, skipped
        ((1, 1, 28, 28), ('photo.png',), ())
    """
    folder = path if path.is_dir() else path.parent
    files, others = _listing(path) if path.is_dir() else ([path.name], [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        headers, unread = _headers(folder, files, progress)
        images, undecoded = _pixels(folder, list(headers), image_shape, progress)
    if not len(images):
        raise _nothing(path, len(files), others, unread + undecoded)
    return images, tuple(sorted(unread + undecoded))


# Finding files


def _listing(folder: Path) -> tuple[list[str], list[str]]:
    """Image files below the folder, and other files, as sorted relative paths. Hidden ones are left out.

    Links to folders are followed, each real folder once, so that a loop of links ends.
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

    def header(file: str) -> Header | str:
        try:
            return read_header(folder / file)
        except InputError as wrong:
            return str(wrong)

    headers, skipped = {}, []
    for file, found in zip(files, _in_threads("reading headers", header, files, progress), strict=True):
        if isinstance(found, Header):
            headers[file] = found
        else:
            skipped.append((file, found))
    return headers, skipped


def _choose_shape(headers: Collection[Header], size: int | None) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Channels, height, width for all, and how they were chosen."""
    coloured = sum(header.colour for header in headers)
    some = "all" if coloured == len(headers) else f"{coloured:,} of {len(headers):,}"
    channels = 3 if coloured else 1
    colours = f"{channels} channels: {some} files are in colour" if coloured else "1 channel: no file is in colour"
    sizes = Counter((header.height, header.width) for header in headers)
    if size is not None:
        height = width = size
        chosen = f"{size} x {size} pixels, as asked"
    else:
        (height, width), count = min(sizes.items(), key=lambda item: (-item[1], item[0]))
        common = "all" if count == len(headers) else f"most common: {count:,} of {len(headers):,}"
        chosen = f"{width} x {height} pixels (width x height), the size of {common} files"
        longest = max(height, width)
        if longest > LONGEST_SIDE:
            height, width = (max(1, round(side * LONGEST_SIDE / longest)) for side in (height, width))
            chosen += f", made smaller to {width} x {height}; give --size to choose"
    choices = (chosen, colours)
    resized = len(headers) - sizes[height, width]
    if resized:
        choices += (
            f"{resized:,} of {len(headers):,} images are scaled to cover {width} x {height} and cropped at the centre",
        )
    return (channels, height, width), choices


# The second pass: pixels


def _pixels(
    folder: Path, files: list[str], shape: tuple[int, int, int], progress: Progress
) -> tuple[Images, list[tuple[str, str]]]:
    """Every image at the given shape, and ``(file, reason)`` of those that broke while decoding."""
    pixels = np.empty((len(files), *shape), np.uint8)

    def decode(index: int) -> str | None:
        try:
            pixels[index] = read_pixels(folder / files[index], shape)
        except InputError as wrong:
            return str(wrong)
        return None

    places = list(range(len(files)))
    reasons = list(_in_threads("reading images", decode, places, progress))
    skipped = [(file, why) for file, why in zip(files, reasons, strict=True) if why is not None]
    kept = [place for place in places if reasons[place] is None]
    if skipped:
        pixels = pixels[kept]
    return Images(pixels, names=tuple(files[place] for place in kept)), skipped


# Labels and split


def _label(images: Images, depth: int) -> tuple[Images, tuple[str, ...], tuple[str, ...]]:
    """The images with the folder at a depth as their class, the class names, and what was decided about them."""
    names = images.names or ()
    parents = [name.split("/")[depth:-1] for name in names]
    outside = sum(not folders for folders in parents)
    if outside == len(parents):
        return images, (), ("the images lie in no class folders: they have no labels",)
    if outside:
        return images, (), (f"no image gets a label, as {outside:,} of {len(parents):,} lie outside the class folders",)
    classes, labels = np.unique([folders[0] for folders in parents], return_inverse=True)
    class_names = tuple(str(name) for name in classes)
    found = "1 folder is the class" if len(class_names) == 1 else f"{len(class_names):,} folders are the classes"
    return Images(images.pixels, labels.astype(np.int64), names), class_names, (f"{found} of the images in it",)


def _split(folder: Path, images: Images, split_folders: tuple[str, str] | None) -> tuple[Images, Images, str]:
    """Train images, test images, and how they were told apart."""
    if split_folders is None:
        try:
            train, test = hold_out(len(images))
        except InputError as wrong:
            raise InputError(f"{folder}: {wrong}") from None
        drawn = f"{len(test):,} of {len(images):,} images (one in six) are kept apart for testing"
        return images[train], images[test], f"{drawn}, drawn by a permutation with seed {SEED}"
    top = np.array([name.partition("/")[0] for name in images.names or ()])
    train, test = (np.flatnonzero(top == name) for name in split_folders)
    for name, part in zip(split_folders, (train, test), strict=True):
        if not len(part):
            raise InputError(f"{folder / name} holds no readable image; expected at least 1; add some or rename it")
    return images[train], images[test], f"train and test images are those of the folders {' and '.join(split_folders)}"


# Threads


def _in_threads(task: str, work: Callable[[Item], Result], items: list[Item], progress: Progress) -> Iterator[Result]:
    """The result of each item's work, in order; decoding frees the interpreter's lock, so threads do help."""
    blocks = [items[start : start + BLOCK] for start in range(0, len(items), BLOCK)]

    def work_on(block: Iterable[Item]) -> list[Result]:
        return [work(item) for item in block]

    with progress(task, len(items)) as advance, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for results in pool.map(work_on, blocks):
            advance(len(results), "")
            yield from results
