"""MNIST, Fashion-MNIST and CIFAR-10 as published: their files, hashes and mirrors, and whether bytes are theirs.

Hashes are of the unpacked bytes where they are known, so that any mirror and any compression will do.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowerbound.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DATASETS", "Dataset", "File", "published_bytes", "read_bytes", "spoiled"]

SLACK = 2**16  # bytes a packed file may be larger than expected: some mirror packed it anew
GZIP_MARK = b"\x1f\x8b"


@dataclass(frozen=True)
class File:
    """One file of a data set: its unpacked name and size, its size on a mirror, and the hashes that are known."""

    name: str
    size: int
    packed: int
    sha256: str = ""  # of the unpacked bytes
    md5: str = ""  # of the file as published

    @property
    def limit(self) -> int:
        """More bytes than any honest form of the file has."""
        return max(self.size, self.packed) + SLACK

    @property
    def download(self) -> str:
        """The name on a mirror."""
        return self.name if self.name.endswith(".gz") else self.name + ".gz"


@dataclass(frozen=True)
class Dataset:
    """The files of a data set, who offers them, and the sub-folders of a data folder where they may lie."""

    title: str
    mirrors: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[File, ...]
    class_names: tuple[str, ...]


DATASETS = {
    "mnist": Dataset(
        "MNIST",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        ("mnist", "MNIST/raw", ""),
        (
            File(
                "train-images-idx3-ubyte",
                47_040_016,
                9_912_422,
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            ),
            File(
                "train-labels-idx1-ubyte",
                60_008,
                28_881,
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "d53e105ee54ea40749a09fcbcd1e9432",
            ),
            File(
                "t10k-images-idx3-ubyte",
                7_840_016,
                1_648_877,
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "9fb629c4189551a2d022fa330f9573f3",
            ),
            File(
                "t10k-labels-idx1-ubyte",
                10_008,
                4_542,
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        tuple("0123456789"),
    ),
    "fashion_mnist": Dataset(
        "Fashion-MNIST",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        ("fashion_mnist", "FashionMNIST/raw", ""),
        (  # nobody published hashes of the unpacked bytes
            File("train-images-idx3-ubyte", 47_040_016, 26_421_880, md5="8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            File("train-labels-idx1-ubyte", 60_008, 29_515, md5="25c81989df183df01b3e8a0aad5dffbe"),
            File("t10k-images-idx3-ubyte", 7_840_016, 4_422_102, md5="bef4ecab320f06d8554ea6380940ec79"),
            File("t10k-labels-idx1-ubyte", 10_008, 5_148, md5="bb300cfdad3c16e7a12a480ee83cd310"),
        ),
        ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "cifar10": Dataset(
        "CIFAR-10",
        ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
        ("cifar10", ""),
        (  # this one stays packed
            File(
                "cifar-10-binary.tar.gz",
                170_052_171,
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                "c32a1d4ab5d03f1284b67883e8d87530",
            ),
        ),
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    ),
}


def published_bytes(path: Path, file: File, name: str, *, by_hand: bool = True) -> bytes:
    """The unpacked bytes of a file, once they are known to be the published ones.

    Args:
        path: Where the file is, packed or not.
        file: Which file of the table it should be.
        name: Name of its data set.
        by_hand: Whether a file of which only the packed bytes were published is believed unpacked, by its size.

    Raises:
        InputError: Bytes that are broken, too many, or another file's; the message starts where a path should stand.

    Example:
        >>> from pathlib import Path
        >>> published_bytes(Path(__file__), DATASETS["mnist"].files[1], "mnist")
        Traceback (most recent call last):
        lowerbound.errors.InputError: holds ... bytes unpacked; expected 60,008
    """
    raw = read_bytes(path, file.limit)
    data = _gunzip(raw, file.size) if raw.startswith(GZIP_MARK) and file.name != file.download else raw
    _check(raw, data, file, name)
    if not by_hand and not file.sha256 and raw is data:
        raise InputError("is unpacked, and its unpacked bytes have no published hash")
    return data


def read_bytes(path: Path, limit: int) -> bytes:
    """All bytes of a file that may hold only so many.

    Raises:
        InputError: A file that is larger or cannot be read; the message starts where a path should stand.

    Example:
        >>> from pathlib import Path
        >>> read_bytes(Path(__file__), 10)
        Traceback (most recent call last):
        lowerbound.errors.InputError: holds ... bytes; expected at most 10
    """
    try:
        size = path.stat().st_size
        if size > limit:
            raise InputError(f"holds {size:,} bytes; expected at most {limit:,}")
        return path.read_bytes()
    except OSError as wrong:
        raise InputError(f"cannot be read ({wrong.strerror})") from wrong


def _gunzip(raw: bytes, size: int) -> bytes:
    """Unpacked bytes, never more than the size known beforehand: a small file may claim to be terabytes."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(raw)) as stream:
            data = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as wrong:
        raise InputError(f"is a broken gzip file of {len(raw):,} bytes ({wrong})") from wrong
    if len(data) > size:
        raise InputError(f"unpacks to more than the {size:,} bytes expected")
    return data


def _check(raw: bytes, data: bytes, file: File, name: str) -> None:
    """Hold bytes, as found and unpacked, to what is published for a file; say whose they are when not its own."""
    hashes = {hashlib.sha256(data).hexdigest(), hashlib.md5(raw, usedforsecurity=False).hexdigest()}
    for dataset in DATASETS.values():
        for other in dataset.files:
            if hashes & {other.sha256, other.md5} and other != file:
                raise InputError(f"is {dataset.title}'s {other.name}; expected {DATASETS[name].title}'s {file.name}")
    if len(data) != file.size:
        raise InputError(f"holds {len(data):,} bytes unpacked; expected {file.size:,}")
    uncheckable = not file.sha256 and raw is data  # unpacked by someone: its size and structure must do
    if not uncheckable and not hashes & {file.sha256, file.md5}:
        raise InputError("differs from the published file of the same size")


def spoiled(path: Path, why: object, name: str) -> InputError:
    """The error that says what is wrong with a file of a data set, and how to get a good one.

    Example:
        >>> from pathlib import Path
        >>> print(spoiled(Path("train.gz"), "is empty", "mnist"))
        train.gz is empty; delete or move it, then run `lowerbound data get mnist`
    """
    return InputError(f"{path} {why}; delete or move it, then run `lowerbound data get {name}`")
