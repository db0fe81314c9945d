"""Images as PNG files in one folder, under the names that they came with."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from lowerbound.naming import fitting

__all__ = ["as_pixels", "png", "png_names"]


def png_names(
    names: Sequence[str] | None, number: int, *, strict: bool = sys.platform in ("win32", "darwin")
) -> list[str]:
    r"""The paths of PNG files for images, each another one and none outside the folder that they are put in.

    Args:
        names: Of the images, paths with "/"; None where they have none.
        number: Of images.
        strict: Whether names must be ones that Windows takes, too, and differ in more than capital letters, which
            neither Windows nor macOS tells apart.

    Example:
        >>> png_names(["cats/1.jpg", "cats/1.gif", "../up.png"], 3)
        ['cats/1.png', 'cats/1.gif.png', 'up.png']
        >>> png_names(None, 2)
        ['0.png', '1.png']
    """
    if names is None:
        return [f"{place:0{len(str(number - 1))}}.png" for place in range(number)]
    taken: set[str] = set()
    found = []
    for place, name in enumerate(names):
        parts = [part for part in PurePosixPath(name.replace("\0", " ")).parts if part not in ("/", "//", "..")]
        parts = [fitting(part) for part in parts] if strict else parts
        path = PurePosixPath(*(parts or [str(place)]))
        for tried in (
            path.with_suffix(".png"),
            path.with_name(path.name + ".png"),
            path.with_name(f"{path.name}-{place}.png"),
        ):
            if _seen(tried, strict=strict) not in taken:
                break
        taken.add(_seen(tried, strict=strict))
        found.append(str(tried))
    return found


def _seen(path: PurePosixPath, *, strict: bool) -> str:
    """A path as the file system compares it."""
    return str(path).casefold() if strict else str(path)


def as_pixels(images: np.ndarray) -> np.ndarray:
    """Float images in pixel units of [0, 1] as 8-bit pixels; what lies beyond is cut off, what is no number is grey.

    Example:
        >>> as_pixels(np.array([-0.1, 0.5, 2.0, np.nan])).tolist()
        [0, 128, 255, 128]
    """
    return np.rint(np.clip(np.nan_to_num(images, nan=0.5), 0, 1) * 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """One image uint8 ``[C, H, W]`` as a PNG file.

    Example:
        >>> png(np.zeros((1, 4, 4), np.uint8))[1:4]
        b'PNG'
    """
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(content, "PNG")
    return content.getvalue()
