"""Images from NumPy files: ``.npy`` with one array, ``.npz`` with images, labels and perhaps a split of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from lowerbound.errors import InputError
from lowerbound.images import Images, ImageSet
from lowerbound.naming import fitting
from lowerbound.packed import UNREADABLE, is_packed, open_packed, packed_images
from lowerbound.packing import SHARE, room
from lowerbound.progress import Progress, quiet
from lowerbound.splits import SEED, hold_out
from lowerbound.streams import Block, Stream, stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["array_stream", "load_arrays", "name_from", "read_arrays", "to_pixels"]

ZIP_MARK = b"PK"  # with which a .npz starts
BLOCK = 2**22  # pixels looked at in one step
ON_DISK = 2**31  # bytes; a larger .npy stays on disk, where only a slice of it can be taken

IMAGES = ("images", "x", "data", "pixels", "arr_0")
LABELS = ("labels", "y", "targets")
TRAIN_IMAGES, TRAIN_LABELS = ("x_train", "train_images"), ("y_train", "train_labels")
TEST_IMAGES, TEST_LABELS = ("x_test", "test_images"), ("y_test", "test_labels")


def load_arrays(path: Path, *, progress: Progress = quiet) -> ImageSet:
    """Train and test images of one ``.npy`` or ``.npz`` file.

    A ``.npy`` file holds the images; a ``.npz`` file holds ``images`` (and ``labels``), or ``x_train`` and ``x_test``
    (and ``y_train`` and ``y_test``). Without a split of its own, one image in six is kept apart as the test set. A ``.npy``
    of more than 2 GB stays on disk, and one that was packed here has the split it was packed with.

    Raises:
        InputError: A file NumPy cannot read, unknown keys, or arrays that are not images.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "noise.npy"
        >>> np.save(file, np.random.default_rng(0).random((12, 8, 8)))
        >>> images = load_arrays(file)
        >>> images.name, len(images.train), len(images.test), images.image_shape
        ('noise', 10, 2, (1, 8, 8))
    """
    if is_packed(path):
        return open_packed(path)
    arrays = _open(path)
    train = _pick(arrays, TRAIN_IMAGES)
    test = _pick(arrays, TEST_IMAGES)
    if train is None or test is None:
        return _split_here(path, arrays, progress)
    pixels, choice = to_pixels(train, path, progress)
    test_pixels, test_choice = to_pixels(test, path, progress)
    (labels, test_labels), class_names = _classes(path, _pick(arrays, TRAIN_LABELS), _pick(arrays, TEST_LABELS))
    return ImageSet(
        name_from(path),
        Images(pixels, labels),
        Images(test_pixels, test_labels),
        class_names,
        choices=("train and test images are as split in the file", *dict.fromkeys(choice + test_choice)),
        source=str(path),
    )


def read_arrays(path: Path, image_shape: tuple[int, int, int], *, progress: Progress = quiet) -> Images:
    """All images of an array file, for a model of images ``(C, H, W)``: the file must hold just that size.

    Raises:
        InputError: A file NumPy cannot read, arrays that are not images, or images of another size.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "blank.npy"
        >>> np.save(file, np.zeros((3, 8, 8), bool))
        >>> read_arrays(file, (1, 8, 8)).image_shape
        (1, 8, 8)
        >>> read_arrays(file, (1, 28, 28))
        Traceback (most recent call last):
        lowerbound.errors.InputError: ...images are (1, 8, 8); expected (1, 28, 28), as the model learned from
    """
    if is_packed(path):
        images = packed_images(path)
        _check_shape(path, images.image_shape, image_shape)
        return images
    arrays = _open(path)
    found = (_pick(arrays, IMAGES), _pick(arrays, TRAIN_IMAGES), _pick(arrays, TEST_IMAGES))
    parts = [to_pixels(array, path, progress)[0] for array in found if array is not None]
    if not parts:
        raise _unknown_keys(path, arrays)
    for pixels in parts:
        _check_shape(path, pixels.shape[1:], image_shape)
    return Images(parts[0] if len(parts) == 1 else np.concatenate(parts))


def array_stream(path: Path, image_shape: tuple[int, int, int], *, progress: Progress = quiet) -> Stream:
    """The images of an array file, a block at a time; a ``.npy`` is never read whole, whatever its type.

    Raises:
        InputError: As for ``read_arrays``.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> file = Path(tempfile.mkdtemp()) / "grey.npy"
        >>> np.save(file, np.full((3, 8, 8), 0.2))
        >>> [int(block.pixels.max()) for block in array_stream(file, (1, 8, 8)).blocks(0)]
        [51]
    """
    status = path.stat()
    stamp = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {image_shape}"
    array = _open(path).get("images") if path.suffix.lower() == ".npy" else None
    if array is None or array.dtype == np.uint8:  # in memory already, or on disk as it is
        return stream_of(read_arrays(path, image_shape, progress=progress), stamp)
    stack = _channels_first(array, path)[0]
    _check_shape(path, stack.shape[1:], image_shape)
    step = max(1, BLOCK // stack[0].size)

    def blocks(start: int) -> Iterator[Block]:
        for first in range(start, len(stack), step):
            pixels = to_pixels(stack[first : first + step], path)[0]
            yield Block(pixels, np.arange(first, first + len(pixels)), first + len(pixels))

    return Stream(len(stack), image_shape, stamp, blocks)


def to_pixels(array: np.ndarray, path: Path | str, progress: Progress = quiet) -> tuple[np.ndarray, tuple[str, ...]]:
    """Pixels uint8 ``[N, C, H, W]`` of an array of images, and the choices made on the way.

    The axes are ``[N, H, W]``, ``[N, C, H, W]`` or ``[N, H, W, C]`` with 1 or 3 channels. Pixels are uint8 (kept as
    they are, not copied), bool (0 or 255), or floats in [0, 1] (rounded to the nearest of 256 levels).

    Raises:
        InputError: Another number of axes, axes that could be read in two ways, another type or range, NaN or infinity.

    Example:
        >>> pixels, choices = to_pixels(np.full((2, 5, 5, 3), 0.5), "photos.npy")
        >>> pixels.shape, int(pixels[0, 0, 0, 0])
        ((2, 3, 5, 5), 128)
        >>> choices
        ('the last axis is read as the channels', 'float pixels v in [0, 1] are stored as round(255 v)')
    """
    stack, axes = _channels_first(array, path)
    if stack.dtype == np.uint8:
        return stack, axes
    if stack.dtype == bool:
        return stack * np.uint8(255), (*axes, "false and true are stored as 0 and 255")
    _check_range(array, path)
    pixels = np.empty(stack.shape, np.uint8)
    with progress("rounding pixels", len(stack)) as advance:
        for part in _blocks(stack):
            pixels[part] = np.rint(np.multiply(stack[part], 255, dtype=np.float64))
            advance(len(pixels[part]), "")
    return pixels, (*axes, "float pixels v in [0, 1] are stored as round(255 v)")


def name_from(path: Path) -> str:
    """A name fit for a folder, from the last part of a path.

    Example:
        >>> from pathlib import Path
        >>> name_from(Path("data/my photos (2).npy"))
        'my-photos-2'
    """
    stem = path.stem if path.suffix in {".npy", ".npz"} else path.name
    return fitting(re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "images")


def _check_shape(path: Path, found: tuple[int, ...], expected: tuple[int, int, int]) -> None:
    """Refuse images of another size than a model's."""
    if found != tuple(expected):
        raise InputError(
            f"{path}: images are {found}; expected {tuple(expected)}, as the model learned from; "
            "resize them, or give a folder of image files, which are resized here"
        )


def _open(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of a file by key; the only array of a ``.npy`` is called ``images`` and stays on disk until used."""
    wanted = {*IMAGES, *LABELS, *TRAIN_IMAGES, *TRAIN_LABELS, *TEST_IMAGES, *TEST_LABELS}
    try:
        with path.open("rb") as stream:
            if stream.read(2) != ZIP_MARK:
                return {"images": np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))}
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as archive:  # keys that are not wanted are named, never read
                keys = {key: key.lower() in wanted for key in archive.files}
                _check_room(path, [archive.zip.NameToInfo.get(f"{key}.npy") for key, read in keys.items() if read])
                arrays = {key.lower(): archive[key] if read else np.empty(0) for key, read in keys.items()}
                if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                    raise ValueError("a part of it is no array")
                return arrays
    except InputError:
        raise
    except UNREADABLE as wrong:
        raise _unreadable(path, wrong) from wrong


def _check_room(path: Path, members: list[Any]) -> None:
    """Refuse an archive that would unpack to more than there is memory; its members are never read beyond what they tell."""
    size, free = sum(member.file_size for member in members if member is not None), SHARE * room()
    if size > free:
        raise InputError(
            f"{path} unpacks to {size / 1e9:,.1f} GB, more than the {free / 1e9:,.1f} GB of memory that are free; save it as "
            ".npy, which stays on disk"
        )


def _unreadable(path: Path, wrong: Exception) -> InputError:
    if "Object arrays" in str(wrong) or "Python objects" in str(wrong):
        return InputError(
            f"{path} holds Python objects, which are never unpickled here; "
            "save plain numbers of one size: np.save(path, np.stack(images))"
        )
    why = " ".join(str(wrong).split()) or type(wrong).__name__
    if "pickle" in why:  # what NumPy supposes of any file that starts with no mark of its own
        why = "it does not start as one"
    return InputError(f"{path} cannot be read as a NumPy file ({why}); save it again with np.save or np.savez")


def _pick(arrays: Mapping[str, np.ndarray], keys: tuple[str, ...]) -> np.ndarray | None:
    return next((arrays[key] for key in keys if key in arrays), None)


def _unknown_keys(path: Path, arrays: Mapping[str, Any]) -> InputError:
    return InputError(
        f"{path} holds the keys {', '.join(arrays) or '(none)'}; "
        "expected images (and labels), or x_train, x_test (and y_train, y_test)"
    )


def _split_here(path: Path, arrays: Mapping[str, np.ndarray], progress: Progress) -> ImageSet:
    """A file with one stack of images: keep some apart for testing."""
    images = _pick(arrays, (*IMAGES, *TRAIN_IMAGES))
    if images is None:
        raise _unknown_keys(path, arrays)
    pixels, choices = to_pixels(images, path, progress)
    (labels, _), class_names = _classes(path, _pick(arrays, (*LABELS, *TRAIN_LABELS)), None)
    everything = Images(pixels, labels)
    try:
        train, test = hold_out(len(everything))
    except InputError as wrong:
        raise InputError(f"{path}: {wrong}") from None
    how = f"drawn by a permutation with seed {SEED}"
    if path.suffix == ".npy" and images.dtype == np.uint8 and pixels.nbytes > ON_DISK:
        train, test = slice(0, len(train)), slice(len(train), None)  # a drawn subset would be copied into memory
        how = "the last of the file, which is so large that it stays on disk"
    kept = everything[test]
    split = f"{len(kept):,} of {len(everything):,} images (one in six) are kept apart for testing, {how}"
    return ImageSet(name_from(path), everything[train], kept, class_names, (split, *choices), source=str(path))


def _channels_first(array: np.ndarray, path: Path | str) -> tuple[np.ndarray, tuple[str, ...]]:
    """The array as ``[N, C, H, W]``, where its axes can be read in one way only."""
    shape = list(array.shape)
    if array.ndim not in (3, 4) or 0 in shape:
        axes = "[N, H, W], [N, C, H, W] or [N, H, W, C]"
        raise InputError(f"{path}: shape {shape}; expected {axes} with no empty axis; reshape it")
    if array.ndim == 3:
        if shape[-1] in (1, 3, 4):
            raise InputError(
                f"{path}: shape {shape} may be one image with {shape[-1]} channels or {shape[0]} grey images "
                f"{shape[-1]} pixels wide; expected [N, H, W] or 4 axes; add the missing axis: array[None]"
            )
        return array[:, None], ()
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first and last:
        raise InputError(
            f"{path}: shape {shape} may be [N, C, H, W] or [N, H, W, C]; expected one axis alone of size 1 or 3; "
            "pad the images to at least 4 pixels a side"
        )
    if first:
        return array, ()
    if last:
        return np.moveaxis(array, 3, 1), ("the last axis is read as the channels",)
    drop = "; drop the alpha channel: array[..., :3] or array[:, :3]" if 4 in (shape[1], shape[3]) else ""
    raise InputError(
        f"{path}: shape {shape} has no axis of 1 or 3 channels; expected [N, C, H, W] or [N, H, W, C]{drop}"
    )


def _check_range(array: np.ndarray, path: Path | str) -> None:
    """Refuse pixels that would need a guess: no finite floats, or not within [0, 1]."""
    kind = array.dtype
    if kind.kind not in "uif":
        raise InputError(f"{path}: pixels are {kind}; expected floats in [0, 1], uint8 or bool; convert them first")
    lowest, highest = _extremes(array)
    if not np.isfinite([lowest, highest]).all():
        at, value = next(_not_finite(array))
        raise InputError(f"{path}: pixel {at} is {value}; expected finite numbers; replace it or drop that image")
    if kind.kind == "f" and lowest >= 0 and highest <= 1:
        return
    raise InputError(
        f"{path}: pixels range over [{lowest:g}, {highest}] as {kind}; expected floats in [0, 1] or uint8; "
        f"{_remedy(lowest, highest)}"
    )


def _extremes(array: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value, NaN where there is one, without reading a file on disk all at once."""
    lows, highs = zip(*((array[part].min(), array[part].max()) for part in _blocks(array)), strict=True)
    return float(np.min(lows)), float(np.max(highs))


def _blocks(array: np.ndarray) -> list[slice]:
    """Slices of the first axis that hold few enough pixels to be worked on in memory."""
    step = max(1, BLOCK // array[0].size)
    return [slice(start, start + step) for start in range(0, len(array), step)]


def _not_finite(array: np.ndarray) -> Iterator[tuple[list[int], float]]:
    """Index and value of each pixel that is NaN or infinite, first to last."""
    for image, values in enumerate(array):
        for place in np.argwhere(~np.isfinite(values)).tolist():
            yield [image, *place], float(values[tuple(place)])


def _remedy(lowest: float, highest: float) -> str:
    if lowest < 0 or highest > 65535:
        return "shift and scale them into [0, 1]"
    if highest > 255:
        return "divide by 65535 if they have 16 bits"
    if highest <= 1:
        return ".astype(bool)"
    return "divide by 255 or .astype('uint8')"


def _classes(path: Path, *labels: np.ndarray | None) -> tuple[tuple[np.ndarray | None, ...], tuple[str, ...]]:
    """Labels as integers from 0, in the order of the sorted values found in all arrays together, and those values."""
    given = [_flat(array, path) for array in labels if array is not None]
    if not given:
        return labels, ()
    values, numbers = np.unique(np.concatenate(given), return_inverse=True)
    ends = np.cumsum([len(array) for array in given])[:-1]
    parts = iter(np.split(numbers.astype(np.int64), ends))
    return tuple(None if array is None else next(parts) for array in labels), tuple(str(value) for value in values)


def _flat(labels: np.ndarray, path: Path) -> np.ndarray:
    """Labels ``[N]`` of whole numbers or words; an axis of size 1 after it is dropped."""
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or flat.dtype.kind not in "uibU":
        raise InputError(
            f"{path}: labels are {labels.dtype} {list(labels.shape)}; expected integers or text [N], one per image; "
            "for one-hot rows take .argmax(1)"
        )
    return flat
