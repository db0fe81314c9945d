"""Many images as few: sheets of them, stored as WebP, a tenth of the size of raw colour."""

from __future__ import annotations

import io

import numpy as np

__all__ = ["columns_of", "sheets"]

SIDE = 2048  # pixels of a sheet; the format ends at 16,383, and phones end before
QUALITY = 80  # of 100: no difference to be seen beside the pixels themselves


def columns_of(image_shape: tuple[int, int, int], number: int) -> int:
    """How many images stand in a row of a sheet.

    Example:
        >>> columns_of((3, 32, 32), 5000), columns_of((3, 32, 32), 10)
        (64, 10)
    """
    return max(1, min(number, SIDE // image_shape[2]))


def sheets(pixels: np.ndarray, columns: int) -> list[bytes]:
    """Images uint8 ``[N, C, H, W]`` as WebP files, row by row, sheet by sheet; what is left of the last row is black.

    Example:
        >>> [len(sheets(np.zeros((n, 3, 32, 32), np.uint8), 64)) for n in (1, 4096, 4097)]
        [1, 1, 2]
    """
    from PIL import Image

    count, channels, height, width = pixels.shape
    of_sheet = columns * max(1, SIDE // height)
    files = []
    for start in range(0, count, of_sheet):
        block = pixels[start : start + of_sheet]
        rows = -(-len(block) // columns)
        whole = np.zeros((rows * columns, channels, height, width), np.uint8)
        whole[: len(block)] = block
        grid = whole.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
        sheet = grid.reshape(rows * height, columns * width, channels)
        file = io.BytesIO()
        Image.fromarray(sheet if channels == 3 else sheet[:, :, 0]).convert("RGB").save(
            file, "WEBP", quality=QUALITY, method=4
        )
        files.append(file.getvalue())
    return files
