"""Images packed in a memory-mapped array file, for sets that are larger than memory.

    faces.npy           uint8 [N, C, H, W] as NumPy writes it, the training images first, then the test images
    faces.npy.arrow     name and label of each, and what was chosen and skipped: an Arrow file

Both parts of the split are slices of the file, so neither is ever copied.
"""

from __future__ import annotations

import io
import json
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from lowerbound.downloads import data_folder
from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet

__all__ = ["KEY", "UNREADABLE", "Names", "array_header", "beside", "home", "is_packed", "open_packed", "packed_images"]

KEY = b"lowerbound"  # under which the schema of the table tells what else is known

UNREADABLE = (  # what np.load was seen to raise on broken files
    *(OSError, ValueError, EOFError, KeyError, TypeError, SyntaxError, MemoryError, RuntimeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),
)


def home(name: str, stamp: str, data_dir: Path | None = None) -> Path:
    """Where images of a stamp are packed when no file was named: in the folder of published data sets.

    Example:
        >>> home("faces", "0123456789abcdef0123", Path("data")).as_posix()
        'data/packed/faces-0123456789abcdef.npy'
    """
    return data_folder(data_dir) / "packed" / f"{name}-{stamp[:16]}.npy"


def is_packed(path: Path, stamp: str | None = None) -> bool:
    """Whether a file holds packed images, all of them; and those of a stamp, where one is given.

    Example:
        >>> is_packed(Path("nowhere.npy"))
        False
    """
    if not (path.is_file() and beside(path).is_file()):
        return False
    try:
        return stamp is None or _table(path)[1]["stamp"] == stamp
    except InputError:
        return False


def open_packed(path: Path) -> ImageSet:
    """The images of a packed file, on disk: train and test are slices of it.

    Raises:
        InputError: The file beside it belongs to another array, or cannot be read.
    """
    about = _table(path)[1]
    everything, train = packed_images(path), about["train"]
    return ImageSet(
        about["name"],
        everything[:train],
        everything[train:],
        tuple(about["class_names"]),
        tuple(about["choices"]),
        tuple((file, reason) for file, reason in about["skipped"]),
        about["source"],
    )


def packed_images(path: Path) -> Images:
    """All images of a packed file, on disk: the training images, then the test images, with their names and labels.

    Raises:
        InputError: The file beside it belongs to another array, or cannot be read.
    """
    table = _table(path)[0]
    try:
        pixels = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[1] not in (1, 3) or 0 in pixels.shape:
            raise ValueError(f"it holds {pixels.dtype} {list(pixels.shape)}")
    except UNREADABLE as wrong:
        raise InputError(f"{path} cannot be read as packed images ({wrong}); remove it to pack them again") from wrong
    if len(table) != len(pixels):
        raise InputError(
            f"{beside(path)} tells of {len(table):,} images and {path} holds {len(pixels):,}; remove the former if the latter "
            "was written anew"
        )
    labels = table["label"].to_numpy() if "label" in table.column_names else None
    return Images(pixels, labels, Names(table["name"]) if "name" in table.column_names else None)


class Names(Sequence[str]):
    """Names of images as an Arrow file holds them: read from the disk when they are asked for.

    Args:
        column: A ``pyarrow`` array of texts.

    Example:
        >>> import pyarrow
        >>> names = Names(pyarrow.chunked_array([["a.png", "b.png", "c.png"]]))
        >>> names[1], len(names[1:]), list(names[1:])
        ('b.png', 2, ['b.png', 'c.png'])
    """

    def __init__(self, column: Any) -> None:
        self.column = column

    def __len__(self) -> int:
        """Number of names."""
        return len(self.column)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Names: ...
    def __getitem__(self, index: int | slice) -> str | Names:
        """One name, or those of a slice, still on disk."""
        if isinstance(index, slice):
            return Names(self.column[index])
        return self.column[int(index)].as_py()


def array_header(shape: tuple[int, ...], kind: type[np.generic]) -> bytes:
    """What a ``.npy`` file begins with; of the same length for any number of rows.

    Example:
        >>> len(array_header((5, 1), np.uint8)) == len(array_header((5_000_000_000, 1), np.uint8)) == 128
        True
    """
    header = io.BytesIO()
    about = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    return header.getvalue()


# The table beside it


def _table(path: Path) -> tuple[Any, dict[str, Any]]:
    """The table beside a packed file, mapped, and what else it tells."""
    import pyarrow
    import pyarrow.ipc

    told = beside(path)
    try:
        table = pyarrow.ipc.open_file(pyarrow.memory_map(str(told))).read_all()
        about = json.loads((table.schema.metadata or {})[KEY])
        _hold_to_form(table, about)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, pyarrow.ArrowException) as wrong:
        why = " ".join(str(wrong).split())[:300] or type(wrong).__name__
        raise InputError(f"{told} is not as lowerbound wrote it ({why}); remove it") from wrong
    return table, about


def _hold_to_form(table: Any, about: Any) -> None:
    """Refuse a table in which an offset leads out of it, or that tells something else than ``packing`` writes."""
    from pyarrow import types

    if not isinstance(about, dict):
        raise ValueError("it tells nothing")
    texts = [about["name"], about["source"], about["stamp"], *about["class_names"], *about["choices"]]
    for file, reason in about["skipped"]:
        texts += [file, reason]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name in it is no text")
    if type(about["train"]) is not int or not 0 <= about["train"] <= len(table):
        raise ValueError(f"it has no {str(about['train'])[:40]} training images")
    kinds = {"place": types.is_integer, "name": types.is_string, "label": types.is_integer}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name not in kinds or not kinds[name](column.type):
            raise ValueError(f"its column {name[:40]} is {column.type}")
        column.validate(full=True)
    if "label" in table.column_names and len(table):
        labels = table["label"].to_numpy()
        if labels.min() < 0 or (about["class_names"] and labels.max() >= len(about["class_names"])):
            raise ValueError(f"its labels range over [{labels.min()}, {labels.max()}]")


def beside(path: Path, what: str = "") -> Path:
    """The table beside a packed file; or a hidden file beside it while it is made.

    Example:
        >>> beside(Path("faces.npy")).name, beside(Path("faces.npy"), "partial").name
        ('faces.npy.arrow', '.faces.npy.partial')
    """
    return path.with_name(f".{path.name}.{what}" if what else f"{path.name}.arrow")
