"""Images in parquet and Arrow files, as the Hugging Face ``datasets`` library writes them.

A source is one file, or a folder of such files (shards): what ``to_parquet`` and ``save_to_disk`` leave, or a clone of a
data set from its hub.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.arrays import name_from
from lowerbound.errors import InputError
from lowerbound.packed import home, is_packed, open_packed
from lowerbound.packing import Arrangement, Skipped, gather, pack
from lowerbound.photo import Header, choose_shape, read_header
from lowerbound.progress import Progress, quiet
from lowerbound.shards import Columns, columns_of, count_rows, files_in, rows_of, shards
from lowerbound.splits import SEED, hold_out
from lowerbound.streams import Stream, decoded, in_threads

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lowerbound.images import ImageSet

__all__ = ["load_tables", "table_stream"]

TEST_SPLITS = ("test", "validation", "valid", "val", "dev")


def load_tables(
    path: Path,
    *,
    size: int | None = None,
    data_dir: Path | None = None,
    out: Path | None = None,
    progress: Progress = quiet,
) -> ImageSet:
    """Train and test images of a parquet or Arrow file, or of a folder of them.

    Files whose name, or whose folder's, begins with ``train`` and ``test`` (or ``validation``) are the split. Images are
    brought to one size by the rules for folders of image files, and stay on disk where they have no room in memory.

    Args:
        path: The file or the folder.
        size: Height and width to bring every image to; by default the most common size, its longer side at most 64.
        data_dir: Where the decoded images are kept if they have no room in memory.
        out: A ``.npy`` file to keep them in, however few they are.
        progress: Shown while headers and pixels are read.

    Raises:
        InputError: No column of images, none that can be read, or files that are no tables.

    Example:
        >>> import io, tempfile
        >>> import pyarrow, pyarrow.parquet
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> Image.new("L", (10, 8)).save(content := io.BytesIO(), "PNG")
        >>> file = Path(tempfile.mkdtemp()) / "grey.parquet"
        >>> rows = [{"bytes": content.getvalue(), "path": f"{n}.png"} for n in range(12)]
        >>> pyarrow.parquet.write_table(pyarrow.table({"image": rows, "label": [0, 1] * 6}), file)
        >>> images = load_tables(file)
        >>> images.image_shape, len(images.train), images.class_names
        ((1, 8, 10), 10, ('0', '1'))
    """
    found = shards(path)
    if not found:
        raise InputError(f"{path} holds no .parquet and no .arrow file; expected at least one; give another")
    parts, split = _split_files(path, found)
    files = [file for part in parts for file in part]
    columns = columns_of(files[0])
    name, stamp = name_from(path.resolve()), _stamp(path, files, size)
    place = home(name, stamp, data_dir) if out is None else out
    if is_packed(place, stamp):
        return replace(open_packed(place), source=str(path))
    counts = [count_rows(file) for file in files]
    headers, reasons = _headers(files, columns, sum(counts), progress)
    if not headers:
        why = f" ({reasons[0][1]})" if reasons else ""
        raise InputError(
            f"none of the {sum(counts):,} rows of {path} holds an image in its column {columns.image}{why}; expected the bytes "
            "of PNG, JPEG, GIF, BMP, TIFF, WebP or PPM files; give another"
        )
    shape, choices = choose_shape(headers, size)
    stream = replace(_stream(path, files, columns, shape), stamp=stamp)
    labels, class_names, labelling = _classes(stream.labels, columns)
    if labels is not None and len(labels) != stream.count:
        raise InputError(
            f"{path} has {len(labels):,} classes for {stream.count:,} images; the file is damaged; fetch it again"
        )
    first = sum(counts[: len(parts[0])]) if len(parts) > 1 else None

    def arrange(kept: np.ndarray, broken: Skipped) -> Arrangement:  # noqa: ARG001
        train, test, how = _split(path, kept, first, split)
        order = np.concatenate([train, test])
        return Arrangement(order, len(train), None if labels is None else labels[order], class_names, (how, *labelling))

    about = {"name": name, "choices": (*columns.choices, *choices), "skipped": (), "source": str(path)}
    return (gather if out is None else pack)(stream, arrange, about, place, progress)


def table_stream(path: Path, image_shape: tuple[int, int, int]) -> Stream:
    """The images of a parquet or Arrow file, or of a folder of them, brought to ``(C, H, W)``, decoded as they are asked for.

    Raises:
        InputError: No column of images, or files that are no tables.
    """
    files = shards(path)
    return _stream(path, files, columns_of(files[0]), image_shape)


# Files


def _split_files(path: Path, files: list[Path]) -> tuple[list[list[Path]], str]:
    """The files for training and those for testing, or all of them together; and how they were told apart."""

    def split_of(file: Path) -> str:
        parts = file.relative_to(path).parts if path.is_dir() else ()
        for part in reversed(parts):
            found = re.match(rf"(train|{'|'.join(TEST_SPLITS)})(?![a-z])", part.lower())
            if found:
                return found[1]
        return ""

    names = {file: split_of(file) for file in files}
    test = next((name for name in TEST_SPLITS if name in names.values()), None)
    if test is None or "train" not in names.values():
        return [files], ""
    parts = [[file for file in files if names[file] == name] for name in ("train", test)]
    left = len(files) - sum(map(len, parts))
    others = f"; {left} other files are left out" if left else ""
    return parts, f"train and test images are those of the files train and {test}{others}"


def _split(path: Path, kept: np.ndarray, first: int | None, how: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Positions of train and of test images, from which the latter begin where files tell, and how they were told apart."""
    if first is None:
        try:
            train, test = hold_out(len(kept))
        except InputError as wrong:
            raise InputError(f"{path}: {wrong}") from None
        drawn = f"{len(test):,} of {len(kept):,} images (one in six) are kept apart for testing"
        return kept[train], kept[test], f"{drawn}, drawn by a permutation with seed {SEED}"
    train, test = kept[kept < first], kept[kept >= first]
    if not len(train) or not len(test):
        raise InputError(
            f"{path} holds no readable image for {'testing' if len(train) else 'training'}; expected at least 1"
        )
    return train, test, how


def _stamp(path: Path, files: list[Path], size: int | None) -> str:
    """A hash of what files there are, of their sizes and times, and of the size asked for."""
    told = [f"tables {size}"]
    for file in files:
        status = file.stat()
        inside = file.relative_to(path) if path.is_dir() else file.name
        told.append(f"{inside} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(told).encode(errors="surrogateescape")).hexdigest()


def _classes(labels: np.ndarray | None, columns: Columns) -> tuple[np.ndarray | None, tuple[str, ...], tuple[str, ...]]:
    """Labels as integers from 0, the class names, and what was decided about them."""
    if labels is None:
        return None, (), ("the table has no column of classes",)
    missing = sum(label is None or (bool(columns.class_names) and label < 0) for label in labels)
    if missing:
        return None, (), (f"no image gets a label, as {missing:,} of {len(labels):,} rows have none",)
    if columns.class_names:
        return labels.astype(np.int64), columns.class_names, ()
    values, numbers = np.unique(np.array(labels.tolist()), return_inverse=True)
    return numbers.astype(np.int64), tuple(str(value) for value in values), ()


# Rows


def _stream(path: Path, files: list[Path], columns: Columns, shape: tuple[int, int, int]) -> Stream:
    """The images of some files, with their names and their classes as they stand in the table."""
    counts = [count_rows(file) for file in files]
    paths = [file.relative_to(path).as_posix() if path.is_dir() else file.name for file in files]
    begins = np.cumsum([0, *counts])

    def names(at: np.ndarray) -> list[str]:
        which = np.searchsorted(begins, at, side="right") - 1
        return [f"{paths[file]}:{place - begins[file]}" for file, place in zip(which, at, strict=True)]

    labels = None
    if columns.label is not None:
        rows = [value for file in files for batch in rows_of(file, columns.label) for value in batch.to_pylist()]
        whole = None not in rows and not any(isinstance(row, str) for row in rows)
        labels = np.array(rows) if whole else np.array(rows, dtype=object)

    def groups(start: int) -> Iterator[list[bytes | str]]:
        for file, begin, count in zip(files, begins, counts, strict=False):
            if begin + count > start:
                yield from files_in(rows_of(file, columns.image, max(0, start - int(begin))))

    return Stream(
        int(begins[-1]),
        shape,
        _stamp(path, files, None),
        lambda start: decoded(groups(start), start, shape),
        names,
        labels,
    )


def _headers(
    files: list[Path], columns: Columns, count: int, progress: Progress
) -> tuple[list[Header], list[tuple[int, str]]]:
    """The headers of all images that have one, and position and reason of the others."""

    def header(row: bytes | str) -> Header | str:
        try:
            return row if isinstance(row, str) else read_header(row)
        except InputError as wrong:
            return str(wrong)

    headers, reasons = [], []
    groups = (group for file in files for group in files_in(rows_of(file, columns.image)))
    with progress("reading headers", count) as advance:
        for found in in_threads(lambda group: [header(row) for row in group], groups):
            for each in found:
                if isinstance(each, Header):
                    headers.append(each)
                else:
                    reasons.append((len(headers) + len(reasons), each))
            advance(len(found), "")
    return headers, reasons
