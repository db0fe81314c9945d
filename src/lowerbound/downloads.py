"""Where published data sets lie on this machine, and how they are brought there from their mirrors."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from lowerbound.errors import InputError
from lowerbound.images import ImageSet
from lowerbound.progress import Progress, quiet
from lowerbound.published import DATASETS, Dataset, File, published_bytes
from lowerbound.records import CIFAR_MEMBERS, read_published

if TYPE_CHECKING:
    from typing import BinaryIO

    from lowerbound.progress import Advance

__all__ = ["data_folder", "fetch_dataset", "load_dataset"]

TIMEOUT = 30  # seconds without a byte before the next mirror is tried
CHUNK = 2**16  # bytes received at a time


def data_folder(data_dir: Path | None = None) -> Path:
    """The folder where data sets lie: the one given, else the environment's LOWERBOUND_DATA, else the user's cache.

    Example:
        >>> data_folder(Path("data")).as_posix()
        'data'
    """
    import pooch

    return Path(data_dir or os.environ.get("LOWERBOUND_DATA") or pooch.os_cache("lowerbound")).expanduser()


def fetch_dataset(name: str, *, data_dir: Path | None = None, progress: Progress = quiet) -> list[Path]:
    """Files of a data set, downloaded where they are missing, and each checked to be the published one.

    Raises:
        InputError: A file that is not the published one, or no mirror that gives it.

    Example:
        >>> fetch_dataset("mnist", data_dir=Path("/nowhere"))  # doctest: +SKIP
        [PosixPath('/nowhere/mnist/train-images-idx3-ubyte.gz'), ...]
    """
    paths = _obtain(name, data_folder(data_dir), progress)
    read_published(name, paths, progress)
    return paths


def load_dataset(name: str, *, data_dir: Path | None = None, progress: Progress = quiet) -> ImageSet:
    """Train and test images of ``mnist``, ``fashion_mnist`` or ``cifar10``, downloaded where they are missing.

    Returns:
        Images uint8 ``[N, 1, 28, 28]``, or ``[N, 3, 32, 32]`` for CIFAR-10, with labels.

    Raises:
        InputError: A file that is not the published one, or no mirror that gives it.

    Example:
        >>> len(load_dataset("mnist").train)  # doctest: +SKIP
        60000
    """
    paths = _obtain(name, data_folder(data_dir), progress)
    train, test = read_published(name, paths, progress)
    choices = ("train and test images are as published",)
    return ImageSet(name, train, test, DATASETS[name].class_names, choices, source=name)


def _obtain(name: str, folder: Path, progress: Progress) -> list[Path]:
    """A path for each file of a data set, found in the folder or downloaded to it; not checked when found."""
    dataset = DATASETS[name]
    if name == "cifar10":
        unpacked = _find(folder, dataset, *(f"cifar-10-batches-bin/{member}" for member in CIFAR_MEMBERS))
        if unpacked:
            return unpacked
    paths = []
    for file in dataset.files:
        found = _find(folder, dataset, file.download) or _find(folder, dataset, file.name)
        paths += found or [_download(file, name, folder / dataset.folders[0], progress)]
    return paths


def _find(folder: Path, dataset: Dataset, *names: str) -> list[Path]:
    """Paths with all the names in one of the sub-folders where a data set may lie; none when one is missing."""
    for place in dataset.folders:
        paths = [folder / place / name for name in names]
        if all(path.is_file() for path in paths):
            return paths
    return []


def _download(file: File, name: str, folder: Path, progress: Progress) -> Path:
    """The file from the first mirror that gives the published bytes; it appears under its name only then."""
    import requests

    dataset = DATASETS[name]
    target = folder / file.download
    landing = folder / f".{file.download}.{os.getpid()}"
    failures = []
    for mirror in dataset.mirrors:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _receive(mirror + file.download, landing, file, progress)
            published_bytes(landing, file, name, by_hand=False)
            landing.replace(target)
        except (requests.RequestException, InputError) as wrong:
            failures.append(f"{mirror} ({_reason(wrong)})")
        except OSError as wrong:
            raise InputError(
                f"{target} cannot be written ({wrong.strerror}); expected a folder to keep data in; "
                "give another or set LOWERBOUND_DATA"
            ) from wrong
        else:
            return target
        finally:
            with contextlib.suppress(OSError):
                landing.unlink(missing_ok=True)
    missing = [each.download for each in dataset.files if not (folder / each.download).is_file()]
    raise InputError(
        f"{dataset.title} could not be downloaded from {' or '.join(failures)}; try again later, "
        f"or put by hand {', '.join(missing)} in {folder}"
    )


def _receive(url: str, landing: Path, file: File, progress: Progress) -> None:
    """Write what a mirror sends to a file, and stop one that sends too much."""
    import pooch

    with landing.open("wb") as stream, progress(f"downloading {file.download}", file.packed) as advance:
        metered = _Metered(stream, file.limit, advance)
        pooch.HTTPDownloader(chunk_size=CHUNK, timeout=TIMEOUT, headers={"Accept-Encoding": "identity"})(
            url, metered, None
        )


class _Metered:
    """A file open for writing that tells its progress and takes only so many bytes."""

    def __init__(self, stream: BinaryIO, limit: int, advance: Advance) -> None:
        self.stream, self.room, self.advance = stream, limit, advance

    def write(self, chunk: bytes) -> None:
        self.room -= len(chunk)
        if self.room < 0:
            raise InputError("sent more bytes than the file has")
        self.stream.write(chunk)
        self.advance(len(chunk), "")

    def flush(self) -> None:
        """Leave it to the end."""


def _reason(wrong: Exception) -> str:
    """Why a mirror failed, in few words."""
    import requests

    if isinstance(wrong, requests.HTTPError) and wrong.response is not None:
        return f"answered {wrong.response.status_code}"
    if isinstance(wrong, requests.Timeout):
        return f"no answer in {TIMEOUT} s"
    if isinstance(wrong, requests.exceptions.ChunkedEncodingError):
        return "broke off"
    if isinstance(wrong, requests.ConnectionError):
        return "no connection"
    return str(wrong)
