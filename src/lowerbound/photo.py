"""One image file: what its header says, and its pixels at a given size, whatever was in the file; one size for many."""

from __future__ import annotations

import contextlib
import io
import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lowerbound.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from PIL import Image

__all__ = ["ENDINGS", "Header", "choose_shape", "read_header", "read_pixels"]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
ENDINGS = frozenset(
    (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm", ".pnm")
)
GREY = frozenset(("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N"))
PIXEL_LIMIT = 64_000_000  # in one file; a photograph of today has 12 to 50 million
LONGEST_SIDE = 64  # of a size chosen for the user: what these models learn in minutes
TOO_MANY = f"more than {PIXEL_LIMIT // 10**6} million"

BROKEN = (  # each of these was raised by Pillow on some broken file
    *(OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, AttributeError),
    *(ArithmeticError, NotImplementedError, MemoryError, struct.error),
)


@dataclass(frozen=True)
class Header:
    """Size of an image after the rotation that EXIF asks for, and whether its mode has colours."""

    height: int
    width: int
    colour: bool


def read_header(path: Path | bytes) -> Header:
    """What an image file, or the bytes of one, says of itself before any pixel is decoded.

    Raises:
        InputError: Why the file cannot be used, in few words and without its name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "photo.png"
        >>> Image.new("L", (40, 30)).save(file)
        >>> read_header(file)
        Header(height=30, width=40, colour=False)
    """
    with _opened(path) as image:
        width, height = image.size
        if _on_its_side(image):
            width, height = height, width
        return Header(height, width, image.mode not in GREY)


def choose_shape(headers: Collection[Header], size: int | None = None) -> tuple[tuple[int, int, int], tuple[str, ...]]:
    """Channels, height, width for images of any sizes, and how they were chosen.

    Args:
        headers: Of all images, at least one.
        size: Height and width that were asked for; by default the most common size, its longer side at most 64.

    Example:
        >>> choose_shape([Header(30, 40, colour=False), Header(30, 40, colour=True), Header(9, 9, colour=True)])[0]
        (3, 30, 40)
    """
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


def read_pixels(path: Path | bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Pixels uint8 ``[C, H, W]`` of an image file: turned upright, 8 bits, scaled to cover and cropped at the centre.

    Transparency becomes white, 16-bit grey is divided by 257, an animation gives its first frame. An image that has
    the size already is not touched.

    Raises:
        InputError: Why the file cannot be used, in few words and without its name.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> file = Path(tempfile.mkdtemp()) / "photo.png"
        >>> Image.new("RGBA", (40, 30)).save(file)
        >>> int(read_pixels(file, (1, 28, 28)).min())
        255
    """
    from PIL import Image, ImageOps

    channels, height, width = shape
    with _opened(path) as image:
        enough = 3 * max(height, width)
        image.draft(None, (enough, enough))  # a large JPEG is decoded at 1/2, 1/4 or 1/8, many times faster
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        upright = _eight_bits(image).convert("RGB" if channels == 3 else "L")
        if upright.size != (width, height):
            upright = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
        return np.asarray(upright).reshape(height, width, channels).transpose(2, 0, 1)


@contextlib.contextmanager
def _opened(path: Path | bytes) -> Iterator[Image.Image]:
    """The image of a file or of the bytes of one, its header read and its pixels not yet; what goes wrong is an InputError."""
    from PIL import Image, UnidentifiedImageError

    try:
        if (
            not isinstance(path, bytes) and not path.is_file()
        ):  # a broken link, or a pipe that would be waited on for ever
            raise InputError("not a regular file")
        with Image.open(io.BytesIO(path) if isinstance(path, bytes) else path, formats=FORMATS) as image:
            if image.width * image.height > PIXEL_LIMIT:
                raise InputError(f"{image.width} x {image.height} pixels are {TOO_MANY}")
            yield image
    except UnidentifiedImageError as wrong:
        raise InputError("not an image of a known format") from wrong
    except Image.DecompressionBombError as wrong:
        raise InputError(TOO_MANY) from wrong
    except BROKEN as wrong:
        told = getattr(wrong, "strerror", None) or " ".join(str(wrong).split()) or type(wrong).__name__
        raise InputError(told) from wrong


def _on_its_side(image: Image.Image) -> bool:
    """Whether EXIF says that the image is stored turned by a quarter."""
    from PIL import ExifTags, Image

    exif = Image.Image.getexif(image)  # the method of PNG images would decode all pixels to look behind them
    turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    return turned and image.format != "TIFF"  # of which Pillow already gives the size after the rotation


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image without transparency or more than 8 bits, in a mode that converts to grey and to RGB."""
    from PIL import Image

    if image.mode == "F":
        raise InputError("floating-point pixels have no known range; expected 8 or 16 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"pixels range over [{values.min()}, {values.max()}]; expected 8 or 16 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA"))
    return image
